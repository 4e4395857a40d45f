//! The management API over a real socket: one process serves a hub and another sends requests.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use abide::http::HttpConfig;
use abide::prelude::*;

use crate::child::Child;
use crate::http_load::{self, Answers, Order, Request};
use crate::hubs;
use crate::sleepers;

/// The first argument of a child process; the second is the hub's directory.
pub(crate) const CHILD: &str = "child-that-serves";

/// Number of starts in flight while the child fills its hub.
const IN_FLIGHT: u64 = 1_024;

/// Number of instances that are still running when the others have completed.
const RUNNING: u64 = 1_000;

/// An orchestration that completes immediately, so that only the start itself is measured.
#[orchestration]
pub(crate) async fn at_once(_ctx: OrchestrationContext, n: u64) -> Result<u64, Failure> {
    Ok(n)
}

/// A served hub and its load generator, each in its own process.
pub(crate) struct Served {
    server: Child,
    load: Child,
}

impl Served {
    pub(crate) fn start(directory: &Path) -> Self {
        let mut server = Child::start_with_many_files(CHILD, directory);
        let url = server.next_report();
        let load = Child::start_with_many_files(http_load::CHILD, &url);
        Self { server, load }
    }

    pub(crate) fn load(
        &mut self,
        request: Request,
        connections: usize,
        warm_up: Duration,
        measured: Duration,
    ) -> Answers {
        let report = self.tell_load(&Order::Load {
            request,
            connections,
            warm_up,
            measured,
        });
        serde_json::from_str(&report).expect("the load generator reports JSON")
    }

    /// Starts `instances` orchestrations that complete immediately and [`RUNNING`] that keep running.
    pub(crate) fn fill(&mut self, instances: u64) {
        self.server.order(&instances.to_string());
        self.server.wait_for("filled");
    }

    /// Opens idle connections, as many as the limit on open files allows, and returns their number.
    pub(crate) fn hold_idle(&mut self, connections: usize) -> usize {
        let report = self.tell_load(&Order::Idle { connections });
        report.parse().expect("the load generator reports a number")
    }

    /// Lets clients receive the changes of the hub.
    pub(crate) fn watch(&mut self, connections: usize) {
        self.tell_load(&Order::Watch { connections });
    }

    /// Returns the number of idle connections that the server has kept open.
    pub(crate) fn idle(&mut self) -> usize {
        let report = self.tell_load(&Order::CountIdle);
        report.parse().expect("the load generator reports a number")
    }

    /// The resident set size of the server, in MiB.
    pub(crate) fn resident_mib(&self) -> f64 {
        self.server.resident_mib()
    }

    pub(crate) fn close(self) {
        self.load.close();
        self.server.close();
    }

    fn tell_load(&mut self, order: &Order) -> String {
        self.load
            .order(&serde_json::to_string(order).expect("the order serializes"));
        self.load.next_report()
    }
}

/// The child process: serves the hub in `directory` and fills it on the parent's order.
pub(crate) async fn child(directory: &Path) -> ExitCode {
    let hub = hubs::open(directory).await;
    let config = HttpConfig::new().bind(SocketAddr::from(([127, 0, 0, 1], 0)));
    let server = hub.serve_http(config).await.expect("the hub is served");
    println!("{}", server.url());
    // A separate thread reads the orders, because reading blocks.
    let (sender, mut orders) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        for order in std::io::stdin().lines() {
            let Ok(instances) = order.expect("the orders can be read").parse::<u64>() else {
                break;
            };
            if sender.blocking_send(instances).is_err() {
                break;
            }
        }
    });
    while let Some(instances) = orders.recv().await {
        sleepers::start_all(&hub.client(), RUNNING).await;
        start_all(&hub.client(), instances).await;
        println!("filled");
    }
    server.shutdown().await.expect("the server closes");
    hub.shutdown().await.expect("the hub closes");
    ExitCode::SUCCESS
}

/// Starts `instances` orchestrations that complete immediately and waits for all of them.
async fn start_all(client: &Client, instances: u64) {
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..IN_FLIGHT {
        let client = client.clone();
        tasks.spawn(async move {
            for number in (caller..instances).step_by(IN_FLIGHT as usize) {
                let start = client.start::<at_once>(number).instance_id(format!("ended-{number}"));
                let run = start.await.expect("the start is acknowledged");
                run.result().await.expect("the orchestration completes");
            }
        });
    }
    tasks.join_all().await;
}
