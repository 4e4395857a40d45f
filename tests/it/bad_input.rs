//! Invalid requests fail with the documented error kind and text, and store nothing. The hubs are in memory.
//!
//! See docs/src/guarantees.md, "Isolation".

use abide::ErrorKind;
use abide::prelude::*;

use crate::fixtures::{assert_error, refusal};

#[derive(Entity, Default, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Account {
    cents: i64,
    memo: String,
}

#[operations]
impl Account {
    pub fn deposit(&mut self, cents: i64) -> i64 {
        self.cents += cents;
        self.cents
    }

    pub fn note(&mut self, memo: String) {
        self.memo = memo;
    }

    /// Sends a deposit to each of `accounts` accounts.
    pub fn spread(&mut self, ctx: &mut EntityContext, accounts: usize) {
        self.cents -= accounts as i64;
        for to in 0..accounts {
            ctx.entity::<Account>(to).deposit(1).signal();
        }
    }

    /// Sends a memo of `bytes` bytes.
    pub fn send_note(&mut self, ctx: &mut EntityContext, to: String, bytes: usize) {
        self.cents = -1;
        ctx.entity::<Account>(to).note("x".repeat(bytes)).signal();
    }

    /// Changes the state and returns `bytes` bytes.
    pub fn recite(&mut self, bytes: usize) -> String {
        self.cents = -1;
        "x".repeat(bytes)
    }

    /// Returns `bytes` bytes without changing the state.
    pub fn imagine(&self, bytes: usize) -> String {
        "x".repeat(bytes)
    }
}

/// The same entity in another build of the program: other arguments, another result and another operation.
mod other_build {
    use abide::prelude::*;

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    #[entity(name = "Account")]
    pub(crate) struct Account;

    #[operations]
    impl Account {
        pub fn deposit(&mut self, cents: &str) {
            let _ = cents;
        }

        #[operation(name = "note")]
        pub fn remark(&mut self) {}

        pub fn close(&mut self) {}
    }
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Stranger;

#[operations]
impl Stranger {
    pub fn greet(&mut self) {}
}

async fn hub() -> Hub {
    let hub = Hub::in_memory().entity::<Account>();
    let hub = hub.payload_limit(1_000).state_limit(500).action_limit(10);
    hub.open().await.unwrap()
}

async fn assert_nothing_stored(hub: &Hub) {
    let client = hub.client();
    assert_eq!(client.entities().count().await.unwrap(), 0);
    assert!(client.entities().page().await.unwrap().items.is_empty());
    assert!(client.admin().dead_letters().await.unwrap().is_empty());
    assert_eq!(hub.stats().commits, 0, "a commit was written");
}

/// Every use of a key that breaks a rule for IDs fails, and the error names the rule.
#[tokio::test]
async fn a_key_that_breaks_the_rules_is_refused() {
    let hub = hub().await;
    let client = hub.client();
    let long = "k".repeat(504);
    for (key, reason) in [
        ("a/b", "contains '/'"),
        ("a\\b", "contains '\\\\'"),
        ("a#b", "contains '#'"),
        ("a?b", "contains '?'"),
        ("a\u{7}b", "contains '\\u{7}'"),
        ("a\u{85}b", "contains '\\u{85}'"),
        (&long, "it has 513 bytes, but the limit is 512"),
    ] {
        let account = client.entity::<Account>(key);
        let errors = [
            refusal(account.deposit(1).await),
            refusal(account.deposit(1).refuse_when_full().await),
            account.deposit(1).signal().await.unwrap_err(),
            account
                .deposit(1)
                .signal_at(std::time::SystemTime::now())
                .await
                .unwrap_err(),
            account.cancel_signal("timer").await.unwrap_err(),
            account.state().await.unwrap_err(),
            refusal(account.delete().await),
            account.id().unwrap_err(),
        ];
        for error in errors {
            assert_error(
                &error,
                ErrorKind::InvalidId,
                &["the id `@account@", reason, "is not valid"],
            );
        }
    }
    assert_nothing_stored(&hub).await;
    client.entity::<Account>("k".repeat(503)).deposit(1).await.unwrap();

    // A closed hub reports the same error.
    hub.shutdown().await.unwrap();
    let account = client.entity::<Account>("a/b");
    let errors = [
        refusal(account.deposit(1).await),
        account.deposit(1).signal().await.unwrap_err(),
    ];
    for error in errors {
        assert_error(&error, ErrorKind::InvalidId, &["@account@a/b", "contains '/'"]);
    }
}

/// IDs that an operation creates are validated as well. The operation fails and is rolled back.
#[tokio::test]
async fn an_operation_that_sends_to_a_broken_id_fails() {
    let hub = hub().await;
    let account = hub.client().entity::<Account>("alice");
    let error = refusal(account.send_note("a/b".to_owned(), 1).await);
    assert_error(&error, ErrorKind::InvalidId, &["@account@a/b", "contains '/'"]);
    assert_nothing_stored(&hub).await;
}

/// Request IDs and timer IDs have their own rules.
#[tokio::test]
async fn a_broken_request_id_or_timer_id_is_refused() {
    let hub = hub().await;
    let alice = hub.client().entity::<Account>("alice");
    for name in ["", "a\0b", &"r".repeat(513)] {
        let error = refusal(alice.deposit(1).request_id(name).await);
        assert_error(&error, ErrorKind::InvalidId, &["the request id", "1 to 512 bytes"]);
        let timer = alice.deposit(1).timer_id(name);
        let error = timer.signal_after(std::time::Duration::ZERO).await.unwrap_err();
        assert_error(&error, ErrorKind::InvalidId, &["the timer id", "1 to 512 bytes"]);
        let error = alice.cancel_signal(name).await.unwrap_err();
        assert_error(&error, ErrorKind::InvalidId, &["the timer id"]);
    }
    assert_nothing_stored(&hub).await;
}

/// Sending a payload over the limit fails, and the error names the limit and the option that raises it.
#[tokio::test]
async fn a_payload_over_the_limit_is_refused() {
    let hub = hub().await;
    let alice = hub.client().entity::<Account>("alice");
    let memo = "x".repeat(1_000);
    for error in [
        refusal(alice.note(memo.clone()).await),
        alice.note(memo.clone()).signal().await.unwrap_err(),
        alice
            .note(memo.clone())
            .signal_after(std::time::Duration::ZERO)
            .await
            .unwrap_err(),
    ] {
        let texts = ["`note` for `@account@alice`", "the limit is 1000", "`payload_limit`"];
        assert_error(&error, ErrorKind::TooLarge, &texts);
    }
    assert_nothing_stored(&hub).await;
}

/// Calling or signaling an operation that the registered type does not have fails.
#[tokio::test]
async fn an_unknown_operation_is_refused() {
    let hub = hub().await;
    let alice = hub.client().entity::<other_build::Account>("alice");
    for error in [refusal(alice.close().await), alice.close().signal().await.unwrap_err()] {
        let texts = ["the entity type `account` has no operation `close`"];
        assert_error(&error, ErrorKind::UnknownOperation, &texts);
    }
    assert_nothing_stored(&hub).await;
}

/// Arguments that do not decode into the parameters are rejected with the error of the decoder.
#[tokio::test]
async fn arguments_that_do_not_decode_are_refused() {
    let hub = hub().await;
    let alice = hub.client().entity::<other_build::Account>("alice");
    for error in [
        refusal(alice.deposit("much").await),
        alice.deposit("much").signal().await.unwrap_err(),
    ] {
        let texts = [
            "the arguments of `deposit` for `@account@alice` do not decode",
            "cents",
            "much",
        ];
        assert_error(&error, ErrorKind::InvalidArguments, &texts);
    }
    for error in [
        refusal(alice.remark().await),
        alice.remark().signal().await.unwrap_err(),
    ] {
        assert_error(&error, ErrorKind::InvalidArguments, &["`note`", "`memo`"]);
    }
    assert_nothing_stored(&hub).await;
}

/// A type that is not registered is rejected before anything is stored, and the error says how to register it.
#[tokio::test]
async fn an_unregistered_type_is_refused() {
    let hub = hub().await;
    let stranger = hub.client().entity::<Stranger>("x");
    for error in [
        refusal(stranger.greet().await),
        stranger.greet().signal().await.unwrap_err(),
    ] {
        assert_error(
            &error,
            ErrorKind::Unregistered,
            &["`stranger` is not registered", ".entity::<"],
        );
    }
    assert_nothing_stored(&hub).await;
}

/// An operation fails and is rolled back if its state, its payloads, its result or its number of messages exceeds a
/// limit.
#[tokio::test]
async fn the_output_of_an_operation_is_bounded() {
    let hub = hub().await;
    let client = hub.client();
    let alice = client.entity::<Account>("alice");
    for (error, text) in [
        (refusal(alice.note("x".repeat(600)).await), "the limit is 500"),
        (refusal(alice.spread(11).await), "sent 11 messages, but the limit is 10"),
        (
            refusal(alice.send_note("bob".to_owned(), 1_000).await),
            "produced a payload of 1011 bytes, but the limit is 1000",
        ),
        (
            refusal(alice.recite(1_000).await),
            "produced a payload of 1002 bytes, but the limit is 1000",
        ),
        (
            refusal(alice.imagine(1_000).await),
            "produced a payload of 1002 bytes, but the limit is 1000",
        ),
    ] {
        assert_error(
            &error,
            ErrorKind::TooLarge,
            &["of `@account@alice`", text, "its effects were discarded"],
        );
    }
    assert_nothing_stored(&hub).await;
    alice.deposit(1).await.unwrap();
    refusal(alice.note("x".repeat(600)).await);
    let state = alice.state().await.unwrap().unwrap();
    assert_eq!(
        state,
        Account {
            cents: 1,
            memo: String::new()
        }
    );
}

/// If the caller cannot decode the result, the error says that the operation has taken effect.
#[tokio::test]
async fn a_result_that_does_not_decode_is_reported() {
    let hub = hub().await;
    let alice = hub.client().entity::<answers::Account>("alice");
    let error = refusal(alice.deposit(5).await);
    let texts = ["the result does not decode", "the operation has taken effect"];
    assert_error(&error, ErrorKind::Serialization, &texts);
    let state = hub.client().entity::<Account>("alice").state().await.unwrap().unwrap();
    assert_eq!(state.cents, 5);
}

/// The same entity with another result type.
mod answers {
    use abide::prelude::*;

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    #[entity(name = "Account")]
    pub(crate) struct Account;

    #[operations]
    impl Account {
        pub fn deposit(&mut self, cents: i64) -> Vec<String> {
            vec![cents.to_string()]
        }
    }
}
