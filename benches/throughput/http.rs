//! The management API over a real socket: a process that serves a hub, and another one that asks.

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

/// How many starts the child has in flight while it fills its hub.
const IN_FLIGHT: u64 = 1_024;

/// The instances that run while the others have ended.
const RUNNING: u64 = 1_000;

/// Ends as soon as it begins, so that a start of it costs what a start costs.
#[orchestration]
pub(crate) async fn at_once(_ctx: OrchestrationContext, n: u64) -> Result<u64, Failure> {
    Ok(n)
}

/// A served hub and its load, a process each.
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
        serde_json::from_str(&report).expect("the load reports numbers")
    }

    /// Starts `instances` that end at once, and some that go on.
    pub(crate) fn fill(&mut self, instances: u64) {
        self.server.order(&instances.to_string());
        self.server.wait_for("filled");
    }

    /// Opens connections and leaves them idle, as many as the limits on open files allow.
    pub(crate) fn hold_idle(&mut self, connections: usize) -> usize {
        let report = self.tell_load(&Order::Idle { connections });
        report.parse().expect("the load reports a number")
    }

    /// How many idle connections the server has kept.
    pub(crate) fn idle(&mut self) -> usize {
        let report = self.tell_load(&Order::CountIdle);
        report.parse().expect("the load reports a number")
    }

    /// The server's memory.
    pub(crate) fn resident_mib(&self) -> f64 {
        self.server.resident_mib()
    }

    pub(crate) fn close(self) {
        self.load.close();
        self.server.close();
    }

    fn tell_load(&mut self, order: &Order) -> String {
        self.load
            .order(&serde_json::to_string(order).expect("an order is JSON"));
        self.load.next_report()
    }
}

/// What the child does: serves the hub in `directory`, and fills it when its parent orders so.
pub(crate) async fn child(directory: &Path) -> ExitCode {
    let hub = hubs::open(directory).await;
    let config = HttpConfig::new().bind(SocketAddr::from(([127, 0, 0, 1], 0)));
    let server = hub.serve_http(config).await.expect("the hub is served");
    println!("{}", server.url());
    // The orders come on a thread that may wait for them, since the others serve.
    let (sender, mut orders) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        for order in std::io::stdin().lines() {
            let Ok(instances) = order.expect("the parent lives").parse::<u64>() else {
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

/// Starts `instances` that end at once, and waits until all of them have ended.
async fn start_all(client: &Client, instances: u64) {
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..IN_FLIGHT {
        let client = client.clone();
        tasks.spawn(async move {
            for number in (caller..instances).step_by(IN_FLIGHT as usize) {
                let start = client.start::<at_once>(number).instance_id(format!("ended-{number}"));
                let run = start.await.expect("the start is acknowledged");
                run.result().await.expect("it ends well");
            }
        });
    }
    tasks.join_all().await;
}
