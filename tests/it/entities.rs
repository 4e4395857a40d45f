//! Operations of entities on an in-memory hub. The store has its own tests.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use abide::prelude::*;
use abide::{ErrorKind, client::Cancellation};

#[derive(Entity, Default, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Account {
    cents: i64,
}

#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[error("short by {short_by}")]
struct Overdrawn {
    short_by: i64,
}

#[operations]
impl Account {
    pub fn deposit(&mut self, cents: i64) -> i64 {
        self.cents += cents;
        self.cents
    }

    pub fn withdraw(&mut self, cents: i64) -> Result<i64, Overdrawn> {
        self.cents -= cents;
        if self.cents < 0 {
            return Err(Overdrawn { short_by: -self.cents });
        }
        Ok(self.cents)
    }

    pub fn balance(&self) -> i64 {
        self.cents
    }

    pub fn pay(&mut self, ctx: &mut EntityContext, to: &str, cents: i64) -> Result<i64, Overdrawn> {
        ctx.entity::<Account>(to).deposit(cents).signal();
        self.withdraw(cents)
    }

    pub fn explode(&mut self, ctx: &mut EntityContext) {
        self.cents = -1;
        ctx.entity::<Account>("somebody").deposit(1).signal();
        panic!("on purpose");
    }

    pub fn deposit_all(&mut self, cents: HashMap<String, i64>) -> i64 {
        self.cents += cents.values().sum::<i64>();
        self.cents
    }

    pub fn close(&mut self, ctx: &mut EntityContext) {
        ctx.delete_state();
    }

    pub async fn slow(&mut self, ctx: &mut EntityContext, cents: i64) -> i64 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        ctx.entity::<Account>("audit").deposit(1).signal();
        self.cents += cents;
        self.cents
    }

    pub async fn endless(&mut self) {
        std::future::pending::<()>().await;
    }
}

async fn hub() -> Hub {
    Hub::in_memory().entity::<Account>().open().await.unwrap()
}

/// A call returns the result of the operation and sees the effect of every earlier signal.
#[tokio::test]
async fn a_call_sees_every_signal_before_it() {
    let hub = hub().await;
    let client = hub.client();
    let alice = client.entity::<Account>("alice");
    alice.deposit(500).signal().await.unwrap();
    assert_eq!(alice.deposit(1).await.unwrap(), 501);
    assert_eq!(alice.balance().await.unwrap(), 501);
    assert_eq!(alice.state().await.unwrap(), Some(Account { cents: 501 }));
    assert_eq!(client.entity::<Account>("bob").state().await.unwrap(), None);
    hub.shutdown().await.unwrap();
    assert_eq!(
        alice.balance().await.unwrap_err().into_returned().unwrap_err().kind(),
        ErrorKind::Closed
    );
}

/// All calls and messages of more entities than fit into one commit are processed.
#[tokio::test]
async fn no_message_is_lost_when_a_commit_is_full() {
    const ACCOUNTS: i64 = 5_000;
    let hub = hub().await;
    let client = hub.client();
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..ACCOUNTS {
        let account = client.entity::<Account>(n);
        let next = ((n + 1) % ACCOUNTS).to_string();
        calls.spawn(async move {
            account.deposit(2).signal().await.unwrap();
            account.pay(&next, 1).await.unwrap();
        });
    }
    let all = tokio::time::timeout(Duration::from_secs(60), calls.join_all());
    all.await.expect("every call completes");
    for n in 0..ACCOUNTS {
        let account = client.entity::<Account>(n);
        while account.balance().await.unwrap() != 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A failed operation neither changes the state nor sends a message.
#[tokio::test]
async fn a_failed_operation_leaves_nothing() {
    let hub = hub().await;
    let client = hub.client();
    let alice = client.entity::<Account>("alice");
    alice.deposit(10).await.unwrap();
    let error = alice.pay("bob", 15).await.unwrap_err();
    assert_eq!(error.into_returned().unwrap(), Overdrawn { short_by: 5 });
    let error = alice.explode().await.unwrap_err().into_returned().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(
        error
            .to_string()
            .contains("`explode` of `@account@alice` panicked: on purpose"),
        "{error}"
    );
    assert_eq!(alice.balance().await.unwrap(), 10);
    for other in ["bob", "somebody"] {
        assert_eq!(client.entity::<Account>(other).state().await.unwrap(), None);
    }
    assert_eq!(alice.pay("bob", 4).await.unwrap(), 6);
    assert_eq!(client.entity::<Account>("bob").balance().await.unwrap(), 4);
}

/// A request that is repeated with its request ID takes effect once. Another request with the same ID is rejected.
#[tokio::test]
async fn a_request_id_takes_effect_once() {
    let hub = hub().await;
    let alice = hub.client().entity::<Account>("alice");
    for _ in 0..3 {
        assert_eq!(alice.deposit(5).request_id("r-1").await.unwrap(), 5);
        alice.deposit(7).request_id("r-2").signal().await.unwrap();
    }
    let error = alice.deposit(6).request_id("r-1").await.unwrap_err();
    assert_eq!(error.into_returned().unwrap_err().kind(), ErrorKind::RequestIdReused);
    assert_eq!(alice.balance().await.unwrap(), 12);
    let (first, second) = tokio::join!(alice.slow(100).request_id("r-3"), alice.slow(100).request_id("r-3"));
    assert_eq!((first.unwrap(), second.unwrap()), (112, 112));
}

/// A retry whose map serializes in another order is the same request.
#[tokio::test]
async fn a_map_in_another_order_is_the_same_request() {
    let hub = hub().await;
    let alice = hub.client().entity::<Account>("alice");
    let cents = || {
        (0..24)
            .map(|n| (format!("purse {n}"), n))
            .collect::<HashMap<String, i64>>()
    };
    for _ in 0..4 {
        assert_eq!(alice.deposit_all(cents()).request_id("r").await.unwrap(), 276);
    }
    let mut other = cents();
    other.insert("purse 0".into(), 1);
    let error = alice.deposit_all(other).request_id("r").await.unwrap_err();
    assert_eq!(error.into_returned().unwrap_err().kind(), ErrorKind::RequestIdReused);
}

/// While an `async` operation runs, reads see the committed state and all other operations wait in order.
#[tokio::test]
async fn an_async_operation_runs_alone() {
    let hub = hub().await;
    let client = hub.client();
    let alice = client.entity::<Account>("alice");
    alice.deposit(1).await.unwrap();
    let (slow, later, read) = tokio::join!(alice.slow(10), alice.deposit(100), alice.balance());
    assert_eq!(slow.unwrap(), 11);
    assert_eq!(later.unwrap(), 111);
    assert_eq!(read.unwrap(), 1);
    assert_eq!(client.entity::<Account>("audit").balance().await.unwrap(), 1);
}

/// An `async` operation that is stopped at its time limit leaves its entity unchanged.
#[tokio::test]
async fn an_operation_that_is_stopped_leaves_nothing() {
    let hub = Hub::in_memory()
        .entity::<Account>()
        .operation_timeout(Duration::from_millis(20));
    let hub = hub.open().await.unwrap();
    let alice = hub.client().entity::<Account>("alice");
    alice.deposit(111).await.unwrap();
    let error = alice.endless().await.unwrap_err().into_returned().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(alice.balance().await.unwrap(), 111);
}

/// A scheduled signal fires once and never early. If it is canceled in time, it does not fire.
#[tokio::test]
async fn a_scheduled_signal_fires_or_is_canceled() {
    let hub = hub().await;
    let alice = hub.client().entity::<Account>("alice");
    let started = SystemTime::now();
    alice.deposit(1).signal_after(Duration::from_millis(60)).await.unwrap();
    alice
        .deposit(10)
        .timer_id("later")
        .signal_after(Duration::from_secs(3600))
        .await
        .unwrap();
    assert_eq!(alice.cancel_signal("later").await.unwrap(), Cancellation::Canceled);
    assert_eq!(alice.cancel_signal("later").await.unwrap(), Cancellation::TooLate);
    while alice.balance().await.unwrap() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(started.elapsed().unwrap() >= Duration::from_millis(60));
    assert_eq!(alice.balance().await.unwrap(), 1);
}

/// Deleting an entity removes its state, and the next operation creates a new one.
#[tokio::test]
async fn a_deleted_entity_is_gone() {
    let hub = hub().await;
    let client = hub.client();
    let alice = client.entity::<Account>("alice");
    alice.deposit(1).await.unwrap();
    alice.delete().await.unwrap();
    assert_eq!(alice.state().await.unwrap(), None);
    alice.deposit(2).await.unwrap();
    alice.close().await.unwrap();
    assert_eq!(client.entities().count().await.unwrap(), 0);
}

/// Lists are sorted, consistent across pages, and filtered by name and prefix.
#[tokio::test]
async fn lists_have_every_entity_once() {
    let hub = hub().await;
    let client = hub.client();
    for n in 0..500 {
        client.entity::<Account>(n).deposit(n).signal().await.unwrap();
    }
    let mut seen = Vec::new();
    let mut query = client.entities().name("Account").page_size(33);
    loop {
        let page = query.page().await.unwrap();
        seen.extend(page.items.into_iter().map(|entity| entity.id.key().to_owned()));
        let Some(next) = page.next else { break };
        query = client.entities().name("account").page_size(33).cursor(next);
    }
    let mut expected: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    expected.sort();
    assert_eq!(seen, expected);
    assert_eq!(
        client.entities().name("account").prefix("49").count().await.unwrap(),
        11
    );
    assert_eq!(client.entities().name("accoun").count().await.unwrap(), 0);
}
