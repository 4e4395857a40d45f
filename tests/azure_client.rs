//! The unmodified Python client of Azure Durable Functions drives a hub. Its steps and expectations are in
//! `azure_client/drive.py`.
//!
//! Its packages come from PyPI. If PyPI cannot be reached or Python is missing, the test prints a notice and succeeds.
//! With `ABIDE_AZURE_CLIENT=require` in the environment it fails instead.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use abide::http::HttpConfig;
use abide::prelude::*;
use tokio::process::Command;

/// The exit code of `azure_client/run` where the packages cannot be installed.
const NOT_INSTALLED: i32 = 77;

/// Longer than the limits of all steps and of creating the environment together.
const PATIENCE: Duration = Duration::from_secs(900);

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Counter {
    total: i64,
    label: Option<String>,
}

#[operations]
impl Counter {
    pub fn add(&mut self, n: i64) {
        self.total += n;
    }

    pub fn name_it(&mut self, label: String) {
        self.label = Some(label);
    }

    pub fn reset(&mut self) {
        self.total = 0;
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    customer: String,
    pieces: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Decision {
    by: String,
    approved: bool,
}

#[activity]
async fn label(order: Order) -> String {
    format!("{} pieces for {}", order.pieces, order.customer)
}

#[orchestration]
async fn pack(ctx: OrchestrationContext, order: Order) -> Result<String, Failure> {
    Ok(ctx.call_activity::<label>(order).await?)
}

#[orchestration]
async fn ping(_ctx: OrchestrationContext) -> Result<String, Failure> {
    Ok("pong".to_owned())
}

#[orchestration]
async fn approval(ctx: OrchestrationContext) -> Result<String, Failure> {
    let decision = ctx.wait_for_external_event::<Decision>("decision").await?;
    let word = if decision.approved { "approved" } else { "refused" };
    Ok(format!("{word} by {}", decision.by))
}

static PROVIDER_IS_BACK: AtomicBool = AtomicBool::new(false);

#[activity]
async fn ask_provider() -> Result<(), Failure> {
    match PROVIDER_IS_BACK.swap(true, Ordering::Relaxed) {
        true => Ok(()),
        false => Err(Failure::message("the provider is unavailable")),
    }
}

#[orchestration]
async fn fails_once(ctx: OrchestrationContext) -> Result<String, Failure> {
    ctx.call_activity::<ask_provider>(()).await?;
    Ok("done".to_owned())
}

/// The client can start, poll, raise events, suspend, resume, terminate, rewind, restart, purge and list. It can also
/// signal and read entities.
#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_azure_drives_a_hub() {
    let directory = tempfile::tempdir().unwrap();
    let hub = Hub::builder(directory.path())
        .entity::<Counter>()
        .activity::<label>()
        .activity::<ask_provider>()
        .orchestration::<pack>()
        .orchestration::<ping>()
        .orchestration::<approval>()
        .orchestration::<fails_once>()
        .open()
        .await
        .unwrap();
    let config = HttpConfig::new().bind(SocketAddr::from(([127, 0, 0, 1], 0)));
    let server = hub.serve_http(config).await.unwrap();

    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/azure_client/run");
    let script = Command::new(run)
        .arg(server.url())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, script)
        .await
        .expect("the script ends in time");
    let output = output.expect("the script starts");
    server.shutdown().await.unwrap();
    hub.shutdown().await.unwrap();

    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(NOT_INSTALLED) && std::env::var("ABIDE_AZURE_CLIENT").as_deref() != Ok("require") {
        // Written to stderr directly, because the captured output of a passing test is not shown.
        let notice = format!("\nNOT TESTED: the client of Azure could not be installed\n{stderr}\n");
        std::io::stderr().write_all(notice.as_bytes()).unwrap();
        return;
    }
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    print!("{stdout}");
}
