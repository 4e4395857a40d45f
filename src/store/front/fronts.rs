//! The front that takes in commits, and the ones before it that the base does not have yet.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{Front, OpenSnapshots};
use crate::store::Change;

/// All fronts of a store.
#[derive(Debug)]
pub(in crate::store) struct Fronts {
    list: RwLock<List>,
    /// Held while a commit is applied, so that snapshots and frozen fronts begin and end between two commits.
    commits: Mutex<Commits>,
}

#[derive(Debug)]
struct List {
    active: Arc<Front>,
    /// Those that change no more, the oldest first.
    frozen: VecDeque<Arc<Front>>,
}

#[derive(Debug)]
struct Commits {
    /// The newest commit that was applied.
    newest: u64,
    open: OpenSnapshots,
}

/// The fronts of one moment, and the commit up to which they are looked at. Older values stay until it is dropped.
#[derive(Debug)]
pub(super) struct Pinned<'a> {
    owner: &'a Fronts,
    /// The newest first.
    pub(super) fronts: Vec<Arc<Front>>,
    pub(super) commit: u64,
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        self.owner.commits().open.close(self.commit);
    }
}

/// What fronts hold.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::store) struct Size {
    /// Rows of all fronts.
    pub(in crate::store) rows: usize,
    /// Memory of all fronts, in bytes.
    pub(in crate::store) bytes: usize,
    /// The part of the front that takes in commits.
    pub(in crate::store) active_bytes: usize,
}

impl Fronts {
    /// Fronts over a base that has the commits up to `commit`.
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

    /// Takes in the changes of the next commit, after `first` was called with its number: no other commit comes in between.
    pub(in crate::store) fn apply<'a>(&self, changes: impl Iterator<Item = Change<'a>>, first: impl FnOnce(u64)) {
        let mut commits = self.commits();
        let commit = commits.newest + 1;
        first(commit);
        self.list().active.apply(commit, changes, &commits.open);
        commits.newest = commit;
    }

    /// Begins a new front behind the newest commit, which it returns. The one before it changes no more; there is none if no
    /// commit came since the last time.
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

    /// Forgets the oldest frozen front, because the base has its rows.
    pub(in crate::store) fn retire(&self) {
        let retired = self.list_mut().frozen.pop_front();
        // Its rows may be many, and nobody is to wait for their end.
        drop(retired);
    }

    /// The newest value of a key; the outer nothing says that no front knows it.
    pub(in crate::store) fn get(&self, key: &[u8]) -> Option<Option<Vec<u8>>> {
        let list = self.list();
        let newest = list.active.get(key, u64::MAX);
        newest.or_else(|| list.frozen.iter().rev().find_map(|front| front.get(key, u64::MAX)))
    }

    /// The fronts of this moment, and what `base` shows of the base at the same moment.
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

    /// The newest commit.
    pub(in crate::store) fn newest(&self) -> u64 {
        self.commits().newest
    }

    /// Whether the newest value of a key is in a front that waits for the base.
    #[cfg(test)]
    pub(in crate::store) fn is_frozen(&self, key: &[u8]) -> bool {
        let list = self.list();
        let knows = |front: &Arc<Front>| front.get(key, u64::MAX).is_some();
        !knows(&list.active) && list.frozen.iter().any(knows)
    }

    /// How many fronts wait for the base.
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

    /// A panic while a commit was applied poisons the hub, which then asks for nothing more.
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
