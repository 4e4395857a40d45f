//! Tests of the approval.

use abide::hub::HubBuilder;
use abide::testing::{RunningHub, TestHub};

use super::*;
use crate::golden;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn builder() -> HubBuilder {
    Hub::in_memory().activity::<ask>().orchestration::<approval>()
}

/// Asks for an expense, and waits until the team lead has let the time pass.
async fn escalated(hub: &RunningHub) -> OrchestrationHandle<approval> {
    let expense = Expense {
        what: "a trip".to_owned(),
        euros: 900,
        patience: DAY,
    };
    let run = hub
        .client()
        .start::<approval>(expense)
        .instance_id("trip")
        .await
        .unwrap();
    hub.jump_to_next_timer().await.expect("the team lead has a day");
    assert_eq!(hub.calls::<ask>(), APPROVERS);
    run
}

/// The manager decides what the team lead has not decided.
#[test]
fn an_expense_is_escalated() {
    TestHub::new(builder).run(async |hub| {
        let run = escalated(hub).await;
        decide(&run, "the manager", true).await.unwrap();
        let outcome = run.result().await.unwrap();
        assert!(matches!(outcome, Outcome::Approved { by } if by == "the manager"));
    });
}

/// An expense that nobody decides lapses.
#[test]
fn an_expense_lapses() {
    TestHub::new(builder).run(async |hub| {
        let run = escalated(hub).await;
        assert!(matches!(run.result().await.unwrap(), Outcome::Lapsed));
    });
}

#[test]
fn an_earlier_history_still_fits() {
    golden::assert_fits("approval", builder());
}

#[test]
#[ignore = "records a new history"]
fn record_the_history() {
    let recorded = TestHub::new(builder).run(async |hub| {
        let run = escalated(hub).await;
        decide(&run, "the manager", true).await.unwrap();
        run.result().await.unwrap();
        run.recorded_history().await.unwrap()
    });
    golden::record("approval", &recorded);
}
