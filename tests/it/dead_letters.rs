//! Messages between entities that cannot be processed are kept as dead letters. An operator can list, redeliver and
//! drop them.
//!
//! See docs/src/guarantees.md, "Delivery".

use abide::prelude::*;
use abide::{ErrorKind, OrchestrationContext, admin::DeadLetter, orchestration};

use crate::fixtures::{Journal, eventually};

/// The receiver with the operations that the sender expects.
mod believed {
    use abide::prelude::*;

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    pub(crate) struct Journal;

    #[operations]
    impl Journal {
        pub fn erase(&mut self, n: u32) {
            let _ = n;
        }

        pub fn note(&mut self, n: &str) {
            let _ = n;
        }
    }
}

/// The receiver in a fixed build.
mod fixed {
    use abide::prelude::*;

    #[derive(Entity, Default, Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Journal {
        pub(crate) notes: Vec<u32>,
    }

    #[operations]
    impl Journal {
        pub fn note(&mut self, n: u32) {
            self.notes.push(n);
        }

        pub fn erase(&mut self, n: u32) {
            self.notes.retain(|note| *note != n);
        }
    }
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Sender {
    sent: u32,
}

#[operations]
impl Sender {
    /// Sends two messages that the receiver cannot process between two that it can.
    pub fn send(&mut self, ctx: &mut EntityContext, n: u32) {
        self.sent += 1;
        ctx.entity::<Journal>("j").note(n).signal();
        ctx.entity::<believed::Journal>("j").erase(n).signal();
        ctx.entity::<believed::Journal>("j").note("one").signal();
        ctx.entity::<Journal>("j").note(n + 1).signal();
    }
}

async fn letters(client: &Client) -> Vec<DeadLetter> {
    let mut letters = client.admin().dead_letters().await.unwrap();
    letters.sort_by(|a, b| a.operation.cmp(&b.operation));
    letters
}

async fn open(directory: &std::path::Path) -> Hub {
    let hub = Hub::builder(directory).entity::<Journal>().entity::<Sender>();
    hub.open().await.unwrap()
}

async fn open_fixed(directory: &std::path::Path) -> Hub {
    let hub = Hub::builder(directory).entity::<fixed::Journal>().entity::<Sender>();
    hub.open().await.unwrap()
}

/// A dead letter contains the message and the reason. The messages before and after it are processed in order, and the
/// sender succeeds.
#[tokio::test]
async fn a_message_that_cannot_be_processed_is_kept_with_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let hub = open(directory.path()).await;
    let client = hub.client();
    let before = std::time::SystemTime::now() - std::time::Duration::from_secs(1);
    client.entity::<Sender>("s").send(1).await.unwrap();
    let state = client.entity::<Journal>("j").state().await.unwrap();
    assert_eq!(state, Some(Journal { notes: vec![1, 2] }));

    let letters = letters(&client).await;
    assert_eq!(letters.len(), 2);
    let [erase, note] = letters.try_into().unwrap();
    assert_eq!(erase.operation, "erase");
    assert_eq!(erase.arguments, r#"{"n":1}"#);
    assert_eq!(erase.target, "@journal@j");
    assert_eq!(erase.source.as_deref(), Some("@sender@s"));
    assert!(
        erase.reason.contains("`@journal@j` has no operation `erase`"),
        "{}",
        erase.reason
    );
    assert!(erase.dead_lettered_at > before);
    assert_eq!(note.operation, "note");
    assert!(note.reason.contains("do not decode"), "{}", note.reason);
    assert_eq!(hub.stats().dead_letters, 2);
    hub.shutdown().await.unwrap();
}

/// A message that is redelivered to a build that cannot process it becomes a dead letter again. In a build that can, it
/// takes effect once. Redelivering or dropping a letter that no longer exists returns `false`.
#[tokio::test]
async fn a_dead_letter_is_delivered_by_a_fixed_build() {
    let directory = tempfile::tempdir().unwrap();
    let hub = open(directory.path()).await;
    let client = hub.client();
    client.entity::<Sender>("s").send(1).await.unwrap();
    let old = letters(&client).await.remove(0);
    assert!(client.admin().redeliver(&old.id).await.unwrap());
    let again = letters(&client).await.remove(0);
    assert_ne!(again.id, old.id);
    assert_eq!(again.arguments, old.arguments);
    assert!(!client.admin().redeliver(&old.id).await.unwrap());
    hub.shutdown().await.unwrap();

    let hub = open_fixed(directory.path()).await;
    let client = hub.client();
    assert_eq!(letters(&client).await.len(), 2);
    assert!(client.admin().redeliver(&again.id).await.unwrap());
    assert!(!client.admin().redeliver(&again.id).await.unwrap());
    let state = client.entity::<fixed::Journal>("j").state().await.unwrap().unwrap();
    assert_eq!(state.notes, [2]);
    let left = letters(&client).await;
    assert_eq!(left.len(), 1);
    assert!(client.admin().drop_dead_letter(&left[0].id).await.unwrap());
    assert!(!client.admin().drop_dead_letter(&left[0].id).await.unwrap());
    assert!(letters(&client).await.is_empty());
    for nonsense in ["", "1", "x-1-2", "1-2-3-4"] {
        assert_eq!(
            client.admin().redeliver(nonsense).await.unwrap_err().kind(),
            ErrorKind::InvalidId
        );
    }
    hub.shutdown().await.unwrap();
}

/// A dead letter that is redelivered to a held entity is processed when the entity is released.
#[tokio::test]
async fn a_dead_letter_waits_for_a_held_entity() {
    let directory = tempfile::tempdir().unwrap();
    let hub = open(directory.path()).await;
    hub.client().entity::<Sender>("s").send(1).await.unwrap();
    hub.shutdown().await.unwrap();

    let hub = Hub::builder(directory.path())
        .entity::<fixed::Journal>()
        .hold("@journal@j");
    let hub = hub.open().await.unwrap();
    let client = hub.client();
    let letter = letters(&client).await.remove(0);
    assert!(client.admin().redeliver(&letter.id).await.unwrap());
    let journal = client.entity::<fixed::Journal>("j");
    assert_eq!(journal.state().await.unwrap().unwrap().notes, [1, 2]);
    assert!(
        client
            .admin()
            .release_quarantine(&letter.target.parse().unwrap())
            .await
            .unwrap()
    );
    assert_eq!(journal.state().await.unwrap().unwrap().notes, [2]);
    hub.shutdown().await.unwrap();
}

/// Waits for the event `go`.
#[orchestration]
async fn waits(ctx: OrchestrationContext, n: u32) -> Result<u32, Failure> {
    ctx.wait_for_external_event::<()>("go").await?;
    Ok(n)
}

#[orchestration]
async fn launches(ctx: OrchestrationContext, id: String) -> String {
    ctx.start_orchestration::<waits>(2).instance_id(id).id().to_owned()
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Launcher;

#[operations]
impl Launcher {
    pub fn launch(&mut self, ctx: &mut EntityContext, id: &str) {
        ctx.start_orchestration::<waits>(3).instance_id(id);
    }
}

/// A start by an orchestration or an entity whose ID is in use becomes a dead letter. Redelivering it after the other
/// instance has ended starts the orchestration.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_id_is_in_use_is_kept() {
    let builder = Hub::in_memory().entity::<Launcher>().orchestration::<waits>();
    let hub = builder.orchestration::<launches>().open().await.unwrap();
    let client = hub.client();
    let run = client.start::<waits>(1).instance_id("b").await.unwrap();
    client
        .start::<launches>("b".to_owned())
        .instance_id("l")
        .await
        .unwrap()
        .result()
        .await
        .unwrap();
    client.entity::<Launcher>("e").launch("b").await.unwrap();
    let letters = eventually(async || Some(letters(&client).await).filter(|letters| letters.len() == 2)).await;
    let of = |source: &str| {
        letters
            .iter()
            .find(|letter| letter.source.as_deref() == Some(source))
            .unwrap()
    };
    let (of_orchestration, of_entity) = (of("l"), of("@launcher@e"));
    for (letter, input) in [(of_orchestration, "2"), (of_entity, "3")] {
        let shown = (
            letter.target.as_str(),
            letter.operation.as_str(),
            letter.arguments.as_str(),
        );
        assert_eq!(shown, ("b", "waits", input));
        assert!(
            letter.reason.contains("an orchestration `b` exists and has not ended"),
            "{}",
            letter.reason
        );
    }
    assert!(client.admin().drop_dead_letter(&of_entity.id).await.unwrap());
    run.raise_event("go", ()).await.unwrap();
    assert_eq!(run.result().await.unwrap(), 1);
    assert!(client.admin().redeliver(&of_orchestration.id).await.unwrap());
    run.raise_event("go", ()).await.unwrap();
    assert_eq!(run.result().await.unwrap(), 2);
}
