//! Critical sections over many entities.
//!
//! See docs/src/guarantees.md, "Critical sections".

use abide::orchestration;
use abide::prelude::*;

use crate::fixtures::Counter;

/// The parameters of a critical section.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Section {
    entities: usize,
    /// Whether the orchestration waits until its locks are granted.
    waits: bool,
}

/// Locks entities until it receives the event `end`.
#[orchestration]
async fn lock_many(ctx: OrchestrationContext, section: Section) -> Result<(), Failure> {
    let counters: Vec<_> = (0..section.entities)
        .map(|number| ctx.entity::<Counter>(format!("a-key-of-forty-characters-{number:014}")))
        .collect();
    let request = ctx.lock_entities(&counters);
    let end = ctx.wait_for_external_event::<()>("end");
    if section.waits {
        let guard = request.await?;
        counters[0].add(1).await?;
        end.await?;
        drop(guard);
    } else {
        end.await?;
        drop(request);
    }
    Ok(())
}

/// The log grows linearly with the number of IDs in a section. The request and the release do not write all IDs once
/// for each entity.
#[tokio::test(flavor = "multi_thread")]
async fn a_section_costs_in_proportion_to_its_ids() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::builder(directory.path())
        .executors(2)
        .entity::<Counter>()
        .orchestration::<lock_many>()
        .open()
        .await
        .unwrap();
    let client = hub.client();
    for waits in [true, false] {
        let mut logged = Vec::new();
        for entities in [10, 100, 1_000] {
            let before = hub.stats().wal_bytes;
            let run = client.start::<lock_many>(Section { entities, waits }).await.unwrap();
            run.raise_event("end", ()).await.unwrap();
            run.result().await.unwrap();
            while !client.admin().locks().await.unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            logged.push(hub.stats().wal_bytes - before);
        }
        assert!(logged[2] < 1_000 * 1_500, "{logged:?}");
    }
    hub.shutdown().await.unwrap();
}
