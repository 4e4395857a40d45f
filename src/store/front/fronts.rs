//! The active front, which takes new commits, and the earlier fronts that the base does not have yet.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{Front, OpenSnapshots};
use crate::store::Change;

/// All fronts of a store.
#[derive(Debug)]
pub(in crate::store) struct Fronts {
    list: RwLock<List>,
    /// Held while a commit is applied, so snapshots and frozen fronts begin and end between commits.
    commits: Mutex<Commits>,
}

#[derive(Debug)]
struct List {
    active: Arc<Front>,
    /// The immutable fronts, oldest first.
    frozen: VecDeque<Arc<Front>>,
}

#[derive(Debug)]
struct Commits {
    /// The newest applied commit.
    newest: u64,
    open: OpenSnapshots,
}

/// The fronts at one point in time, and the commit up to which they are read. Older values are kept until it is
/// dropped.
#[derive(Debug)]
pub(super) struct Pinned<'a> {
    owner: &'a Fronts,
    /// The fronts, newest first.
    pub(super) fronts: Vec<Arc<Front>>,
    pub(super) commit: u64,
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        self.owner.commits().open.close(self.commit);
    }
}

/// The size of fronts.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::store) struct Size {
    /// Number of rows in all fronts.
    pub(in crate::store) rows: usize,
    /// Memory of all fronts, in bytes.
    pub(in crate::store) bytes: usize,
    /// Memory of the active front, in bytes.
    pub(in crate::store) active_bytes: usize,
}

impl Fronts {
    /// Creates fronts over a base that has the commits up to `commit`.
    pub(in crate::store) fn over(commit: u64) -> Self {
        Self {
            list: RwLock::new(List {
                active: Arc::new(Front::behind(commit)),
                frozen: VecDeque::new(),
            }),
            commits: Mutex::new(Commits {
                newest: commit,
                open: OpenSnapshots::default(),
            }),
        }
    }

    /// Calls `first` with the number of the next commit, then applies its changes. No other commit is applied in
    /// between.
    pub(in crate::store) fn apply<'a>(&self, changes: impl Iterator<Item = Change<'a>>, first: impl FnOnce(u64)) {
        let mut commits = self.commits();
        let commit = commits.newest + 1;
        first(commit);
        self.list().active.apply(commit, changes, &commits.open);
        commits.newest = commit;
    }

    /// Begins a new front after the newest commit. Returns that commit and the previous front, which is now immutable.
    /// Returns no front if there was no commit since the last call.
    pub(in crate::store) fn freeze(&self) -> (u64, Option<Arc<Front>>) {
        let commits = self.commits();
        let mut list = self.list_mut();
        if list.active.commit() == commits.newest && list.active.changes() == 0 {
            return (commits.newest, None);
        }
        let next = Arc::new(Front::behind(commits.newest));
        let frozen = std::mem::replace(&mut list.active, next);
        list.frozen.push_back(Arc::clone(&frozen));
        (commits.newest, Some(frozen))
    }

    /// Removes the oldest frozen front, whose rows the base now has.
    pub(in crate::store) fn retire(&self) {
        let retired = self.list_mut().frozen.pop_front();
        // The front may have many rows, so it is dropped outside the lock.
        drop(retired);
    }

    /// Returns the newest value of a key. The outer `None` means that no front has the key.
    pub(in crate::store) fn get(&self, key: &[u8]) -> Option<Option<Vec<u8>>> {
        let list = self.list();
        let newest = list.active.get(key, u64::MAX);
        newest.or_else(|| list.frozen.iter().rev().find_map(|front| front.get(key, u64::MAX)))
    }

    /// Returns the current fronts and the result of `base`, which is called at the same point in time.
    pub(super) fn pin<R>(&self, base: impl FnOnce() -> R) -> (Pinned<'_>, R) {
        let mut commits = self.commits();
        let fronts = {
            let list = self.list();
            std::iter::once(&list.active)
                .chain(list.frozen.iter().rev())
                .cloned()
                .collect()
        };
        let shown = base();
        let commit = commits.newest;
        commits.open.open(commit);
        let pinned = Pinned {
            owner: self,
            fronts,
            commit,
        };
        (pinned, shown)
    }

    /// Returns the newest commit.
    pub(in crate::store) fn newest(&self) -> u64 {
        self.commits().newest
    }

    /// Returns `true` if the newest value of a key is in a front that waits for the base.
    #[cfg(test)]
    pub(in crate::store) fn is_frozen(&self, key: &[u8]) -> bool {
        let list = self.list();
        let knows = |front: &Arc<Front>| front.get(key, u64::MAX).is_some();
        !knows(&list.active) && list.frozen.iter().any(knows)
    }

    /// Returns the number of fronts that wait for the base.
    #[cfg(test)]
    pub(in crate::store) fn frozen(&self) -> usize {
        self.list().frozen.len()
    }

    pub(in crate::store) fn size(&self) -> Size {
        let list = self.list();
        let all = || list.frozen.iter().chain([&list.active]);
        Size {
            rows: all().map(|front| front.rows()).sum(),
            bytes: all().map(|front| front.bytes()).sum(),
            active_bytes: list.active.bytes(),
        }
    }

    /// Ignores poisoning: a panic while a commit is applied poisons the hub, which then stops using the store.
    fn commits(&self) -> MutexGuard<'_, Commits> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self) -> RwLockReadGuard<'_, List> {
        self.list.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn list_mut(&self) -> RwLockWriteGuard<'_, List> {
        self.list.write().unwrap_or_else(PoisonError::into_inner)
    }
}
