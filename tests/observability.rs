//! Observability of a hub: statistics, metrics and logs.
#![cfg(feature = "rocksdb")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use abide::RetryPolicy;
use abide::metrics::{CATALOG, Metric, MetricKind, MetricUnit, SECONDS_BUCKETS};
use abide::prelude::*;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

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

/// The recorder of this process, which can have only one. It is configured as docs/src/metrics.md advises.
static METRICS: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let seconds = Matcher::Suffix("seconds".to_owned());
    PrometheusBuilder::new()
        .with_recommended_naming(true)
        .set_buckets_for_metric(seconds, SECONDS_BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .unwrap()
});

/// Fails in its first attempt.
#[activity(retry(max_attempts = 2, first_interval = "1ms"))]
async fn unsteady(ctx: ActivityContext) -> Result<(), Failure> {
    match ctx.attempt() {
        1 => Err(Failure::message("on purpose")),
        _ => Ok(()),
    }
}

#[orchestration]
async fn fails(_ctx: OrchestrationContext) -> Result<(), Failure> {
    Err(Failure::message("on purpose"))
}

#[orchestration]
async fn works(ctx: OrchestrationContext) -> Result<(), Failure> {
    ctx.call_activity::<unsteady>(()).await?;
    let policy = RetryPolicy::new(2).first_interval(Duration::from_millis(1));
    ctx.call_sub_orchestration::<fails>(()).retry(policy).await.unwrap_err();
    Ok(())
}

#[orchestration]
async fn panics(_ctx: OrchestrationContext) -> Result<(), Failure> {
    panic!("on purpose")
}

/// Makes everything happen that is recorded under a label. All other metrics exist from the open on.
async fn make_everything_happen() {
    let hub = Hub::in_memory()
        .entity::<Journal>()
        .activity::<unsteady>()
        .orchestration::<fails>()
        .orchestration::<works>()
        .orchestration::<panics>()
        .open()
        .await
        .unwrap();
    let client = hub.client();
    client.start::<works>(()).await.unwrap().result().await.unwrap();
    client.start::<panics>(()).await.unwrap();
    while client.orchestrations().stopped().count().await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    hub.shutdown().await.unwrap();
}

/// Returns the name of a metric as Prometheus shows it.
fn served_name(metric: &Metric) -> String {
    let name = metric.name.replace('.', "_");
    match metric.kind {
        MetricKind::Counter => format!("{name}_total"),
        _ => name,
    }
}

/// A hub serves exactly the metrics of the catalog, each with its kind, its unit, its labels and its description.
#[tokio::test]
async fn the_catalog_lists_what_is_served() {
    let metrics = METRICS.clone();
    make_everything_happen().await;
    let text = metrics.render();
    let mut served = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        served.insert(name.to_owned(), kind.to_owned());
    }
    for metric in CATALOG {
        let name = served_name(metric);
        let kind = served.remove(&name).unwrap_or_else(|| panic!("{name} is not served"));
        let (expected, unit) = match (metric.kind, metric.unit) {
            (MetricKind::Counter, _) => ("counter", ""),
            (MetricKind::Gauge, _) => ("gauge", ""),
            (_, MetricUnit::Seconds) => ("histogram", "_seconds"),
            _ => ("summary", ""),
        };
        assert_eq!(kind, expected, "{name}");
        assert!(name.ends_with(unit), "{name}");
        let help = format!("# HELP {name} {}", metric.description);
        assert!(text.lines().any(|line| line == help), "{help}");
        let samples = text.lines().filter(|line| line.starts_with(&name));
        let samples = samples.filter(|line| {
            let rest = &line[name.len()..];
            ["{", " ", "_bucket", "_sum", "_count"]
                .iter()
                .any(|next| rest.starts_with(next))
        });
        let mut count = 0;
        for sample in samples {
            let labels = sample.split_once('{').map_or("", |(_, labels)| labels);
            let labels = labels
                .split(['{', ','])
                .filter_map(|label| label.split_once("=\"").map(|(name, _)| name));
            let labels: Vec<&str> = labels.filter(|name| !["le", "quantile"].contains(name)).collect();
            assert_eq!(labels, metric.labels, "{sample}");
            count += 1;
        }
        assert!(count > 0, "{name} has no sample");
    }
    assert!(served.is_empty(), "the catalog lacks {served:?}");
}

/// Returns a file of the repository.
fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// docs/src/metrics.md shows the catalog, line by line.
#[test]
fn the_page_shows_the_catalog() {
    let row = |metric: &Metric| {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            _ => "histogram",
        };
        let unit = match metric.unit {
            MetricUnit::Seconds => "seconds",
            _ => "",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (labels, name) = (labels.join(", "), metric.name);
        format!("| `{name}` | {kind} | {unit} | {labels} | {} |", metric.description)
    };
    let expected: Vec<String> = CATALOG.iter().map(row).collect();
    let page = file("docs/src/metrics.md");
    let shown: Vec<&str> = page.lines().filter(|line| line.starts_with("| `abide.")).collect();
    assert_eq!(shown, expected, "the table should be:\n{}\n", expected.join("\n"));
}

/// Returns the names that begin with `abide_` in a text.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("abide_")).collect()
}

/// Returns the names under which samples of the catalog are queried.
fn queried() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for metric in CATALOG {
        let name = served_name(metric);
        if metric.kind == MetricKind::Histogram {
            names.extend(["_sum", "_count"].map(|suffix| format!("{name}{suffix}")));
            if metric.unit == MetricUnit::Seconds {
                names.insert(format!("{name}_bucket"));
            }
        } else {
            names.insert(name);
        }
    }
    names
}

/// The dashboard and the alerts query only metrics that exist: those of the catalog, and the statistics of the hub.
#[test]
fn dashboard_and_alerts_query_what_is_served() {
    let page = file("docs/src/metrics.md");
    let statistics: BTreeSet<&str> = named(&page)
        .into_iter()
        .filter(|name| name.starts_with("abide_hub_"))
        .collect();
    let known = queried();
    let dashboard: serde_json::Value = serde_json::from_str(&file("deploy/grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let mut expressions: Vec<String> = targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        expressions.len() >= 20,
        "the dashboard has {} queries",
        expressions.len()
    );
    let alerts = file("deploy/alerts.yml");
    let count = alerts
        .lines()
        .filter(|line| line.trim_start().starts_with("- alert: "))
        .count();
    let queries = alerts
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("expr: "));
    let before = expressions.len();
    expressions.extend(queries.map(str::to_owned));
    assert!(count >= 8 && expressions.len() - before == count, "{count} alerts");
    for expression in expressions {
        let names = named(&expression);
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            assert!(
                known.contains(name) || statistics.contains(name),
                "{name} in {expression}"
            );
        }
    }
    // Alerts are described with the names that they query, so the text around them is checked as well.
    for name in named(&alerts) {
        assert!(known.contains(name) || statistics.contains(name), "{name}");
    }
}

/// docs/src/metrics.md lists the statistics that the management API serves, with their meaning.
#[cfg(feature = "http")]
#[tokio::test]
async fn the_page_lists_the_statistics_of_the_hub() {
    use abide::http::HttpConfig;
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    let hub = Hub::in_memory().open().await.unwrap();
    let router = hub.http_router(&HttpConfig::new().without_token()).unwrap();
    let request = Request::get("/runtime/webhooks/durabletask/metrics").header("host", "localhost:7071");
    let answer = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    hub.shutdown().await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    let mut expected = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
        let (name, meaning) = line.split_once(' ').unwrap();
        expected.push(format!("| `{name}` | {meaning} |"));
    }
    let page = file("docs/src/metrics.md");
    let shown: Vec<&str> = page.lines().filter(|line| line.starts_with("| `abide_hub_")).collect();
    assert_eq!(shown, expected, "the table should be:\n{}\n", expected.join("\n"));
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
