//! The feed of durable changes, for the watchers of the hub.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::{ChangeKind, ChangeKinds, InstanceChange, NotedChange, WatchedKinds};
use crate::runtime::contained::contained;
use crate::time::Timestamp;

/// Number of changes that the feed keeps for watchers that are behind or return.
const KEPT: usize = 8_192;

/// Maximum number of changes that one read examines, so that it holds the lock briefly.
const EXAMINED: usize = 2_048;

/// Maximum number of changes that one read returns.
const RETURNED: usize = 256;

/// Size in bytes of the ids and names that a read returns, after which it returns no more.
const RETURNED_BYTES: usize = 64 << 10;

/// Time for which a kind without watchers is still noted, so that a watcher that returns misses nothing.
const AFTERWARD: Duration = Duration::from_secs(60);

const KINDS: usize = ChangeKind::ALL.len();

/// The feed of durable changes. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Feed {
    ring: Arc<Ring>,
    /// For each kind, the position after its newest change. A change wakes only the watchers of its kind.
    newest: [watch::Sender<u64>; KINDS],
    /// True if the hub has failed, so that no more changes follow.
    failed: watch::Sender<bool>,
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
    kinds: [Kind; KINDS],
}

/// What is known of the watchers of one kind.
#[derive(Debug, Default)]
struct Kind {
    watchers: usize,
    is_noted: bool,
    /// The position from which on no change of this kind is missing.
    complete_from: u64,
    /// The time of the first change of any kind after the last watcher left.
    alone_since: Option<Timestamp>,
}

/// A watcher of the feed.
#[derive(Debug)]
pub(crate) struct Watcher {
    ring: Arc<Ring>,
    kinds: ChangeKinds,
    newest: Vec<watch::Receiver<u64>>,
    failed: watch::Receiver<bool>,
}

/// The result of a read of the feed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FeedPart {
    pub(crate) changes: Vec<InstanceChange>,
    /// True if changes are missing that the feed no longer had or never noted.
    pub(crate) has_gap: bool,
    /// The position after this part.
    pub(crate) next: u64,
    /// True if more changes are known already.
    pub(crate) is_full: bool,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            ring: Arc::default(),
            newest: std::array::from_fn(|_| watch::channel(0).0),
            failed: watch::channel(false).0,
        }
    }
}

impl Feed {
    /// Returns the kinds that the cores have to note.
    pub(crate) fn watched(&self) -> Arc<WatchedKinds> {
        Arc::clone(&self.ring.watched)
    }

    /// Returns the kinds that have a watcher now.
    #[cfg(feature = "cluster")]
    pub(crate) fn wanted(&self) -> ChangeKinds {
        let state = self.ring.state();
        let kinds = ChangeKind::ALL.into_iter();
        kinds.filter(|kind| state.kinds[*kind as usize].watchers > 0).collect()
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
        self.wake(newest);
    }

    /// Notes that changes of some kinds were not noted, because they were not watched when their step began.
    /// Watchers that have begun since then receive a gap. Called after the changes are written.
    pub(crate) fn miss(&self, kinds: ChangeKinds) {
        let mut newest = [0; KINDS];
        let mut state = self.ring.state();
        state.next += 1;
        let next = state.next;
        for kind in kinds.iter() {
            state.kinds[kind as usize].complete_from = next;
            newest[kind as usize] = next;
        }
        drop(state);
        self.wake(newest);
    }

    /// Tells the watchers that the hub has failed.
    pub(crate) fn fail(&self) {
        contained(|| {
            self.failed.send_replace(true);
        });
    }

    /// Wakes the watchers of the kinds that have a new position.
    fn wake(&self, newest: [u64; KINDS]) {
        for (sender, newest) in self.newest.iter().zip(newest) {
            if newest > 0 {
                // The wakers are code of the program. Of two threads, the second one may come first.
                contained(|| {
                    sender.send_if_modified(|known| newest > std::mem::replace(known, newest.max(*known)));
                });
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
                kind.complete_from = next;
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
            failed: self.failed.subscribe(),
        }
    }
}

impl State {
    fn noted(&self) -> ChangeKinds {
        let kinds = ChangeKind::ALL.into_iter();
        kinds.filter(|kind| self.kinds[*kind as usize].is_noted).collect()
    }

    fn drop_oldest(&mut self, count: usize) {
        for (number, change) in self.changes.drain(..count) {
            self.kinds[change.kind as usize].complete_from = number + 1;
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

    /// Waits until there are changes of a watched kind after `position`. Returns `false` if the hub is closed or has
    /// failed.
    pub(crate) async fn wait(&mut self, position: u64) -> bool {
        let changed = self.newest.iter_mut().map(|newest| {
            let changed: Pin<Box<dyn Future<Output = bool> + Send + '_>> =
                Box::pin(async move { newest.wait_for(|newest| *newest > position).await.is_ok() });
            changed
        });
        let mut waits: Vec<_> = changed.collect();
        let failed = &mut self.failed;
        waits.push(Box::pin(async move {
            let _ = failed.wait_for(|failed| *failed).await;
            false
        }));
        std::future::poll_fn(|cx| {
            let ready = waits.iter_mut().find_map(|wait| match wait.as_mut().poll(cx) {
                Poll::Ready(goes_on) => Some(goes_on),
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
        let mut part = FeedPart {
            changes: Vec::new(),
            has_gap: self
                .kinds
                .iter()
                .any(|kind| position < state.kinds[kind as usize].complete_from),
            next: state.next,
            is_full: false,
        };
        let mut bytes = 0;
        for (count, (number, change)) in state.changes.range(from..).enumerate() {
            if part.changes.len() == RETURNED || bytes > RETURNED_BYTES || count == EXAMINED {
                (part.next, part.is_full) = (*number, true);
                break;
            }
            if self.kinds.contains(change.kind) && wants(change) {
                bytes += change.id.as_str().len() + change.name().len();
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

    /// A watcher that returns within a minute receives all changes. Later, the kind is no longer noted, and a watcher
    /// that returns receives a gap, although no change was numbered in the meantime.
    #[test]
    fn a_watcher_that_returns_within_a_minute_misses_nothing() {
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

    /// A kind that no one watched when a step began becomes a gap for those who have begun to watch since.
    #[tokio::test]
    async fn changes_of_a_step_that_had_begun_become_a_gap() {
        let feed = Feed::default();
        let mut watcher = feed.watch(ends());
        let position = watcher.position();
        feed.miss([ChangeKind::Ended].into_iter().collect());
        assert!(watcher.wait(position).await);
        let part = watcher.read(position, |_| true);
        assert!(part.has_gap && part.changes.is_empty());
        assert!(!watcher.read(part.next, |_| true).has_gap);
        feed.fail();
        assert!(!watcher.wait(part.next).await);
    }

    /// Many changes of one kind are no gap for those who watch another.
    #[test]
    fn a_busy_kind_is_no_gap_for_another() {
        let feed = Feed::default();
        let purges = feed.watch([ChangeKind::Purged].into_iter().collect());
        let position = purges.position();
        let _entities = feed.watch(ends());
        for number in 0..2 * KEPT as u64 {
            feed.publish(vec![ended(number, 0)]);
        }
        let (mut position, mut reads) = (position, 0);
        loop {
            let part = purges.read(position, |_| true);
            assert!(!part.has_gap && part.changes.is_empty());
            (position, reads) = (part.next, reads + 1);
            if !part.is_full {
                break;
            }
        }
        assert!(reads <= KEPT / EXAMINED + 1);
    }
}
