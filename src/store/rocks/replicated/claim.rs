//! How a node becomes the owner of a hub.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::log::postgres::{Members, Owner, Seen};
use crate::log::shared::Tenure;
use crate::spawn::spawn;
use crate::time::Stopwatch;

/// Interval between two beats.
const BEAT: Duration = Duration::from_millis(500);

/// Time without a beat after which an owner without a connection is dead.
const DISCONNECTED: Duration = Duration::from_secs(2);

/// Time without a beat after which any owner is dead.
const SILENT: Duration = Duration::from_secs(6);

/// Time for which the next node waits after this number of owners that died one after the other. An operation that ends
/// its process would otherwise end all nodes in turn.
const CRASH_PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::ZERO,
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(300),
];

/// Time between two looks after which what was seen before no longer counts: the database was away, and the owner has to
/// find it again as well.
const GAP: Duration = Duration::from_millis(1_500);

/// Time for which a waiting node tries to reach the database. The owner waits as long.
const OUTAGE: Duration = Duration::from_secs(600);

/// Time of service after which the deaths of earlier owners no longer count.
const GOOD_SERVICE: Duration = Duration::from_secs(60);

/// The beats of the owner, as a watching node has seen them.
struct Watch {
    owner: Owner,
    /// Counts since the beat was first seen.
    since: Stopwatch,
}

impl Watch {
    /// Returns `true` if the owner is dead: its beat has stood still for long enough on the clock of this node.
    fn is_dead(&self, crashes: u32) -> bool {
        let still = if self.owner.is_connected { SILENT } else { DISCONNECTED };
        let pause = CRASH_PAUSES[(crashes as usize).min(CRASH_PAUSES.len() - 1)];
        self.since.elapsed() >= still + pause
    }
}

/// A hub that this node owns now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claimed {
    pub(super) tenure: Tenure,
    /// The previous owner has released the hub.
    pub(super) is_calm: bool,
    /// If the previous owner was another node and died, the number of crashes before the claim counted one more.
    pub(super) crashes_before: Option<u32>,
}

/// Waits until this node owns the hub, or until `canceled`. Calls `watch_owner` with each other owner that it sees. `was_seen`
/// tells that the node has seen the hub before, so that a database that cannot be reached now will be back.
pub(super) fn wait(
    members: &Members,
    canceled: &AtomicBool,
    patience: Duration,
    was_seen: bool,
    mut watch_owner: impl FnMut(&Owner) -> Result<()>,
) -> Result<Claimed> {
    let mut watch: Option<Watch> = None;
    let mut told = None;
    let (mut look, mut outage) = (Stopwatch::start(), None);
    loop {
        let was_seen = was_seen || watch.is_some();
        let seen = match members.beat(if was_seen { BEAT * 4 } else { patience }) {
            Ok(seen) => seen,
            Err(error) if error.kind() == ErrorKind::Io && was_seen => {
                let outage = outage.get_or_insert_with(Stopwatch::start);
                if outage.elapsed() > OUTAGE {
                    return Err(error);
                }
                check_canceled(canceled)?;
                continue;
            }
            Err(error) => return Err(error),
        };
        outage = None;
        if std::mem::replace(&mut look, Stopwatch::start()).elapsed() > GAP
            && let Some(watch) = &mut watch
        {
            watch.since = Stopwatch::start();
        }
        check_canceled(canceled)?;
        // A node that is drained leaves the hub to the others.
        if may_claim(members, &seen, &mut watch) && !seen.is_draining {
            if let Some(tenure) = members.claim(&seen, patience)? {
                let owner = seen.owner.map(|owner| owner.id);
                return Ok(Claimed {
                    tenure,
                    is_calm: owner.is_none(),
                    crashes_before: owner.filter(|owner| *owner != members.node().id).map(|_| seen.crashes),
                });
            }
        } else if let Some(Watch { owner, .. }) = &watch
            && told.as_ref() != Some(&(owner.id, owner.endpoint.clone()))
        {
            told = Some((owner.id, owner.endpoint.clone()));
            tracing::info!(owner = owner.name, "another node runs this hub; waiting to take over");
            watch_owner(owner)?;
        }
        std::thread::park_timeout(BEAT);
    }
}

/// Fails if an open was canceled.
pub(super) fn check_canceled(canceled: &AtomicBool) -> Result<()> {
    if canceled.load(Ordering::Relaxed) {
        return Err(Error::new(
            ErrorKind::Closed,
            "the open was canceled while it waited for another node",
        ));
    }
    Ok(())
}

/// Returns `true` if the hub has no owner, or this node is its owner, or the owner is dead.
fn may_claim(members: &Members, seen: &Seen, watch: &mut Option<Watch>) -> bool {
    let Some(owner) = seen.owner.as_ref().filter(|owner| owner.id != members.node().id) else {
        return true;
    };
    match watch {
        Some(watch) if (watch.owner.id, watch.owner.beat) == (owner.id, owner.beat) => {
            watch.owner.is_connected = owner.is_connected;
            watch.is_dead(seen.crashes)
        }
        _ => {
            *watch = Some(Watch {
                owner: owner.clone(),
                since: Stopwatch::start(),
            });
            false
        }
    }
}

/// What to do when an operator drains this node.
pub(crate) type Drain = Arc<dyn Fn() + Send + Sync>;

/// The beats of an owner, on a thread of their own. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Beats {
    stop: Arc<(Mutex<bool>, Condvar)>,
    /// Set when another node has become the owner.
    is_replaced: Arc<AtomicBool>,
    /// Set when the copy is up to date.
    serves: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Beats {
    /// `drain` is called once, when an operator drains this node.
    pub(super) fn start(members: Arc<Members>, epoch: u64, drain: Drain) -> Result<Self> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let is_replaced = Arc::new(AtomicBool::new(false));
        let serves = Arc::new(AtomicBool::new(false));
        let thread = spawn("abide-beat", {
            let (stop, is_replaced, serves) = (Arc::clone(&stop), Arc::clone(&is_replaced), Arc::clone(&serves));
            move || beat(&members, epoch, &stop, &is_replaced, &serves, &drain)
        })?;
        Ok(Self {
            stop,
            is_replaced,
            serves,
            thread: Some(thread),
        })
    }

    /// Records that the service begins.
    pub(super) fn serve(&self) {
        self.serves.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_replaced(&self) -> bool {
        self.is_replaced.load(Ordering::Relaxed)
    }
}

fn beat(
    members: &Members,
    epoch: u64,
    stop: &(Mutex<bool>, Condvar),
    is_replaced: &AtomicBool,
    serves: &AtomicBool,
    drain: &Drain,
) {
    let (stop, stopped) = stop;
    let (mut service, mut was_draining) = (None, false);
    let mut is_new = true;
    let mut ended = stop.lock().unwrap_or_else(PoisonError::into_inner);
    while !*ended {
        drop(ended);
        if service.is_none() && serves.load(Ordering::Relaxed) {
            service = Some(Stopwatch::start());
        }
        // A database that cannot be reached is reported by the session, and by the log.
        let seen = members.beat(BEAT * 2);
        if service.is_some()
            && seen.as_ref().is_ok_and(|seen| seen.is_draining)
            && !std::mem::replace(&mut was_draining, true)
        {
            drain();
        }
        match seen {
            Ok(seen) if seen.epoch > epoch => {
                is_replaced.store(true, Ordering::Relaxed);
                return;
            }
            Err(error) if error.kind() == ErrorKind::Moved => {
                is_replaced.store(true, Ordering::Relaxed);
                return;
            }
            Ok(_) if is_new && service.as_ref().is_some_and(|service| service.elapsed() > GOOD_SERVICE) => {
                is_new = members.forget_crashes(epoch, BEAT * 2).is_err();
            }
            _ => {}
        }
        ended = stop.lock().unwrap_or_else(PoisonError::into_inner);
        if !*ended {
            ended = stopped
                .wait_timeout(ended, BEAT)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Drop for Beats {
    fn drop(&mut self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // The panic hook has already reported any panic.
            let _ = thread.join();
        }
    }
}
