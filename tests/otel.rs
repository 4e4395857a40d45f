//! Spans in OTLP, as a collector receives them over HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use abide::http::HttpConfig;
use abide::http_client::HttpRequest;
use abide::otel::TracerProvider;
use abide::prelude::*;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use opentelemetry::trace::{Span, Tracer, TracerProvider as _};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::Value;
use tower::ServiceExt;

/// A collector: it takes OTLP as JSON and keeps the spans. It also answers the requests of orchestrations.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Value>>>,
    /// The `traceparent` of each request of an orchestration.
    parents: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    /// Starts a collector on a port of its own.
    async fn serve() -> (Self, SocketAddr) {
        let collector = Self::default();
        let router = Router::new()
            .route("/v1/traces", post(Self::take))
            .route("/echo", get(Self::echo))
            .with_state(collector.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (collector, address)
    }

    async fn take(State(collector): State<Self>, Json(body): Json<Value>) -> Json<Value> {
        let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
        for resource in list(&body, "resourceSpans") {
            for scope in list(&resource, "scopeSpans") {
                collector.spans.lock().unwrap().extend(list(&scope, "spans"));
            }
        }
        Json(serde_json::json!({}))
    }

    async fn echo(State(collector): State<Self>, headers: HeaderMap) -> &'static str {
        let parent = headers
            .get("traceparent")
            .map(|value| value.to_str().unwrap().to_owned());
        collector.parents.lock().unwrap().extend(parent);
        "hello"
    }

    /// Returns all spans that were exported so far.
    async fn spans(&self, tracing: &TracerProvider) -> Vec<Spanned> {
        let sdk = tracing.sdk().clone();
        tokio::task::spawn_blocking(move || sdk.force_flush())
            .await
            .unwrap()
            .unwrap();
        self.spans.lock().unwrap().iter().map(Spanned::read).collect()
    }
}

/// A span as the collector received it.
#[derive(Clone, Debug, PartialEq)]
struct Spanned {
    name: String,
    trace: String,
    id: String,
    parent: String,
    /// 1 is internal, 2 server, 3 client, 4 producer, 5 consumer.
    kind: u64,
    start: u64,
    end: u64,
    attributes: BTreeMap<String, String>,
    error: Option<String>,
}

impl Spanned {
    fn read(span: &Value) -> Self {
        let text = |name: &str| span[name].as_str().unwrap_or_default().to_owned();
        let time = |name: &str| text(name).parse().unwrap();
        let attributes = span["attributes"].as_array().into_iter().flatten().map(|attribute| {
            let value = &attribute["value"];
            let value = value["stringValue"].as_str().or(value["intValue"].as_str());
            (attribute["key"].as_str().unwrap().to_owned(), value.unwrap().to_owned())
        });
        Self {
            name: text("name"),
            trace: text("traceId"),
            id: text("spanId"),
            parent: text("parentSpanId"),
            kind: span["kind"].as_u64().unwrap(),
            start: time("startTimeUnixNano"),
            end: time("endTimeUnixNano"),
            attributes: attributes.collect(),
            error: (span["status"]["code"] == 2).then(|| span["status"]["message"].as_str().unwrap().to_owned()),
        }
    }
}

/// Sends one request over a connection of its own. The batch processor exports from a thread of its own, which may block.
#[derive(Debug)]
struct Plain;

#[async_trait::async_trait]
impl HttpClient for Plain {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let authority = request.uri().authority().unwrap().as_str();
        let mut stream = TcpStream::connect(authority)?;
        let (path, body) = (request.uri().path(), request.body());
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status: u16 = answer.split(' ').nth(1).unwrap().parse()?;
        let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
        let response = Response::builder()
            .status(status)
            .header("content-type", "application/json");
        Ok(response.body(body.into())?)
    }
}

/// Returns a provider that exports to the collector.
fn provider(address: SocketAddr) -> TracerProvider {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Plain)
        .with_protocol(Protocol::HttpJson)
        .with_endpoint(format!("http://{address}/v1/traces"))
        .build()
        .unwrap();
    TracerProvider::new(SdkTracerProvider::builder().with_batch_exporter(exporter))
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Stock {
    left: u32,
}

#[operations]
impl Stock {
    pub fn take(&mut self, ctx: &mut EntityContext) -> u32 {
        ctx.entity::<Log>("log").note().signal();
        self.left += 1;
        self.left
    }
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Log {
    notes: u32,
}

#[operations]
impl Log {
    pub fn note(&mut self) {
        self.notes += 1;
    }
}

/// Fails in its first attempt.
#[activity(retry(max_attempts = 2, first_interval = "1ms"))]
async fn pay(ctx: ActivityContext) -> Result<(), Failure> {
    match ctx.attempt() {
        1 => Err(Failure::message("insufficient funds")),
        _ => Ok(()),
    }
}

#[orchestration]
async fn ship(_ctx: OrchestrationContext) -> Result<(), Failure> {
    Err(Failure::message("no truck"))
}

#[orchestration]
async fn order(ctx: OrchestrationContext, url: String) -> Result<u32, Failure> {
    ctx.call_activity::<pay>(()).await?;
    let left = ctx.entity::<Stock>("lamp").take().await?;
    ctx.entity::<Log>("log").note().signal();
    ctx.create_timer(Duration::from_millis(5)).await;
    ctx.set_custom_status("waits");
    ctx.wait_for_external_event::<()>("go").await?;
    ctx.call_http(HttpRequest::get(url)).await?;
    ctx.call_sub_orchestration::<ship>(()).await.unwrap_err();
    Ok(left)
}

async fn open(directory: &std::path::Path, tracing: &TracerProvider) -> Hub {
    Hub::builder(directory)
        .entity::<Stock>()
        .entity::<Log>()
        .activity::<pay>()
        .orchestration::<ship>()
        .orchestration::<order>()
        // Every turn replays the whole history.
        .strict_replay(true)
        .tracer_provider(tracing)
        .open()
        .await
        .unwrap()
}

/// Starts an orchestration over HTTP, within a trace.
async fn start(hub: &Hub, id: &str, url: &str, parent: &str) {
    let router = hub.http_router(&HttpConfig::new().without_token()).unwrap();
    let request = Request::post(format!("/runtime/webhooks/durabletask/orchestrators/order/{id}"))
        .header("host", "localhost:7071")
        .header("content-type", "application/json")
        .header("traceparent", parent);
    let request = request.body(Body::from(format!("\"{url}\""))).unwrap();
    assert_eq!(router.oneshot(request).await.unwrap().status(), StatusCode::ACCEPTED);
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// Every span of an orchestration is exported once, with the parent that other systems see, although every turn is
/// replayed and the hub is closed in between. Steps that end after the restart began before it.
#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_complete_and_exported_once() {
    let (collector, address) = Collector::serve().await;
    let tracing = provider(address);
    let directory = tempfile::tempdir().unwrap();
    let hub = open(directory.path(), &tracing).await;
    start(
        &hub,
        "o-1",
        &format!("http://{address}/echo"),
        &format!("00-{TRACE}-{CALLER}-01"),
    )
    .await;
    let waits = async |hub: &Hub| {
        let run = hub.client().orchestration::<order>("o-1");
        while run.status().await.unwrap().unwrap().custom_status.is_none() {
            tokio::task::yield_now().await;
        }
        run
    };
    waits(&hub).await;
    hub.shutdown().await.unwrap();
    let hub = open(directory.path(), &tracing).await;
    let run = waits(&hub).await;
    run.raise_event("go", ()).await.unwrap();
    run.result().await.unwrap();
    hub.shutdown().await.unwrap();

    let spans = collector.spans(&tracing).await;
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(ids.len(), spans.len(), "{spans:#?}");
    assert!(
        spans.iter().all(|span| span.trace == TRACE && span.start <= span.end),
        "{spans:#?}"
    );
    // Each span with its parent.
    let by_id: BTreeMap<&str, &Spanned> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    let shown = |span: &Spanned| {
        let kinds = ["", "internal", "server", "client", "producer", "consumer"];
        format!("{} {}", kinds[span.kind as usize], span.name)
    };
    let mut tree: Vec<String> = spans
        .iter()
        .map(|span| {
            let parent = match by_id.get(span.parent.as_str()) {
                Some(parent) => shown(parent),
                None if span.parent == CALLER => "caller".to_owned(),
                None => panic!("the parent of {span:?} was not exported"),
            };
            let error = span
                .error
                .as_deref()
                .map(|error| format!(": {error}"))
                .unwrap_or_default();
            format!("{} < {parent}{error}", shown(span))
        })
        .collect();
    tree.sort();
    let expected = [
        "client activity:abide-http < server orchestration:order",
        "client activity:pay < server orchestration:order",
        "client activity:pay < server orchestration:order: insufficient funds",
        "client entity:stock:take < server orchestration:order",
        "client orchestration:ship < server orchestration:order: no truck",
        "consumer entity:log:note < producer entity:log:note",
        "consumer entity:log:note < server entity:stock:take",
        "internal orchestration:order:timer < server orchestration:order",
        "internal orchestration:order:timer < server orchestration:order",
        "producer create_orchestration:order < caller",
        "producer entity:log:note < server orchestration:order",
        "server activity:abide-http < client activity:abide-http",
        "server activity:pay < client activity:pay",
        "server activity:pay < client activity:pay: insufficient funds",
        "server entity:stock:take < client entity:stock:take",
        "server orchestration:order < producer create_orchestration:order",
        "server orchestration:ship < client orchestration:ship: no truck",
    ];
    assert_eq!(tree, expected);

    let find = |kind: u64, name: &str| {
        spans
            .iter()
            .find(|span| span.kind == kind && span.name == name)
            .unwrap()
    };
    // The other system saw the attempt as its parent.
    let attempt = find(2, "activity:abide-http");
    assert_eq!(
        *collector.parents.lock().unwrap(),
        [format!("00-{TRACE}-{}-01", attempt.id)]
    );
    let whole = find(2, "orchestration:order");
    let attribute = |name: &str| whole.attributes[name].as_str();
    assert_eq!(attribute("durabletask.type"), "orchestration");
    assert_eq!(attribute("durabletask.task.name"), "order");
    assert_eq!(attribute("durabletask.task.instance_id"), "o-1");
    assert_eq!(attribute("durabletask.task.status"), "Completed");
    // It began before the restart and contains all of its steps.
    for span in spans.iter().filter(|span| span.parent == whole.id) {
        assert!(
            whole.start <= span.start && span.end <= whole.end,
            "{span:?} is not within {whole:?}"
        );
    }
}

/// An orchestration outside of a trace begins one, if the sampling includes it. A caller that does not record its trace
/// is followed.
#[tokio::test(flavor = "multi_thread")]
async fn the_sampling_decides_about_whole_traces() {
    for (share, parent, recorded) in [
        (1.0, None, true),
        (0.0, None, false),
        (1.0, Some("00"), false),
        (0.0, Some("01"), true),
    ] {
        let (collector, address) = Collector::serve().await;
        let tracing = provider(address).sample_ratio(share);
        let directory = tempfile::tempdir().unwrap();
        let hub = open(directory.path(), &tracing).await;
        let client = hub.client();
        let url = format!("http://{address}/echo");
        match parent {
            None => {
                client.start::<order>(url).instance_id("o-1").await.unwrap();
            }
            Some(flags) => start(&hub, "o-1", &url, &format!("00-{TRACE}-{CALLER}-{flags}")).await,
        }
        let run = client.orchestration::<order>("o-1");
        run.raise_event("go", ()).await.unwrap();
        run.result().await.unwrap();
        hub.shutdown().await.unwrap();
        let spans = collector.spans(&tracing).await;
        assert_eq!(spans.len(), if recorded { 17 } else { 0 }, "{share} {parent:?}");
        let traces: BTreeSet<&str> = spans.iter().map(|span| span.trace.as_str()).collect();
        assert_eq!(traces.len(), usize::from(recorded));
        // The context is passed on in any case.
        let passed = collector.parents.lock().unwrap().clone();
        assert_eq!(passed.len(), usize::from(recorded || parent.is_some()));
    }
}

/// The tracer of the program, for a span within an activity.
static TRACER: Mutex<Option<TracerProvider>> = Mutex::new(None);

#[activity]
async fn measured(_ctx: ActivityContext) {
    let tracing = TRACER.lock().unwrap().clone().unwrap();
    tracing.sdk().tracer("program").start("inside").end();
}

#[orchestration]
async fn measures(ctx: OrchestrationContext) -> Result<(), Failure> {
    Ok(ctx.call_activity::<measured>(()).await?)
}

/// Spans of the program are children of the attempt in which they begin, and an orchestration is a child of the span in
/// which the program starts it. Their ids are random, as with any provider.
#[tokio::test(flavor = "multi_thread")]
async fn spans_of_the_program_are_part_of_the_trace() {
    use opentelemetry::trace::{FutureExt, TraceContextExt};

    let (collector, address) = Collector::serve().await;
    let tracing = provider(address);
    *TRACER.lock().unwrap() = Some(tracing.clone());
    let hub = Hub::in_memory()
        .activity::<measured>()
        .orchestration::<measures>()
        .tracer_provider(&tracing)
        .open()
        .await
        .unwrap();
    let outside = tracing.sdk().tracer("program").start("outside");
    let context = opentelemetry::Context::new().with_span(outside);
    let run = hub
        .client()
        .start::<measures>(())
        .into_future()
        .with_context(context.clone())
        .await
        .unwrap();
    run.result().await.unwrap();
    context.span().end();
    hub.shutdown().await.unwrap();
    let spans = collector.spans(&tracing).await;
    let find = |kind: u64, name: &str| {
        spans
            .iter()
            .find(|span| span.kind == kind && span.name == name)
            .unwrap()
    };
    assert_eq!(find(1, "inside").parent, find(2, "activity:measured").id);
    assert_eq!(find(4, "create_orchestration:measures").parent, find(1, "outside").id);
    assert!(spans.iter().all(|span| span.trace == spans[0].trace));
}
