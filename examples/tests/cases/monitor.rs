//! Tests of the monitor.

use std::sync::atomic::{AtomicU8, Ordering};

use abide::hub::HubBuilder;
use abide::testing::{RunningHub, TestHub};

use super::*;
use crate::golden;

const HOUR: Duration = Duration::from_secs(60 * 60);

fn builder() -> HubBuilder {
    Hub::in_memory().orchestration::<monitor>()
}

/// A hub with a job that has done another quarter at each look.
fn hub() -> TestHub {
    let quarters = AtomicU8::new(0);
    TestHub::new(builder).mock::<progress_of>(move |_job| Ok(25 * quarters.fetch_add(1, Ordering::Relaxed)))
}

/// Looks every hour, for at most this long.
async fn watched(hub: &RunningHub, limit: Duration) -> OrchestrationHandle<monitor> {
    let watch = Watch {
        job: "job".into(),
        every: HOUR,
        until: hub.now() + limit,
        rounds: 0,
    };
    hub.client()
        .start::<monitor>(watch)
        .instance_id("monitor")
        .await
        .unwrap()
}

/// The monitor sees the end of the job in the round after it.
#[test]
fn a_job_is_watched_to_its_end() {
    hub().run(async |hub| {
        let begin = hub.now();
        let outcome = watched(hub, 24 * HOUR).await.result().await.unwrap();
        assert!(matches!(outcome, Outcome::Done { rounds: 5 }), "{outcome:?}");
        assert!(hub.now().duration_since(begin).unwrap() >= 4 * HOUR);
    });
}

/// The monitor gives up when its time is over.
#[test]
fn a_slow_job_is_given_up() {
    hub().run(async |hub| {
        let outcome = watched(hub, 5 * HOUR / 2).await.result().await.unwrap();
        assert!(matches!(outcome, Outcome::GaveUp { percent: 50 }), "{outcome:?}");
    });
}

#[test]
fn an_earlier_history_still_fits() {
    golden::assert_fits("monitor", builder());
}

/// Records an execution that has continued as new and sleeps.
#[test]
#[ignore = "records a new history"]
fn record_the_history() {
    let recorded = hub().run(async |hub| {
        let run = watched(hub, 24 * HOUR).await;
        hub.jump_to_next_timer().await.expect("the monitor sleeps");
        run.recorded_history().await.unwrap()
    });
    golden::record("monitor", &recorded);
}
