//! The feed of durable changes, for those who watch the hub.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::InstanceChange;
use crate::time::Timestamp;

/// Number of changes that the feed keeps for watchers who are behind or come back.
const KEPT: usize = 8_192;

/// Maximum number of changes that one read examines. A watcher who is further behind misses the changes before them.
const EXAMINED: u64 = 2_048;

/// Maximum number of changes that one read returns.
const RETURNED: usize = 256;

/// Time for which the feed continues without watchers, so that one who comes back misses nothing.
const AFTERWARD: Duration = Duration::from_secs(60);

/// The feed of durable changes. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Feed {
    ring: Arc<Ring>,
    newest: watch::Sender<u64>,
}

/// The newest changes.
#[derive(Debug, Default)]
struct Ring {
    /// True while the cores have to note changes.
    is_watched: Arc<AtomicBool>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Number of the next change.
    next: u64,
    changes: VecDeque<InstanceChange>,
    watchers: usize,
    /// The time of the first change after the last watcher left.
    alone_since: Option<Timestamp>,
}

/// A watcher of the feed.
#[derive(Debug)]
pub(crate) struct Watcher {
    ring: Arc<Ring>,
    newest: watch::Receiver<u64>,
}

/// The result of a read of the feed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FeedPart {
    pub(crate) changes: Vec<InstanceChange>,
    /// The number of changes that the feed no longer had, or that were too many.
    pub(crate) missed: u64,
    /// The position after this part.
    pub(crate) next: u64,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            ring: Arc::default(),
            newest: watch::channel(0).0,
        }
    }
}

impl Feed {
    /// Returns the flag that is true while the cores have to note changes.
    pub(crate) fn is_watched(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.ring.is_watched)
    }

    /// Adds changes that are durable.
    pub(crate) fn publish(&self, changes: Vec<InstanceChange>) {
        let Some(now) = changes.last().map(|change| Timestamp::from(change.time)) else {
            return;
        };
        let mut state = self.ring.state();
        if state.watchers == 0 && now >= state.alone_since.get_or_insert(now).after(AFTERWARD) {
            self.ring.is_watched.store(false, Ordering::Relaxed);
            state.changes = VecDeque::new();
            // What follows is not noted. A watcher who comes back learns that something is missing.
            state.next += 1 + changes.len() as u64;
            return;
        }
        state.next += changes.len() as u64;
        state.changes.extend(changes);
        let surplus = state.changes.len().saturating_sub(KEPT);
        state.changes.drain(..surplus);
        self.newest.send_replace(state.next);
    }

    /// Begins to watch. The changes of steps that begin from now on are noted.
    pub(crate) fn watch(&self) -> Watcher {
        let mut state = self.ring.state();
        state.watchers += 1;
        state.alone_since = None;
        if !self.ring.is_watched.swap(true, Ordering::Relaxed) {
            state.next += 1;
        }
        Watcher {
            ring: Arc::clone(&self.ring),
            newest: self.newest.subscribe(),
        }
    }
}

impl Watcher {
    /// Returns the position after the newest change.
    pub(crate) fn position(&self) -> u64 {
        self.ring.state().next
    }

    /// Waits until there are changes after `position`. Returns `false` if the hub is closed.
    pub(crate) async fn wait(&mut self, position: u64) -> bool {
        self.newest.wait_for(|newest| *newest > position).await.is_ok()
    }

    /// Reads the changes from `position` on that `wants` selects.
    pub(crate) fn read(&self, position: u64, wants: impl Fn(&InstanceChange) -> bool) -> FeedPart {
        let state = self.ring.state();
        let first = state.next - state.changes.len() as u64;
        let from = position
            .max(first)
            .max(state.next.saturating_sub(EXAMINED))
            .min(state.next);
        let mut part = FeedPart {
            changes: Vec::new(),
            missed: from.saturating_sub(position),
            next: state.next,
        };
        for (number, change) in (from..).zip(state.changes.range((from - first) as usize..)) {
            if part.changes.len() == RETURNED {
                part.next = number;
                break;
            }
            if wants(change) {
                part.changes.push(change.clone());
            }
        }
        part
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.ring.state().watchers -= 1;
    }
}

impl Ring {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ChangeKind;

    fn change(number: u64, seconds: u64) -> InstanceChange {
        InstanceChange {
            kind: ChangeKind::Ended,
            id: number.to_string(),
            name: "order".to_owned(),
            status: None,
            time: Timestamp(1_000 * seconds).into(),
        }
    }

    fn ids(part: &FeedPart) -> Vec<&str> {
        part.changes.iter().map(|change| change.id.as_str()).collect()
    }

    /// A watcher receives every change that it wants once and in order, in parts of a limited size.
    #[test]
    fn a_watcher_receives_every_change_once() {
        let feed = Feed::default();
        let watcher = feed.watch();
        let mut position = watcher.position();
        for number in 0..1_000 {
            feed.publish(vec![change(2 * number, 0), change(2 * number + 1, 0)]);
        }
        let mut received = Vec::new();
        loop {
            let part = watcher.read(position, |change| !change.id.ends_with('7'));
            assert_eq!(part.missed, 0);
            assert!(part.changes.len() <= RETURNED);
            if part.next == position {
                break;
            }
            position = part.next;
            received.extend(part.changes.into_iter().map(|change| change.id));
        }
        let wanted = (0..2_000)
            .map(|number| number.to_string())
            .filter(|id| !id.ends_with('7'));
        assert_eq!(received, wanted.collect::<Vec<_>>());
    }

    /// A watcher who does not read costs a bounded amount of memory, and learns how much it has missed.
    #[test]
    fn a_watcher_who_does_not_read_misses_the_oldest_changes() {
        let feed = Feed::default();
        let watcher = feed.watch();
        let position = watcher.position();
        for number in 0..3 * KEPT as u64 {
            feed.publish(vec![change(number, 0)]);
        }
        assert_eq!(feed.ring.state().changes.len(), KEPT);
        let part = watcher.read(position, |_| true);
        assert_eq!(part.missed, 3 * KEPT as u64 - EXAMINED);
        assert_eq!(ids(&part)[0], (3 * KEPT as u64 - EXAMINED).to_string());
    }

    /// Who comes back soon misses nothing. Later, nothing is noted any more, and who comes back learns that something
    /// is missing.
    #[test]
    fn who_comes_back_soon_misses_nothing() {
        let feed = Feed::default();
        let position = feed.watch().position();
        feed.publish(vec![change(0, 0)]);
        feed.publish(vec![change(1, 59)]);
        let part = feed.watch().read(position, |_| true);
        assert_eq!((part.missed, ids(&part)), (0, vec!["0", "1"]));

        feed.publish(vec![change(2, 60)]);
        assert!(feed.is_watched().load(Ordering::Relaxed));
        feed.publish(vec![change(3, 121)]);
        assert!(!feed.is_watched().load(Ordering::Relaxed));
        let watcher = feed.watch();
        assert!(feed.is_watched().load(Ordering::Relaxed));
        let again = watcher.read(part.next, |_| true);
        assert!(again.missed > 0 && again.changes.is_empty());
        assert_eq!(watcher.read(again.next, |_| true).missed, 0);
    }
}
