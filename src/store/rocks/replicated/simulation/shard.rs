//! One shard for the simulation of whole hubs: its log in the model of a database, and its copies on the nodes.
//!
//! The copies are real, and so are their replay, the snapshots and the log of a tenure. A statement may be executed although
//! its answer is lost, and the standby may become the database before any statement.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use uuid::Uuid;

use super::super::copy::Limits;
use super::super::follow::{self, CopySource};
use super::super::mark::Mark;
use super::super::open::take_over;
use super::super::replay::Replay;
use super::super::snapshot;
use super::super::store::OwnedStore;
use super::database::{Database, Done};
use super::log::{Connection, ModelLog};
use super::node::{copy_all, remove};
use super::world::{Bug, memory_or_temp};
use crate::error::{Error, ErrorKind, Result};
use crate::log::Log;
use crate::log::replicated::Appended;
use crate::log::shared::{LogError, LogState, SharedLog, Tenure};
use crate::log::tests::memory::Chance;
use crate::store::{Batch, Reader, Visitor};

/// The standby becomes the database before one in this many statements.
const FAILOVERS: u64 = 40;

/// One in this many answers is lost.
const LOST_ANSWERS: u64 = 10;

/// Size of the log that a reopened copy may have to read, in bytes.
const LOG_BYTES: u64 = 16 << 10;

/// Size of a part of a snapshot, of a record, and of the records that are read at once, in bytes.
const PART_BYTES: usize = 3_000;
const RECORD_BYTES: usize = 2_000;
const READ_BYTES: usize = 7_000;

/// A row that no hub has. A copy with it is damaged.
const DAMAGE: &[u8] = &[0xfe, 0xfe];

const HUB: Uuid = Uuid::from_u128(11);

/// A situation that the runs must reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ShardMark {
    /// The standby became the database, and lacked something that was not acknowledged.
    Failover,
    /// A statement changed the database, and its node never received the answer.
    AnswerNeverReceived,
    /// A node gave up while it opened the shard.
    OpenGivenUp,
    /// An owner learned from the log that it was replaced.
    Fenced,
    /// Of the commits after the last sync, some were in the log and others were not.
    PartKept,
    /// An owner ended its tenure.
    Released,
    Snapshot,
    /// A copy was made from a snapshot.
    Restored,
    LostCopy,
    StaleCopy,
    DamagedCopy,
    /// A takeover with a copy that had followed the log.
    FollowerTookOver,
    /// An owner noticed that the database was behind.
    WentBack,
    /// A node refused to run the shard, because the database was behind.
    RefusedToOpen,
}

impl ShardMark {
    pub(crate) const ALL: [Self; 14] = [
        Self::Failover,
        Self::AnswerNeverReceived,
        Self::OpenGivenUp,
        Self::Fenced,
        Self::PartKept,
        Self::Released,
        Self::Snapshot,
        Self::Restored,
        Self::LostCopy,
        Self::StaleCopy,
        Self::DamagedCopy,
        Self::FollowerTookOver,
        Self::WentBack,
        Self::RefusedToOpen,
    ];
}

/// A bug in the database, which is planted to show that the simulation of whole hubs finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogBug {
    /// None: the run only shows that a seed finds nothing without the bug.
    Nothing,
    /// An append compares the end of the log, but not the tenure.
    AppendUnfenced,
    /// After a lost answer, an append that can be read back counts as done, although the standby may lack it.
    TakeReadBackForAnswer,
    /// The record at the position of a snapshot is discarded with those before it.
    TrimTheSnapshotsRecord,
}

impl LogBug {
    pub(crate) const ALL: [Self; 3] = [
        Self::AppendUnfenced,
        Self::TakeReadBackForAnswer,
        Self::TrimTheSnapshotsRecord,
    ];

    fn planted(self) -> Option<Bug> {
        match self {
            Self::Nothing => None,
            Self::AppendUnfenced => Some(Bug::AppendUnfenced),
            Self::TakeReadBackForAnswer => Some(Bug::TakeReadBackForAnswer),
            Self::TrimTheSnapshotsRecord => Some(Bug::TrimTheSnapshotsRecord),
        }
    }
}

/// The database and its standby.
struct Server {
    primary: Database,
    standby: Database,
    /// An earlier state of the standby.
    backup: Database,
    /// What was there before the backup took its place.
    newest: Option<(Database, Database)>,
    /// Number of answers that nodes still receive. Afterwards, each node gives up.
    answers: Option<u64>,
    chance: Chance,
    bug: Option<Bug>,
    marks: BTreeSet<ShardMark>,
}

impl Server {
    /// Runs a statement. Returns `None` if its answer is lost and the node gives up.
    fn run<R>(&mut self, statement: impl Fn(&mut Database, Option<Bug>) -> Done<R>) -> Option<R> {
        loop {
            if self.newest.is_none() && self.chance.one_in(FAILOVERS) {
                if what(&self.primary) != what(&self.standby) {
                    self.marks.insert(ShardMark::Failover);
                }
                self.primary = self.standby.clone();
            }
            let before = what(&self.primary);
            let done = statement(&mut self.primary, self.bug);
            let gives_up = self.answers == Some(0);
            self.answers = self.answers.map(|left| left.saturating_sub(1));
            let arrives = !gives_up && !self.chance.one_in(LOST_ANSWERS);
            // The answer to a write waits for the standby.
            if done.has_written && (arrives || self.chance.one_in(2)) {
                self.standby = self.primary.clone();
            }
            if arrives {
                return Some(done.answer);
            }
            if gives_up {
                if what(&self.primary) != before {
                    self.marks.insert(ShardMark::AnswerNeverReceived);
                }
                return None;
            }
        }
    }

    /// Replaces the database by its backup, if the backup lacks anything. Returns whether it did.
    fn go_back(&mut self) -> bool {
        if self.backup.state().head >= self.standby.state().head {
            return false;
        }
        let backup = self.backup.clone();
        let primary = std::mem::replace(&mut self.primary, backup.clone());
        let standby = std::mem::replace(&mut self.standby, backup);
        self.newest = Some((primary, standby));
        true
    }

    /// Ends what [`go_back`](Self::go_back) began.
    fn come_back(&mut self) {
        if let Some(newest) = self.newest.take() {
            (self.primary, self.standby) = newest;
        }
    }
}

/// Returns what a statement can change that others notice.
fn what(database: &Database) -> (LogState, u64) {
    (database.state(), database.epoch)
}

/// The connection of a node to the server.
#[derive(Clone)]
struct ServerConnection {
    server: Arc<Mutex<Server>>,
    node: usize,
}

impl ServerConnection {
    /// Ignores poisoning: after a panic, the run is over.
    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ServerConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConnection").field("node", &self.node).finish()
    }
}

impl Connection for ServerConnection {
    fn node(&self) -> usize {
        self.node
    }

    fn run<R>(&self, statement: impl Fn(&mut Database, Option<Bug>) -> Done<R>) -> Result<R, LogError> {
        let answer = self.server().run(statement);
        answer.ok_or_else(|| LogError::Failed(Error::new(ErrorKind::Io, "the database cannot be reached")))
    }
}

/// A node: its copy, while it does not run the shard.
struct Node {
    directory: PathBuf,
    replay: Option<Replay>,
    /// Held by the owner on this node.
    life: Arc<()>,
}

impl Node {
    fn is_free(&self) -> bool {
        Arc::strong_count(&self.life) == 1
    }

    fn saved(&self) -> PathBuf {
        self.directory.with_extension("saved")
    }
}

/// The log of a shard, and the nodes that may run the shard.
pub(crate) struct Nodes {
    server: Arc<Mutex<Server>>,
    nodes: Vec<Node>,
    pub(crate) chance: Chance,
    _place: TempDir,
}

impl Nodes {
    pub(crate) fn new(mut chance: Chance, bug: Option<LogBug>) -> Self {
        let place = tempfile::Builder::new().tempdir_in(memory_or_temp());
        let place = place.expect("a directory can be made");
        let node = |index: u64| Node {
            directory: place.path().join(index.to_string()),
            replay: None,
            life: Arc::default(),
        };
        let server = Server {
            primary: Database::default(),
            standby: Database::default(),
            backup: Database::default(),
            newest: None,
            answers: None,
            chance: chance.fork(),
            bug: bug.and_then(LogBug::planted),
            marks: BTreeSet::new(),
        };
        Self {
            server: Arc::new(Mutex::new(server)),
            nodes: (0..=chance.below(3)).map(node).collect(),
            chance,
            _place: place,
        }
    }

    pub(crate) fn marks(&self) -> BTreeSet<ShardMark> {
        self.server().marks.clone()
    }

    pub(crate) fn see(&self, mark: ShardMark) {
        self.server().marks.insert(mark);
    }

    /// Returns `true` if there is a node without a process that runs the shard, or believes that it does.
    pub(crate) fn has_free_node(&self) -> bool {
        self.nodes.iter().any(Node::is_free)
    }

    /// Lets things happen to the copies of the free nodes: they follow the log, are lost, or are replaced by older ones.
    pub(crate) fn pass_time(&mut self) {
        for index in 0..self.nodes.len() {
            if self.nodes[index].is_free() {
                self.pass_time_on(index);
            }
        }
    }

    fn pass_time_on(&mut self, index: usize) {
        let source = self.source(index);
        let node = &mut self.nodes[index];
        let saved = node.saved();
        match self.chance.below(12) {
            0 => {
                node.replay = None;
                remove(&node.directory);
                self.see(ShardMark::LostCopy);
            }
            // A replacement that was interrupted has left more than one directory.
            1 if !node.directory.with_extension("old").exists() => {
                node.replay = None;
                remove(&saved);
                copy_all(&node.directory, &saved);
            }
            2 if saved.exists() => {
                node.replay = None;
                remove(&node.directory);
                std::fs::rename(saved, &node.directory).expect("a directory can be renamed");
                self.see(ShardMark::StaleCopy);
            }
            3 => node.replay = None,
            4..8 => {
                for _ in 0..self.chance.below(6) {
                    follow::advance(&mut node.replay, &source).expect("a free node can follow the log");
                }
            }
            _ => {}
        }
    }

    /// Lets a free node become the owner. It may fail if [`answer_only`](Self::answer_only) was called.
    pub(crate) fn open(&mut self) -> Result<Owner> {
        let free: Vec<usize> = (0..self.nodes.len())
            .filter(|index| self.nodes[*index].is_free())
            .collect();
        let index = free[self.chance.below(free.len() as u64) as usize];
        self.open_on(index)
    }

    fn open_on(&mut self, index: usize) -> Result<Owner> {
        let connection = self.connection(index);
        let tenure = loop {
            let seen = self.server().primary.epoch;
            // If the claim was executed and its answer lost, the node finds that the epoch is another one.
            if let Some(tenure) = connection.run(|database, _| database.claim(seen, index))? {
                break tenure;
            }
        };
        let source = self.source(index);
        let node = &mut self.nodes[index];
        let followed = node.replay.take();
        let has_followed = followed.as_ref().is_some_and(|replay| replay.fits(&tenure.log));
        let had_copy = node.directory.exists();
        let (durable, appended) = take_over(&source, &tenure, followed)?;
        let life = Arc::clone(&node.life);
        if has_followed {
            self.see(ShardMark::FollowerTookOver);
        }
        if !had_copy && tenure.log.snapshot.is_some() {
            self.see(ShardMark::Restored);
        }
        Ok(Owner {
            durable,
            appended,
            tenure,
            log: source.log,
            written: AtomicU64::new(tenure.log.commit),
            directory: source.directory,
            server: connection,
            _life: life,
        })
    }

    /// From now on, the nodes receive this number of answers, and then none. `None` ends that.
    pub(crate) fn answer_only(&self, count: Option<u64>) {
        self.server().answers = count;
    }

    /// Puts a backup in the place of the database, and lets a node whose copy knows more follow its log, or try to run the
    /// shard. The node has to refuse. Afterwards, the database is back.
    pub(crate) fn open_over_a_backup(&mut self) {
        let backup = self.server().backup.state().head;
        let knows_more = |node: &Node| {
            let mark = Mark::read(&node.directory).expect("the mark can be read");
            node.is_free() && mark.is_some_and(|mark| mark.position > backup)
        };
        let nodes: Vec<usize> = (0..self.nodes.len())
            .filter(|index| knows_more(&self.nodes[*index]))
            .collect();
        if nodes.is_empty() || !self.server().go_back() {
            return;
        }
        let index = nodes[self.chance.below(nodes.len() as u64) as usize];
        if self.chance.one_in(2) {
            self.nodes[index].replay = None;
        }
        let refused = match self.chance.one_in(3) {
            true => {
                let source = self.source(index);
                let replay = &mut self.nodes[index].replay;
                (0..2).find_map(|_| follow::advance(replay, &source).err())
            }
            false => self.open_on(index).err(),
        };
        let error = refused.expect("a node relies on a database that lacks what the node knows");
        assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
        self.see(ShardMark::RefusedToOpen);
        self.server().come_back();
    }

    fn connection(&self, node: usize) -> ServerConnection {
        ServerConnection {
            server: Arc::clone(&self.server),
            node,
        }
    }

    fn source(&self, node: usize) -> CopySource {
        CopySource {
            directory: self.nodes[node].directory.clone(),
            hub: HUB,
            log: Arc::new(ModelLog(self.connection(node))),
            limits: Limits {
                // Always or never, because the time of the machine is no part of the seed.
                note_interval: if node == 0 { Duration::ZERO } else { Duration::MAX },
                read_bytes: READ_BYTES,
                record_bytes: RECORD_BYTES,
                ..Limits::new(4 << 20, LOG_BYTES)
            },
            canceled: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Ignores poisoning: after a panic, the run is over.
    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process that runs the shard, or did until another one replaced it. Dropping it kills the process.
pub(crate) struct Owner {
    durable: OwnedStore,
    appended: Arc<Appended>,
    tenure: Tenure,
    log: Arc<dyn SharedLog>,
    /// The newest commit that was written.
    written: AtomicU64,
    /// The directory of the copy.
    directory: PathBuf,
    server: ServerConnection,
    _life: Arc<()>,
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner")
            .field("tenure", &self.tenure)
            .finish_non_exhaustive()
    }
}

impl Owner {
    /// Returns the newest commit that was written.
    pub(crate) fn newest(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Returns the newest commit that the standby has. Everything that was acknowledged is on the standby.
    pub(crate) fn newest_on_standby(&self) -> u64 {
        self.server.server().standby.history.len() as u64
    }

    pub(crate) fn write(&self, batch: &Batch) -> Result<()> {
        // As the thread of the store does.
        if self.durable.log().stats().live_bytes >= LOG_BYTES / 2 {
            self.materialize()?;
        }
        self.durable.write(batch)?;
        self.written.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn sync(&self) -> Result<()> {
        self.noted(self.durable.sync())
    }

    pub(crate) fn confirm(&self) -> Result<()> {
        self.noted(self.durable.log().confirm())
    }

    /// Makes all commits durable in the log, and moves them to the copy.
    pub(crate) fn materialize(&self) -> Result<()> {
        self.noted(self.durable.materialize_next())
    }

    /// Stores a snapshot of the copy in the database.
    pub(crate) fn take_snapshot(&self) -> Result<()> {
        let base = self.durable.base();
        let made = snapshot::make(base, &self.appended, self.tenure.epoch, self.log.as_ref(), PART_BYTES)?;
        if made.is_some() {
            self.see(ShardMark::Snapshot);
        }
        Ok(())
    }

    /// Damages the copy, and lets a read find that. The next process on this node has to replace the copy.
    pub(crate) fn find_damage(&self) {
        let copy = self.durable.base();
        copy.base.load(&[(DAMAGE, b"damage")]).expect("a copy can be damaged");
        let damage = Error::new(ErrorKind::Corrupted, "a block is damaged");
        let found = copy.noted::<()>(Err(damage));
        assert!(found.is_err());
        assert!(self.mark().is_void, "the next open would keep the damaged copy");
        self.see(ShardMark::DamagedCopy);
    }

    /// Saves a backup of the database.
    pub(crate) fn back_up(&self) {
        let server = &mut *self.server.server();
        server.backup = server.standby.clone();
    }

    /// Makes everything durable while no answer arrives.
    pub(crate) fn sync_without_an_answer(&self) -> Result<()> {
        self.server.server().answers = Some(0);
        let synced = self.durable.sync();
        self.server.server().answers = None;
        synced
    }

    /// Makes everything durable while a backup is in the place of the database. Returns `None` if there is no older backup.
    pub(crate) fn sync_over_a_backup(&self) -> Option<Result<()>> {
        if !self.server.server().go_back() {
            return None;
        }
        let synced = self.sync();
        if synced.as_ref().is_err_and(|error| error.kind() == ErrorKind::Corrupted) {
            self.see(ShardMark::WentBack);
        }
        self.server.server().come_back();
        Some(synced)
    }

    /// Ends the tenure, so that another node can continue at once.
    pub(crate) fn release(&self) -> Result<()> {
        self.see(ShardMark::Released);
        Ok(self.log.release(self.tenure.epoch, Duration::ZERO)?)
    }

    /// As in the store, the copy notes after an error what the log has acknowledged, so that the next open does not miss it.
    fn noted(&self, done: Result<()>) -> Result<()> {
        let Err(error) = &done else { return done };
        self.durable
            .base()
            .note_acknowledged()
            .expect("the copy can be written");
        if let Some(newest) = self.appended.newest() {
            let noted = self.mark().position;
            assert!(
                noted >= newest.position,
                "the copy notes the record {noted}, and {} was acknowledged",
                newest.position
            );
        }
        if error.kind() == ErrorKind::Replaced {
            self.see(ShardMark::Fenced);
        }
        done
    }

    fn mark(&self) -> Mark {
        let mark = Mark::read(&self.directory).expect("the mark can be read");
        mark.expect("an open copy has a mark")
    }

    fn see(&self, mark: ShardMark) {
        self.server.server().marks.insert(mark);
    }
}

impl Reader for Owner {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.durable.get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.durable.get_many(keys)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.durable.visit(range, visitor)
    }
}
