//! Actions on many orchestrations at once.

use abide::client::{BatchAction, BatchReport};
use abide::prelude::*;
use abide::{ErrorKind, orchestration};

/// Waits for the event `go`, whose payload decides how it ends.
#[orchestration]
async fn waits(ctx: OrchestrationContext) -> Result<u32, Failure> {
    match ctx.wait_for_external_event::<u32>("go").await? {
        0 => Err(Failure::message("nothing to do")),
        n => Ok(n),
    }
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("sold out")]
struct SoldOut;

/// Fails with an error of one of two types.
#[orchestration]
async fn fails(_ctx: OrchestrationContext, is_sold_out: bool) -> Result<(), Failure> {
    match is_sold_out {
        true => Err(SoldOut)?,
        false => Err(Failure::message("broken")),
    }
}

async fn open() -> Hub {
    let hub = Hub::in_memory().orchestration::<waits>().orchestration::<fails>();
    hub.open().await.unwrap()
}

async fn start(client: &Client, count: u32) {
    for n in 0..count {
        client.start::<waits>(()).instance_id(format!("w{n}")).await.unwrap();
    }
}

fn counts(report: &BatchReport) -> (u64, u64, u64, u64) {
    (report.matched, report.succeeded, report.skipped, report.failed)
}

/// Each action takes effect on every orchestration that the query finds, and skips those to which it does not apply.
#[tokio::test]
async fn each_action_reaches_every_match() {
    let hub = open().await;
    let client = hub.client();
    start(&client, 20).await;
    let all = || client.orchestrations().prefix("w");
    let apply = async |action: BatchAction| all().page_size(3).apply(action).await.unwrap();
    let with = async |status| all().status(status).count().await.unwrap();
    let reason = || "because".to_owned();

    let report = apply(BatchAction::Suspend { reason: reason() }).await;
    assert_eq!(counts(&report), (20, 20, 0, 0));
    assert_eq!(with(OrchestrationStatus::Suspended).await, 20);
    apply(BatchAction::Resume { reason: reason() }).await;
    assert_eq!(with(OrchestrationStatus::Running).await, 20);
    // Nothing has failed, and nothing has ended.
    let report = apply(BatchAction::Rewind { reason: reason() }).await;
    assert_eq!(counts(&report), (20, 0, 20, 0));
    assert_eq!(counts(&apply(BatchAction::Purge).await), (20, 0, 20, 0));

    let event = |payload: &str| BatchAction::RaiseEvent {
        name: "go".to_owned(),
        payload: payload.to_owned(),
    };
    assert_eq!(counts(&apply(event("0")).await), (20, 20, 0, 0));
    for n in 0..20 {
        let run = client.orchestration::<waits>(format!("w{n}"));
        assert!(run.result().await.is_err());
    }
    assert_eq!(counts(&apply(BatchAction::Restart).await), (20, 20, 0, 0));
    let report = apply(BatchAction::Terminate { reason: reason() }).await;
    assert_eq!(counts(&report), (20, 20, 0, 0));
    assert_eq!(with(OrchestrationStatus::Terminated).await, 20);
    assert_eq!(counts(&apply(BatchAction::Purge).await), (20, 20, 0, 0));
    assert_eq!(all().count().await.unwrap(), 0);
    hub.shutdown().await.unwrap();
}

/// A batch can be limited to one type of error.
#[tokio::test]
async fn a_batch_selects_one_type_of_error() {
    let hub = open().await;
    let client = hub.client();
    for n in 0..6 {
        let run = client.start::<fails>(n % 3 == 0).await.unwrap();
        assert!(run.result().await.is_err());
    }
    let failures = client.orchestrations().failures().await.unwrap();
    let groups: Vec<_> = failures
        .groups
        .iter()
        .map(|group| (group.message.as_str(), group.count))
        .collect();
    assert_eq!(groups, [("broken", 4), ("sold out", 2)]);
    assert!(!failures.is_truncated);
    let sold_out = &failures.groups[1];
    assert_eq!((sold_out.name.as_str(), sold_out.instances.len()), ("fails", 2));
    assert!(sold_out.first <= sold_out.last);

    let purge = client.orchestrations().apply(BatchAction::Purge);
    let report = purge.error_type(sold_out.error_type.clone()).await.unwrap();
    assert_eq!(counts(&report), (2, 2, 0, 0));
    assert_eq!(client.orchestrations().count().await.unwrap(), 4);
    hub.shutdown().await.unwrap();
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
enum OrderError {
    #[error("{article} is sold out")]
    SoldOut { article: String },
    #[error("declined")]
    Declined,
}

/// Fails with one of the variants of an error.
#[orchestration]
async fn orders(_ctx: OrchestrationContext, article: Option<String>) -> Result<(), OrderError> {
    Err(match article {
        Some(article) => OrderError::SoldOut { article },
        None => OrderError::Declined,
    })
}

/// The variants of an enum are kinds of their own, whatever their messages contain.
#[tokio::test]
async fn the_variants_of_an_error_are_kinds_of_their_own() {
    let hub = Hub::in_memory().orchestration::<orders>().open().await.unwrap();
    let client = hub.client();
    for article in [Some("lamp"), Some("bulb"), None] {
        let run = client.start::<orders>(article.map(str::to_owned)).await.unwrap();
        assert!(run.result().await.is_err());
    }
    let failures = client.orchestrations().failures().await.unwrap();
    let groups = failures.groups.iter();
    let groups: Vec<_> = groups
        .map(|group| (group.error_type.as_str(), group.variant.as_deref(), group.count))
        .collect();
    assert_eq!(
        groups,
        [("OrderError", Some("SoldOut"), 2), ("OrderError", Some("Declined"), 1)]
    );
    let purge = client
        .orchestrations()
        .apply(BatchAction::Purge)
        .error_type("OrderError");
    let report = purge.error_variant("SoldOut").await.unwrap();
    assert_eq!(counts(&report), (2, 2, 0, 0));
    hub.shutdown().await.unwrap();
}

/// A canceled batch ends between two groups of orchestrations, and reports that it was canceled.
#[tokio::test]
async fn a_batch_can_be_canceled() {
    let hub = open().await;
    let client = hub.client();
    start(&client, 10).await;
    let batch = client.orchestrations().page_size(2).apply(BatchAction::Restart);
    let progress = batch.progress();
    progress.cancel();
    let report = batch.await.unwrap();
    assert!(report.is_canceled);
    assert_eq!((report.succeeded, report.skipped), (0, 0));
    assert_eq!(progress.report(), report);
    // A search that finds nothing ends as well, after a page.
    let search = client
        .orchestrations()
        .page_size(2)
        .apply(BatchAction::Rewind { reason: String::new() });
    let search = search.error_type("NoSuchError");
    search.progress().cancel();
    let report = search.await.unwrap();
    assert!(report.is_canceled && report.matched == 0, "{report:?}");
    hub.shutdown().await.unwrap();
}

/// An event that no orchestration could receive is refused before anything is done.
#[tokio::test]
async fn an_invalid_event_is_refused_at_once() {
    let hub = open().await;
    let client = hub.client();
    start(&client, 1).await;
    for (name, payload, kind) in [
        ("", "1", ErrorKind::InvalidId),
        ("go", "{", ErrorKind::InvalidArguments),
    ] {
        let action = BatchAction::RaiseEvent {
            name: name.to_owned(),
            payload: payload.to_owned(),
        };
        let error = client.orchestrations().apply(action).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    hub.shutdown().await.unwrap();
    let error = client.orchestrations().apply(BatchAction::Purge).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}
