//! The end of a process whose databases are open.
//!
//! When a program returns from `main` or calls [`std::process::exit`], the C++ runtime destroys the static objects of
//! RocksDB while the threads of the hub and of RocksDB still run. A table that is written at that moment has broken
//! properties under a correct checksum, and the next open refuses it. An open or a close that uses a destroyed mutex
//! aborts the process. A hook of the C library, which runs before the static objects are destroyed, therefore ends all
//! writes first, and lets no open and no close begin. A `kill -9` needs no hook: it ends all threads.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, RwLock, RwLockReadGuard, Weak};

use rocksdb::DB;

use crate::planted::{self, Fault};

/// Held by each open and each close, and forever by the end of the process.
static END: RwLock<()> = RwLock::new(());

/// Waits for the right to use the static objects of RocksDB. At the end of the process, it waits forever.
pub(super) fn before_the_end() -> RwLockReadGuard<'static, ()> {
    END.read().unwrap_or_else(PoisonError::into_inner)
}

/// An open database, which is closed when it is dropped.
#[derive(Debug)]
pub(super) struct Database(Option<Arc<DB>>);

impl Database {
    pub(super) fn new(database: DB) -> Self {
        Self(Some(Arc::new(database)))
    }
}

impl Deref for Database {
    type Target = Arc<DB>;

    fn deref(&self) -> &Arc<DB> {
        self.0.as_ref().expect("a database is open until it is dropped")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _end = before_the_end();
        self.0.take();
    }
}

/// The databases that are open for writing.
static OPEN: Mutex<Vec<Open>> = Mutex::new(Vec::new());

struct Open {
    database: Weak<DB>,
    writes: Arc<Mutex<()>>,
}

/// The right to write to a database, which the end of the process takes away.
#[derive(Clone, Debug, Default)]
pub(super) struct Writes(Arc<Mutex<()>>);

impl Writes {
    /// Registers a database that is open for writing. Call it after the open, which creates some of the static objects.
    pub(super) fn register(&self, database: &Arc<DB>) {
        static HOOK: Once = Once::new();
        HOOK.call_once(add_hook);
        let mut open = lock(&OPEN);
        open.retain(|open| open.database.strong_count() > 0);
        open.push(Open {
            database: Arc::downgrade(database),
            writes: Arc::clone(&self.0),
        });
    }

    /// Waits for the right to write tables. At the end of the process, it waits forever.
    pub(super) fn begin(&self) -> Write<'_> {
        Write { _guard: lock(&self.0) }
    }
}

/// A write in progress. The end of the process waits for it.
#[must_use]
pub(super) struct Write<'a> {
    _guard: MutexGuard<'a, ()>,
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        // The first write creates more static objects. Hooks run in reverse order, so this one runs before those are
        // destroyed.
        static AGAIN: Once = Once::new();
        AGAIN.call_once(add_hook);
    }
}

fn add_hook() {
    if !shutdown_hooks::add_shutdown_hook(end_writes) {
        tracing::warn!("the C library accepts no more exit hooks; call `Hub::shutdown` before the process exits");
    }
}

/// Ends all writes of all databases. No write begins afterwards.
extern "C" fn end_writes() {
    // The hook is added more than once.
    static ENDED: AtomicBool = AtomicBool::new(false);
    if planted::is(Fault::ExitDuringWrites) || ENDED.swap(true, Ordering::AcqRel) {
        return;
    }
    // First, so that an open that has begun is among the databases.
    let _forever = ManuallyDrop::new(END.write().unwrap_or_else(PoisonError::into_inner));
    let open = std::mem::take(&mut *lock(&OPEN));
    for Open { database, writes } in open {
        let Some(database) = database.upgrade() else {
            continue;
        };
        // Ends the wait of a write for compactions.
        database.cancel_all_background_work(false);
        let _forever = ManuallyDrop::new(lock(&writes));
        database.cancel_all_background_work(true);
        // It is not closed any more.
        let _forever = ManuallyDrop::new(database);
    }
}

/// Ignores poisoning: the lock protects no data that a panic could leave half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::rocks::options::options;

    /// The end of the process ends the writes of every database that is open for writing.
    #[test]
    fn the_end_of_the_process_knows_an_open_database() {
        let place = tempfile::tempdir().unwrap();
        let mut options = options(0);
        options.create_if_missing(true);
        let database = Database::new(DB::open(&options, place.path()).unwrap());
        let writes = Writes::default();
        writes.register(&database);
        let is_it = |open: &Open| {
            std::ptr::eq(open.database.as_ptr(), Arc::as_ptr(&database)) && Arc::ptr_eq(&open.writes, &writes.0)
        };
        assert_eq!(lock(&OPEN).iter().filter(|open| is_it(open)).count(), 1);
    }
}
