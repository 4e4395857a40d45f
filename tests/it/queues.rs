//! Queues of orchestrations that process nothing, because they are suspended or stopped.
//!
//! See docs/src/guarantees.md, "Isolation".

use abide::prelude::*;
use abide::{Client, ErrorKind};

use crate::fixtures::until_it_stops;

const QUEUE: usize = 10;

/// Adds up numbers until it receives a zero. This build panics at the number 13.
#[orchestration]
async fn add_up(ctx: OrchestrationContext) -> Result<u32, Failure> {
    let mut sum = 0;
    loop {
        match ctx.wait_for_external_event::<u32>("number").await? {
            0 => return Ok(sum),
            13 => panic!("a bug of this build"),
            number => sum += number,
        }
    }
}

async fn open(directory: &std::path::Path) -> (Hub, Client) {
    let hub = Hub::builder(directory)
        .orchestration::<add_up>()
        .queue_limit(QUEUE)
        .open()
        .await
        .unwrap();
    let client = hub.client();
    (hub, client)
}

/// Raises `count` events and returns the number of accepted ones. The others fail with the same error in both forms.
async fn raise(client: &Client, id: &str, count: usize) -> usize {
    let run = client.orchestration::<add_up>(id);
    let mut taken = 0;
    for n in 0..count {
        let event = run.raise_event("number", 1);
        let raised = if n % 2 == 0 {
            event.await
        } else {
            event.refuse_when_full().await
        };
        match raised {
            Ok(()) => taken += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Overloaded);
                let text = error.to_string();
                assert!(text.contains("10 messages wait") && text.contains(id), "{text}");
                assert!(text.contains("terminate it"), "{text}");
            }
        }
    }
    taken
}

/// A suspended orchestration accepts events up to the queue limit, even over restarts, and the error names the way out.
/// Operators can still resume it, and then the acknowledged events are delivered.
#[tokio::test(flavor = "multi_thread")]
async fn events_for_a_suspended_orchestration_are_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let (hub, client) = open(directory.path()).await;
    let run = client.start::<add_up>(()).instance_id("s").await.unwrap();
    run.raise_event("number", 5).await.unwrap();
    run.suspend("to look at it").await.unwrap();
    assert_eq!(raise(&client, "s", 30).await, QUEUE);
    drop(hub);

    let (hub, client) = open(directory.path()).await;
    assert_eq!(raise(&client, "s", 30).await, 0, "a restart frees no capacity");
    let refused = client.orchestration::<add_up>("s");
    let refused = refused.raise_event("number", 1).request_id("again").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    let run = client.orchestration::<add_up>("s");
    run.resume("it is fine").await.unwrap();
    // The rejected request had no effect, so its request ID is not remembered.
    run.raise_event("number", 100).request_id("again").await.unwrap();
    run.raise_event("number", 0).await.unwrap();
    assert_eq!(run.result().await.unwrap(), 5 + QUEUE as u32 + 100);
    hub.shutdown().await.unwrap();
}

/// An orchestration that a panic has stopped accepts events up to the queue limit, and can be terminated.
#[tokio::test(flavor = "multi_thread")]
async fn events_for_a_stopped_orchestration_are_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let (hub, client) = open(directory.path()).await;
    let run = client.start::<add_up>(()).instance_id("p").await.unwrap();
    run.raise_event("number", 13).await.unwrap();
    until_it_stops(&run.untyped()).await;
    assert_eq!(
        raise(&client, "p", 30).await,
        QUEUE - 1,
        "the first event waits as well"
    );
    drop(hub);

    let (hub, client) = open(directory.path()).await;
    assert_eq!(raise(&client, "p", 30).await, 0, "a restart frees no capacity");
    client
        .orchestration::<add_up>("p")
        .terminate("it is broken")
        .await
        .unwrap();
    hub.shutdown().await.unwrap();
}
