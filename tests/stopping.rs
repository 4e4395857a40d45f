//! What a hub that stops, by itself or because it is asked to, owes to those who wait for it.

use std::pin::pin;
use std::sync::{Condvar, LazyLock, Mutex};
use std::time::Duration;

use abide::ErrorKind;
use abide::prelude::*;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// After this long something hangs. Nothing here depends on it but how soon a failure shows.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Entity, Default, Serialize, Deserialize)]
struct Grenade {
    armed: bool,
}

#[operations]
impl Grenade {
    pub fn arm(&mut self) {
        self.armed = true;
    }
}

impl Drop for Grenade {
    fn drop(&mut self) {
        assert!(!self.armed, "the grenade goes off");
    }
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Desk {
    notes: u32,
}

#[operations]
impl Desk {
    pub fn note(&mut self) -> u32 {
        self.notes += 1;
        self.notes
    }

    /// Holds up the executor's thread until the test lets it continue.
    pub fn hang(&mut self) {
        HANG.begun.add_permits(1);
        let mut may_end = HANG.may_end.lock().unwrap();
        while !*may_end {
            may_end = HANG.changed.wait(may_end).unwrap();
        }
    }

    pub async fn endless(&mut self) {
        std::future::pending::<()>().await;
    }
}

/// What the operation `hang` and its test tell each other.
struct Hang {
    begun: Semaphore,
    may_end: Mutex<bool>,
    changed: Condvar,
}

static HANG: LazyLock<Hang> = LazyLock::new(|| Hang {
    begun: Semaphore::new(0),
    may_end: Mutex::new(false),
    changed: Condvar::new(),
});

/// A panic that no operation is blamed for ends the executor and the hub: every caller gets the reason, on all executors,
/// and the shutdown comes to an end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_executor_that_panics_ends_its_hub_and_hangs_nobody() {
    let hub = Hub::in_memory()
        .executors(2)
        .entity::<Grenade>()
        .entity::<Desk>()
        .open()
        .await
        .unwrap();
    let client = hub.client();
    let grenade = client.entity::<Grenade>("g");
    grenade.arm().await.unwrap();
    timeout(PATIENCE, grenade.delete()).await.unwrap().unwrap_err();
    for key in 0..8 {
        let noted = timeout(PATIENCE, client.entity::<Desk>(key).note()).await.unwrap();
        let error = noted.unwrap_err().into_returned().unwrap_err();
        assert!(error.to_string().contains("the grenade goes off"), "{error}");
    }
    timeout(PATIENCE, hub.shutdown()).await.unwrap().unwrap_err();
}

/// A client that finds a full queue while the hub is stopping waits for room that never comes: it hears of the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_room_hears_that_the_hub_ends() {
    let hub = Hub::in_memory()
        .executors(1)
        .queue_limit(1)
        .entity::<Desk>()
        .open()
        .await
        .unwrap();
    let client = hub.client();
    let busy = client.entity::<Desk>("busy");
    busy.endless().signal().await.unwrap();
    busy.note().signal().await.unwrap();
    // While the executor hangs, the message and the stop come in behind each other.
    let hanging = tokio::spawn(client.entity::<Desk>("other").hang());
    HANG.begun.acquire().await.unwrap().forget();
    let mut waiting = pin!(busy.note());
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    let mut closing = pin!(hub.shutdown_within(Duration::from_millis(600)));
    assert!(futures::poll!(closing.as_mut()).is_pending());
    *HANG.may_end.lock().unwrap() = true;
    HANG.changed.notify_all();
    closing.await.unwrap();
    hanging.await.unwrap().unwrap();
    let told = timeout(PATIENCE, waiting).await.expect("the client hangs");
    assert_eq!(told.unwrap_err().into_returned().unwrap_err().kind(), ErrorKind::Closed);
}

/// A retry asks what became of the first attempt, and the answer is there although the entity takes no calls now.
#[tokio::test]
async fn a_retry_is_answered_by_an_entity_that_is_held() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::builder(directory.path()).entity::<Desk>().open().await.unwrap();
    assert_eq!(
        hub.client().entity::<Desk>("d").note().request_id("r").await.unwrap(),
        1
    );
    hub.shutdown().await.unwrap();
    let hub = Hub::builder(directory.path())
        .entity::<Desk>()
        .hold("@desk@d")
        .open()
        .await
        .unwrap();
    let client = hub.client();
    assert_eq!(client.entity::<Desk>("d").note().request_id("r").await.unwrap(), 1);
    let error = client.entity::<Desk>("d").note().request_id("new").await.unwrap_err();
    assert_eq!(error.into_returned().unwrap_err().kind(), ErrorKind::Quarantined);
    hub.shutdown().await.unwrap();
}

/// A type that only a scheduled signal mentions is listed as unregistered, too.
#[tokio::test]
async fn a_type_that_only_a_timer_mentions_is_listed_as_unregistered() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::builder(directory.path()).entity::<Desk>().open().await.unwrap();
    hub.client()
        .entity::<Desk>("d")
        .note()
        .signal_after(Duration::MAX)
        .await
        .unwrap();
    hub.shutdown().await.unwrap();
    let hub = Hub::builder(directory.path()).open().await.unwrap();
    assert_eq!(hub.unregistered(), ["desk"]);
    hub.shutdown().await.unwrap();
}
