//! The hub as a whole: counts, statistics, metrics and health.

use abide::http::HttpConfig;
use serde_json::json;

use super::fixture::{Api, BASE, HOST, send};
use axum::http::Method;

/// Orchestrations are counted by name and status, entities by name.
#[tokio::test]
async fn everything_is_counted() {
    let api = Api::open().await;
    api.run("echoes", "a", "1").await;
    api.run("echoes", "b", "1").await;
    api.run("greets", "c", r#"[""]"#).await;
    api.post("/entities/counter/a?op=add&wait=true", "1").await.is(200);
    assert_eq!(
        api.get("/counts").await.json(),
        json!({
            "orchestrations": [
                { "name": "echoes", "runtimeStatus": "Completed", "count": 2 },
                { "name": "greets", "runtimeStatus": "Failed", "count": 1 },
            ],
            "entities": [{ "name": "counter", "count": 1 }],
        })
    );
}

/// The statistics of the hub are available as JSON and as metrics, together with the metrics of the program.
#[tokio::test]
async fn numbers_are_shown() {
    let own = "# TYPE mine gauge\nmine 1\n";
    let api = Api::with(HttpConfig::new().without_token().metrics(move || own.to_owned())).await;
    api.post("/entities/counter/a?op=add&wait=true", "1").await.is(200);
    let stats = api.get("/stats").await.json();
    assert!(stats["operations"].as_u64().unwrap() >= 1);
    assert!(stats["walLiveBytes"].is_u64());

    let metrics = api.get("/metrics").await;
    metrics.is(200);
    assert_eq!(
        metrics.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let text = metrics.text();
    assert!(text.ends_with(own), "{text}");
    for line in text.lines() {
        let is_sample = |line: &str| {
            line.split_once(' ')
                .is_some_and(|(_, value)| value.parse::<f64>().is_ok())
        };
        assert!(
            line.starts_with("# HELP ") || line.starts_with("# TYPE ") || is_sample(line),
            "{line}"
        );
    }
    let about: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("abide_hub_operations"))
        .collect();
    assert_eq!(
        about[..2],
        [
            "# HELP abide_hub_operations_total Operations that were run.",
            "# TYPE abide_hub_operations_total counter"
        ]
    );
    assert!(about[2].starts_with("abide_hub_operations_total "), "{about:?}");
}

/// An open hub is healthy. A closed hub is not, and every request to it fails.
#[tokio::test]
async fn health_reports_whether_the_hub_works() {
    let Api { hub, router } = Api::open().await;
    let get = async |path: &str| send(&router, Method::GET, &format!("{BASE}{path}"), &[], "").await;
    let healthy = get("/health").await;
    healthy.is(200);
    assert_eq!(healthy.json(), json!({ "status": "ok" }));
    hub.shutdown().await.unwrap();
    let closed = get("/health").await;
    closed.is_error(503, "Closed");
    assert!(!closed.header("retry-after").is_empty());
    for path in [
        "/instances",
        "/instances/a",
        "/entities/counter/a",
        "/stats",
        "/metrics",
        "/counts",
        "/locks",
    ] {
        get(path).await.is_error(503, "Closed");
    }
    let start = format!("http://{HOST}{BASE}/orchestrators/echoes/a");
    send(&router, Method::POST, &start, &[], "1")
        .await
        .is_error(503, "Closed");
}
