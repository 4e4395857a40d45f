//! An in-memory hub, its router, and a client of both.

use std::collections::BTreeMap;
use std::time::Duration;

use abide::http::{HttpConfig, router};
use abide::prelude::*;
use abide::{HubBuilder, OrchestrationContext, activity, orchestration};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

pub(crate) use abide::http::BASE_PATH as BASE;

/// The `Host` header of the requests.
pub(crate) const HOST: &str = "localhost:7071";

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("below {limit}")]
pub(crate) struct Below {
    limit: i64,
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
#[entity(audit = 2)]
pub(crate) struct Counter {
    value: i64,
    note: String,
}

#[operations]
impl Counter {
    pub fn add(&mut self, n: i64) -> i64 {
        self.value += n;
        self.value
    }

    pub fn take(&mut self, n: i64) -> Result<i64, Below> {
        if self.value < n {
            return Err(Below { limit: n });
        }
        self.value -= n;
        Ok(self.value)
    }

    pub fn note(&mut self, text: &str) {
        text.clone_into(&mut self.note);
    }

    pub fn set(&mut self, value: i64, note: &str) {
        (self.value, self.note) = (value, note.to_owned());
    }

    pub fn get(&self) -> i64 {
        self.value
    }

    pub fn crash(&mut self) {
        panic!("as asked");
    }
}

/// An entity with a single instance, whose key is empty.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Single;

#[operations]
impl Single {
    pub fn get(&self) {}
}

#[activity]
pub(crate) async fn greet(name: String) -> Result<String, Failure> {
    if name.is_empty() {
        return Err(Failure::message("no name to greet"));
    }
    Ok(format!("Hello {name}!"))
}

/// Greets the names in sequence.
#[orchestration]
pub(crate) async fn greets(ctx: OrchestrationContext, names: Vec<String>) -> Result<Vec<String>, Failure> {
    let mut greetings = Vec::new();
    for name in names {
        greetings.push(ctx.call_activity::<greet>(name).await?);
    }
    Ok(greetings)
}

/// Waits for the event `go` and returns its payload.
#[orchestration]
pub(crate) async fn waits(ctx: OrchestrationContext, _input: Value) -> Result<Value, Failure> {
    ctx.set_custom_status("waiting");
    Ok(ctx.wait_for_external_event::<Value>("go").await?)
}

#[orchestration]
pub(crate) async fn echoes(_ctx: OrchestrationContext, input: Value) -> Value {
    input
}

#[orchestration(version = "1")]
pub(crate) async fn adds(_ctx: OrchestrationContext, n: u32) -> u32 {
    n + 1
}

pub(crate) mod newer {
    use super::*;

    #[orchestration(version = "2")]
    pub(crate) async fn adds(_ctx: OrchestrationContext, n: u32) -> u32 {
        n + 2
    }
}

/// Takes one step of each kind.
#[orchestration]
pub(crate) async fn does_all(ctx: OrchestrationContext, name: String) -> Result<i64, Failure> {
    ctx.call_activity::<greet>(name).await?;
    ctx.create_timer(Duration::from_millis(1)).await;
    ctx.call_sub_orchestration::<adds>(1).instance_id("child").await?;
    let counter = ctx.entity::<Counter>("all");
    counter.note("seen").signal();
    Ok(counter.add(7).await?)
}

/// Locks a counter until it receives the event `go`.
#[orchestration]
pub(crate) async fn locks(ctx: OrchestrationContext, key: String) -> Result<(), Failure> {
    let counter = ctx.entity::<Counter>(key.as_str());
    let lock = ctx.lock_entities(&counter).await?;
    ctx.set_custom_status("locked");
    ctx.wait_for_external_event::<Value>("go").await?;
    drop(lock);
    Ok(())
}

/// The counter with the operations that `misdirects` expects.
pub(crate) mod believed {
    use super::*;

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    pub(crate) struct Counter;

    #[operations]
    impl Counter {
        pub fn multiply(&mut self, n: i64) {
            let _ = n;
        }
    }
}

/// Signals an operation that the counter does not have.
#[orchestration]
pub(crate) async fn misdirects(ctx: OrchestrationContext, n: i64) {
    ctx.entity::<believed::Counter>("lost").multiply(n).signal();
}

/// Panics if `by` is 0.
#[orchestration]
pub(crate) async fn breaks(ctx: OrchestrationContext, by: u32) -> u32 {
    ctx.create_timer(Duration::from_millis(1)).await;
    1 / by
}

/// A hub and the router of its API.
pub(crate) struct Api {
    pub(crate) hub: Hub,
    pub(crate) router: Router,
}

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) async fn of(response: axum::response::Response) -> Self {
        let (head, mut body) = response.into_parts();
        let headers = head.headers.iter();
        let is_stream = head
            .headers
            .get("content-type")
            .is_some_and(|kind| kind == "text/event-stream");
        let body = match is_stream {
            // A stream has no end.
            true => body.frame().await.unwrap().unwrap().into_data().unwrap(),
            false => body.collect().await.unwrap().to_bytes(),
        };
        Self {
            status: head.status,
            headers: headers
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect(),
            body,
        }
    }

    /// Returns the body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Returns the value of a header, or an empty string if it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Asserts that the response is an error with this status and code, in the common error format.
    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, code: &str) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        let body = self.json();
        assert_eq!(body["error"]["code"], code, "{self:?}");
        assert!(!body["error"]["message"].as_str().unwrap().is_empty(), "{self:?}");
        assert_eq!(body["ExceptionMessage"].is_string(), status == 400, "{self:?}");
        self
    }

    /// Asserts the status of the response.
    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl Api {
    pub(crate) async fn open() -> Self {
        Self::with(HttpConfig::new().without_token()).await
    }

    pub(crate) async fn with(config: HttpConfig) -> Self {
        Self::build(Hub::in_memory(), config).await
    }

    /// Opens a hub from `builder` with all types registered.
    pub(crate) async fn build(builder: HubBuilder, config: HttpConfig) -> Self {
        let hub = builder
            .entity::<Counter>()
            .activity::<greet>()
            .orchestration::<greets>()
            .orchestration::<waits>()
            .orchestration::<echoes>()
            .orchestration::<adds>()
            .orchestration::<newer::adds>()
            .orchestration::<does_all>()
            .orchestration::<locks>()
            .orchestration::<breaks>()
            .orchestration::<misdirects>()
            .entity::<Single>()
            .hold("@counter@held")
            .hold("@single@")
            .strict_replay(false)
            .open()
            .await
            .unwrap();
        let router = router(hub.client(), &config).unwrap();
        Self { hub, router }
    }

    /// Sends a request to `path`, relative to the base path.
    pub(crate) async fn send(
        &self,
        verb: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        send(&self.router, verb, &format!("{BASE}{path}"), headers, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(
            Method::POST,
            path,
            &[("content-type", "application/json")],
            body.to_owned(),
        )
        .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], "").await
    }

    /// Polls until the orchestration has this status, like a client of Azure.
    pub(crate) async fn until(&self, id: &str, status: &str) -> Value {
        loop {
            let shown = self.get(&format!("/instances/{id}")).await;
            if shown.status.is_success() && shown.json()["runtimeStatus"] == status {
                return shown.json();
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Starts an orchestration and waits until it ends.
    pub(crate) async fn run(&self, name: &str, id: &str, input: &str) -> Answer {
        self.post(&format!("/orchestrators/{name}/{id}?timeout=30"), input)
            .await
    }

    /// Waits until the orchestration has this custom status.
    pub(crate) async fn until_custom_status(&self, id: &str, text: &str) {
        while self.get(&format!("/instances/{id}")).await.json()["customStatus"] != text {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

pub(crate) async fn send(
    router: &Router,
    verb: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    let mut request = Request::builder().method(verb).uri(path).header("host", HOST);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body.into()).unwrap();
    Answer::of(router.clone().oneshot(request).await.unwrap()).await
}

/// Replaces the values that differ between runs: times and execution IDs.
pub(crate) fn redacted(mut value: Value) -> Value {
    fn hide(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    let name = name.to_lowercase();
                    let is_time = name.ends_with("time")
                        || ["timestamp", "fireat", "since", "deadletteredat"].contains(&name.as_str());
                    if is_time && let Some(text) = field.as_str() {
                        assert!(text.ends_with('Z') && text.contains('T'), "{name}: {text}");
                        *field = "[time]".into();
                    } else if name == "executionid" {
                        *field = "[execution]".into();
                    } else {
                        hide(field);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(hide),
            _ => {}
        }
    }
    hide(&mut value);
    value
}
