//! Tests of the aggregator.

use abide::hub::HubBuilder;
use abide::testing::{RunningHub, TestHub};

use super::*;
use crate::golden;

fn builder() -> HubBuilder {
    let hub = Hub::in_memory().entity::<Sales>().activity::<type_in>();
    hub.orchestration::<evening>()
}

async fn typed_in(hub: &RunningHub, shop: &str) -> OrchestrationHandle<evening> {
    let start = hub.client().start::<evening>(shop.to_owned()).instance_id(shop);
    let run = start.await.unwrap();
    run.result().await.unwrap();
    run
}

/// Every sale of a shop reaches the total once.
#[test]
fn every_sale_reaches_the_total() {
    TestHub::new(builder).run(async |hub| {
        let client = hub.client();
        let rung_up = till(client.clone(), "Berlin", 1).await.unwrap();
        let on_paper = typed_in(hub, "Quito").await.result().await.unwrap();
        hub.run_until_idle().await;
        let all = client.entity::<Sales>("").figures().await.unwrap();
        assert_eq!(
            (all.count, all.cents),
            (SALES_OF_A_TILL + SALES_ON_PAPER, rung_up + on_paper)
        );
    });
}

#[test]
fn an_earlier_history_still_fits() {
    golden::assert_fits("aggregator", builder());
}

#[test]
#[ignore = "records a new history"]
fn record_the_history() {
    let recorded =
        TestHub::new(builder).run(async |hub| typed_in(hub, "Quito").await.recorded_history().await.unwrap());
    golden::record("aggregator", &recorded);
}
