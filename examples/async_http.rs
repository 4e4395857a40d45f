//! The async HTTP API pattern: your own handler starts a long job and immediately returns the URL of its status.
//!
//! ```text
//! cargo run --example async_http --features http              listens on a free port
//! cargo run --example async_http --features http -- 8080      listens on this port
//! ```
//!
//! The response is 202 with a `Location`. A request to that URL returns 202 while the job runs, and 200 with the output
//! when it has ended. Many HTTP clients and gateways know this protocol. Nothing is lost if the program is killed in
//! the meantime, because neither the job nor its status exists only in memory.
//!
//! The handler is an ordinary axum handler. The router of the hub is merged into the same application, behind the same
//! listener and any layers that you add.

use std::net::SocketAddr;
use std::time::Duration;

use abide::http::{HttpConfig, ManagementUrls};
use abide::prelude::*;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    customer: String,
    pieces: u32,
}

/// Packs the order, which takes some time.
#[activity]
async fn pack(pieces: u32) -> u32 {
    tokio::time::sleep(Duration::from_millis(100)).await;
    pieces.div_ceil(4)
}

#[orchestration]
async fn process_order(ctx: OrchestrationContext, order: Order) -> Result<String, Failure> {
    let boxes = ctx.call_activity::<pack>(order.pieces).await?;
    Ok(format!("{boxes} boxes for {}", order.customer))
}

/// The shared state of the handlers.
#[derive(Clone)]
struct Shop {
    client: Client,
    http: HttpConfig,
}

/// Handles `POST /orders`. The order is on disk before the response is sent.
async fn place_order(
    State(shop): State<Shop>,
    headers: HeaderMap,
    Json(order): Json<Order>,
) -> Result<Response, (StatusCode, String)> {
    // A client that repeats its request because it did not receive the response does not order twice.
    let mut start = shop.client.start::<process_order>(order);
    if let Some(key) = headers.get("idempotency-key").and_then(|key| key.to_str().ok()) {
        start = start.request_id(key);
    }
    match start.await {
        Ok(run) => Ok(ManagementUrls::of(&shop.http, &headers).check_status(run.id())),
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = match std::env::args().nth(1) {
        Some(port) => port.parse()?,
        None => 0,
    };
    let directory = tempfile::tempdir()?;
    let hub = Hub::builder(directory.path())
        .activity::<pack>()
        .orchestration::<process_order>()
        .open()
        .await?;

    let shop = Shop {
        client: hub.client(),
        // Only this machine can reach the listener below. Set a token here if others can reach it.
        http: HttpConfig::new().without_token(),
    };
    let application = Router::new()
        .route("/orders", post(place_order))
        .with_state(shop.clone())
        .merge(hub.http_router(&shop.http)?);
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    let address = listener.local_addr()?;
    println!(r#"curl -i http://{address}/orders --json '{{"customer": "Alice", "pieces": 10}}'"#);

    axum::serve(listener, application)
        .with_graceful_shutdown(async {
            // An error means that this system has no such signal. The program then serves forever.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending().await
            }
        })
        .await?;
    hub.shutdown().await?;
    println!("closed");
    Ok(())
}
