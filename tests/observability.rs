//! Observability of a hub: statistics, metrics and logs.
#![cfg(feature = "rocksdb")]

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use abide::prelude::*;
use metrics::{Counter, Gauge, Histogram, Key as MetricKey, KeyName, Metadata, Recorder, SharedString, Unit};

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Journal {
    notes: u32,
}

#[operations]
impl Journal {
    pub fn note(&mut self) {
        self.notes += 1;
    }

    pub fn fail(&mut self) {
        panic!("on purpose");
    }

    pub fn peek(&self) {
        tracing::info!("a read");
    }

    pub fn log(&mut self) {
        tracing::info!("a change");
    }

    pub async fn log_slowly(&mut self) {
        tokio::task::yield_now().await;
        tracing::info!("a task");
    }
}

/// Records the names of all metrics.
#[derive(Clone, Debug, Default)]
struct Names(Arc<Mutex<BTreeSet<String>>>);

impl Names {
    fn add(&self, key: &MetricKey) {
        self.0.lock().unwrap().insert(key.name().to_owned());
    }
}

impl Recorder for Names {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &MetricKey, _: &Metadata<'_>) -> Counter {
        self.add(key);
        Counter::noop()
    }

    fn register_gauge(&self, key: &MetricKey, _: &Metadata<'_>) -> Gauge {
        self.add(key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &MetricKey, _: &Metadata<'_>) -> Histogram {
        self.add(key);
        Histogram::noop()
    }
}

/// The recorder of this process, which can have only one.
static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let names = Names::default();
    metrics::set_global_recorder(names.clone()).unwrap();
    names
});

/// Every metric has a name with the prefix `abide.`, and the metrics that operators need exist.
#[tokio::test]
async fn metrics_are_recorded_under_their_names() {
    let names = NAMES.clone();
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::builder(directory.path()).entity::<Journal>().open().await.unwrap();
    let journal = hub.client().entity::<Journal>("j");
    journal.note().await.unwrap();
    journal.fail().await.unwrap_err();
    journal.note().signal_after(std::time::Duration::ZERO).await.unwrap();
    while hub.stats().timers_fired == 0 {
        tokio::task::yield_now().await;
    }
    hub.shutdown().await.unwrap();
    let hub = Hub::builder(directory.path()).entity::<Journal>().open().await.unwrap();
    hub.client().entity::<Journal>("j").note().await.unwrap();
    hub.shutdown().await.unwrap();
    let names = names.0.lock().unwrap().clone();
    assert!(names.iter().all(|name| name.starts_with("abide.")), "{names:?}");
    for name in [
        "abide.commits",
        "abide.entities.in_memory",
        "abide.instances.waiting",
        "abide.messages.queued",
        "abide.turns",
        "abide.operations",
        "abide.operations.failed",
        "abide.states.loaded",
        "abide.timers.fired",
        "abide.commit.changes",
        "abide.sync.seconds",
    ] {
        assert!(names.contains(name), "{name} is not in {names:?}");
    }
}

/// The statistics count the completed work, and every written commit becomes durable.
#[tokio::test]
async fn statistics_count_completed_work() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::builder(directory.path()).entity::<Journal>().open().await.unwrap();
    let journal = hub.client().entity::<Journal>("j");
    for _ in 0..10 {
        journal.note().await.unwrap();
    }
    journal.fail().await.unwrap_err();
    let stats = hub.stats();
    assert_eq!((stats.operations, stats.failures, stats.dead_letters), (11, 1, 0));
    assert_eq!(stats.entities_in_memory, 1);
    assert!(stats.turns >= 1 && stats.turns <= 11);
    assert!(
        stats.commits == 10 && stats.written == 10 && stats.durable == 10,
        "{stats:?}"
    );
    assert!(stats.wal_bytes > 10 * 20 && stats.front_bytes > 0, "{stats:?}");
    hub.shutdown().await.unwrap();
    let hub = Hub::builder(directory.path()).entity::<Journal>().open().await.unwrap();
    assert_eq!(hub.stats().operations, 0);
    assert_eq!(hub.stats().durable, 10);
    hub.shutdown().await.unwrap();
}

/// Collects the log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Returns everything that was logged.
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// The log of this process, which can have only one subscriber.
static LOG: LazyLock<Lines> = LazyLock::new(|| {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone());
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    lines
});

/// Log records of an operation name its entity, operation and message, however the operation runs.
#[tokio::test]
async fn log_records_name_their_operation() {
    let log = LOG.clone();
    let hub = Hub::in_memory().entity::<Journal>().open().await.unwrap();
    let journal = hub.client().entity::<Journal>("logs");
    journal.peek().await.unwrap();
    journal.log().await.unwrap();
    journal.log_slowly().await.unwrap();
    hub.shutdown().await.unwrap();
    let logged = log.text();
    for (text, operation) in [("a read", "peek"), ("a change", "log"), ("a task", "log_slowly")] {
        let line = logged.lines().find(|line| line.ends_with(text));
        let line = line.unwrap_or_else(|| panic!("{text:?} is not in {logged}"));
        let span = format!("operation{{entity=@journal@logs operation={operation} message_id=");
        assert!(line.contains(&span), "{line}");
    }
}

/// Writes a log record.
#[cfg(feature = "http")]
#[orchestration]
async fn logs(_ctx: OrchestrationContext) {
    tracing::info!("logged");
}

/// Log records of an orchestration contain the trace of its caller, if it has one.
#[cfg(feature = "http")]
#[tokio::test]
async fn the_span_of_an_orchestration_names_its_trace() {
    use abide::http::HttpConfig;
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use tower::ServiceExt;

    let log = LOG.clone();
    let hub = Hub::in_memory().orchestration::<logs>().open().await.unwrap();
    let router = hub.http_router(&HttpConfig::new().without_token()).unwrap();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (id, parent) in [("traced", Some(parent)), ("plain", None)] {
        let path = format!("/runtime/webhooks/durabletask/orchestrators/logs/{id}?timeout=30");
        let mut request = Request::post(path).header("host", "localhost:7071");
        if let Some(parent) = parent {
            request = request.header("traceparent", parent);
        }
        let request = request.body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
    }
    hub.shutdown().await.unwrap();
    let log = log.text();
    let logged = |id: &str| {
        let mut lines = log
            .lines()
            .filter(|line| line.contains("logged") && line.contains(&format!("instance={id}")));
        lines.next().unwrap_or_else(|| panic!("{log}")).to_owned()
    };
    assert!(logged("traced").contains(&format!("traceparent=\"{parent}\"")), "{log}");
    assert!(!logged("plain").contains("traceparent"), "{log}");
}
