//! Tests of the sequence.

use abide::hub::HubBuilder;
use abide::testing::{RunningHub, TestHub};

use super::*;
use crate::golden;

fn builder() -> HubBuilder {
    let hub = Hub::in_memory().activity::<say_hello>().activity::<make_card>();
    hub.orchestration::<hello_sequence>()
}

async fn greeted(hub: &RunningHub) -> OrchestrationHandle<hello_sequence> {
    let cities = ["Tokyo", "Quito"].map(String::from).to_vec();
    let start = hub.client().start::<hello_sequence>(cities).instance_id("hello");
    let run = start.await.unwrap();
    run.result().await.unwrap();
    run
}

/// The cities are greeted in order, and the activities count themselves in a resource of the test.
#[test]
fn the_cities_are_greeted_in_order() {
    let ran = Ran::default();
    TestHub::new(builder).resource(Ran::clone(&ran)).run(async |hub| {
        let card = greeted(hub).await.result().await.unwrap();
        assert_eq!(card, "Hello, Tokyo!\nHello, Quito!");
        assert_eq!(hub.calls::<say_hello>(), ["Tokyo", "Quito"]);
    });
    assert_eq!(ran.load(Ordering::Relaxed), 3);
}

#[test]
fn an_earlier_history_still_fits() {
    golden::assert_fits("hello_sequence", builder());
}

#[test]
#[ignore = "records a new history"]
fn record_the_history() {
    let hub = TestHub::new(builder).resource(Ran::default());
    let recorded = hub.run(async |hub| greeted(hub).await.recorded_history().await.unwrap());
    golden::record("hello_sequence", &recorded);
}
