//! Opens a shard of a hub whose log is shared: joins the hub, waits to own the shard, and brings the copy up to date.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use uuid::Uuid;

use super::beats::{Beats, HandOver};
use super::claim;
use super::copy::{self, Limits};
use super::follow::{CopySource, Follower, FreshRows};
use super::node;
use super::replay::{Replay, damaged_or_replaced};
use super::snapshot::Snapshots;
use super::store::{LEAVE, OwnedStore, ReplicatedStore};
use crate::error::{Error, ErrorKind, Result};
use crate::files::create_private_directory;
use crate::id::{Shard, ShardId};
use crate::log::postgres::{Address, Claimed, Endpoint, Identity, Members, NodeView, PostgresLog, Session, Wish};
use crate::log::replicated::{Appended, ReplicatedLog};
use crate::log::shared::{SharedLog, Tenure};
use crate::model::CommitRecord;
use crate::random;
use crate::store::directory::{DirectoryLock, Format};
use crate::store::durable::Durable;
use crate::store::rocks::open::{commit_in, number};
use crate::store::rocks::store::Materialized;
use crate::store::{Reader, Store};

/// Time for which a node that follows the log waits for a database that cannot be reached, before it tries again.
const FOLLOWER: Duration = Duration::from_secs(2);

/// Least limit of the log of a shard that a reopened copy may have to read, in bytes.
const LEAST_WAL: u64 = 128 << 10;

/// Options for opening a hub as one of its nodes.
#[derive(Clone, Debug)]
pub(crate) struct OpenOptions {
    pub(crate) address: Address,
    /// The name of the hub in the database.
    pub(crate) name: String,
    /// The directory of this node.
    pub(crate) directory: PathBuf,
    pub(crate) memory_budget: usize,
    /// Size of the log that a reopened copy may have to read, in bytes.
    pub(crate) wal_limit: u64,
    /// Number of partitions of a new hub.
    pub(crate) partitions: u16,
    /// Number of shards of the hub.
    pub(crate) shards: u16,
    /// Time for which the open waits for a database that cannot be reached.
    pub(crate) patience: Duration,
    /// Ends the wait for another node.
    pub(crate) canceled: Arc<AtomicBool>,
    /// Where the other nodes reach this one, if they may.
    pub(crate) endpoint: Option<Endpoint>,
}

impl OpenOptions {
    /// Returns the directory of the copy of a shard.
    fn copy(&self, shard: ShardId) -> PathBuf {
        match self.shards {
            1 => self.directory.join("copy"),
            _ => self.directory.join(format!("copy-{}", shard.0)),
        }
    }

    /// Returns the limits of each copy.
    fn limits(&self) -> Limits {
        let wal_limit = (self.wal_limit / u64::from(self.shards)).max(LEAST_WAL);
        Limits::new(self.memory_budget / usize::from(self.shards), wal_limit)
    }
}

/// An open shard and its description.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: Arc<ReplicatedStore>,
    pub(crate) last_commit: Option<CommitRecord>,
    pub(crate) hub: Uuid,
    pub(crate) partitions: u16,
    pub(crate) incarnation: u64,
    /// The first batch since which no crash has happened.
    pub(crate) calm_since: u64,
    pub(crate) epoch: u64,
    /// Number of owners that died one after the other, as of before the claim.
    pub(crate) crashes_before: u32,
    /// The ids of the entities that are held.
    pub(crate) held: Vec<String>,
}

/// A node of a hub.
pub(crate) struct Member {
    how: OpenOptions,
    members: Arc<Members>,
    beats: Arc<Beats>,
    lock: Arc<DirectoryLock>,
    /// The connection on which nodes are looked up that want to connect, so that no beat waits for them.
    admission: Session,
}

/// A node that runs a shard or waits for it.
pub(crate) struct Tenant {
    member: Arc<Member>,
    shard: ShardId,
    hand_over: OnceLock<HandOver>,
}

/// Waits until this node owns the hub, which has one shard, and opens it.
///
/// # Errors
/// Returns the errors of [`Member::join`] and [`Tenant::own`].
pub(crate) fn open(how: &OpenOptions) -> Result<Opened> {
    let member = Arc::new(Member::join(how.clone())?);
    Tenant::new(&member, ShardId(0)).own(false, &mut |_, _| Ok(()))
}

/// Opens all shards of a hub.
///
/// # Errors
/// Returns an error of kind [`Locked`](crate::ErrorKind::Locked) if another node runs one of them, or the errors of
/// [`Member::join`] and [`Tenant::own`].
pub(super) fn open_all(how: &OpenOptions) -> Result<Vec<Opened>> {
    let member = Arc::new(Member::join(how.clone())?);
    let mut opened = Vec::new();
    for shard in (0..member.shards()).map(ShardId) {
        let mut refuse = |owner: &NodeView, _: &FreshRows| match owner.is_connected {
            true => Err(runs_elsewhere(&owner.name, &how.name)),
            // It is dead soon.
            false => Ok(()),
        };
        match Tenant::new(&member, shard).own(false, &mut refuse) {
            Ok(shard) => opened.push(shard),
            Err(error) => {
                close_all(&opened);
                return Err(error);
            }
        }
    }
    Ok(opened)
}

/// Closes shards, so that other nodes continue at once.
pub(super) fn close_all(opened: &[Opened]) {
    for shard in opened {
        let closed = shard.store.close(number(shard.last_commit));
        if let Err(error) = closed.or_else(|_| shard.store.leave()) {
            tracing::warn!(%error, "the next open will treat the work that is running now as interrupted by a crash");
        }
    }
}

/// Creates the error for a hub that cannot be moved, because a node runs it.
pub(super) fn runs_elsewhere(node: &str, hub: &str) -> Error {
    let text = format!("the node {node} runs the hub `{hub}` or waits for it; shut its nodes down, and export it then");
    Error::new(ErrorKind::Locked, text)
}

impl Member {
    /// Takes the directory, joins the hub and begins to beat.
    ///
    /// # Errors
    /// Returns an error of kind [`Locked`](crate::ErrorKind::Locked) if the directory is in use, any error of its files, or the errors of
    /// [`Members::join`].
    pub(crate) fn join(how: OpenOptions) -> Result<Self> {
        create_private_directory(&how.directory)?;
        let lock = DirectoryLock::take(&how.directory)?;
        let node = node::read_or_create(&how.directory, how.endpoint.clone())?;
        let renew = || node::create(&how.directory, how.endpoint.clone());
        let wish = Wish {
            name: how.name.clone(),
            partitions: how.partitions,
            shards: how.shards,
            id: random::uuid(),
        };
        let members = Members::join(&how.address, &wish, node, renew, how.patience)?;
        let members = Arc::new(members);
        Ok(Self {
            admission: Session::new(how.address.clone())?,
            how,
            beats: Arc::new(Beats::start(Arc::clone(&members))?),
            members,
            lock: Arc::new(lock),
        })
    }

    pub(crate) fn identity(&self) -> Identity {
        self.members.identity()
    }

    /// Returns `true` if a node of this hub has a certificate with this fingerprint.
    ///
    /// # Errors
    /// Returns an error of kind [`Io`](crate::ErrorKind::Io) if the database cannot be reached.
    pub(crate) fn admits(&self, fingerprint: &[u8; 32]) -> Result<bool> {
        self.members.admits(&self.admission, fingerprint, FOLLOWER)
    }

    /// Returns the name of the hub.
    pub(crate) fn hub_name(&self) -> &str {
        &self.how.name
    }

    /// Returns the number of shards of the hub.
    pub(crate) fn shards(&self) -> u16 {
        self.members.shards()
    }

    /// Looks at the hub now, and not only with the next regular beat.
    pub(crate) fn look(&self) {
        self.beats.look();
    }

    /// Ends the wait for other nodes. They no longer count on this one.
    pub(crate) fn cancel(&self) {
        self.how.canceled.store(true, Ordering::Relaxed);
        self.beats.withdraw();
    }

    /// Ends the beats of a node that runs nothing any more, and whose process may go on.
    pub(crate) fn leave(&self) {
        self.beats.stop();
    }

    pub(crate) fn is_canceled(&self) -> bool {
        self.how.canceled.load(Ordering::Relaxed)
    }
}

impl Tenant {
    pub(crate) fn new(member: &Arc<Member>, shard: ShardId) -> Self {
        Self {
            member: Arc::clone(member),
            shard,
            hand_over: OnceLock::new(),
        }
    }

    pub(crate) fn member(&self) -> &Arc<Member> {
        &self.member
    }

    pub(crate) fn shard(&self) -> Shard {
        Shard {
            id: self.shard,
            count: self.member.shards(),
        }
    }

    /// Calls `hand_over` when this node runs the shard and should leave it to another one.
    pub(crate) fn when_handed_over(&self, hand_over: HandOver) {
        // It is set once, before the first open.
        let _ = self.hand_over.set(hand_over);
    }

    /// Returns `true` if this node runs the shard and should leave it to another one.
    pub(crate) fn hands_over(&self) -> bool {
        self.member.beats.hands_over(self.shard)
    }

    /// Tells the other nodes that this one cannot run the shard, until its copy is up to date the next time.
    pub(crate) fn withdraw(&self) {
        self.member.beats.note_ready(self.shard, false);
    }

    /// Ends a tenure of this node that did not get as far as to serve.
    pub(crate) fn give_up(&self, epoch: u64, crashes_before: u32) {
        // If this fails, the others wait until this node claims the shard again or ends.
        let _ = self.member.members.give_up(self.shard, epoch, crashes_before, LEAVE);
    }

    /// Returns `true` if this node owns the shard, as far as it has seen.
    pub(crate) fn is_owner(&self) -> bool {
        self.member.beats.is_owner(self.shard)
    }

    /// Returns the owner of the shard that this node has seen last, if it is another node.
    pub(crate) fn other_owner(&self) -> Option<NodeView> {
        self.member.beats.other_owner(self.shard)
    }

    /// Waits until this node owns the shard, and opens it. Meanwhile, its copy follows the log. Calls `watch` with each other
    /// owner, and with what this node can read while it waits. An error of `watch` ends the wait. `was_seen` tells that the node has seen the shard before.
    ///
    /// # Errors
    /// Returns an error of kind [`Closed`](crate::ErrorKind::Closed) if the wait was canceled, or the errors of [`copy::open`] and of
    /// [`Replay::finish`](super::replay::Replay::finish).
    pub(crate) fn own(
        &self,
        was_seen: bool,
        watch: &mut dyn FnMut(&NodeView, &FreshRows) -> Result<()>,
    ) -> Result<Opened> {
        let Member {
            how, members, beats, ..
        } = self.member.as_ref();
        let mut follower = None;
        let claimed = claim::wait(
            beats,
            members,
            self.shard,
            &how.canceled,
            how.patience,
            was_seen,
            |owner| {
                let follower = match &mut follower {
                    Some(follower) => follower,
                    None => {
                        let log = PostgresLog::with_patience(&how.address, members.seat(self.shard), FOLLOWER)?;
                        let (beats, shard) = (Arc::clone(beats), self.shard);
                        let note_current = move |is_current| beats.note_ready(shard, is_current);
                        follower.insert(Follower::start(self.source(Arc::new(log)), note_current)?)
                    }
                };
                watch(owner, &follower.fresh_rows())
            },
        )?;
        let (epoch, crashes_before) = (claimed.tenure.epoch, claimed.crashes_before);
        self.serve(claimed, follower)
            .inspect_err(|_| self.give_up(epoch, crashes_before))
    }

    /// Returns the copy of this node, and the log that it follows.
    fn source(&self, log: Arc<dyn SharedLog>) -> CopySource {
        let how = &self.member.how;
        CopySource {
            directory: how.copy(self.shard),
            hub: self.member.identity().id,
            log,
            limits: how.limits(),
            canceled: Arc::clone(&how.canceled),
        }
    }

    /// Brings the copy up to date and opens the store of a shard that this node owns.
    fn serve(&self, claimed: Claimed, follower: Option<Follower>) -> Result<Opened> {
        let Member {
            how, members, beats, ..
        } = self.member.as_ref();
        let Claimed {
            tenure,
            calm_since,
            held,
            crashes_before,
        } = claimed;
        let identity = members.identity();
        let hand_over = self.hand_over.get().cloned().unwrap_or_else(|| Arc::new(|| {}));
        let attention = Arc::clone(beats).attend(self.shard, tenure.epoch, hand_over);
        let seat = members.seat(self.shard);
        let shared: Arc<dyn SharedLog> = Arc::new(PostgresLog::new(&how.address, seat)?);
        let followed = follower.and_then(Follower::stop);
        let source = self.source(Arc::clone(&shared));
        let (durable, appended) = take_over(&source, &tenure, followed)?;
        let durable = Materialized::start(durable)?;
        let last_commit = commit_in(durable.store.as_ref() as &dyn Reader)?;
        let first = last_commit.map_or(1, |commit| commit.next_batch);
        let calm_since = calm_since.unwrap_or(first);
        shared.set_calm_since(tenure.epoch, calm_since)?;
        let log_bytes = shared.bytes()?;
        let snapshots = Snapshots::start(
            Arc::clone(&durable.store),
            appended,
            tenure.epoch,
            Arc::clone(&shared),
            log_bytes,
        )?;
        attention.serve();
        let format = Format {
            hub: identity.id,
            incarnation: tenure.log.incarnation,
            ..Format::new(identity.partitions)
        };
        let store = ReplicatedStore {
            _snapshots: snapshots,
            attention,
            durable,
            shared,
            seat,
            epoch: tenure.epoch,
            format,
            closed: AtomicBool::new(false),
            _lock: Arc::clone(&self.member.lock),
        };
        Ok(Opened {
            store: Arc::new(store),
            last_commit,
            hub: identity.id,
            partitions: identity.partitions,
            incarnation: tenure.log.incarnation,
            calm_since,
            epoch: tenure.epoch,
            crashes_before,
            held,
        })
    }
}

/// Brings the copy of a new owner up to date. `followed` is the copy if it is open, because it has followed the log.
pub(super) fn take_over(
    source: &CopySource,
    tenure: &Tenure,
    followed: Option<Replay>,
) -> Result<(OwnedStore, Arc<Appended>)> {
    let CopySource {
        log: shared, limits, ..
    } = source;
    // One that does not fit is closed before the copy is opened again.
    let replay = match followed {
        Some(replay) if replay.fits(&tenure.log) => Ok(replay),
        followed => {
            if let Some(replay) = followed {
                replay.close(&source.canceled);
            }
            copy::open(
                &source.directory,
                source.hub,
                &tenure.log,
                shared.as_ref(),
                *limits,
                &source.canceled,
            )
        }
    };
    let current = replay.and_then(|replay| replay.finish(&tenure.log, shared.as_ref()));
    let current = current.map_err(|error| damaged_or_replaced(error, tenure.epoch, shared.as_ref()))?;
    let log = ReplicatedLog::new(
        Arc::clone(shared),
        tenure,
        Arc::clone(&current.appended),
        limits.record_bytes,
    );
    let durable = Durable::new(log, current.copy, current.fronts, current.kept, limits.bounds);
    Ok((durable, current.appended))
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("how", &self.how).finish_non_exhaustive()
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant")
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}
