//! Durable workflow systems over one PostgreSQL server: the same callers run orchestrations of five steps that do
//! nothing, on a hub of Abide, on DBOS for Python and on duroxide.
//!
//! `make workflows` runs it. It shares the chain, the closed loop and the names of its figures with the large bench.

#[path = "../../../throughput/chains.rs"]
mod chains;
mod dbos;
mod duroxide;
#[path = "../../../throughput/load.rs"]
#[expect(dead_code, reason = "the large bench also counts all requests")]
mod load;
#[path = "../../../throughput/report.rs"]
#[expect(dead_code, reason = "the large bench also writes JSON")]
mod report;
#[path = "../../../../tests/cluster/server.rs"]
mod server;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use abide::prelude::*;
use comfy_table::Table;
use dbos::Dbos;
use load::Load;
use report::{Report, align_right, plain_table};
use serde::{Deserialize, Serialize};
use server::Server;

/// The allocator of the large bench.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Numbers of concurrent callers.
const CALLERS: [usize; 3] = [1, 64, 256];

/// The systems in the order of their measurement.
const SYSTEMS: [System; 5] = [
    System::Abide,
    System::Dbos("defaults", dbos::DEFAULTS),
    System::Dbos("tuned", dbos::TUNED),
    System::Duroxide("defaults", duroxide::DEFAULTS),
    System::Duroxide("tuned", duroxide::TUNED),
];

/// A system with its settings.
enum System {
    Abide,
    Dbos(&'static str, dbos::Settings),
    Duroxide(&'static str, duroxide::Settings),
}

/// What a closed loop of one system has measured. A peer in a process of its own prints it as JSON.
#[derive(Serialize, Deserialize)]
struct Figures {
    per_s: f64,
    p50_us: f64,
}

impl Figures {
    /// Runs the process of a peer, which prints the figures.
    fn of(peer: &mut Command) -> Self {
        let output = peer.stderr(Stdio::inherit()).output().expect("the peer starts");
        assert!(output.status.success(), "the peer failed: {}", output.status);
        serde_json::from_slice(&output.stdout).expect("the peer prints its figures")
    }

    fn print(&self) {
        println!("{}", serde_json::to_string(self).expect("figures are numbers"));
    }
}

impl From<Load> for Figures {
    fn from(load: Load) -> Self {
        Self {
            per_s: load.per_s(),
            p50_us: load.quantile_us(0.5),
        }
    }
}

/// The duration of one measurement.
struct Pace {
    warm_up: Duration,
    measured: Duration,
}

impl Pace {
    /// More callers take longer, because each of them has to complete several chains. With 256 callers, one chain of a
    /// peer can take seconds.
    fn of(callers: usize) -> Self {
        let warm_up = Duration::from_secs(2 + callers as u64 / 64);
        Self {
            warm_up,
            measured: 3 * warm_up,
        }
    }
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let rounds = match words.as_slice() {
        [] => 3,
        ["--quick"] => 1,
        [duroxide::CHILD, order @ ..] => {
            runtime.block_on(duroxide::child(order));
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("usage: workflows [--quick]");
            return ExitCode::from(2);
        }
    };
    let Some(server) = Server::start_with(&["shared_buffers=256MB", "max_wal_size=4GB"]) else {
        return ExitCode::FAILURE;
    };
    runtime.block_on(measure(rounds, &server));
    ExitCode::SUCCESS
}

/// Alternates between the systems, because the load on a disk and on a machine changes within a minute.
async fn measure(rounds: usize, server: &Server) {
    // Each system waits for the same: a commit that is on the disk.
    let durable = "SELECT version(), current_setting('fsync'), current_setting('synchronous_commit')";
    let durable = server.run(durable);
    println!("{durable}");
    assert!(durable.ends_with("|on|on"), "the server does not wait for its disk");
    let dbos = Dbos::install();
    let mut report = Report::default();
    for round in 0..rounds {
        for callers in CALLERS {
            for system in &SYSTEMS {
                // Each measurement has tables of its own, which are empty.
                let database = format!("round_{round}");
                server.run(&format!("CREATE DATABASE {database}"));
                let url = server.url().replace("/postgres", &format!("/{database}"));
                if let Some(figures) = system.measure(&url, dbos.as_ref(), callers).await {
                    report.add(system.per_s(callers), figures.per_s, "1/s", callers);
                    report.add(system.p50_us(callers), figures.p50_us, "us", callers);
                }
                server.run(&format!("DROP DATABASE {database} WITH (FORCE)"));
            }
        }
    }
    println!("{}", report.table());
    println!("\n{}", ratios(&report));
}

impl System {
    /// Measures the system over an empty database. Returns nothing if it is not installed.
    async fn measure(&self, url: &str, dbos: Option<&Dbos>, callers: usize) -> Option<Figures> {
        let pace = Pace::of(callers);
        match self {
            Self::Abide => Some(measure_abide(url, callers, &pace).await),
            Self::Dbos(_, settings) => Some(dbos?.measure(url, settings, callers, &pace)),
            Self::Duroxide(_, settings) => Some(duroxide::measure(url, settings, callers, &pace)),
        }
    }

    /// The first part of the names of the figures.
    fn name(&self) -> String {
        match self {
            Self::Abide => "postgres.orchestration".to_owned(),
            Self::Dbos(settings, _) => format!("peer.dbos.{settings}"),
            Self::Duroxide(settings, _) => format!("peer.duroxide.{settings}"),
        }
    }

    fn per_s(&self, callers: usize) -> String {
        format!("{}.chain5.callers{callers}.per_s", self.name())
    }

    fn p50_us(&self, callers: usize) -> String {
        format!("{}.chain5.callers{callers}.p50_us", self.name())
    }
}

/// Measures a hub of this process.
async fn measure_abide(url: &str, callers: usize, pace: &Pace) -> Figures {
    // Next to the executable rather than in /tmp, which may be in memory.
    let program = std::env::current_exe().expect("the program has a path");
    let directory = tempfile::Builder::new()
        .prefix("workflows-")
        .tempdir_in(program.parent().unwrap_or(Path::new(".")))
        .expect("the directory of the copy can be created");
    let hub = Hub::cluster(url, "chains")
        .directory(directory.path())
        .activity::<chains::nothing>()
        .orchestration::<chains::chain>()
        .open()
        .await
        .expect("the hub opens");
    chains::chains(hub, callers, pace.warm_up, pace.measured).await.into()
}

/// Returns how many times faster Abide is, by the number of chains per second and by the median latency.
fn ratios(report: &Report) -> Table {
    let mut table = plain_table(["peer", "callers", "rate", "median latency"]);
    let value = |name: String| report.value(&name).unwrap_or(f64::NAN);
    let [abide, peers @ ..] = &SYSTEMS;
    for peer in peers {
        for callers in CALLERS {
            let rate = value(abide.per_s(callers)) / value(peer.per_s(callers));
            let latency = value(peer.p50_us(callers)) / value(abide.p50_us(callers));
            // A peer that is not installed has no figures.
            if rate.is_finite() {
                let ratios = [rate, latency].map(|ratio| format!("{ratio:.1}"));
                table.add_row([vec![peer.name(), callers.to_string()], ratios.into()].concat());
            }
        }
    }
    align_right(&mut table, [1, 2, 3]);
    table
}
