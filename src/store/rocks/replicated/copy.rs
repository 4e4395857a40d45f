//! The local copy: it is checked against the log, replaced if it does not agree, and brought up to date.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::mark::Mark;
use super::snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{create_private_directory, io_error, is_absent_or_empty};
use crate::log::commits::decompress;
use crate::log::replicated::{Appended, Place};
use crate::log::shared::{Chain, LogError, SharedLog, Tenure};
use crate::store::directory::database;
use crate::store::durable::Base;
use crate::store::front::{Front, Fronts};
use crate::store::rocks::base::RocksBase;
use crate::store::rocks::open::{commit_in, number, open_writable};
use crate::store::rocks::options::{front_bytes, options};
use crate::store::{Changes, Reader, Visitor};

/// Bytes of records that are read at once.
const READ: usize = 4 << 20;

/// RocksDB, and the file that says how far it agrees with the log.
#[derive(Debug)]
pub(super) struct Copy {
    directory: PathBuf,
    pub(super) base: RocksBase,
    mark: Mark,
    /// Set when damage was found. Held while the mark is written, which must not come back then.
    is_damaged: Mutex<bool>,
    pub(super) appended: Arc<Appended>,
}

impl Base for Copy {
    /// Takes a front whose commits the log has. The mark is written first: it must never be behind the rows.
    fn take(&self, front: &Front) -> Result<()> {
        let place = self.appended.of(front.commit());
        let place = place.expect("the log has every commit that is moved to the copy");
        let is_damaged = self.is_damaged();
        if *is_damaged {
            let text = "the copy is damaged; the next open of the hub replaces it";
            return Err(Error::new(ErrorKind::Corrupted, text));
        }
        self.mark.at(place).write(&self.directory)?;
        drop(is_damaged);
        self.noted(self.base.take(front))
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        Box::new(View {
            copy: self,
            base: self.base.snapshot(),
        })
    }

    fn stop(&self) {
        self.base.stop();
    }
}

impl Copy {
    /// If RocksDB has found damage, makes the next open replace the copy.
    pub(super) fn noted<T>(&self, read: Result<T>) -> Result<T> {
        if read.as_ref().is_err_and(|error| error.kind() == ErrorKind::Corrupted) {
            let mut is_damaged = self.is_damaged();
            *is_damaged = true;
            // If this fails, the hub still fails with the error, and the next open finds the damage again.
            let _ = Mark::remove(&self.directory);
        }
        read
    }

    /// Ignores poisoning: each change is one assignment.
    fn is_damaged(&self) -> MutexGuard<'_, bool> {
        self.is_damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader for Copy {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.noted(self.base.get(key))
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.noted(self.base.get_many(keys))
    }

    fn visit(&self, range: std::ops::Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.noted(self.base.visit(range, visitor))
    }
}

/// A snapshot of the rows of a copy.
struct View<'a> {
    copy: &'a Copy,
    base: Box<dyn Reader + 'a>,
}

impl Reader for View<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.copy.noted(self.base.get(key))
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.copy.noted(self.base.get_many(keys))
    }

    fn visit(&self, range: std::ops::Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.copy.noted(self.base.visit(range, visitor))
    }
}

/// A copy that has all commits of the log, some of them in fronts.
pub(super) struct Current {
    pub(super) copy: Copy,
    pub(super) fronts: Fronts,
    /// The newest commit that RocksDB has.
    pub(super) kept: u64,
    pub(super) appended: Arc<Appended>,
}

/// The hub of a copy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owned<'a> {
    pub(super) hub: Uuid,
    pub(super) incarnation: u64,
    pub(super) tenure: &'a Tenure,
}

/// Opens the copy in a directory and brings it up to date, or replaces it. A copy is removed only when there is another one
/// in its place.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Corrupted`] if the log has lost records that it acknowledged, or if the log itself
/// is damaged, and of kind [`ErrorKind::Configuration`] if the directory has a copy of another hub, or no copy.
pub(super) fn open(directory: &Path, owned: Owned<'_>, log: &dyn SharedLog, memory_budget: usize) -> Result<Current> {
    let old = directory.with_extension("old");
    if old.exists() {
        // A replacement was interrupted.
        remove_all(directory)?;
        rename(&old, directory)?;
    }
    if let Some(mark) = Mark::read(directory)? {
        check_hub(&mark, owned, directory)?;
        check_mark(&mark, owned.tenure, log)?;
        match open_base(directory, memory_budget) {
            Ok(base) => match start(&base, &mark, owned.tenure, log)? {
                Some(start) => return replay(directory, base, mark, start, owned, log, memory_budget),
                None => tracing::info!("the copy is older than the log reaches back; replacing it"),
            },
            // The log has everything that it has.
            Err(error) if error.kind() == ErrorKind::Corrupted => {
                tracing::warn!(%error, "the copy is damaged; replacing it");
            }
            Err(error) => return Err(error),
        }
    }
    if directory.exists() {
        check_ours(directory)?;
        rename(directory, &old)?;
    }
    match restore(directory, owned, log, memory_budget) {
        Ok(current) => {
            remove_all(&old)?;
            Ok(current)
        }
        Err(error) => {
            if old.exists() {
                remove_all(directory)?;
                rename(&old, directory)?;
            }
            Err(error)
        }
    }
}

/// Checks that a copy is one of this hub. Another hub of the same name in the database may mean that the database is the
/// wrong one, or was lost.
fn check_hub(mark: &Mark, owned: Owned<'_>, directory: &Path) -> Result<()> {
    if (mark.hub, mark.incarnation) == (owned.hub, owned.incarnation) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Configuration,
        format!(
            "{} has a copy of the hub {}-{}, but the hub of this name in the database is {}-{}; correct the URL or the name, \
             or remove the copy if the hub that it belongs to is gone",
            directory.display(),
            mark.hub,
            mark.incarnation,
            owned.hub,
            owned.incarnation
        ),
    ))
}

/// Checks that a directory that will be replaced is a copy, and not something of the user.
fn check_ours(directory: &Path) -> Result<()> {
    if database(directory).exists() || is_absent_or_empty(directory)? {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Configuration,
        format!(
            "{} is not empty and is no copy of a hub; give the hub a directory of its own",
            directory.display()
        ),
    ))
}

fn remove_all(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove", directory, error)),
        _ => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| io_error("rename", from, error))
}

/// Checks that the log still has the record of the mark, which it acknowledged. A record that a snapshot has replaced is
/// not missing.
fn check_mark(mark: &Mark, tenure: &Tenure, log: &dyn SharedLog) -> Result<()> {
    let first = tenure.snapshot.map_or(1, |snapshot| snapshot.position);
    if mark.position == 0 || mark.position < first {
        return Ok(());
    }
    let found = if mark.position <= tenure.head {
        log.read(mark.position, 1)?
    } else {
        Vec::new()
    };
    let is_there = found
        .first()
        .is_some_and(|record| record.position == mark.position && record.chain == mark.chain());
    if is_there {
        return Ok(());
    }
    Err(LogError::WentBack {
        acknowledged: mark.position,
        found: tenure.head.min(mark.position - 1),
    }
    .into())
}

fn open_base(directory: &Path, memory_budget: usize) -> Result<RocksBase> {
    let base = open_writable(&database(directory), &options(memory_budget))?;
    base.remove_leftover()?;
    commit_in(&base)?;
    Ok(base)
}

/// Returns the first record that a copy needs, and the chain before it. Returns `None` if the log no longer has all records
/// that it lacks.
fn start(base: &RocksBase, mark: &Mark, tenure: &Tenure, log: &dyn SharedLog) -> Result<Option<(u64, Chain)>> {
    let kept = number(commit_in(base)?);
    let first = tenure.snapshot.map_or(1, |snapshot| snapshot.position);
    if mark.position < first {
        return Ok(None);
    }
    // Records before the snapshot may be of a state that was exported, and have other commits with the same numbers.
    match log.find(kept, first)? {
        // The record with the newest commit of the copy.
        Some(position) if kept > 0 || position == 1 => Ok(Some((position, chain_before(position, tenure, log)?))),
        _ => Ok(None),
    }
}

fn empty(directory: &Path, base: RocksBase, mark: Mark) -> Current {
    let appended = Arc::<Appended>::default();
    Current {
        copy: Copy {
            directory: directory.to_owned(),
            base,
            mark,
            is_damaged: Mutex::default(),
            appended: Arc::clone(&appended),
        },
        fronts: Fronts::over(0),
        kept: 0,
        appended,
    }
}

/// Makes a copy of the newest snapshot, and replays the records after it.
fn restore(directory: &Path, owned: Owned<'_>, log: &dyn SharedLog, memory_budget: usize) -> Result<Current> {
    create_private_directory(&database(directory))?;
    let mut options = options(memory_budget);
    options.create_if_missing(true);
    let base = open_writable(&database(directory), &options)?;
    let (position, before) = match owned.tenure.snapshot {
        Some(snapshot) => {
            snapshot::restore(&base, snapshot, log)?;
            (snapshot.position, snapshot.before)
        }
        None => (1, Chain::default()),
    };
    let mark = Mark::new(owned.hub, owned.incarnation, position - 1, before);
    if owned.tenure.head == 0 {
        mark.write(directory)?;
        return Ok(empty(directory, base, mark));
    }
    replay(directory, base, mark, (position, before), owned, log, memory_budget)
}

/// Returns the chain before a record.
fn chain_before(position: u64, tenure: &Tenure, log: &dyn SharedLog) -> Result<Chain> {
    if position == 1 {
        return Ok(Chain::default());
    }
    if let Some(snapshot) = tenure.snapshot.filter(|snapshot| snapshot.position == position) {
        return Ok(snapshot.before);
    }
    let before = log.read(position - 1, 1)?;
    let before = before.first().filter(|record| record.position == position - 1);
    before
        .map(|record| record.chain)
        .ok_or_else(|| damaged(position - 1, "is missing"))
}

/// Applies the records from a position on, from the first commit that the copy lacks. Checks the chain up to the end of
/// the log.
fn replay(
    directory: &Path,
    base: RocksBase,
    mark: Mark,
    (start, before): (u64, Chain),
    owned: Owned<'_>,
    log: &dyn SharedLog,
    memory_budget: usize,
) -> Result<Current> {
    let kept = number(commit_in(&base)?);
    let Current {
        copy,
        fronts,
        mut kept,
        appended,
    } = Current {
        fronts: Fronts::over(kept),
        kept,
        ..empty(directory, base, mark)
    };
    let (mut position, mut chain) = (start, before);
    while position <= owned.tenure.head {
        let from = position;
        for record in log.read(position, READ)? {
            let after = chain.after(record.first, record.last, &record.body);
            if record.position != position || record.chain != after {
                return Err(damaged(position, "is missing or damaged"));
            }
            decompress(&record.body, &mut |commit, changes| apply(&fronts, commit, changes))?;
            appended.push(Place {
                position,
                first: record.first,
                last: record.last,
                before: chain,
                chain: after,
                bytes: record.body.len() as u64,
            });
            (position, chain) = (position + 1, after);
            if fronts.size().active_bytes >= front_bytes(memory_budget)
                && let (commit, Some(front)) = fronts.freeze()
            {
                copy.take(&front)?;
                fronts.retire();
                kept = commit;
            }
        }
        if position == from {
            return Err(damaged(position, "is missing"));
        }
    }
    if (fronts.newest(), chain) != (owned.tenure.commit, owned.tenure.chain) {
        return Err(damaged(owned.tenure.head, "does not lead to the newest commit"));
    }
    Ok(Current {
        copy,
        fronts,
        kept,
        appended,
    })
}

/// Applies a commit, unless the copy has it.
fn apply(fronts: &Fronts, commit: u64, bytes: &[u8]) -> Result<()> {
    let newest = fronts.newest();
    if commit <= newest {
        return Ok(());
    }
    let mut changes = Changes::of(bytes);
    if commit == newest + 1 {
        fronts.apply(&mut changes, |_| {});
        if changes.is_at_end() {
            return Ok(());
        }
    }
    Err(Error::new(
        ErrorKind::Corrupted,
        format!("commit {commit} in the database does not follow commit {newest}, or this build does not support it"),
    ))
}

fn damaged(position: u64, what: &str) -> Error {
    Error::new(
        ErrorKind::Corrupted,
        format!("record {position} of the log in the database {what}; restore a backup of the database"),
    )
}
