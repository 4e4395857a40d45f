//! The feed of durable changes, for those who watch the hub.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::{ChangeKind, ChangeKinds, InstanceChange, NotedChange, WatchedKinds};
use crate::time::Timestamp;

/// Number of changes that the feed keeps for watchers who are behind or come back.
const KEPT: usize = 8_192;

/// Maximum number of changes that one read examines, so that it holds the lock briefly.
const EXAMINED: usize = 2_048;

/// Maximum number of changes that one read returns.
const RETURNED: usize = 256;

/// Time for which a kind without watchers is still noted, so that a watcher who comes back misses nothing.
const AFTERWARD: Duration = Duration::from_secs(60);

const KINDS: usize = ChangeKind::ALL.len();

/// The feed of durable changes. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Feed {
    ring: Arc<Ring>,
    /// For each kind, the position after its newest change. A change wakes only those who watch its kind.
    newest: [watch::Sender<u64>; KINDS],
}

/// The newest changes.
#[derive(Debug, Default)]
struct Ring {
    watched: Arc<WatchedKinds>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Number of the next change.
    next: u64,
    /// Each with its number. There are gaps in the numbers.
    changes: VecDeque<(u64, NotedChange)>,
    /// The position after the newest change that was dropped.
    dropped: u64,
    kinds: [Kind; KINDS],
}

/// What is known of the watchers of one kind.
#[derive(Debug, Default)]
struct Kind {
    watchers: usize,
    is_noted: bool,
    /// The position from which on no change of this kind is missing.
    noted_from: u64,
    /// The time of the first change of any kind after the last watcher left.
    alone_since: Option<Timestamp>,
}

/// A watcher of the feed.
#[derive(Debug)]
pub(crate) struct Watcher {
    ring: Arc<Ring>,
    kinds: ChangeKinds,
    newest: Vec<watch::Receiver<u64>>,
}

/// The result of a read of the feed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FeedPart {
    pub(crate) changes: Vec<InstanceChange>,
    /// True if changes are missing that the feed no longer had or never noted.
    pub(crate) has_gap: bool,
    /// The position after this part.
    pub(crate) next: u64,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            ring: Arc::default(),
            newest: std::array::from_fn(|_| watch::channel(0).0),
        }
    }
}

impl Feed {
    /// Returns the kinds that the cores have to note.
    pub(crate) fn watched(&self) -> Arc<WatchedKinds> {
        Arc::clone(&self.ring.watched)
    }

    /// Adds changes that are durable.
    pub(crate) fn publish(&self, changes: Vec<NotedChange>) {
        let Some(now) = changes.last().map(|change| change.time) else {
            return;
        };
        let mut newest = [0; KINDS];
        let mut state = self.ring.state();
        for change in changes {
            let number = state.next;
            state.next += 1;
            newest[change.kind as usize] = state.next;
            state.changes.push_back((number, change));
        }
        let surplus = state.changes.len().saturating_sub(KEPT);
        state.drop_oldest(surplus);
        if state.leave_alone(now) {
            self.ring.watched.set(state.noted());
        }
        drop(state);
        for (sender, newest) in self.newest.iter().zip(newest) {
            if newest > 0 {
                // Of two threads, the second one may come first.
                sender.send_if_modified(|known| newest > std::mem::replace(known, newest.max(*known)));
            }
        }
    }

    /// Begins to watch some kinds. The changes of steps that begin from now on are noted.
    pub(crate) fn watch(&self, kinds: ChangeKinds) -> Watcher {
        let mut state = self.ring.state();
        // No earlier position is as high, so those who come back learn that changes of a kind may be missing.
        state.next += 1;
        let next = state.next;
        for kind in kinds.iter() {
            let kind = &mut state.kinds[kind as usize];
            kind.watchers += 1;
            kind.alone_since = None;
            if !std::mem::replace(&mut kind.is_noted, true) {
                kind.noted_from = next;
            }
        }
        self.ring.watched.set(state.noted());
        Watcher {
            ring: Arc::clone(&self.ring),
            kinds,
            newest: kinds
                .iter()
                .map(|kind| self.newest[kind as usize].subscribe())
                .collect(),
        }
    }
}

impl State {
    fn noted(&self) -> ChangeKinds {
        let kinds = ChangeKind::ALL.into_iter();
        kinds.filter(|kind| self.kinds[*kind as usize].is_noted).collect()
    }

    fn drop_oldest(&mut self, count: usize) {
        if let Some((newest, _)) = self.changes.drain(..count).next_back() {
            self.dropped = newest + 1;
        }
    }

    /// Ends the kinds that have had no watchers for a while. Returns `true` if there are any.
    fn leave_alone(&mut self, now: Timestamp) -> bool {
        let mut some = false;
        for kind in self.kinds.iter_mut().filter(|kind| kind.is_noted && kind.watchers == 0) {
            if now >= kind.alone_since.get_or_insert(now).after(AFTERWARD) {
                kind.is_noted = false;
                some = true;
            }
        }
        if some && self.noted() == ChangeKinds::default() {
            self.drop_oldest(self.changes.len());
            self.changes.shrink_to_fit();
        }
        some
    }
}

impl Watcher {
    /// Returns the position after the newest change.
    pub(crate) fn position(&self) -> u64 {
        self.ring.state().next
    }

    /// Waits until there are changes of a watched kind after `position`. Returns `false` if the hub is closed.
    pub(crate) async fn wait(&mut self, position: u64) -> bool {
        let mut waits: Vec<_> = self
            .newest
            .iter_mut()
            .map(|newest| Box::pin(newest.wait_for(move |newest| *newest > position)))
            .collect();
        std::future::poll_fn(|cx| {
            let ready = waits.iter_mut().find_map(|wait| match wait.as_mut().poll(cx) {
                Poll::Ready(newest) => Some(newest.is_ok()),
                Poll::Pending => None,
            });
            ready.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Reads the changes of the watched kinds from `position` on that `wants` selects.
    pub(crate) fn read(&self, position: u64, wants: impl Fn(&NotedChange) -> bool) -> FeedPart {
        let state = self.ring.state();
        let from = state.changes.partition_point(|(number, _)| *number < position);
        let mut has_gap = position < state.dropped;
        has_gap |= self
            .kinds
            .iter()
            .any(|kind| position < state.kinds[kind as usize].noted_from);
        let mut part = FeedPart {
            changes: Vec::new(),
            has_gap,
            next: state.next,
        };
        for (count, (number, change)) in state.changes.range(from..).enumerate() {
            if part.changes.len() == RETURNED || count == EXAMINED {
                part.next = *number;
                break;
            }
            if self.kinds.contains(change.kind) && wants(change) {
                part.changes.push(change.shown());
            }
        }
        part
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut state = self.ring.state();
        for kind in self.kinds.iter() {
            state.kinds[kind as usize].watchers -= 1;
        }
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
    use crate::id::InstanceId;

    fn change(kind: ChangeKind, number: u64, seconds: u64) -> NotedChange {
        let id = InstanceId::trusted(number.to_string());
        NotedChange::of_orchestration(kind, id, "order", None, Timestamp(1_000 * seconds))
    }

    fn ended(number: u64, seconds: u64) -> NotedChange {
        change(ChangeKind::Ended, number, seconds)
    }

    fn ids(part: &FeedPart) -> Vec<&str> {
        part.changes.iter().map(|change| change.id.as_str()).collect()
    }

    fn ends() -> ChangeKinds {
        [ChangeKind::Ended].into_iter().collect()
    }

    /// A watcher receives every change that it wants once and in order, in parts of a limited size.
    #[test]
    fn a_watcher_receives_every_change_once() {
        let feed = Feed::default();
        let watcher = feed.watch(ends());
        let mut position = watcher.position();
        for number in 0..1_000 {
            feed.publish(vec![ended(2 * number, 0), ended(2 * number + 1, 0)]);
            // Others come and go.
            feed.watch(ends());
        }
        let mut received = Vec::new();
        loop {
            let part = watcher.read(position, |change| !change.id.as_str().ends_with('7'));
            assert!(!part.has_gap && part.changes.len() <= RETURNED);
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

    /// A watcher who does not read costs a bounded amount of memory, and learns that changes are missing.
    #[test]
    fn a_watcher_who_does_not_read_misses_the_oldest_changes() {
        let feed = Feed::default();
        let watcher = feed.watch(ends());
        let position = watcher.position();
        for number in 0..3 * KEPT as u64 {
            feed.publish(vec![ended(number, 0)]);
        }
        assert_eq!(feed.ring.state().changes.len(), KEPT);
        let part = watcher.read(position, |_| true);
        assert!(part.has_gap);
        assert_eq!(ids(&part)[0], (2 * KEPT).to_string());
        assert!(!watcher.read(part.next, |_| true).has_gap);
    }

    /// Who comes back soon misses nothing. Later, nothing is noted any more, and who comes back learns that changes may
    /// be missing, although none was numbered in the meantime.
    #[test]
    fn who_comes_back_soon_misses_nothing() {
        let feed = Feed::default();
        let position = feed.watch(ends()).position();
        feed.publish(vec![ended(0, 0)]);
        feed.publish(vec![ended(1, 59)]);
        let watcher = feed.watch(ends());
        let part = watcher.read(position, |_| true);
        assert_eq!((part.has_gap, ids(&part)), (false, vec!["0", "1"]));
        drop(watcher);

        feed.publish(vec![ended(2, 60)]);
        assert!(feed.watched().get().contains(ChangeKind::Ended));
        feed.publish(vec![ended(3, 121)]);
        assert_eq!(feed.watched().get(), ChangeKinds::default());
        let last = feed.ring.state().next;
        let watcher = feed.watch(ends());
        for position in [part.next, last] {
            let again = watcher.read(position, |_| true);
            assert!(again.has_gap && again.changes.is_empty(), "{again:?}");
            assert!(!watcher.read(again.next, |_| true).has_gap);
        }
    }

    /// Only the kinds that somebody watches are noted, and a change wakes only those who watch its kind.
    #[tokio::test]
    async fn a_change_wakes_only_those_who_watch_its_kind() {
        let feed = Feed::default();
        let mut turns = feed.watch([ChangeKind::Turn].into_iter().collect());
        let mut both = feed.watch([ChangeKind::Turn, ChangeKind::Ended].into_iter().collect());
        let kinds: Vec<_> = feed.watched().get().iter().collect();
        assert_eq!(kinds, [ChangeKind::Ended, ChangeKind::Turn]);
        let position = both.position();
        feed.publish(vec![ended(0, 0)]);
        assert!(both.wait(position).await);
        assert_eq!(ids(&both.read(position, |_| true)), ["0"]);
        let mut waiting = Box::pin(turns.wait(position));
        assert!(std::future::poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await);
        feed.publish(vec![change(ChangeKind::Turn, 1, 0)]);
        assert!(waiting.await);
        assert_eq!(ids(&turns.read(position, |_| true)), ["1"]);
        drop(feed);
        assert!(!turns.wait(u64::MAX).await);
    }
}
