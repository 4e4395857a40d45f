//! What a hub that stops, by itself or because it is asked to, owes to those who wait for it.

use std::time::Duration;

use abide::ErrorKind;
use abide::prelude::*;
use tokio::time::timeout;

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

    pub fn hang(&mut self) {
        #[expect(clippy::disallowed_methods, reason = "the thread is meant to hang")]
        std::thread::sleep(Duration::from_millis(300));
    }

    pub async fn endless(&mut self) {
        std::future::pending::<()>().await;
    }
}

/// and the shutdown comes to an end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_executor_that_panics_ends_its_hub_and_hangs_nobody() {
    let hub = Hub::in_memory().executors(2).entity::<Grenade>().entity::<Desk>().open().await.unwrap();
    let client = hub.client();
    let grenade = client.entity::<Grenade>("g");
    grenade.arm().await.unwrap();
    timeout(Duration::from_secs(10), grenade.delete()).await.unwrap().unwrap_err();
    for key in 0..8 {
        let noted = timeout(Duration::from_secs(10), client.entity::<Desk>(key).note()).await.unwrap();
        let error = noted.unwrap_err().into_returned().unwrap_err();
        assert!(error.to_string().contains("the grenade goes off"), "{error}");
    }
    timeout(Duration::from_secs(10), hub.shutdown()).await.unwrap().unwrap_err();
}

/// A client that finds a full queue while the hub is stopping waits for room that never comes: it hears of the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_room_hears_that_the_hub_ends() {
    let hub = Hub::in_memory().executors(1).queue_limit(1).entity::<Desk>().open().await.unwrap();
    let client = hub.client();
    let busy = client.entity::<Desk>("busy");
    busy.endless().signal().await.unwrap();
    busy.note().signal().await.unwrap();
    // While the executor hangs, the message and the stop come in behind each other.
    let hanging = tokio::spawn(client.entity::<Desk>("other").hang());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let waiting = tokio::spawn(busy.note());
    tokio::time::sleep(Duration::from_millis(100)).await;
    hub.shutdown_within(Duration::from_millis(600)).await.unwrap();
    hanging.await.unwrap().unwrap();
    let told = timeout(Duration::from_secs(5), waiting).await.expect("the client hangs").unwrap();
    assert_eq!(told.unwrap_err().into_returned().unwrap_err().kind(), ErrorKind::Closed);
}

/// A retry asks what became of the first attempt, and the answer is there although the entity takes no calls now.
#[tokio::test]
async fn a_retry_is_answered_by_an_entity_that_is_held() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::builder(directory.path()).entity::<Desk>().open().await.unwrap();
    assert_eq!(hub.client().entity::<Desk>("d").note().request_id("r").await.unwrap(), 1);
    hub.shutdown().await.unwrap();
    let hub = Hub::builder(directory.path()).entity::<Desk>().hold("@desk@d").open().await.unwrap();
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
    hub.client().entity::<Desk>("d").note().signal_after(Duration::MAX).await.unwrap();
    hub.shutdown().await.unwrap();
    let hub = Hub::builder(directory.path()).open().await.unwrap();
    assert_eq!(hub.unregistered(), ["desk"]);
    hub.shutdown().await.unwrap();
}
