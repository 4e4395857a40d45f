use std::sync::Arc;

use crate::client::Client;
use crate::id::{EntityId, ExecutionId, InstanceId, MessageId, PartitionId};
use crate::model::orchestration::{LockId, LockRecord, OrchestrationStatus};
use crate::model::{self, Action, DeadLetterRecord, QuarantineRecord, StateRecord};
use crate::store::Batch;
use crate::time::Timestamp;
use crate::{CallError, Hub, OrchestrationContext, client::Unreadable, orchestration, schema};

const PARTITION: PartitionId = PartitionId(0);

/// A row that no build can read.
const GARBAGE: &[u8] = b"\xffgarbage";

/// Waits for an event that never comes.
#[orchestration]
async fn waits(ctx: OrchestrationContext) -> Result<(), CallError> {
    ctx.wait_for_external_event("never").await
}

/// Takes an input and waits for an event that never comes.
#[orchestration]
async fn holds(ctx: OrchestrationContext, _input: String) -> Result<(), CallError> {
    ctx.wait_for_external_event("never").await
}

/// Opens a hub of one partition with three orchestrations, and then adds the rows of `fill` to its store.
async fn filled(fill: impl FnOnce(&mut Batch)) -> (Hub, Client) {
    let hub = Hub::in_memory().partitions(1).orchestration::<waits>();
    let hub = hub.open().await.unwrap();
    let client = hub.client();
    for id in ["o-1", "o-2", "o-3"] {
        client.start::<waits>(()).instance_id(id).await.unwrap();
    }
    let mut batch = Batch::default();
    fill(&mut batch);
    let runtime = client.runtime().unwrap();
    Arc::clone(runtime.order.store()).write(&batch).unwrap();
    (hub, client)
}

fn ids(unreadable: &[Unreadable]) -> Vec<&str> {
    unreadable.iter().map(|row| row.id.as_str()).collect()
}

/// The table of quarantined instances contains entities and stopped orchestrations. The list of quarantined entities
/// contains only the entities, page by page, whatever the ids of the orchestrations begin with. Unreadable rows are
/// reported.
#[tokio::test]
async fn quarantined_entities_are_told_from_stopped_orchestrations() {
    let record = QuarantineRecord {
        reason: "why".to_owned(),
        since: Timestamp(7),
    };
    let entities = ["@a@1", "@a@2", "@a@broken", "@b@", "@é@k"];
    let (hub, client) = filled(|batch| {
        for id in entities.iter().chain(&["order-1", "éclair", "!", "日本", "z"]) {
            let row = model::encode(&record).unwrap();
            let value = if id.contains("broken") { GARBAGE } else { &row };
            batch.put(&schema::quarantine::key(PARTITION, &InstanceId::trusted(*id)), value);
        }
    })
    .await;
    for at_most in 1..=6 {
        let (mut found, mut broken, mut after) = (Vec::new(), Vec::new(), None);
        loop {
            let page = client
                .admin()
                .quarantined()
                .cursor(after)
                .page_size(at_most)
                .page()
                .await
                .unwrap();
            assert!(page.items.len() + page.unreadable.len() <= at_most);
            found.extend(page.items.iter().map(|entity| entity.id.to_string()));
            broken.extend(page.unreadable);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, ["@a@1", "@a@2", "@b@", "@é@k"]);
        assert_eq!(ids(&broken), ["@a@broken"]);
        assert!(broken[0].reason.contains("a stored quarantine"), "{broken:?}");
    }
    assert_eq!(client.admin().quarantined().await.unwrap().len(), 4);
    hub.shutdown().await.unwrap();
}

/// A page that ends because of its size also ends for unreadable rows. All pages together contain every row exactly
/// once: before, between and after the large ones.
#[tokio::test]
async fn pages_that_end_by_their_bytes_show_each_row_once() {
    const LARGE: usize = 5;
    let hub = Hub::in_memory().partitions(1).orchestration::<holds>();
    let hub = hub.open().await.unwrap();
    let client = hub.client();
    let (mut sound, mut broken) = (Vec::new(), Vec::new());
    let mut batch = Batch::default();
    for n in 0..LARGE {
        let id = format!("o-{n}-sound");
        let input = "x".repeat(1_900_000);
        client.start::<holds>(input).instance_id(&id).await.unwrap();
        sound.push(id);
    }
    for n in 0..=LARGE {
        let id = format!("o-{n}-broken");
        let instance = InstanceId::trusted(id.as_str());
        batch.put(&schema::orchestration::key(PARTITION, &instance), GARBAGE);
        let time = Timestamp::from(std::time::SystemTime::now());
        batch.put(
            &schema::orchestration::status_key(PARTITION, OrchestrationStatus::Running, time, &instance),
            &[],
        );
        broken.push(id);
    }
    let runtime = client.runtime().unwrap();
    Arc::clone(runtime.order.store()).write(&batch).unwrap();
    for query in [
        client.orchestrations(),
        client.orchestrations().status(OrchestrationStatus::Running),
    ] {
        let query = query.fetch_input();
        let (mut shown, mut unreadable, mut pages) = (Vec::new(), Vec::new(), 1);
        let mut page = query.clone().page().await.unwrap();
        loop {
            shown.extend(page.items.into_iter().map(|one| one.id));
            unreadable.extend(page.unreadable.into_iter().map(|row| row.id));
            let Some(next) = page.next else { break };
            page = query.clone().cursor(next).page().await.unwrap();
            pages += 1;
        }
        shown.sort();
        unreadable.sort();
        assert_eq!((&shown, &unreadable), (&sound, &broken));
        assert!(pages > 1, "one page contained all rows");
    }
    hub.shutdown().await.unwrap();
}

/// One row of each list is unreadable. Every list contains the other rows and reports that one.
#[tokio::test]
async fn no_list_breaks_because_something_is_broken() {
    let id = |text: &str| InstanceId::trusted(text);
    let (hub, client) = filled(|batch| {
        let mut put = |key: Vec<u8>, row: Option<Vec<u8>>| batch.put(&key, row.as_deref().unwrap_or(GARBAGE));
        let state = StateRecord {
            changed: Timestamp(7),
            state: b"1",
        };
        put(
            schema::state::key(PARTITION, &id("@a@1")),
            Some(model::encode(&state).unwrap()),
        );
        put(schema::state::key(PARTITION, &id("@a@2")), None);

        let lock = LockRecord {
            owner: LockId {
                instance: "owner".into(),
                execution: ExecutionId::default(),
                sequence: 1,
            },
            since: Timestamp(7),
        };
        put(
            schema::lock::key(PARTITION, &id("@a@1")),
            Some(model::encode(&lock).unwrap()),
        );
        put(schema::lock::key(PARTITION, &id("@a@2")), None);

        let letter = |target: &str| DeadLetterRecord {
            source: None,
            target: target.into(),
            action: Action::Operation {
                operation: "add".into(),
                arguments: Vec::new(),
            },
            reason: "why".to_owned(),
            died: Timestamp(7),
            trace: None,
        };
        for (batch_number, target) in [(1, Some("@a@1")), (2, Some("éclair")), (3, None), (4, Some("@a@1"))] {
            let message = MessageId {
                batch: batch_number,
                index: 0,
            };
            let row = target.map(|target| model::encode(&letter(target)).unwrap());
            put(schema::dead_letter::key(PARTITION, message), row);
        }

        put(schema::orchestration::key(PARTITION, &id("o-2")), None);
    })
    .await;

    let entities = client.entities().page().await.unwrap();
    assert_eq!(entities.items[0].id, EntityId::new("a", "1").unwrap());
    assert_eq!((entities.items.len(), ids(&entities.unreadable)), (1, vec!["@a@2"]));
    assert_eq!(client.entities().count().await.unwrap(), 2);

    let locks = client.admin().locks().cursor(None).page_size(10).page().await.unwrap();
    assert_eq!((locks.items.len(), ids(&locks.unreadable)), (1, vec!["@a@2"]));

    let mut after = None;
    let mut shown = Vec::new();
    for _ in 0..4 {
        let page = client
            .admin()
            .dead_letters()
            .cursor(after)
            .page_size(1)
            .page()
            .await
            .unwrap();
        shown.extend(page.items.into_iter().map(|letter| letter.id));
        shown.extend(page.unreadable.into_iter().map(|row| format!("{} is broken", row.id)));
        after = page.next;
    }
    assert_eq!(after, None);
    assert_eq!(shown, ["0-1-0", "0-2-0 is broken", "0-3-0 is broken", "0-4-0"]);
    assert!(client.admin().drop_dead_letter("0-3-0").await.unwrap());
    assert!(!client.admin().drop_dead_letter("0-3-0").await.unwrap());
    assert!(!client.admin().drop_dead_letter("65535-3-0").await.unwrap());

    for query in [
        client.orchestrations(),
        client.orchestrations().status(OrchestrationStatus::Running),
    ] {
        let page = query.clone().page().await.unwrap();
        assert_eq!((page.items.len(), ids(&page.unreadable)), (2, vec!["o-2"]));
        assert_eq!(query.clone().counts().await.unwrap()[0].count, 2);
        let first = query.clone().page_size(1).page().await.unwrap();
        let second = query.page_size(1).cursor(first.next.unwrap()).page().await.unwrap();
        assert_eq!((second.items.len(), ids(&second.unreadable)), (0, vec!["o-2"]));
        assert!(second.next.is_some());
    }
    hub.shutdown().await.unwrap();
}
