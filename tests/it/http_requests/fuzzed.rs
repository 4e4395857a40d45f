//! The hub whose router receives arbitrary bytes from the fuzz target and from a test.

use std::time::Duration;

use abide::http::HttpConfig;
use abide::prelude::*;
use abide::{OrchestrationContext, orchestration};
use axum::Router;
use serde_json::Value;

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Counter {
    value: i64,
    note: String,
}

#[operations]
impl Counter {
    pub fn add(&mut self, n: i64) -> i64 {
        self.value = self.value.wrapping_add(n);
        self.value
    }

    pub fn set(&mut self, value: i64, note: &str) {
        (self.value, self.note) = (value, note.to_owned());
    }

    pub fn get(&self) -> i64 {
        self.value
    }
}

#[orchestration]
pub(crate) async fn echoes(_ctx: OrchestrationContext, input: Value) -> Value {
    input
}

#[orchestration]
pub(crate) async fn counts(_ctx: OrchestrationContext, n: u32) -> u32 {
    n
}

/// Waits for the event `go`.
#[orchestration]
pub(crate) async fn waits(ctx: OrchestrationContext, _input: Value) -> Result<Value, Failure> {
    Ok(ctx.wait_for_external_event::<Value>("go").await?)
}

/// Opens an in-memory hub with an entity and an orchestration called `one`, and its router with a short wait limit.
pub(crate) async fn open() -> (Hub, Router) {
    let hub = Hub::in_memory()
        .entity::<Counter>()
        .orchestration::<echoes>()
        .orchestration::<counts>()
        .orchestration::<waits>()
        .open()
        .await
        .unwrap();
    hub.client().entity::<Counter>("one").add(1).await.unwrap();
    hub.client()
        .start::<waits>(Value::Null)
        .instance_id("one")
        .await
        .unwrap();
    let config = HttpConfig::new()
        .without_token()
        .wait_limit(Duration::from_millis(2))
        .body_limit(1 << 16);
    let router = hub.http_router(&config).unwrap();
    (hub, router)
}
