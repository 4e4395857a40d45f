//! The nodes of a hub: which of them run, and which one runs the hub.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::proxy::{Flow, Proxy};
use super::server::Server;
use crate::bitrot::find;
use crate::calls::{Calls, Errno, Fault, Report};
use crate::load::{Listening, Node, Plan, answered_since, ledger_bytes, states_read};
use crate::worker::{Ended, Worker};

/// Parts of the errors of a node that another one has replaced, and of one that has found damage in its copy. The next
/// node has everything.
const REPLACED: [&str; 3] = ["another node runs this hub", "Corruption", "the copy is damaged"];

/// Number of answers after which a client of a hub of several shards has probably asked all of them.
const ANSWERS: usize = 4;

/// Time between two looks at the nodes.
const LOOK: Duration = Duration::from_millis(5);

/// The nodes of one hub. Dropping them kills them.
pub(super) struct Nodes {
    place: PathBuf,
    plan: Plan,
    nodes: Vec<Running>,
    /// The node that fails: the one that has opened the hub last, or any node if there are several shards.
    owner: usize,
    opened: Receiver<(usize, u64)>,
    tell: Sender<(usize, u64)>,
    /// The nodes listen, so that each of them has clients, whichever runs the hub.
    listen: bool,
    /// Number of shards of the hub. If there are several, more than one node runs the hub.
    shards: u16,
    /// Set from the end of the owner until another node runs the hub.
    awaits_owner: bool,
    /// Length of the ledger after the last fault.
    acknowledged: u64,
    /// Set while nodes that have ended remain so.
    is_short: bool,
    begin: Instant,
    /// What has happened, for the report of a violation.
    history: Vec<String>,
}

struct Running {
    /// In front of the database.
    proxy: Proxy,
    /// In front of this node, for the others.
    links: Proxy,
    directory: PathBuf,
    worker: Option<Worker>,
    /// Number of the process of this node.
    life: u64,
    /// The life whose clients rest.
    resting: Option<u64>,
    /// The life that sleeps, is cut off or leaves, so that another node replaces it.
    away: Option<u64>,
    /// The life whose disk is full from some call on.
    full: Option<u64>,
}

impl Running {
    fn is_away(&self) -> bool {
        self.away == Some(self.life)
    }

    /// The report about the call from which on the disk was full.
    fn report(&self) -> PathBuf {
        self.directory.with_extension("report")
    }

    /// Returns `true` if this life may end with an error because its disk is full.
    fn may_fail(&self) -> bool {
        self.full == Some(self.life) && Report::read(&self.report()).failed.is_some()
    }

    /// Has the clients go on that rest.
    fn go_on(&mut self) {
        if self.resting.take() == Some(self.life)
            && let Some(worker) = &mut self.worker
        {
            worker.rest_or_go_on();
        }
    }
}

impl Nodes {
    pub(super) fn start(count: usize, listen: bool, shards: u16, server: &Server, plan: &Plan, place: &Path) -> Self {
        let (tell, opened) = channel();
        let running = |number| Running {
            proxy: Proxy::start(server.port()),
            links: Proxy::reserve(),
            directory: place.join(format!("node-{number}")),
            worker: None,
            life: 0,
            resting: None,
            away: None,
            full: None,
        };
        let mut nodes = Self {
            place: place.to_owned(),
            plan: plan.clone(),
            nodes: (0..count).map(running).collect(),
            owner: 0,
            opened,
            tell,
            listen,
            shards,
            awaits_owner: true,
            acknowledged: 0,
            is_short: false,
            begin: Instant::now(),
            history: Vec::new(),
        };
        nodes.start_missing();
        nodes
    }

    fn start_missing(&mut self) {
        self.start_with(None);
    }

    /// Starts the nodes that do not run. Their disks are full from the call `full_from` on.
    fn start_with(&mut self, full_from: Option<u64>) {
        let count = self.nodes.len() as u64;
        for number in 0..self.nodes.len() {
            let node = &mut self.nodes[number];
            if node.worker.is_some() {
                continue;
            }
            node.life += 1;
            let (life, tell) = (node.life, self.tell.clone());
            let listening = Listening {
                number: number as u64,
                count,
                address: format!("127.0.0.1:{}", node.links.target()),
                advertised: format!("127.0.0.1:{}", node.links.port()),
            };
            let calls = match full_from {
                Some(number) => {
                    node.full = Some(life);
                    Calls::failing(full_disk(number), node.directory.clone(), node.report())
                }
                None => Calls::default(),
            };
            let plan = Plan {
                node: Some(Node {
                    url: format!("postgres://abide@127.0.0.1:{}/postgres", node.proxy.port()),
                    directory: node.directory.clone(),
                    listens: self.listen.then_some(listening),
                    shards: self.shards,
                }),
                ..self.plan.clone()
            };
            let mut worker = Worker::start(&self.place, &plan, &calls);
            worker.when_open(move |is_open| {
                if is_open {
                    // Nobody listens any more at the end of the case.
                    let _ = tell.send((number, life));
                }
            });
            node.worker = Some(worker);
            self.note(format!("node {number} starts"));
        }
    }

    pub(super) fn note(&mut self, what: String) {
        self.history
            .push(format!("{:.1} s: {what}", self.begin.elapsed().as_secs_f64()));
    }

    /// Returns the newest events.
    pub(super) fn history(&self) -> String {
        let first = self.history.len().saturating_sub(30);
        self.history[first..].join("; ")
    }

    /// Everything that is acknowledged from now on shows that the hub serves.
    pub(super) fn forget_service(&mut self) {
        self.acknowledged = ledger_bytes(&self.place);
    }

    /// Waits until something is acknowledged, and starts the nodes again that have ended.
    pub(super) fn wait_for_service(&mut self, patience: Duration) -> Result<(), String> {
        let end = Instant::now() + patience;
        while !self.serves() {
            if Instant::now() > end {
                return Err(format!("the hub has not served for {} s", patience.as_secs()));
            }
            std::thread::sleep(LOOK);
            self.look()?;
        }
        self.look()
    }

    /// Returns `true` if all of the hub has served since the last fault.
    fn serves(&self) -> bool {
        if self.is_divided() {
            let answers = answered_since(&self.place, self.acknowledged);
            let is_served = |client| answers.get(&client).is_some_and(|answers| *answers >= ANSWERS);
            // A node whose disk is full may be unable to read.
            let is_well = |node: &Running| !node.is_away() && node.resting.is_none() && node.full != Some(node.life);
            let has_clients = |node: &Running| node.worker.is_some() && is_well(node);
            let clients_of = |number: usize| (0..self.plan.clients).skip(number).step_by(self.nodes.len());
            let mut nodes = self.nodes.iter().enumerate().filter(|(_, node)| has_clients(node));
            return nodes.all(|(number, _)| clients_of(number).all(is_served));
        }
        // What a node that is away acknowledges was on its way before.
        !self.awaits_owner && !self.nodes[self.owner].is_away() && ledger_bytes(&self.place) > self.acknowledged
    }

    pub(super) fn is_divided(&self) -> bool {
        self.shards > 1
    }

    /// Chooses the node that fails next, if each of them may run a part of the hub.
    pub(super) fn aim(&mut self, random: &mut fastrand::Rng) {
        if self.is_divided() {
            self.owner = random.usize(..self.nodes.len());
        }
    }

    /// Waits until the nodes run about the same number of shards.
    pub(super) fn wait_for_balance(&mut self, server: &Server, patience: Duration) -> Result<(), String> {
        let least = usize::from(self.shards) / self.nodes.len();
        let end = Instant::now() + patience;
        loop {
            let owners = server.run("SELECT owner FROM abide.shard WHERE owner IS NOT NULL");
            let mut loads = BTreeMap::new();
            for owner in owners.lines() {
                *loads.entry(owner).or_insert(0_usize) += 1;
            }
            let all = loads.values().sum::<usize>() == usize::from(self.shards);
            let is_even = loads.values().all(|load| *load <= least + 1);
            if all && is_even && loads.len() >= usize::from(self.shards).min(self.nodes.len()) {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!(
                    "after {} s, the nodes run {loads:?} shards",
                    patience.as_secs()
                ));
            }
            std::thread::sleep(Duration::from_millis(100));
            self.look()?;
        }
    }

    /// Notes which node has opened the hub, and replaces the nodes that have ended.
    pub(super) fn look(&mut self) -> Result<(), String> {
        loop {
            match self.opened.try_recv() {
                Ok((number, life)) if self.nodes[number].life == life => {
                    self.note(format!("node {number} has opened the hub"));
                    if !self.is_divided() {
                        self.owner = number;
                        self.awaits_owner = false;
                        self.forget_service();
                    }
                }
                Ok(_) => {}
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        for number in 0..self.nodes.len() {
            let node = &mut self.nodes[number];
            let Some(ended) = node.worker.as_mut().and_then(Worker::try_wait) else {
                continue;
            };
            match ended {
                Ended::Done => {}
                // The others may take over from a node that was away, and from one that hung on a machine that is busy.
                Ended::Refused(why) if is_replaced(&why) || node.may_fail() => {}
                Ended::Refused(why) | Ended::Badly(why) => return Err(why),
            }
            node.worker = None;
            self.note(format!("node {number} has ended"));
        }
        if !self.is_short {
            self.start_missing();
        }
        Ok(())
    }

    /// Does not start the nodes again that end, until [`wake`](Self::wake).
    pub(super) fn stay_short(&mut self) {
        self.is_short = true;
    }

    /// Returns `true` if a node sleeps, is cut off or leaves.
    pub(super) fn has_away(&self) -> bool {
        self.nodes.iter().any(Running::is_away)
    }

    /// Starts the nodes again that have ended, ends the sleep and the isolation of the others, and waits until each of
    /// them has noticed that it was replaced.
    pub(super) fn wake(&mut self, patience: Duration) -> Result<(), String> {
        self.is_short = false;
        for (number, node) in self.nodes.iter_mut().enumerate() {
            if node.full == Some(node.life)
                && let Some(worker) = node.worker.take()
            {
                self.awaits_owner |= number == self.owner;
                if let Err(Ended::Badly(why)) = worker.kill() {
                    return Err(why);
                }
            }
        }
        self.look()?;
        let end = Instant::now() + patience;
        while self.awaits_owner && !self.is_divided() {
            if Instant::now() > end {
                return Err(format!("no node has opened the hub for {} s", patience.as_secs()));
            }
            std::thread::sleep(LOOK);
            self.look()?;
        }
        for number in 0..self.nodes.len() {
            let Some(life) = self.nodes[number].away.take() else {
                continue;
            };
            self.nodes[number].proxy.set(Flow::Open);
            if let Some(worker) = &self.nodes[number].worker {
                worker.signal(Signal::CONT);
            }
            if self.listen {
                self.nodes[number].go_on();
                continue;
            }
            let end = Instant::now() + patience;
            while self.nodes[number].life == life {
                if Instant::now() > end {
                    return Err(format!("node {number} has not noticed that it was replaced"));
                }
                std::thread::sleep(LOOK);
                self.look()?;
            }
        }
        Ok(())
    }

    /// Waits until clients of every node have received answers from now on, if all nodes have clients.
    pub(super) fn wait_for_every_node(&mut self, patience: Duration) -> Result<(), String> {
        let (count, from) = (self.nodes.len() as u64, ledger_bytes(&self.place));
        self.wait_for_each("no client of it was answered", patience, |nodes, number| {
            let is_here = |client: &u64| client % count == number as u64;
            !nodes.listen || answered_since(&nodes.place, from).keys().any(is_here)
        })
    }

    /// Waits until every node has read states from now on, if all nodes have readers.
    pub(super) fn wait_for_reads(&mut self, patience: Duration) -> Result<(), String> {
        let read = |nodes: &Self, number: usize| states_read(&nodes.nodes[number].directory);
        let before: Vec<u64> = (0..self.nodes.len()).map(|number| read(self, number)).collect();
        self.wait_for_each("it has read nothing", patience, |nodes, number| {
            !nodes.listen || read(nodes, number) > before[number]
        })
    }

    fn wait_for_each(
        &mut self,
        what: &str,
        patience: Duration,
        is_done: impl Fn(&Self, usize) -> bool,
    ) -> Result<(), String> {
        let end = Instant::now() + patience;
        for number in 0..self.nodes.len() {
            while !is_done(self, number) {
                if Instant::now() > end {
                    return Err(format!("node {number}: {what} for {} s", patience.as_secs()));
                }
                std::thread::sleep(LOOK);
                self.look()?;
            }
        }
        Ok(())
    }

    /// Changes what happens on the connections from the other nodes to the owner, or on all connections between nodes.
    pub(super) fn set_links(&mut self, flow: Flow, everywhere: bool) {
        for (number, node) in self.nodes.iter().enumerate() {
            if everywhere || number == self.owner {
                node.links.set(flow);
            }
        }
        self.note(format!("links: {flow:?}, everywhere: {everywhere}"));
    }

    /// Lets everything pass between the nodes again.
    pub(super) fn heal_links(&mut self) {
        self.set_links(Flow::Open, true);
    }

    pub(super) fn kill_owner(&mut self) -> Result<(), String> {
        self.awaits_owner = true;
        let worker = self.nodes[self.owner].worker.take();
        match worker.map_or(Ok(()), Worker::kill) {
            Err(Ended::Refused(why)) if is_replaced(&why) => Ok(()),
            Err(Ended::Refused(why) | Ended::Badly(why)) => Err(why),
            Ok(()) | Err(Ended::Done) => Ok(()),
        }
    }

    /// Kills the owner, and starts it again on a disk that is full from some write on.
    pub(super) fn fill_disk_of_owner(&mut self, random: &mut fastrand::Rng) -> Result<(), String> {
        self.kill_owner()?;
        // Sometimes in the middle of the open, and sometimes after it.
        let most = [30, 300, 3_000][random.usize(..3)];
        self.start_with(Some(random.u64(1..most)));
        self.stay_short();
        Ok(())
    }

    /// Has the clients of the owner ask nothing until [`wake`](Self::wake). Its readers continue.
    pub(super) fn rest_owner(&mut self) {
        let owner = &mut self.nodes[self.owner];
        if let Some(worker) = &mut owner.worker {
            worker.rest_or_go_on();
            owner.resting = Some(owner.life);
        }
    }

    /// Sends a signal to the owner. One that was stopped counts as away until it continues.
    pub(super) fn signal_owner(&mut self, signal: Signal) {
        let owner = &mut self.nodes[self.owner];
        owner.away = (signal == Signal::STOP).then_some(owner.life);
        if let Some(worker) = &owner.worker {
            worker.signal(signal);
        }
    }

    /// Has the owner close the hub and end.
    pub(super) fn close_owner(&mut self) {
        let owner = &mut self.nodes[self.owner];
        // Until it has closed the hub, it may still acknowledge.
        owner.away = Some(owner.life);
        if let Some(worker) = &mut owner.worker {
            worker.close();
        }
    }

    pub(super) fn proxy_of_owner(&self) -> &Proxy {
        &self.nodes[self.owner].proxy
    }

    /// Cuts the owner off from the database.
    pub(super) fn isolate_owner(&mut self) {
        let owner = &mut self.nodes[self.owner];
        owner.away = Some(owner.life);
        owner.proxy.set(Flow::Frozen);
    }

    pub(super) fn copy_of_owner(&self) -> PathBuf {
        self.nodes[self.owner].directory.clone()
    }
}

/// A disk that is full from a call on.
fn full_disk(number: u64) -> Fault {
    Fault {
        kinds: "wsc",
        number,
        error: Errno::NoSpace,
        later: true,
        half: number.is_multiple_of(2),
    }
}

fn is_replaced(why: &str) -> bool {
    REPLACED.iter().any(|part| why.contains(part))
}

/// Removes the copy of a node, or changes a byte of one of its files.
pub(super) fn damage(copy: &Path, random: &mut fastrand::Rng) {
    let mut files = Vec::new();
    find(copy, &mut files);
    if random.bool() || files.is_empty() {
        std::fs::remove_dir_all(copy).expect("the copy can be removed");
        return;
    }
    let file = &files[random.usize(..files.len())];
    let mut bytes = std::fs::read(file).expect("the file of a copy is readable");
    if !bytes.is_empty() {
        let place = random.usize(..bytes.len());
        bytes[place] ^= random.u8(1..);
        std::fs::write(file, bytes).expect("the file of a copy is writable");
    }
}
