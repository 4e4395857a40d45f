//! Resources of activities and `async` operations, and contexts for unit tests.
//!
//! See docs/src/guarantees.md, "Activities".

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use abide::ErrorKind;
use abide::prelude::*;

/// A resource that is a struct.
struct Shop(&'static str);

/// A resource behind a trait.
trait Mail: Send + Sync {
    fn send(&self, to: &str) -> String;
}

struct Sent(AtomicU32);

impl Mail for Sent {
    fn send(&self, to: &str) -> String {
        format!("{to} {}", self.0.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

type Mailer = Arc<dyn Mail>;

#[activity]
async fn greet(ctx: ActivityContext, shop: Resource<Shop>, name: String, mailer: Resource<Mailer>) -> String {
    format!("{} of {}: {}", ctx.name(), shop.0, mailer.send(&name))
}

#[activity(blocking)]
fn asks(ctx: ActivityContext) -> Result<String, Failure> {
    Ok(ctx.resource::<Shop>()?.0.to_owned())
}

#[derive(Entity, Default, Serialize, Deserialize)]
struct Guest {
    letters: Vec<String>,
}

#[operations]
impl Guest {
    /// Resources may be at any position among the parameters, and callers do not pass them.
    pub async fn write(
        &mut self,
        mailer: Resource<Mailer>,
        times: u32,
        ctx: &mut EntityContext,
        shop: Resource<Shop>,
    ) -> u32 {
        let asked = ctx.resource::<Shop>().unwrap();
        for _ in 0..times {
            tokio::task::yield_now().await;
            self.letters.push(format!("{}: {}", shop.0, mailer.send(asked.0)));
        }
        self.letters.len() as u32
    }

    pub fn letters(&self) -> Vec<String> {
        self.letters.clone()
    }

    pub fn late(&mut self, ctx: &mut EntityContext) -> Result<(), Failure> {
        by_a_detour(ctx)
    }
}

/// Requests a resource in a function that the macro cannot inspect.
fn by_a_detour(ctx: &EntityContext) -> Result<(), Failure> {
    ctx.resource::<Shop>()?;
    Ok(())
}

#[orchestration]
async fn visit(ctx: OrchestrationContext, name: String) -> Result<(String, String), Failure> {
    let greeting = ctx.call_activity::<greet>(name).await?;
    Ok((greeting, ctx.call_activity::<asks>(()).await?))
}

fn mailer() -> Mailer {
    Arc::new(Sent(AtomicU32::new(0)))
}

async fn open(shop: &'static str) -> Hub {
    Hub::in_memory()
        .entity::<Guest>()
        .activity::<greet>()
        .activity::<asks>()
        .orchestration::<visit>()
        .resource(Shop(shop))
        .resource(mailer())
        .open()
        .await
        .unwrap()
}

/// Activities and `async` operations receive the resources of their own hub, even with two hubs in one process.
#[tokio::test]
async fn each_hub_has_resources_of_its_own() {
    let (north, south) = (open("north").await, open("south").await);
    for (hub, shop) in [(&north, "north"), (&south, "south")] {
        let client = hub.client();
        let run = client.start::<visit>("ann".into()).await.unwrap();
        let greeting = format!("greet of {shop}: ann 1");
        assert_eq!(run.result().await.unwrap(), (greeting, shop.to_owned()));
        let guest = client.entity::<Guest>("bob");
        assert_eq!(guest.write(2).await.unwrap(), 2);
        assert_eq!(
            guest.letters().await.unwrap(),
            [format!("{shop}: {shop} 2"), format!("{shop}: {shop} 3")]
        );
    }
    north.shutdown().await.unwrap();
    south.shutdown().await.unwrap();
}

/// Opening a hub without a required resource fails with an error that names the resource and everything that needs it.
#[tokio::test]
async fn a_resource_that_is_missing_is_found_at_open() {
    let builder = || Hub::in_memory().entity::<Guest>().activity::<greet>();
    let error = builder().resource(mailer()).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let text = error.to_string();
    for part in [
        "the activity `greet` needs",
        "the operation `write` of the entity `guest` needs",
        "Shop`",
        ".resource(...)",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("Mail"), "{text}");
    builder()
        .resource(Shop("a"))
        .resource(mailer())
        .open()
        .await
        .unwrap()
        .shutdown()
        .await
        .unwrap();
}

/// If a resource is missing, the directory is not created. Inspecting a directory needs no resources.
#[tokio::test]
async fn a_directory_is_unchanged_if_a_resource_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub");
    Hub::builder(&path).activity::<greet>().open().await.unwrap_err();
    assert!(!path.exists());
    let hub = Hub::builder(&path)
        .activity::<greet>()
        .resource(Shop("a"))
        .resource(mailer())
        .open()
        .await
        .unwrap();
    hub.shutdown().await.unwrap();
    let report = Hub::inspect(&path).activity::<greet>().replay_check().await.unwrap();
    assert!(report.problems.is_empty(), "{report:?}");
}

/// Registering two resources of the same type is an error.
#[tokio::test]
async fn a_resource_is_given_once() {
    let error = Hub::in_memory()
        .resource(Shop("a"))
        .resource(Shop("b"))
        .open()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let text = error.to_string();
    assert!(
        text.contains("Shop` is registered twice") && text.contains("its own struct"),
        "{text}"
    );
}

/// `ctx.resource` fails with an error that names the type and the way out. In a synchronous operation, the error names
/// the reason.
#[tokio::test]
async fn a_missing_resource_is_a_typed_error() {
    let hub = Hub::in_memory()
        .entity::<Guest>()
        .activity::<greet>()
        .activity::<asks>()
        .orchestration::<visit>()
        .resource(Shop("a"))
        .resource(mailer())
        .open()
        .await
        .unwrap();
    let CallError::Returned(failure) = hub.client().entity::<Guest>("bob").late().await.unwrap_err() else {
        panic!("the operation returned an error");
    };
    assert_eq!(failure.error_type, "Configuration");
    for part in ["`late`", "synchronous", "Shop`", "within the turn", "`async fn`"] {
        assert!(failure.message.contains(part), "{part}: {failure}");
    }
    hub.shutdown().await.unwrap();

    let failure = asks(ActivityContext::for_test::<asks>()).unwrap_err();
    assert_eq!(failure.error_type, "Configuration");
    for part in ["Shop`", ".resource(...)", "`Resource<"] {
        assert!(failure.message.contains(part), "{part}: {failure}");
    }
}

/// The hub drops a resource when it shuts down.
#[tokio::test]
async fn a_resource_is_dropped_with_the_hub() {
    let shared = Arc::new(7);
    let hub = Hub::in_memory().resource(Arc::clone(&shared)).open().await.unwrap();
    assert_eq!(Arc::strong_count(&shared), 2);
    hub.shutdown().await.unwrap();
    assert_eq!(Arc::strong_count(&shared), 1);
}

/// Unit tests can call activities and operations with their own contexts and resources.
#[tokio::test]
async fn code_that_takes_a_context_is_called_in_a_unit_test() {
    let ctx = ActivityContext::for_test::<greet>().with_attempt(3);
    assert_eq!((ctx.attempt(), ctx.is_canceled()), (3, false));
    let greeting = greet(ctx, Resource::new(Shop("test")), "ann".into(), Resource::new(mailer())).await;
    assert_eq!(greeting, "greet of test: ann 1");
    let ctx = ActivityContext::for_test::<asks>()
        .with_resource(Shop("old"))
        .with_resource(Shop("test"));
    assert_eq!(asks(ctx).unwrap(), "test");

    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(5);
    let mut ctx = EntityContext::for_test::<Guest>("bob", now).with_resource(Shop("asked"));
    assert_eq!((ctx.id().as_str(), ctx.key(), ctx.now()), ("@guest@bob", "bob", now));
    let mut guest = Guest::default();
    ctx.entity::<Guest>("ann").write(1).signal();
    assert_eq!(
        guest
            .write(Resource::new(mailer()), 1, &mut ctx, Resource::new(Shop("test")))
            .await,
        1
    );
    assert_eq!(guest.letters(), ["test: asked 1"]);
    let ctx = ReadContext::for_test::<Guest>(7, now);
    assert_eq!((ctx.key(), ctx.now()), ("7", now));
}

#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
enum PayError {
    #[error("busy")]
    Busy,
    #[error("declined")]
    Declined,
}

impl PayError {
    fn is_transient(&self) -> bool {
        *self == Self::Busy
    }
}

/// Fails with `Busy` in the first `busy` attempts, and then with `Declined`.
#[activity(retry(max_attempts = 9, first_interval = "1ms"), retry_if = PayError::is_transient)]
async fn pay(ctx: ActivityContext, attempts: Resource<Arc<AtomicU32>>, busy: u32) -> Result<(), PayError> {
    attempts.fetch_add(1, Ordering::SeqCst);
    Err(if ctx.attempt() <= busy {
        PayError::Busy
    } else {
        PayError::Declined
    })
}

#[orchestration]
async fn order(ctx: OrchestrationContext, busy: u32) -> Result<(), Failure> {
    Ok(ctx.call_activity::<pay>(busy).await?)
}

/// `retry_if` decides which errors of an activity are retried.
#[tokio::test]
async fn a_typed_error_can_stop_retries() {
    let attempts = Arc::new(AtomicU32::new(0));
    let hub = Hub::in_memory()
        .activity::<pay>()
        .orchestration::<order>()
        .resource(Arc::clone(&attempts))
        .open()
        .await
        .unwrap();
    let run = hub.client().start::<order>(2).await.unwrap();
    let Err(CallError::Returned(failure)) = run.result().await else {
        panic!("the card is declined");
    };
    assert_eq!(failure.decode(), Some(PayError::Declined));
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
    hub.shutdown().await.unwrap();
}
