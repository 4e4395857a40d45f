//! The kept changes of an entity's state.

use std::path::Path;
use std::time::SystemTime;

use abide::admin::EntityDetails;
use abide::prelude::*;
use abide::{EntityId, orchestration};

/// Keeps its last three changes.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
#[entity(audit = 3)]
struct Account {
    cents: i64,
}

#[operations]
impl Account {
    pub fn deposit(&mut self, cents: i64) -> Result<i64, Failure> {
        if cents < 0 {
            return Err(Failure::message("a deposit is not negative"));
        }
        self.cents += cents;
        Ok(self.cents)
    }

    pub fn balance(&self) -> i64 {
        self.cents
    }

    pub async fn settle(&mut self) -> i64 {
        self.cents = 0;
        self.cents
    }

    pub fn close(&mut self, ctx: &mut EntityContext) {
        ctx.delete_state();
    }
}

#[orchestration]
async fn pays(ctx: OrchestrationContext, cents: i64) -> Result<i64, Failure> {
    Ok(ctx.entity::<Account>("a").deposit(cents).await?)
}

/// The same type in a build that keeps fewer changes.
mod fewer {
    use abide::prelude::*;

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    #[entity(audit = 1)]
    pub(super) struct Account {
        cents: i64,
    }

    #[operations]
    impl Account {
        pub fn deposit(&mut self, cents: i64) -> i64 {
            self.cents += cents;
            self.cents
        }
    }
}

/// The same type in a build that keeps no changes.
mod none {
    use abide::prelude::*;

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    pub(super) struct Account {
        cents: i64,
    }

    #[operations]
    impl Account {
        pub fn deposit(&mut self, cents: i64) -> i64 {
            self.cents += cents;
            self.cents
        }
    }
}

async fn details(hub: &Hub) -> EntityDetails {
    let id: EntityId = "@account@a".parse().unwrap();
    hub.client().admin().entity_details(&id).await.unwrap()
}

/// The changes, newest first: the operation, its sender and the state after it.
fn told(details: &EntityDetails) -> Vec<(&str, Option<&str>, Option<&str>)> {
    let changes = details.changes.iter();
    changes
        .map(|change| {
            (
                change.operation.as_str(),
                change.source.as_deref(),
                change.state.as_deref(),
            )
        })
        .collect()
}

async fn open(place: &Path) -> Hub {
    let hub = Hub::builder(place).entity::<Account>().orchestration::<pays>();
    hub.open().await.unwrap()
}

/// Every operation that may change the state is kept with its sender, up to the number that the type asks for, over
/// restarts. Reads and failed operations are not.
#[tokio::test]
async fn the_last_changes_are_kept() {
    let place = tempfile::tempdir().unwrap();
    let hub = open(place.path()).await;
    let client = hub.client();
    let account = client.entity::<Account>("a");
    account.delete().await.unwrap();
    assert!(details(&hub).await.changes.is_empty(), "there was nothing to delete");
    account.deposit(100).await.unwrap();
    account.deposit(-1).await.unwrap_err();
    account.balance().await.unwrap();
    let run = client.start::<pays>(20).instance_id("pay").await.unwrap();
    run.result().await.unwrap();
    let kept = details(&hub).await;
    let expected = [
        ("deposit", Some("pay"), Some(r#"{"cents":120}"#)),
        ("deposit", None, Some(r#"{"cents":100}"#)),
    ];
    assert_eq!(told(&kept), expected);
    assert!(kept.changes[1].time <= kept.changes[0].time && kept.changes[0].time <= SystemTime::now());
    hub.shutdown().await.unwrap();

    let hub = open(place.path()).await;
    let account = hub.client().entity::<Account>("a");
    account.settle().await.unwrap();
    account.close().await.unwrap();
    let expected = [
        ("close", None, None),
        ("settle", None, Some(r#"{"cents":0}"#)),
        ("deposit", Some("pay"), Some(r#"{"cents":120}"#)),
    ];
    assert_eq!(told(&details(&hub).await), expected);
    // Signals of one step are kept one by one.
    for cents in 1..=10 {
        account.deposit(cents).signal().await.unwrap();
    }
    account.balance().await.unwrap();
    let kept = details(&hub).await;
    let states: Vec<_> = told(&kept).iter().map(|(_, _, state)| state.unwrap()).collect();
    assert_eq!(states, [r#"{"cents":55}"#, r#"{"cents":45}"#, r#"{"cents":36}"#]);
    account.delete().await.unwrap();
    assert_eq!(told(&details(&hub).await)[0], ("delete", None, None));
    hub.shutdown().await.unwrap();

    // A build that keeps fewer changes removes the others with the next change.
    let hub = Hub::builder(place.path())
        .entity::<fewer::Account>()
        .open()
        .await
        .unwrap();
    assert_eq!(details(&hub).await.changes.len(), 3);
    hub.client().entity::<fewer::Account>("a").deposit(7).await.unwrap();
    assert_eq!(told(&details(&hub).await), [("deposit", None, Some(r#"{"cents":7}"#))]);
    hub.shutdown().await.unwrap();

    // A build that keeps none deletes them all when it is opened.
    let hub = Hub::builder(place.path())
        .entity::<none::Account>()
        .open()
        .await
        .unwrap();
    hub.client().entity::<none::Account>("a").deposit(1).await.unwrap();
    assert!(details(&hub).await.changes.is_empty());
    hub.shutdown().await.unwrap();
    let checked = Hub::inspect(place.path()).check().await.unwrap();
    assert!(checked.problems.is_empty(), "{checked:?}");
}

/// An operator deletes the kept changes of one entity. The state and the changes of other entities stay, and later
/// changes are kept again.
#[tokio::test]
async fn an_operator_deletes_kept_changes() {
    let place = tempfile::tempdir().unwrap();
    let hub = open(place.path()).await;
    let (client, id): (_, EntityId) = (hub.client(), "@account@a".parse().unwrap());
    let (account, other) = (client.entity::<Account>("a"), client.entity::<Account>("b"));
    assert!(!client.admin().delete_entity_changes(&id).await.unwrap());
    account.deposit(1).await.unwrap();
    other.deposit(1).await.unwrap();
    // The entity is in memory.
    assert!(client.admin().delete_entity_changes(&id).await.unwrap());
    assert!(details(&hub).await.changes.is_empty());
    assert!(!client.admin().delete_entity_changes(&id).await.unwrap());
    account.deposit(1).await.unwrap();
    assert_eq!(told(&details(&hub).await), [("deposit", None, Some(r#"{"cents":2}"#))]);
    hub.shutdown().await.unwrap();

    // The entity is not in memory.
    let hub = open(place.path()).await;
    let client = hub.client();
    assert!(client.admin().delete_entity_changes(&id).await.unwrap());
    assert!(details(&hub).await.changes.is_empty());
    assert_eq!(client.entity::<Account>("a").balance().await.unwrap(), 2);
    let other = client
        .admin()
        .entity_details(&"@account@b".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(told(&other), [("deposit", None, Some(r#"{"cents":1}"#))]);
    hub.shutdown().await.unwrap();
}
