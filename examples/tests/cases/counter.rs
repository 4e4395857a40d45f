//! Tests of the counter.

use abide::testing::{TestHub, crash_everywhere};

use super::*;

fn hub() -> TestHub {
    TestHub::new(|| Hub::in_memory().entity::<Counter>())
}

/// A signal and a call count, and the call returns the total.
#[test]
fn a_counter_adds_up() {
    hub().run(async |hub| {
        let visits = hub.client().entity::<Counter>("visits");
        visits.add(1).signal().await.unwrap();
        assert_eq!(visits.add(1).await.unwrap(), 2);
        assert_eq!(visits.total().await.unwrap(), 2);
    });
}

/// A visit with a request id counts once, whenever the hub crashes.
#[test]
fn a_visit_counts_once_whenever_it_crashes() {
    crash_everywhere(hub, async |hub| {
        let visits = hub.client().entity::<Counter>("visits");
        visits.add(1).request_id("first").signal().await.unwrap();
        visits.add(1).request_id("second").await.unwrap()
    });
}
