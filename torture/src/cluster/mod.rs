//! Nodes that run one hub over a database, while nodes, connections, the network between them and the database fail.

mod nodes;
#[path = "../../../tests/cluster/proxy.rs"]
mod proxy;
#[path = "../../../tests/cluster/server.rs"]
mod server;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nodes::Nodes;
use proxy::Flow;
use rustix::process::Signal;
use server::Server;

use crate::campaign::{Course, Outcome, Share, run};
use crate::load::{Listening, Node, Plan, Visits, finish_now};

/// Number of faults of one hub.
const FAULTS: u64 = 10;

/// Number of nodes of a hub.
const NODES: usize = 3;

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The node that runs the hub is killed and starts again.
    Restart,
    /// It is killed, and remains so until another node runs the hub.
    Kill,
    /// It is killed, and its copy is lost or damaged.
    Damage,
    /// It is killed, and starts again on a disk that is full from some write on.
    FullDisk,
    /// It sleeps for longer than the others wait for it, and then goes on.
    Sleep,
    /// It sleeps for less time than that.
    Nap,
    /// It closes the hub and ends.
    Leave,
    /// Answers of the database to it are lost.
    LostAnswers,
    /// No message passes between it and the database, until another node has taken over.
    Partition,
    /// The database is killed and starts again.
    Database,
    /// The database and the node are killed.
    DatabaseAndNode,
    /// Only the network between the nodes fails.
    Network,
    /// Nothing fails until the nodes run about the same number of shards.
    Nothing,
}

/// Every fault of any hub.
const ALL: [Fault; 11] = [
    Fault::Restart,
    Fault::Kill,
    Fault::Damage,
    Fault::FullDisk,
    Fault::Sleep,
    Fault::Nap,
    Fault::Leave,
    Fault::LostAnswers,
    Fault::Partition,
    Fault::Database,
    Fault::DatabaseAndNode,
];

/// A failure of the network between the nodes, alone or beside another fault.
#[derive(Clone, Copy, Debug)]
struct Disturbance {
    flow: Flow,
    /// It concerns all nodes, and not only the connections to the one that runs the hub.
    everywhere: bool,
}

impl Disturbance {
    fn draw(random: &mut fastrand::Rng) -> Self {
        let delay = Duration::from_millis(random.u64(1..150));
        let flows = [Flow::Cut, Flow::Frozen, Flow::OneWay, Flow::Slow(delay)];
        Self {
            flow: flows[random.usize(..flows.len())],
            everywhere: random.bool(),
        }
    }

    fn name(self) -> &'static str {
        match self.flow {
            Flow::Open => "open networks",
            Flow::Cut => "cut networks",
            Flow::Frozen => "frozen networks",
            Flow::OneWay => "one-way networks",
            Flow::Slow(_) => "slow networks",
        }
    }
}

/// Lets something fail while nodes run a hub, and waits until the hub serves again. In the end, the hub has exactly the
/// effects of everything that was acknowledged, by whichever node, and no read has shown less than that.
pub(crate) fn cluster(share: &Share) -> Outcome {
    let pauses = Mutex::new(Vec::new());
    let outcome = run("cluster", "faults", share, |seed, course| round(seed, course, &pauses));
    let pauses = pauses.into_inner().unwrap_or_else(PoisonError::into_inner);
    for fault in ALL.into_iter().chain([Fault::Network, Fault::Nothing]) {
        let of_this = pauses.iter().filter(|(of, _)| *of == fault);
        let mut of_fault: Vec<Duration> = of_this.map(|(_, pause)| *pause).collect();
        of_fault.sort_unstable();
        if let Some(longest) = of_fault.last() {
            let at = |percent| of_fault[(of_fault.len() - 1) * percent / 100];
            println!(
                "  {fault:?}: {} times; serves again after {:.1?} (median), {:.1?} (95th percentile), {longest:.1?} (longest)",
                of_fault.len(),
                at(50),
                at(95)
            );
        }
    }
    outcome
}

fn round(seed: u64, course: &Course, pauses: &Mutex<Vec<(Fault, Duration)>>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let place = course.place();
    let mut server = Server::start().expect("scripts/postgres installs PostgreSQL");
    let plan = Plan {
        // At least one for each node.
        clients: random.u64(NODES as u64..9),
        requests: u64::MAX,
        executors: random.usize(1..3),
        log_bytes: 128 << random.u64(10..12),
        note_bytes: random.usize(..200),
        ticks: random.bool(),
        readers: 2,
        ..Plan::small(seed)
    };
    // In half of the hubs, every node has clients.
    let listen = random.bool();
    // In half of those, they divide the hub.
    let shards = if listen && random.bool() { random.u16(2..6) } else { 1 };
    let mut nodes = Nodes::start(NODES, listen, shards, &server, &plan, place.path());
    course.note("divided hubs", u64::from(nodes.is_divided()));
    let mut service = || -> Result<(), String> {
        nodes.wait_for_service(course.patience())?;
        for _ in 0..FAULTS {
            // What one fault draws does not change the next one.
            let mut random = random.fork();
            std::thread::sleep(Duration::from_micros(random.u64(..300_000)));
            let fault = match random.u8(..6) {
                0 | 1 if listen => Fault::Network,
                2 if shards > 1 => Fault::Nothing,
                _ => ALL[random.usize(..ALL.len())],
            };
            let is_disturbed = fault == Fault::Network || listen && fault != Fault::Nothing && random.u8(..4) == 0;
            nodes.aim(&mut random);
            let network = is_disturbed.then(|| Disturbance::draw(&mut random));
            nodes.look()?;
            nodes.note(format!("{fault:?}"));
            let endured = endure(fault, network, &mut nodes, &mut server, &mut random, course.patience());
            let pause = endured.map_err(|why| format!("{fault:?} ({network:?}): {why}"))?;
            if let Some(network) = network {
                course.note(network.name(), 1);
            }
            pauses
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((fault, pause));
            // Otherwise, each owner that dies makes the next one wait longer.
            server.run("UPDATE abide.shard SET crashes = 0");
            course.count(1);
            if course.is_over() {
                break;
            }
        }
        Ok(())
    };
    if let Err(why) = service() {
        return course.violated(seed, place, &format!("{why}\n  {}", nodes.history()));
    }
    drop(nodes);
    let last = Node {
        url: server.url(),
        directory: place.path().join("last"),
        listens: (shards > 1).then(Listening::alone),
        shards,
    };
    let plan = Plan {
        node: Some(last),
        ..plan
    };
    match finish_now(place.path(), &plan, course.patience()) {
        Ok(requests) => {
            course.note("requests", requests);
            let (visits, unconfirmed) = Visits::read(place.path()).counts();
            course.note("requests without an id", visits);
            course.note("unconfirmed requests", unconfirmed);
        }
        Err(broken) => course.violated(seed, place, &broken.to_string()),
    }
}

/// Lets something fail, and waits until the hub serves again and each node is well. Returns how long that takes to serve.
fn endure(
    fault: Fault,
    network: Option<Disturbance>,
    nodes: &mut Nodes,
    server: &mut Server,
    random: &mut fastrand::Rng,
    patience: Duration,
) -> Result<Duration, String> {
    if let Some(network) = network {
        nodes.set_links(network.flow, network.everywhere);
    }
    let mut since = fail(fault, nodes, server, random, patience)?;
    if nodes.is_divided() && network.is_some() {
        // No node has all shards, so the clients need the others.
        std::thread::sleep(Duration::from_millis(random.u64(..1_000)));
        nodes.heal_links();
        since = Instant::now();
    }
    nodes.wait_for_service(patience)?;
    if fault == Fault::Network {
        nodes.wait_for_every_node(patience)?;
    }
    let pause = since.elapsed();
    if nodes.has_away() {
        // The others go on, so that a node that wakes can be behind.
        std::thread::sleep(Duration::from_millis(random.u64(..1_000)));
        nodes.look()?;
    }
    if network.is_some() {
        nodes.heal_links();
    }
    nodes.wake(patience)?;
    nodes.wait_for_every_node(patience)?;
    Ok(pause)
}

/// Lets something fail. Returns the time since when the hub may not serve.
fn fail(
    fault: Fault,
    nodes: &mut Nodes,
    server: &mut Server,
    random: &mut fastrand::Rng,
    patience: Duration,
) -> Result<Instant, String> {
    // A node that writes learns from that whether it still runs the hub, so sometimes it only reads.
    if matches!(fault, Fault::Sleep | Fault::Partition) && random.bool() {
        nodes.rest_owner();
        std::thread::sleep(Duration::from_millis(random.u64(..300)));
    }
    let mut since = Instant::now();
    match fault {
        Fault::Restart => nodes.kill_owner()?,
        Fault::Kill => {
            nodes.stay_short();
            nodes.kill_owner()?;
        }
        Fault::Damage => {
            let copy = nodes.copy_of_owner();
            nodes.kill_owner()?;
            nodes::damage(&copy, random);
        }
        Fault::FullDisk => nodes.fill_disk_of_owner(random)?,
        Fault::Sleep => nodes.signal_owner(Signal::STOP),
        Fault::Nap => {
            nodes.signal_owner(Signal::STOP);
            std::thread::sleep(Duration::from_millis(random.u64(..1_500)));
            nodes.signal_owner(Signal::CONT);
        }
        Fault::Leave => {
            nodes.stay_short();
            nodes.close_owner();
        }
        Fault::LostAnswers => nodes.proxy_of_owner().lose_answers(random.u64(1..6)),
        Fault::Partition => nodes.isolate_owner(),
        Fault::Database | Fault::DatabaseAndNode => {
            server.kill();
            if matches!(fault, Fault::DatabaseAndNode) {
                nodes.kill_owner()?;
            }
            std::thread::sleep(Duration::from_millis(random.u64(..500)));
            server.resume();
            // The database counts from its return.
            since = Instant::now();
        }
        Fault::Network => {
            // A node takes a connection for broken after at most six seconds without an answer.
            std::thread::sleep(Duration::from_millis(match random.u8(..3) {
                0 => random.u64(..300),
                1 => random.u64(300..3_000),
                _ => random.u64(5_500..8_000),
            }));
            // The copies need the database alone.
            nodes.wait_for_reads(patience)?;
            nodes.heal_links();
            since = Instant::now();
        }
        Fault::Nothing => {
            nodes.wait_for_balance(server, patience)?;
            since = Instant::now();
        }
    }
    nodes.forget_service();
    Ok(since)
}
