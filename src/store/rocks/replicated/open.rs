//! Opens a hub whose log is shared: joins it, waits to own it, and brings the copy up to date.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use uuid::Uuid;

use super::claim::{self, Beats, Claimed, Drain};
use super::copy::{self, Limits};
use super::follow::{CopySource, Follower, FreshRows};
use super::node;
use super::replay::{Replay, damaged_or_replaced};
use super::snapshot::Snapshots;
use super::store::{LEAVE, OwnedStore, ReplicatedStore};
use crate::error::Result;
use crate::files::create_private_directory;
use crate::id::Shard;
use crate::log::postgres::{Address, Endpoint, Identity, Members, Owner, PostgresLog, Session, Wish};
use crate::log::replicated::{Appended, ReplicatedLog};
use crate::log::shared::{SharedLog, Tenure};
use crate::model::CommitRecord;
use crate::random;
use crate::store::Reader;
use crate::store::directory::{DirectoryLock, Format};
use crate::store::durable::Durable;
use crate::store::rocks::open::commit_in;
use crate::store::rocks::store::Materialized;

/// Time for which a node that follows the log waits for a database that cannot be reached, before it tries again.
const FOLLOWER: Duration = Duration::from_secs(2);

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
    /// The shard of the hub, and the number of shards.
    pub(crate) shard: Shard,
    /// Time for which the open waits for a database that cannot be reached.
    pub(crate) patience: Duration,
    /// Ends the wait for another node.
    pub(crate) canceled: Arc<AtomicBool>,
    /// Where the other nodes reach this one, if they may.
    pub(crate) endpoint: Option<Endpoint>,
}

impl OpenOptions {
    /// Returns the directory of the copy, and its limits.
    fn copy(&self) -> (PathBuf, Limits) {
        (
            self.directory.join("copy"),
            Limits::new(self.memory_budget, self.wal_limit),
        )
    }
}

/// An open hub and its description.
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
    /// The ids of the entities that are held.
    pub(crate) held: Vec<String>,
}

/// A node of a hub.
pub(crate) struct Member {
    how: OpenOptions,
    members: Arc<Members>,
    lock: Arc<DirectoryLock>,
    drain: OnceLock<Drain>,
    /// The connection on which nodes are looked up that want to connect, so that no beat waits for them.
    admission: Session,
}

/// Waits until this node owns the hub, and opens it.
///
/// # Errors
/// Returns the errors of [`Member::join`] and [`Member::own`].
pub(crate) fn open(how: &OpenOptions) -> Result<Opened> {
    Member::join(how.clone())?.own(false, &mut |_, _| {})
}

impl Member {
    /// Takes the directory and joins the hub.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Locked`](crate::ErrorKind::Locked) if the directory is in use, any error of its
    /// files, or the errors of [`Members::join`].
    pub(crate) fn join(how: OpenOptions) -> Result<Self> {
        create_private_directory(&how.directory)?;
        let lock = DirectoryLock::take(&how.directory)?;
        let node = node::read_or_create(&how.directory, how.endpoint.clone())?;
        let wish = Wish {
            name: how.name.clone(),
            partitions: how.partitions,
            shard: how.shard,
            id: random::uuid(),
        };
        let members = Members::join(Session::new(how.address.clone())?, &wish, node, how.patience)?;
        Ok(Self {
            admission: Session::new(how.address.clone())?,
            how,
            members: Arc::new(members),
            lock: Arc::new(lock),
            drain: OnceLock::new(),
        })
    }

    pub(crate) fn identity(&self) -> Identity {
        self.members.identity()
    }

    /// Returns `true` if a node of this hub has a certificate with this fingerprint.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Io`](crate::ErrorKind::Io) if the database cannot be reached.
    pub(crate) fn admits(&self, fingerprint: &[u8; 32]) -> Result<bool> {
        self.members.admits(&self.admission, fingerprint, FOLLOWER)
    }

    /// Returns the name of the hub.
    pub(crate) fn hub_name(&self) -> &str {
        &self.how.name
    }

    /// Calls `drain` when an operator drains this node while it runs the hub.
    pub(crate) fn when_drained(&self, drain: Drain) {
        // It is set once, before the first open.
        let _ = self.drain.set(drain);
    }

    /// Returns `true` if an operator drains this node.
    ///
    /// # Errors
    /// Returns the errors of [`Members::beat`].
    pub(crate) fn is_draining(&self) -> Result<bool> {
        Ok(self.members.beat(FOLLOWER)?.is_draining)
    }

    /// Ends the tenure of this node, if it has one, so that another node can try.
    pub(crate) fn give_up(&self) {
        // If this fails, the others wait until the node ends.
        let _ = self.members.give_up(LEAVE);
    }

    /// Ends the wait for another node.
    pub(crate) fn cancel(&self) {
        self.how.canceled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_canceled(&self) -> bool {
        self.how.canceled.load(Ordering::Relaxed)
    }

    /// Waits until this node owns the hub, and opens it. Meanwhile, its copy follows the log. Calls `watch` with each other
    /// owner, and with what this node can read while it waits. `was_seen` tells that the node has seen the hub before.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the wait was canceled, or the errors of
    /// [`copy::open`] and of [`Replay::finish`](super::replay::Replay::finish).
    pub(crate) fn own(&self, was_seen: bool, watch: &mut dyn FnMut(&Owner, &FreshRows)) -> Result<Opened> {
        let (how, members) = (&self.how, &self.members);
        let identity = members.identity();
        let (copy, limits) = how.copy();
        let mut follower = None;
        let claimed = claim::wait(members, &how.canceled, how.patience, was_seen, |owner| {
            let follower = match &mut follower {
                Some(follower) => follower,
                None => {
                    let log = PostgresLog::with_patience(&how.address, members.seat(), FOLLOWER)?;
                    follower.insert(Follower::start(CopySource {
                        directory: copy.clone(),
                        hub: identity.id,
                        log: Arc::new(log),
                        limits,
                        canceled: Arc::clone(&how.canceled),
                    })?)
                }
            };
            watch(owner, &follower.fresh_rows());
            Ok(())
        })?;
        self.serve(claimed, follower).inspect_err(|_| {
            if let Some(before) = claimed.crashes_before {
                // If this fails, the next node waits for longer than necessary.
                let _ = members.take_back_crash(claimed.tenure.epoch, before, LEAVE);
            }
        })
    }

    /// Brings the copy up to date and opens the store of a hub that this node owns.
    fn serve(&self, claimed: Claimed, follower: Option<Follower>) -> Result<Opened> {
        let (how, members) = (&self.how, &self.members);
        let Claimed { tenure, is_calm, .. } = claimed;
        let identity = members.identity();
        let calm_since = members.calm_since(how.patience)?;
        let held = members.holds(how.patience)?;
        // The beats begin before the copy is brought up to date, which may take long.
        let drain = self.drain.get().cloned().unwrap_or_else(|| Arc::new(|| {}));
        let beats = Beats::start(Arc::clone(members), tenure.epoch, drain)?;
        let shared: Arc<dyn SharedLog> = Arc::new(PostgresLog::new(&how.address, members.seat())?);
        let (copy, limits) = how.copy();
        let followed = follower.and_then(Follower::stop);
        let source = CopySource {
            directory: copy,
            hub: identity.id,
            log: Arc::clone(&shared),
            limits,
            canceled: Arc::clone(&how.canceled),
        };
        let (durable, appended) = take_over(&source, &tenure, followed)?;
        let durable = Materialized::start(durable)?;
        let last_commit = commit_in(durable.store.as_ref() as &dyn Reader)?;
        let first = last_commit.map_or(1, |commit| commit.next_batch);
        let calm_since = if is_calm { calm_since } else { first };
        shared.set_calm_since(tenure.epoch, calm_since)?;
        let log_bytes = shared.bytes()?;
        let snapshots = Snapshots::start(
            Arc::clone(&durable.store),
            appended,
            tenure.epoch,
            Arc::clone(&shared),
            log_bytes,
        )?;
        beats.serve();
        let format = Format {
            hub: identity.id,
            incarnation: tenure.log.incarnation,
            ..Format::new(identity.partitions)
        };
        let store = ReplicatedStore {
            _snapshots: snapshots,
            beats,
            durable,
            shared,
            seat: members.seat(),
            epoch: tenure.epoch,
            format,
            closed: AtomicBool::new(false),
            _lock: Arc::clone(&self.lock),
        };
        Ok(Opened {
            store: Arc::new(store),
            last_commit,
            hub: identity.id,
            partitions: identity.partitions,
            incarnation: tenure.log.incarnation,
            calm_since,
            epoch: tenure.epoch,
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
    let log = ReplicatedLog::new(Arc::clone(shared), tenure, Arc::clone(&current.appended));
    let durable = Durable::new(log, current.copy, current.fronts, current.kept, limits.bounds);
    Ok((durable, current.appended))
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("how", &self.how).finish_non_exhaustive()
    }
}
