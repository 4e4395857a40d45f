//! The database, the nodes, and what must hold between them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::database::Database;
use super::node::Node;
use crate::simulation::random::Random;
use crate::store::Changes;

/// In runs with seeds up to this one, everything fits into one part or one read, and in half of them no session gives up,
/// so that they stay what they were when they found bugs.
pub(super) const OLD_SEEDS: u64 = 2_000;

/// In runs with seeds up to this one, nobody reads from a node that waits.
pub(super) const SEEDS_WITHOUT_READERS: u64 = 3_000;

/// What the rows and the log of a run are cut into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Size of a part of a snapshot.
    pub(super) part_bytes: usize,
    /// Bytes of records that a node reads at once.
    pub(super) read_bytes: usize,
}

impl Scale {
    fn of(seed: u64) -> Self {
        let (part_bytes, read_bytes) = if seed > OLD_SEEDS {
            (300, 700)
        } else {
            (1 << 20, 4 << 20)
        };
        Self { part_bytes, read_bytes }
    }
}

/// Number of nodes at most, and of the node that never exists.
const NODES: u64 = 3;
const NOBODY: usize = 99;

/// Depth up to which steps happen within the statements of other steps.
const DEPTH: u32 = 2;

/// How likely things are in a run, in percent. Each run has other chances, so that rare things also happen often together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chances {
    /// Something happens before a statement of a node.
    pub(super) disturbs: u64,
    /// An answer is lost.
    pub(super) loses_answer: u64,
    /// After a lost answer, a session gives up, so its caller does not learn whether the statement had an effect.
    pub(super) gives_up: u64,
    /// The standby becomes the database.
    fails_over: u64,
    /// A node takes a living owner for dead.
    pub(super) suspects: u64,
    /// An owner stores a snapshot.
    pub(super) takes_snapshot: u64,
    /// A node that is down loses its copy.
    pub(super) loses_copy: u64,
    /// A node that waits is asked to read.
    pub(super) reads_waiting: u64,
    /// After a failover, a node still reads from the old server, which no longer accepts writes.
    isolates: u64,
    /// In a lossy run, something happens to acknowledged data.
    loses_data: u64,
}

impl Chances {
    const NONE: Self = Self {
        disturbs: 0,
        loses_answer: 0,
        gives_up: 0,
        fails_over: 0,
        suspects: 100,
        takes_snapshot: 0,
        loses_copy: 0,
        reads_waiting: 0,
        isolates: 0,
        loses_data: 0,
    };

    fn draw(random: &mut Random, seed: u64) -> Self {
        let (reads_waiting, isolates) = if seed > SEEDS_WITHOUT_READERS {
            (random.between(5, 40), random.between(0, 60))
        } else {
            (0, 0)
        };
        Self {
            reads_waiting,
            isolates,
            gives_up: if seed > OLD_SEEDS / 2 { random.between(0, 40) } else { 0 },
            disturbs: random.between(2, 20),
            loses_answer: random.between(2, 15),
            fails_over: random.between(1, 12),
            suspects: random.between(10, 80),
            takes_snapshot: random.between(1, 30),
            loses_copy: random.between(2, 30),
            loses_data: if random.chance(35) { random.between(3, 12) } else { 0 },
        }
    }
}

/// A bug that is planted to show that the simulation finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    /// An append compares the end of the log, but not the tenure.
    AppendUnfenced,
    /// An append compares the tenure, but not the end of the log.
    AppendAnywhere,
    /// After a lost answer, an append that can be read back counts as done, although the standby may lack it.
    TakeReadBackForAnswer,
    /// A read is answered without asking whether this node still owns the hub.
    SkipConfirm,
    /// A node that waits answers a read although the server that it asked for the state of the log may have been replaced.
    BarrierWithoutStandby,
    /// A node that waits answers a read from what it has.
    SkipBarrier,
    /// A node that follows the log notes records that the standby may lack.
    SettleWithoutStandby,
    /// A node that follows the log notes records that the standby lacked when it became the database.
    SettleWithoutLooking,
    /// A snapshot is published although the database has lost its parts or its record.
    PublishWithoutLooking,
    /// The log behind a snapshot is discarded although the database has lost the snapshot.
    TrimWithoutLooking,
    /// The record at the position of a snapshot is discarded with those before it.
    TrimTheSnapshotsRecord,
    /// Lost data is accepted without a new incarnation.
    AcceptInTheSameIncarnation,
}

impl Bug {
    /// All of them, each with a seed that finds it.
    pub(super) const ALL: [(Self, u64); 12] = [
        (Self::AppendUnfenced, 2),
        (Self::AppendAnywhere, 2),
        (Self::TakeReadBackForAnswer, 81),
        (Self::SkipConfirm, 2),
        (Self::BarrierWithoutStandby, 3_002),
        (Self::SkipBarrier, 3_002),
        (Self::SettleWithoutStandby, 32),
        (Self::SettleWithoutLooking, 153),
        (Self::PublishWithoutLooking, 464),
        (Self::TrimWithoutLooking, 189),
        (Self::TrimTheSnapshotsRecord, 5),
        (Self::AcceptInTheSameIncarnation, 33),
    ];
}

/// A place that the runs should come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CoverageMark {
    LostAnswer,
    GivenUp,
    Failover,
    /// A node has read from a server that had been replaced.
    OldServer,
    /// A node became the owner while another one was.
    Replaced,
    /// A node has learned that it was replaced.
    Fenced,
    /// A node that waits has answered a read.
    ReadOfWaiting,
    /// A takeover with a copy that had followed the log.
    TakeoverOfFollower,
    Snapshot,
    /// A copy was made from a snapshot.
    Restored,
    LostCopy,
    StaleCopy,
    DamagedCopy,
    /// A step happened between two statements of another node.
    Interleaved,
    Loss,
    LossNoticed,
    LossAccepted,
}

impl CoverageMark {
    pub(super) const ALL: [Self; 17] = [
        Self::LostAnswer,
        Self::GivenUp,
        Self::Failover,
        Self::OldServer,
        Self::Replaced,
        Self::Fenced,
        Self::ReadOfWaiting,
        Self::TakeoverOfFollower,
        Self::Snapshot,
        Self::Restored,
        Self::LostCopy,
        Self::StaleCopy,
        Self::DamagedCopy,
        Self::Interleaved,
        Self::Loss,
        Self::LossNoticed,
        Self::LossAccepted,
    ];
}

/// The rows of a hub.
pub(super) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Returns the rows after these commits.
pub(super) fn rows_after(history: &[Arc<Vec<u8>>]) -> Rows {
    let mut rows = Rows::new();
    for changes in history {
        for change in Changes::of(changes) {
            match change.parts() {
                (key, Some(value)) => rows.insert(key.to_vec(), value.to_vec()),
                (key, None) => rows.remove(key),
            };
        }
    }
    rows
}

/// Everything but the nodes.
pub(super) struct Core {
    pub(super) random: Random,
    pub(super) bug: Option<Bug>,
    pub(super) primary: Database,
    /// What the synchronous standby has.
    pub(super) standby: Database,
    /// The server before the last failover, and the nodes that are still connected to it.
    pub(super) old_server: Database,
    pub(super) isolated: BTreeSet<usize>,
    /// The nodes that have heard answers of it.
    pub(super) misled: BTreeSet<usize>,
    /// An older state that the database may be restored to.
    backup: Option<Database>,
    pub(super) chances: Chances,
    pub(super) scale: Scale,
    /// Number of losses, and number of losses and acceptances.
    pub(super) losses: u32,
    pub(super) era: u64,
    /// True from a loss until it is accepted.
    pub(super) has_lost: bool,
    /// The changes of each acknowledged commit, in order.
    pub(super) acknowledged: Vec<Arc<Vec<u8>>>,
    violation: Option<String>,
    marks: BTreeSet<CoverageMark>,
    depth: u32,
    prints: bool,
    events: Vec<String>,
}

impl Core {
    pub(super) fn see(&mut self, mark: CoverageMark) {
        self.marks.insert(mark);
    }

    /// Notes what happens.
    pub(super) fn record(&mut self, text: String) {
        let text = format!("{}{text}", "  ".repeat(self.depth as usize));
        if self.prints {
            println!("{text}");
        }
        self.events.push(text);
    }

    /// Notes the first violation.
    pub(super) fn violate(&mut self, text: String) {
        self.record(format!("VIOLATION: {text}"));
        self.violation.get_or_insert(text);
    }

    /// Notes that commits from the number `first` on were acknowledged, and with them all commits before.
    pub(super) fn acknowledge(&mut self, first: u64, commits: &[Arc<Vec<u8>>]) {
        if commits.is_empty() {
            return;
        }
        let (first, last) = (first as usize, first as usize - 1 + commits.len());
        self.record(format!("commits {first} to {last} are acknowledged"));
        let history = self.primary.history.get(..last).unwrap_or_default();
        if history.get(first - 1..) != Some(commits) {
            return self.violate(format!(
                "commits {first} to {last} were acknowledged and are not in the log"
            ));
        }
        if !history.starts_with(&self.acknowledged) {
            return self.violate(format!("other commits before {first} were acknowledged"));
        }
        self.acknowledged = history.to_vec();
    }

    /// Checks that the log has what was acknowledged.
    fn check(&mut self) {
        if !self.primary.history.starts_with(&self.acknowledged) {
            self.violate("the log lacks what was acknowledged".to_owned());
        }
    }

    /// The standby becomes the database.
    fn fail_over(&mut self) {
        self.record("the standby becomes the database".to_owned());
        self.see(CoverageMark::Failover);
        self.old_server = std::mem::replace(&mut self.primary, self.standby.clone());
        let isolates = self.chances.isolates;
        self.isolated = (0..NODES as usize)
            .filter(|_| isolates > 0 && self.random.chance(isolates))
            .collect();
    }

    fn accept_loss(&mut self) {
        self.record("the loss is accepted".to_owned());
        self.see(CoverageMark::LossAccepted);
        self.era += 1;
        // The real one takes the time of the acceptance.
        if self.bug != Some(Bug::AcceptInTheSameIncarnation) {
            self.primary.incarnation = self.era;
        }
        self.primary.accept_loss(NOBODY);
        self.standby = self.primary.clone();
        self.has_lost = false;
        self.acknowledged.clone_from(&self.primary.history);
    }

    /// The database loses data that it acknowledged, or a loss is accepted, or a backup is made.
    fn lose(&mut self) {
        // Whoever restores a database stops the old servers.
        self.isolated.clear();
        if self.has_lost && self.random.chance(60) {
            self.accept_loss();
        } else if let Some(backup) = self.backup.take() {
            self.record(format!("the database has only {} commits", backup.history.len()));
            self.see(CoverageMark::Loss);
            self.standby = backup.clone();
            self.primary = backup;
            self.losses += 1;
            self.era += 1;
            self.has_lost = true;
            let kept = self.acknowledged.iter().zip(&self.primary.history);
            let kept = kept.take_while(|(one, other)| one == other).count();
            self.acknowledged.truncate(kept);
        } else {
            self.backup = Some(self.standby.clone());
        }
    }
}

/// A database and its nodes. See [`Core::check`] and the methods of [`Node`] for what must hold.
pub(super) struct World {
    core: Mutex<Core>,
    nodes: Vec<Mutex<Node>>,
}

impl World {
    /// Plays a seed. Returns the places that it came to, or what was violated.
    pub(super) fn run(seed: u64, bug: Option<Bug>, prints: bool) -> Result<BTreeSet<CoverageMark>, String> {
        let core = Self::play(seed, bug, prints);
        match core.violation {
            Some(violation) => Err(violation),
            None => Ok(core.marks),
        }
    }

    /// Plays a seed. Returns what has happened.
    pub(super) fn events(seed: u64) -> Vec<String> {
        Self::play(seed, None, false).events
    }

    fn play(seed: u64, bug: Option<Bug>, prints: bool) -> Core {
        let mut random = Random::new(seed);
        let place = tempfile::Builder::new()
            .tempdir_in(memory_or_temp())
            .expect("a directory can be made");
        let count = random.between(1, NODES) as usize;
        let steps = random.between(20, 90);
        let chances = Chances::draw(&mut random, seed);
        let core = Core {
            random,
            bug,
            primary: Database::default(),
            standby: Database::default(),
            old_server: Database::default(),
            isolated: BTreeSet::new(),
            misled: BTreeSet::new(),
            backup: None,
            chances,
            scale: Scale::of(seed),
            losses: 0,
            era: 0,
            has_lost: false,
            acknowledged: Vec::new(),
            violation: None,
            marks: BTreeSet::new(),
            depth: 0,
            prints,
            events: Vec::new(),
        };
        let world = Arc::new_cyclic(|world| Self {
            core: Mutex::new(core),
            nodes: (0..count)
                .map(|index| Mutex::new(Node::new(index, place.path().join(index.to_string()), world.clone())))
                .collect(),
        });
        for _ in 0..steps {
            world.step(None);
            world.core().check();
            if world.core().violation.is_some() {
                break;
            }
        }
        if world.core().violation.is_none() {
            world.come_to_rest();
        }
        for node in &world.nodes {
            node.lock().unwrap_or_else(PoisonError::into_inner).kill();
        }
        let world = Arc::into_inner(world).expect("no node holds the world");
        world.core.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all faults, and lets each node follow the log to its end and run the hub.
    fn come_to_rest(&self) {
        let mut core = self.core();
        core.record("the faults end".to_owned());
        core.chances = Chances::NONE;
        core.isolated.clear();
        if core.has_lost {
            core.accept_loss();
        }
        drop(core);
        for node in &self.nodes {
            let mut node = node.lock().unwrap_or_else(PoisonError::into_inner);
            node.come_to_rest(self);
        }
        self.core().check();
    }

    pub(super) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets something happen while a node waits for the database.
    pub(super) fn disturb(&self, busy: usize) {
        let mut core = self.core();
        if core.depth >= DEPTH || core.violation.is_some() {
            return;
        }
        core.depth += 1;
        core.see(CoverageMark::Interleaved);
        drop(core);
        self.step(Some(busy));
        self.core().depth -= 1;
    }

    /// Lets a node act, or lets something happen to the database.
    fn step(&self, busy: Option<usize>) {
        let mut core = self.core();
        let Chances {
            fails_over, loses_data, ..
        } = core.chances;
        if core.random.chance(fails_over) {
            return core.fail_over();
        }
        if core.random.chance(loses_data) {
            return core.lose();
        }
        let index = core.random.index(self.nodes.len());
        drop(core);
        // A node does one thing at a time.
        if busy != Some(index)
            && let Ok(mut node) = self.nodes[index].try_lock()
        {
            node.act(self);
        }
    }
}

/// Returns a directory in memory, if there is one: the runs write much and need nothing of it later.
pub(super) fn memory_or_temp() -> std::path::PathBuf {
    let memory = std::path::PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}
