//! A hub keeps its memory budget, however much data of any kind it contains. Each scenario runs in its own process and
//! reports its peak, which may be the budget plus 64 MiB for everything that does not grow with the data.
//!
//! The scenarios write gigabytes, so they run only on request: `cargo test --test memory -- --ignored`.
#![cfg(all(target_os = "linux", feature = "rocksdb"))]

use std::path::Path;
use std::time::Duration;

use abide::prelude::*;
use abide::{OrchestrationContext, orchestration};

mod worker;

use worker::{Worker, report, role};

const BUDGET: usize = 64 << 20;
const ALLOWED: usize = BUDGET + (64 << 20);
const LARGE: usize = 1_000_000;

#[orchestration]
async fn returns(_ctx: OrchestrationContext, bytes: usize) -> String {
    "x".repeat(bytes)
}

#[orchestration]
async fn waits(ctx: OrchestrationContext) -> Result<usize, Failure> {
    loop {
        ctx.wait_for_external_event::<String>("go").await?;
    }
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Sink {
    bytes: usize,
    texts: Vec<String>,
}

#[operations]
impl Sink {
    pub fn take(&mut self, text: &str) -> usize {
        self.bytes += text.len();
        self.bytes
    }

    /// Stores `texts` empty strings, whose JSON is much smaller than their memory.
    pub fn keep(&mut self, texts: usize) {
        self.texts = vec![String::new(); texts];
    }

    pub async fn block(&mut self) {
        std::future::pending::<()>().await;
    }
}

async fn open(directory: &Path) -> Hub {
    Hub::builder(directory)
        .memory_budget(BUDGET)
        .entity::<Sink>()
        .orchestration::<returns>()
        .orchestration::<waits>()
        .open()
        .await
        .unwrap()
}

/// Returns the peak resident set size of this process, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let kilobytes = line.split_whitespace().nth(1).unwrap();
    kilobytes.parse::<usize>().unwrap() << 10
}

async fn scenario(name: &str, directory: &Path) {
    let hub = open(directory).await;
    let client = hub.client();
    let large = "x".repeat(LARGE);
    match name {
        "ended" => {
            for _ in 0..1_200 {
                let run = client.start::<returns>(LARGE).await.unwrap();
                run.result().await.unwrap();
            }
        }
        "tags" => {
            // Each tag is nearly as large as permitted.
            for n in 0..10_000 {
                let start = client.start::<waits>(()).instance_id(n.to_string());
                start.tag("large", "x".repeat(16_000)).await.unwrap();
            }
        }
        "listed" => {
            let mut after: Option<String> = None;
            loop {
                let mut query = client.orchestrations().page_size(10_000);
                if let Some(after) = after.take() {
                    query = query.cursor(after);
                }
                after = query.page().await.unwrap().next;
                if after.is_none() {
                    break;
                }
            }
        }
        "texts" => {
            for n in 0..300 {
                client.entity::<Sink>(n.to_string()).keep(100_000).await.unwrap();
            }
        }
        "early" => {
            let largest = "x".repeat(2 * LARGE);
            for n in 0..600 {
                let event = client
                    .orchestration::<waits>(format!("none-{n}"))
                    .raise_event("go", &largest);
                event.before_start(Duration::from_secs(600)).await.unwrap();
            }
        }
        "timers" => {
            for n in 0..500 {
                let sink = client.entity::<Sink>((n % 10).to_string());
                sink.take(&large).signal_after(Duration::from_millis(1)).await.unwrap();
            }
        }
        "waiting" => {
            for n in 0..400 {
                let sink = client.entity::<Sink>(n.to_string());
                sink.block().signal().await.unwrap();
                for _ in 0..60 {
                    sink.take(&large[..50_000]).signal().await.unwrap();
                }
            }
        }
        "opened" => {
            client.entity::<Sink>("after").take("x").await.unwrap();
        }
        _ => panic!("unknown scenario {name}"),
    }
    report(peak());
    // The operations of `waiting` never end, so its hub is not shut down and the next open reads its log.
    if name != "waiting" {
        hub.shutdown().await.unwrap();
    }
}

/// Runs a scenario if this process is a worker.
#[test]
fn worker() {
    if let Some((name, directory)) = role() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let runtime = runtime.unwrap();
        runtime.block_on(scenario(&name, &directory));
        // Operations that never end are abandoned.
        runtime.shutdown_background();
    }
}

/// Runs scenarios in sequence in one directory, each in its own process.
fn keeps_its_budget(scenarios: &[&str]) {
    let place = tempfile::tempdir().unwrap();
    for name in scenarios {
        let mut worker = Worker::start(name, place.path());
        let peak: usize = worker
            .next_report()
            .expect("the scenario reports its peak")
            .parse()
            .unwrap();
        eprintln!("{name}: {} MiB", peak >> 20);
        worker.wait();
        assert!(peak <= ALLOWED, "{name}: {} MiB", peak >> 20);
    }
}

#[test]
#[ignore = "writes gigabytes"]
fn ended_orchestrations_with_large_outputs_are_not_kept() {
    keeps_its_budget(&["ended", "opened"]);
}

#[test]
#[ignore = "writes gigabytes"]
fn live_orchestrations_with_large_tags_are_not_kept() {
    keeps_its_budget(&["tags", "opened"]);
}

#[test]
#[ignore = "writes gigabytes"]
fn a_list_of_large_orchestrations_comes_in_pages() {
    keeps_its_budget(&["tags", "listed"]);
}

#[test]
#[ignore = "writes gigabytes"]
fn states_larger_than_their_json_are_not_kept() {
    keeps_its_budget(&["texts"]);
}

#[test]
#[ignore = "writes gigabytes"]
fn early_events_are_not_kept() {
    keeps_its_budget(&["early", "opened"]);
}

#[test]
#[ignore = "writes gigabytes"]
fn due_timers_are_not_kept() {
    keeps_its_budget(&["timers", "opened"]);
}

#[test]
#[ignore = "writes gigabytes"]
fn waiting_messages_are_not_kept() {
    keeps_its_budget(&["waiting", "opened"]);
}
