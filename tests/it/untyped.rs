//! Untyped access for tools that do not know the types: inputs, their errors, and queries about the hub.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use abide::prelude::*;
use abide::{EntityId, ErrorKind, OrchestrationContext, orchestration};
use tokio::sync::Semaphore;

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("{missing} are missing")]
struct Missing {
    missing: i64,
}

/// Whether `block` has begun, and permits that let it end. One test uses them.
static BEGUN: AtomicBool = AtomicBool::new(false);
static MAY_END: Semaphore = Semaphore::const_new(0);

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Till {
    cents: i64,
    notes: Vec<String>,
}

#[operations]
impl Till {
    pub fn add(&mut self, #[serde(rename = "amount")] cents: i64) -> i64 {
        self.cents += cents;
        self.cents
    }

    pub fn take(&mut self, cents: i64, note: &str) -> Result<i64, Missing> {
        if cents > self.cents {
            return Err(Missing {
                missing: cents - self.cents,
            });
        }
        self.notes.push(note.to_owned());
        self.cents -= cents;
        Ok(self.cents)
    }

    pub fn note(&mut self, #[serde(default)] text: Option<String>) {
        self.notes.extend(text);
    }

    pub fn clear(&mut self) {
        self.cents = 0;
    }

    /// Blocks its thread until [`MAY_END`] has a permit.
    pub fn block(&mut self) {
        BEGUN.store(true, Ordering::SeqCst);
        futures::executor::block_on(MAY_END.acquire()).unwrap().forget();
    }

    pub async fn slow(&mut self, ctx: &mut EntityContext, millis: u64) -> String {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        ctx.id().to_string()
    }
}

/// Waits for the event `go` and returns its payload.
#[orchestration(name = "waits", version = "1")]
async fn waits_first(ctx: OrchestrationContext) -> Result<serde_json::Value, Failure> {
    Ok(ctx.wait_for_external_event::<serde_json::Value>("go").await?)
}

/// The same in a later version.
#[orchestration(name = "waits", version = "2")]
async fn waits_second(ctx: OrchestrationContext) -> Result<serde_json::Value, Failure> {
    Ok(ctx.wait_for_external_event::<serde_json::Value>("go").await?)
}

/// Panics, so that it stops.
#[orchestration]
async fn panics(_ctx: OrchestrationContext) {
    panic!("this code is broken");
}

#[activity]
async fn nothing() {}

fn builder() -> abide::HubBuilder {
    Hub::in_memory()
        .partitions(8)
        .entity::<Till>()
        .orchestration::<waits_first>()
        .orchestration::<waits_second>()
        .orchestration::<panics>()
        .activity::<nothing>()
}

fn till(key: &str) -> EntityId {
    EntityId::new("till", key).unwrap()
}

/// The input of an operation with one parameter is its value. With several parameters it is an object, and without any
/// it is empty or `null`. Results and states are JSON, and errors keep their failure records.
#[tokio::test(flavor = "multi_thread")]
async fn an_input_becomes_the_arguments() {
    let hub = builder().open().await.unwrap();
    let entity = hub.client().untyped_entity(&till("a"));
    assert_eq!(entity.id(), &till("a"));
    assert_eq!(entity.state().await.unwrap(), None);
    assert_eq!(entity.call("add", "5").await.unwrap(), "5");
    assert_eq!(entity.call("add", " 2 \n").await.unwrap(), "7");
    let taken = entity.call("take", r#"{"note": "rent", "cents": 3}"#).await.unwrap();
    assert_eq!(taken, "4");
    for (operation, input) in [
        ("note", "\"n\""),
        ("note", "null"),
        ("note", ""),
        ("clear", ""),
        ("clear", "null"),
    ] {
        assert_eq!(
            entity.call(operation, input).await.unwrap(),
            "null",
            "{operation} {input}"
        );
    }
    assert_eq!(
        entity.state().await.unwrap().as_deref(),
        Some(r#"{"cents":0,"notes":["rent","n"]}"#)
    );
    assert_eq!(entity.call("slow", "1").await.unwrap(), "\"@till@a\"");
    match entity.call("take", r#"{"cents": 9, "note": ""}"#).await.unwrap_err() {
        CallError::Returned(failure) => {
            assert_eq!(
                (failure.error_type.as_str(), failure.message.as_str()),
                ("Missing", "9 are missing")
            );
        }
        other => panic!("{other}"),
    }
    entity.signal("add", "1").await.unwrap();
    assert_eq!(entity.call("add", "1").await.unwrap(), "2");
    entity.signal("DELETE", "").await.unwrap();
    assert_eq!(entity.call("delete", "null").await.unwrap(), "null");
    assert_eq!(entity.state().await.unwrap(), None);
    hub.shutdown().await.unwrap();
}

/// An invalid input is rejected before anything is stored, and the error describes the expected input.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_an_input_describes_the_operation() {
    let hub = builder().open().await.unwrap();
    let entity = hub.client().untyped_entity(&till("a"));
    for (operation, input, text) in [
        ("add", "", "the value of `amount` as JSON: argument `amount` is missing"),
        ("add", "\"5\"", "argument `amount`: invalid type"),
        ("add", r#"{"amount": 5}"#, "the value of `amount` as JSON"),
        ("add", "5 5", "not valid JSON"),
        ("add", "5}", "not valid JSON"),
        (
            "take",
            "5",
            "an object with `cents`, `note`: the input is not an object",
        ),
        ("take", "", "argument `cents` is missing"),
        ("take", r#"{"cents": 5}"#, "argument `note` is missing"),
        ("clear", "1", "`clear` of `till` takes no input"),
        ("delete", "{}", "takes no input"),
    ] {
        let called: Error = entity.call(operation, input).await.unwrap_err().into();
        let signaled = entity.signal(operation, input).await.unwrap_err();
        for error in [called, signaled] {
            assert_eq!(error.kind(), ErrorKind::InvalidArguments, "{operation} {input}");
            assert!(error.to_string().contains(text), "{operation} {input}: {error}");
        }
    }
    let unknown: Error = entity.call("steal", "1").await.unwrap_err().into();
    assert_eq!(unknown.kind(), ErrorKind::UnknownOperation);
    let missing = hub.client().untyped_entity(&EntityId::new("missing", "a").unwrap());
    assert_eq!(
        missing.signal("add", "1").await.unwrap_err().kind(),
        ErrorKind::Unregistered
    );
    assert_eq!(hub.client().entities().count().await.unwrap(), 0);
    hub.shutdown().await.unwrap();
}

/// A call, signal, start or event that is repeated with its request ID takes effect once and returns the same result. A
/// different request with that ID is rejected.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_takes_effect_once() {
    let hub = builder().open().await.unwrap();
    let client = hub.client();
    let entity = client.untyped_entity(&till("a"));
    for _ in 0..3 {
        assert_eq!(entity.call("add", "5").request_id("r").await.unwrap(), "5");
        entity.signal("add", "1").request_id("s").await.unwrap();
    }
    assert_eq!(entity.call("add", "0").await.unwrap(), "6");
    let reused: Error = entity.call("add", "6").request_id("r").await.unwrap_err().into();
    assert_eq!(reused.kind(), ErrorKind::RequestIdReused);

    let start = || client.start_by_name_with_json("waits", "").request_id("start");
    let run = start().await.unwrap();
    assert_eq!(start().await.unwrap().id(), run.id());
    for _ in 0..2 {
        run.raise_event_with_json("go", "[1]")
            .request_id("event")
            .await
            .unwrap();
    }
    assert_eq!(run.result().await.unwrap(), serde_json::json!([1]));
    hub.shutdown().await.unwrap();
}

/// Every request can fail instead of waiting when the hub is full.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_hub_refuses_requests_that_do_not_wait() {
    let hub = builder().executors(1).in_flight_limit(1).open().await.unwrap();
    let client = hub.client();
    let entity = client.untyped_entity(&till("a"));
    let blocking = {
        let entity = entity.clone();
        tokio::spawn(async move { entity.call("block", "null").await })
    };
    while !BEGUN.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    let call: Error = entity.call("add", "1").refuse_when_full().await.unwrap_err().into();
    let signal = entity.signal("add", "1").refuse_when_full().await.unwrap_err();
    let start = client
        .start_by_name_with_json("waits", "")
        .refuse_when_full()
        .await
        .unwrap_err();
    let event = client
        .untyped_orchestration("x")
        .raise_event("go", 1)
        .refuse_when_full()
        .await
        .unwrap_err();
    for error in [call, signal, start, event] {
        assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}");
    }
    MAY_END.add_permits(1);
    blocking.await.unwrap().unwrap();
    hub.shutdown().await.unwrap();
}

/// An event payload that is passed as JSON is validated. An empty payload means `null`.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_may_be_json_already() {
    let hub = builder().open().await.unwrap();
    let client = hub.client();
    let run = client
        .start_by_name_with_json("waits", "")
        .instance_id("x")
        .await
        .unwrap();
    let refused = run.raise_event_with_json("go", "{").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArguments);
    assert!(refused.to_string().contains("`go`"), "{refused}");
    run.raise_event_with_json("go", "").await.unwrap();
    assert_eq!(run.result().await.unwrap(), serde_json::Value::Null);
    hub.shutdown().await.unwrap();
}

/// A client returns the registered types with their parameters and versions, the health and the statistics of its hub.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_describes_its_hub() {
    let hub = builder().open().await.unwrap();
    let client = hub.client();
    let registered = client.admin().registered().unwrap();
    // The library registers its own entity and activity as well.
    let mut entities = registered.entities.iter();
    let entity = entities.find(|entity| entity.name == "till").unwrap();
    let operations: Vec<_> = entity
        .operations
        .iter()
        .map(|operation| format!("{}({})", operation.name, operation.parameters.join(", ")))
        .collect();
    assert_eq!(
        operations,
        [
            "add(amount)",
            "take(cents, note)",
            "note(text)",
            "clear()",
            "block()",
            "slow(millis)"
        ]
    );
    assert_eq!(registered.orchestrations[1].name, "waits");
    assert_eq!(registered.orchestrations[1].versions, ["1", "2"]);
    assert!(registered.activities.contains(&"nothing".to_owned()));

    client.health().unwrap();
    client.untyped_entity(&till("a")).call("add", "1").await.unwrap();
    assert_eq!(client.admin().stats().unwrap().operations, 1);
    hub.shutdown().await.unwrap();
    assert_eq!(client.health().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(client.admin().registered().unwrap_err().kind(), ErrorKind::Closed);
}

/// A page with large states ends early, and the next page continues after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_large_states_ends_early() {
    let hub = builder().open().await.unwrap();
    let client = hub.client();
    let text = format!("\"{}\"", "x".repeat(1 << 20));
    for n in 0..12 {
        client
            .untyped_entity(&till(&n.to_string()))
            .call("note", text.as_str())
            .await
            .unwrap();
    }
    let (mut seen, mut pages, mut after) = (Vec::new(), 0, None);
    loop {
        let mut query = client.entities().name("till").fetch_state();
        if let Some(after) = after {
            query = query.cursor(after);
        }
        let page = query.page().await.unwrap();
        assert!(page.items.len() <= 5, "{}", page.items.len());
        seen.extend(page.items.into_iter().map(|entity| entity.id.key().to_owned()));
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(pages >= 3, "{pages}");
    assert!(seen.is_sorted());
    assert_eq!(seen.len(), 12);
    // Without the states, one page contains all entities.
    assert_eq!(client.entities().name("till").page().await.unwrap().items.len(), 12);

    // The same for orchestrations, in the order of IDs and in the order of the index.
    for n in 0..12 {
        let start = client
            .start_by_name_with_json("waits", "")
            .instance_id(format!("i-{n:02}"));
        let run = start.await.unwrap();
        run.raise_event_with_json("go", text.as_str()).await.unwrap();
        run.result().await.unwrap();
    }
    for indexed in [false, true] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let mut query = client.orchestrations().fetch_output();
            if indexed {
                query = query.status(OrchestrationStatus::Completed);
            }
            if let Some(after) = after {
                query = query.cursor(after);
            }
            let page = query.page().await.unwrap();
            assert!(page.items.len() <= 5);
            seen.extend(page.items.into_iter().map(|info| info.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 12);
        assert!(seen.is_sorted(), "{seen:?}");
    }
    hub.shutdown().await.unwrap();
}

/// Stopped orchestrations are listed page by page until they are terminated. Waiting, suspended and ended ones are not.
#[tokio::test(flavor = "multi_thread")]
async fn stopped_orchestrations_are_found() {
    let hub = builder().open().await.unwrap();
    let client = hub.client();
    let start = |name: &str, id: String| client.start_by_name_with_json(name, "").instance_id(id);
    for n in 0..5 {
        start("panics", format!("p-{n}")).await.unwrap();
        start("waits", format!("w-{n}")).await.unwrap();
    }
    start("waits", "later".into())
        .after(Duration::from_secs(3_600))
        .await
        .unwrap();
    client.untyped_orchestration("w-0").terminate("").await.unwrap();
    client.untyped_orchestration("w-1").suspend("").await.unwrap();
    let stopped = || client.orchestrations().stopped();
    while stopped().count().await.unwrap() < 5 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (mut found, mut after) = (Vec::new(), None::<String>);
    loop {
        let query = stopped().page_size(2);
        let page = match after {
            Some(after) => query.cursor(after).page().await.unwrap(),
            None => query.page().await.unwrap(),
        };
        assert!(page.items.len() <= 2);
        for info in page.items {
            assert!(info.stopped.unwrap().message.contains("this code is broken"));
            found.push(info.id);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, ["p-0", "p-1", "p-2", "p-3", "p-4"]);
    assert_eq!(stopped().prefix("p-3").count().await.unwrap(), 1);
    assert_eq!(
        stopped().status(OrchestrationStatus::Suspended).count().await.unwrap(),
        0
    );
    for id in found {
        client.untyped_orchestration(id).terminate("").await.unwrap();
    }
    assert_eq!(stopped().count().await.unwrap(), 0);
    hub.shutdown().await.unwrap();
}
