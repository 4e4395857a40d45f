//! The cost of durability: the same callers use 1,000 counters of Abide on a disk and 1,000 actors of kameo in memory.
//! Both are measured in one run and with one allocator.
//!
//! `make peers` runs it. It shares the names of its figures and its closed loop with the large bench.

#[path = "../../throughput/load.rs"]
#[expect(dead_code, reason = "the large bench also reads latencies")]
mod load;
#[path = "../../throughput/random.rs"]
mod random;
#[path = "../../throughput/report.rs"]
#[expect(dead_code, reason = "the large bench also writes JSON")]
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use abide::prelude::*;
use kameo::actor::{ActorRef, Spawn};
use kameo::message::{Context, Message};
use load::{Load, closed_loop};
use random::Random;
use report::{Report, align_right, plain_table};

/// The allocator of the large bench. The threads of a hub often free memory that another thread allocated.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Number of counters and of actors.
const COUNTERS: u64 = 1_000;

/// Numbers of concurrent callers.
const CALLERS: [usize; 2] = [256, 1_024];

/// The smallest entity with a state, the same as in the large bench.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Counter {
    total: i64,
}

#[operations]
impl Counter {
    pub fn add(&mut self, n: i64) -> i64 {
        self.total += n;
        self.total
    }
}

/// The in-memory counterpart of [`Counter`].
#[derive(kameo::Actor, Default)]
struct MemoryCounter {
    total: i64,
}

struct Add(i64);

impl Message<Add> for MemoryCounter {
    type Reply = i64;

    async fn handle(&mut self, Add(n): Add, _: &mut Context<Self, Self::Reply>) -> i64 {
        self.total += n;
        self.total
    }
}

/// The duration of one measurement and the number of rounds.
struct Pace {
    rounds: usize,
    warm_up: Duration,
    measured: Duration,
}

fn main() -> ExitCode {
    // Next to the executable rather than in /tmp, which may be in memory.
    let program = std::env::current_exe().expect("the program has a path");
    let mut directory = program.parent().unwrap_or(Path::new(".")).to_owned();
    let mut quick = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let path = (argument == "--dir").then(|| arguments.next()).flatten();
        match (argument.as_str(), path) {
            ("--quick", _) => quick = true,
            ("--dir", Some(path)) => directory = PathBuf::from(path),
            _ => {
                eprintln!("usage: abide-peers [--quick] [--dir DIRECTORY]");
                return ExitCode::from(2);
            }
        }
    }
    eprintln!("stores in {}", directory.display());
    let pace = Pace {
        rounds: if quick { 1 } else { 3 },
        warm_up: Duration::from_millis(if quick { 200 } else { 1_000 }),
        measured: Duration::from_millis(if quick { 800 } else { 3_000 }),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(measure(&pace, &directory));
    ExitCode::SUCCESS
}

/// Alternates between the measurements, because the load on a disk and on a machine changes within a minute.
async fn measure(pace: &Pace, directory: &Path) {
    let directory = tempfile::Builder::new()
        .prefix("peers-")
        .tempdir_in(directory)
        .expect("the directory for the stores can be created");
    let mut report = Report::default();
    for round in 0..pace.rounds {
        for callers in CALLERS {
            let load = ask_actors(pace, callers).await;
            report.add(peer(callers), load.per_s(), "1/s", callers);
            let load = call_entities(pace, callers, &directory.path().join(format!("{callers}-{round}"))).await;
            report.add(own(callers), load.per_s(), "1/s", callers);
        }
    }
    println!("{}", report.table());

    let mut table = plain_table(["callers", "durable / in memory"]);
    for callers in CALLERS {
        let value = |name: String| report.value(&name).unwrap_or(f64::NAN);
        let ratio = value(own(callers)) / value(peer(callers));
        table.add_row([callers.to_string(), format!("{ratio:.3}")]);
    }
    align_right(&mut table, [0, 1]);
    println!("\n{table}");
}

fn own(callers: usize) -> String {
    format!("entity.call.callers{callers}.per_s")
}

fn peer(callers: usize) -> String {
    format!("peer.kameo.ask.callers{callers}.per_s")
}

/// Runs `callers` tasks that each call a random entity and wait for the durable result.
async fn call_entities(pace: &Pace, callers: usize, directory: &Path) -> Load {
    let hub = Hub::builder(directory)
        .entity::<Counter>()
        .open()
        .await
        .expect("the hub opens");
    let client = hub.client();
    let load = closed_loop(callers, pace.warm_up, pace.measured, |caller| {
        let client = client.clone();
        let mut random = Random::new(caller as u64);
        move || {
            let add = client.entity::<Counter>(random.below(COUNTERS)).add(1);
            async move {
                std::hint::black_box(add.await.expect("the call succeeds"));
            }
        }
    })
    .await;
    hub.shutdown().await.expect("the hub closes");
    load
}

/// Runs `callers` tasks that each ask a random actor and wait for the reply.
async fn ask_actors(pace: &Pace, callers: usize) -> Load {
    let actors: Vec<ActorRef<MemoryCounter>> = (0..COUNTERS)
        .map(|_| MemoryCounter::spawn(MemoryCounter::default()))
        .collect();
    let load = closed_loop(callers, pace.warm_up, pace.measured, |caller| {
        let actors = actors.clone();
        let mut random = Random::new(caller as u64);
        move || {
            let actor = actors[random.below(COUNTERS) as usize].clone();
            async move {
                let total = actor.ask(Add(1)).await.expect("the actor replies");
                std::hint::black_box(total);
            }
        }
    })
    .await;
    for actor in actors {
        actor.kill();
        actor.wait_for_shutdown().await;
    }
    load
}
