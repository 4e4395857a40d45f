//! Entities by their ids, for tools that know no types: what an input becomes, what is refused, and what can be asked of a
//! hub without a type.

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

/// Whether a `block` has begun, and what lets it end. One test uses it.
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

    /// Keeps its thread until [`MAY_END`] has room.
    pub fn block(&mut self) {
        BEGUN.store(true, Ordering::SeqCst);
        futures::executor::block_on(MAY_END.acquire()).unwrap().forget();
    }

    pub async fn slow(&mut self, ctx: &mut EntityContext, millis: u64) -> String {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        ctx.id().to_string()
    }
}

/// Waits for the event `go` and returns it.
#[orchestration(name = "waits", version = "1")]
async fn waits_first(ctx: OrchestrationContext) -> Result<serde_json::Value, Failure> {
    Ok(ctx.wait_for_external_event::<serde_json::Value>("go").await?)
}

/// As the first, in a later version.
#[orchestration(name = "waits", version = "2")]
async fn waits_second(ctx: OrchestrationContext) -> Result<serde_json::Value, Failure> {
    Ok(ctx.wait_for_external_event::<serde_json::Value>("go").await?)
}

/// Stops, for everybody to see.
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

/// One value is the argument of an operation with one parameter, whatever the parameter is called; an object holds several by
/// name; nothing and `null` serve one without. Answers and states are JSON, errors keep their records.
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

/// What cannot be the arguments is refused before anything is stored, with what the operation takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_input_is_told_what_the_operation_takes() {
    let hub = builder().open().await.unwrap();
    let entity = hub.client().untyped_entity(&till("a"));
    for (operation, input, text) in [
        ("add", "", "the value of `amount` as JSON: argument `amount` is missing"),
        ("add", "\"5\"", "argument `amount`: invalid type"),
        ("add", r#"{"amount": 5}"#, "the value of `amount` as JSON"),
        ("add", "5 5", "no JSON"),
        ("add", "5}", "no JSON"),
        ("take", "5", "an object with `cents`, `note`: the input is no object"),
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
    let nobody = hub.client().untyped_entity(&EntityId::new("nobody", "a").unwrap());
    assert_eq!(
        nobody.signal("add", "1").await.unwrap_err().kind(),
        ErrorKind::Unregistered
    );
    assert_eq!(hub.client().entities().count().await.unwrap(), 0);
    hub.shutdown().await.unwrap();
}

/// The same request id gives the same answer once more, for a call, a signal, a start and an event; another use is refused.
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

/// Everything that a client sends can refuse to wait for room.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_hub_refuses_who_does_not_wait() {
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

/// An event whose payload is JSON already is checked; nothing at all stands for `null`.
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

/// A client tells what is registered, with parameters and versions, whether the hub is well and what it has done.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_knows_what_its_hub_can_do() {
    let hub = builder().open().await.unwrap();
    let client = hub.client();
    let registered = client.admin().registered().unwrap();
    // The library registers an entity and an activity of its own.
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

/// A page of entities ends when its states are large, and the next one goes on behind it.
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
        let page = query.list().await.unwrap();
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
    // Without the states, which are not fetched, one page holds all of them.
    assert_eq!(client.entities().name("till").list().await.unwrap().items.len(), 12);

    // And so it is with orchestrations, in the order of ids as well as of the index.
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
            let page = query.list().await.unwrap();
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

/// Those that cannot go on are found among those that wait, run, rest or have ended, page by page, until they are ended.
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
            Some(after) => query.cursor(after).list().await.unwrap(),
            None => query.list().await.unwrap(),
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
