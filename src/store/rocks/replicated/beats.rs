//! The beats of a node, and what it sees of the others with each of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::balance::{Sighting, Watch};
use crate::error::{Error, ErrorKind, Result};
use crate::id::ShardId;
use crate::log::postgres::{Members, NodeView};
use crate::spawn::spawn;
use crate::time::Stopwatch;

/// Interval between two beats.
const BEAT: Duration = Duration::from_millis(500);

/// Time of service after which the deaths of earlier owners no longer count.
const GOOD_SERVICE: Duration = Duration::from_secs(60);

/// What to do when another node should take over a shard that this one owns.
pub(crate) type HandOver = Arc<dyn Fn() + Send + Sync>;

/// The beats of a node, on a thread of their own. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Beats {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    members: Arc<Members>,
    state: Mutex<State>,
    changed: Condvar,
    /// Whether the copy of a shard is up to date, by the numbers of the shards.
    ready: Vec<AtomicBool>,
    /// Set when the node ends.
    is_withdrawn: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the newest beat that has begun.
    begun: u64,
    /// The newest sighting, and the number of its beat.
    seen: Option<(u64, Arc<Sighting>)>,
    /// Why the newest beat failed, if it did, and since when the beats fail.
    failed: Option<(Error, Stopwatch)>,
    /// The tenures of this node.
    tenures: BTreeMap<ShardId, Tenure>,
    /// The next beat is due at once.
    is_due: bool,
    is_stopped: bool,
}

/// What the beats do for a tenure.
struct Tenure {
    epoch: u64,
    /// Set when another node has become the owner.
    is_replaced: Arc<AtomicBool>,
    /// Counts since the copy is up to date.
    service: Option<Stopwatch>,
    /// The deaths of earlier owners count.
    is_new: bool,
    hand_over: HandOver,
}

/// Keeps the node informed about one of its tenures, until this is dropped.
#[derive(Debug)]
pub(super) struct Attention {
    beats: Arc<Beats>,
    shard: ShardId,
    epoch: u64,
    is_replaced: Arc<AtomicBool>,
}

impl Beats {
    pub(super) fn start(members: Arc<Members>) -> Result<Self> {
        let shared = Arc::new(Shared {
            ready: (0..members.shards()).map(|_| AtomicBool::new(false)).collect(),
            members,
            state: Mutex::default(),
            changed: Condvar::new(),
            is_withdrawn: AtomicBool::new(false),
        });
        let thread = spawn("abide-beat", {
            let shared = Arc::clone(&shared);
            move || shared.run()
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Notes whether the copy of a shard is up to date, so that this node could run the shard.
    pub(super) fn note_ready(&self, shard: ShardId, is_ready: bool) {
        self.shared.ready[shard.index()].store(is_ready, Ordering::Relaxed);
    }

    /// Tells the other nodes from now on that this one cannot run a shard.
    pub(super) fn withdraw(&self) {
        self.shared.is_withdrawn.store(true, Ordering::Relaxed);
        self.look();
    }

    /// Ends the beats: this node runs nothing any more, so that the others may claim what it could not release.
    pub(super) fn stop(&self) {
        self.shared.state().is_stopped = true;
        self.shared.changed.notify_all();
    }

    /// Makes the next beat due, and wakes those that wait for one.
    pub(super) fn look(&self) {
        self.shared.state().is_due = true;
        self.shared.changed.notify_all();
    }

    /// Returns the number of the newest beat that has begun. What happened before the call is seen by the beats after it.
    pub(super) fn begun(&self) -> u64 {
        self.shared.state().begun
    }

    /// Waits for a beat after the one with the number `after`, and returns what the node has seen with it. Returns `None` if it
    /// was woken by a [look](Self::look) before.
    ///
    /// # Errors
    /// Returns the error with which the beats fail, if another one would not help, or if they have failed for longer than
    /// `patience`.
    pub(super) fn next(&self, after: &mut u64, patience: Duration) -> Result<Option<Arc<Sighting>>> {
        let mut state = self.shared.state();
        let mut was_woken = false;
        loop {
            if let Some((number, sighting)) = state.seen.as_ref().filter(|(number, _)| number > after) {
                *after = *number;
                return Ok(Some(Arc::clone(sighting)));
            }
            if let Some((error, since)) = &state.failed
                && (error.kind() != ErrorKind::Io || since.elapsed() > patience)
            {
                return Err(error.clone());
            }
            if was_woken {
                return Ok(None);
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, BEAT)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            was_woken = true;
        }
    }

    /// Returns `true` if this node should leave a shard that it owns to another one, as far as it has seen.
    pub(super) fn hands_over(&self, shard: ShardId) -> bool {
        self.newest().is_some_and(|seen| seen.hands_over(shard))
    }

    /// Returns `true` if this node owns a shard, as far as it has seen.
    pub(super) fn is_owner(&self, shard: ShardId) -> bool {
        let me = self.shared.members.node().id;
        self.newest().is_some_and(|seen| seen.shard(shard).owner == Some(me))
    }

    /// Returns the owner of a shard that this node has seen last, if it is another node.
    pub(super) fn other_owner(&self, shard: ShardId) -> Option<NodeView> {
        self.newest()?.other_owner(shard).cloned()
    }

    fn newest(&self) -> Option<Arc<Sighting>> {
        let state = self.shared.state();
        state.seen.as_ref().map(|(_, sighting)| Arc::clone(sighting))
    }

    /// Pays attention to a tenure of this node from now on.
    pub(super) fn attend(self: Arc<Self>, shard: ShardId, epoch: u64, hand_over: HandOver) -> Attention {
        let is_replaced = Arc::new(AtomicBool::new(false));
        let tenure = Tenure {
            epoch,
            is_replaced: Arc::clone(&is_replaced),
            service: None,
            is_new: true,
            hand_over,
        };
        self.shared.state().tenures.insert(shard, tenure);
        Attention {
            beats: self,
            shard,
            epoch,
            is_replaced,
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let (start, mut watch) = (Stopwatch::start(), Watch::default());
        loop {
            let number = {
                let mut state = self.state();
                if state.is_stopped {
                    drop(state);
                    return self.members.disconnect();
                }
                state.is_due = false;
                state.begun += 1;
                state.begun
            };
            let are_current = self.ready.iter().all(|ready| ready.load(Ordering::Relaxed));
            let is_ready = are_current && !self.is_withdrawn.load(Ordering::Relaxed);
            // A database that cannot be reached is reported by the session, and by the logs.
            let seen = self.members.beat(is_ready, BEAT * 2);
            let seen = seen.map(|view| Arc::new(watch.see(self.members.node().id, view, start.elapsed())));
            // An old tenure ends before anybody learns of the next one.
            self.end_tenures(&seen);
            self.note(number, &seen);
            self.attend_tenures(&seen);
            let state = self.state();
            let is_waiting = |state: &mut State| !state.is_due && !state.is_stopped;
            let waited = self.changed.wait_timeout_while(state, BEAT, is_waiting);
            drop(waited);
        }
    }

    /// Tells those who wait for it what a beat has seen.
    fn note(&self, number: u64, seen: &Result<Arc<Sighting>>) {
        let mut state = self.state();
        match seen {
            Ok(sighting) => {
                state.failed = None;
                state.seen = Some((number, Arc::clone(sighting)));
            }
            Err(error) => {
                let since = state.failed.take().map_or_else(Stopwatch::start, |(_, since)| since);
                state.failed = Some((error.clone(), since));
            }
        }
        self.changed.notify_all();
    }

    /// Ends the tenures of this node that another one has replaced.
    fn end_tenures(&self, seen: &Result<Arc<Sighting>>) {
        for (shard, tenure) in &self.state().tenures {
            let is_replaced = match seen {
                Ok(sighting) => sighting.shard(*shard).epoch > tenure.epoch,
                Err(error) => error.kind() == ErrorKind::Moved,
            };
            if is_replaced {
                tenure.is_replaced.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Tells each tenure what the beat means for it.
    fn attend_tenures(&self, seen: &Result<Arc<Sighting>>) {
        let mut calls: Vec<HandOver> = Vec::new();
        let mut serving_well = None;
        for (shard, tenure) in &mut self.state().tenures {
            let is_replaced = tenure.is_replaced.load(Ordering::Relaxed);
            let Some(service) = tenure.service.as_ref().filter(|_| !is_replaced) else {
                continue;
            };
            if seen.as_ref().is_ok_and(|sighting| sighting.hands_over(*shard)) {
                calls.push(Arc::clone(&tenure.hand_over));
            }
            if let Ok(sighting) = seen
                && tenure.is_new
                && service.elapsed() > GOOD_SERVICE
            {
                if sighting.shard(*shard).crashes > 0 {
                    // One of them with each beat, which must not be late.
                    serving_well = Some((*shard, tenure.epoch));
                } else {
                    tenure.is_new = false;
                }
            }
        }
        calls.iter().for_each(|hand_over| hand_over());
        if let Some((shard, epoch)) = serving_well {
            // If this fails, the next beat tries it again.
            let _ = self.members.forget_crashes(shard, epoch, BEAT);
        }
    }
}

impl Attention {
    /// Notes that the service begins.
    pub(super) fn serve(&self) {
        self.beats.note_ready(self.shard, true);
        if let Some(tenure) = self.beats.shared.state().tenures.get_mut(&self.shard) {
            tenure.service = Some(Stopwatch::start());
        }
    }

    /// Returns `true` if another node has become the owner, as far as this node has seen.
    pub(super) fn is_replaced(&self) -> bool {
        self.is_replaced.load(Ordering::Relaxed)
    }
}

impl Drop for Attention {
    fn drop(&mut self) {
        let mut state = self.beats.shared.state();
        // There may be a later tenure.
        if state
            .tenures
            .get(&self.shard)
            .is_some_and(|tenure| tenure.epoch == self.epoch)
        {
            state.tenures.remove(&self.shard);
        }
    }
}

impl Drop for Beats {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // The panic hook has already reported any panic.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Tenure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenure")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}
