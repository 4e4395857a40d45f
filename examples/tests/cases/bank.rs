//! Tests of the bank.

use abide::hub::HubBuilder;
use abide::testing::{RunningHub, TestHub, assert_history, crash_everywhere};

use super::*;
use crate::golden;

fn builder() -> HubBuilder {
    Hub::in_memory().entity::<Account>().orchestration::<transfer>()
}

fn hub() -> TestHub {
    TestHub::new(builder).mock::<clear>(|_number| Ok(()))
}

/// Requests a transfer between two accounts, under an id of its own.
async fn transferred(hub: &RunningHub, number: u64, from: u64, to: u64, cents: i64) -> Result<(), TransferError> {
    let order = Transfer {
        number,
        from,
        to,
        cents,
    };
    let id = format!("transfer-{number}");
    let start = hub.client().start::<transfer>(order).instance_id(&id).request_id(&id);
    match start.await.unwrap().result().await {
        Ok(()) => Ok(()),
        Err(CallError::Returned(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

async fn statement(hub: &RunningHub, account: u64) -> (i64, Vec<u64>, Vec<u64>) {
    let account = hub.client().entity::<Account>(account).statement().await.unwrap();
    (account.cents, account.sent, account.received)
}

/// Two transfers that lock the same accounts in opposite order move their money once, whenever the hub crashes.
#[test]
fn money_moves_once_whenever_it_crashes() {
    let report = crash_everywhere(hub, async |hub| {
        let there = transferred(hub, 1, 1, 2, 300);
        let back = transferred(hub, 2, 2, 1, 200);
        let (there, back) = futures::join!(there, back);
        there.and(back).unwrap();
        let (one, two) = (statement(hub, 1).await, statement(hub, 2).await);
        assert_eq!(one, (OPENING_CENTS - 100, vec![1], vec![2]));
        assert_eq!(two, (OPENING_CENTS + 100, vec![2], vec![1]));
        let cleared = hub.calls::<clear>();
        assert!(cleared.contains(&1) && cleared.contains(&2), "{cleared:?}");
        (one, two)
    });
    assert!(report.syncs >= 3, "{report:?}");
}

/// A transfer of more money than there is changes nothing, and is not cleared.
#[test]
fn a_transfer_without_cover_changes_nothing() {
    hub().run(async |hub| {
        let refused = transferred(hub, 1, 1, 2, OPENING_CENTS + 7).await.unwrap_err();
        assert!(
            matches!(refused, TransferError::Overdrawn(Overdrawn { short_by: 7 })),
            "{refused}"
        );
        assert_eq!(statement(hub, 1).await, (OPENING_CENTS, vec![], vec![]));
        assert!(hub.calls::<clear>().is_empty());
        assert!(hub.client().admin().locks().await.unwrap().is_empty());
    });
}

/// The history of a transfer shows the lock, the two operations and the clearing between them.
#[test]
fn a_transfer_is_cleared_under_its_lock() {
    hub().run(async |hub| {
        transferred(hub, 1, 1, 2, 300).await.unwrap();
        let run = hub.client().orchestration::<transfer>("transfer-1");
        assert_history(
            &run.history().await.unwrap(),
            r#"
                started: transfer {"number":1,"from":1,"to":2,"cents":300}
                1 lock @account@1, @account@2
                1 done: null
                2 call @account@1.withdraw: {"number":1,"cents":300}
                2 done: null
                3 activity clear: 1
                3 done: null
                4 call @account@2.deposit: {"number":1,"cents":300}
                4 done: null
                1 released
                completed: null
            "#,
        );
    });
}

#[test]
fn an_earlier_history_still_fits() {
    golden::assert_fits("bank", builder());
}

#[test]
#[ignore = "records a new history"]
fn record_the_history() {
    let recorded = hub().run(async |hub| {
        transferred(hub, 1, 1, 2, 300).await.unwrap();
        let run = hub.client().orchestration::<transfer>("transfer-1");
        run.recorded_history().await.unwrap()
    });
    golden::record("bank", &recorded);
}
