//! The local copy: it is checked against the log, replaced if it does not agree, and brought up to date.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use super::mark::Mark;
use super::snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{create_private_directory, io_error};
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
    pub(super) appended: Arc<Appended>,
}

impl Base for Copy {
    /// Takes a front whose commits the log has. The mark is written first: it must never be behind the rows.
    fn take(&self, front: &Front) -> Result<()> {
        let place = self.appended.of(front.commit());
        let place = place.expect("the log has every commit that is moved to the copy");
        self.mark.at(place).write(&self.directory)?;
        self.base.take(front)
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        self.base.snapshot()
    }

    fn stop(&self) {
        self.base.stop();
    }
}

impl Reader for Copy {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.base.get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.base.get_many(keys)
    }

    fn visit(&self, range: std::ops::Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.base.visit(range, visitor)
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

/// Opens the copy in a directory and brings it up to date, or replaces it.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Corrupted`] if the log has lost records that it acknowledged, or if the log itself
/// is damaged.
pub(super) fn open(directory: &Path, owned: Owned<'_>, log: &dyn SharedLog, memory_budget: usize) -> Result<Current> {
    match Mark::read(directory)? {
        Some(mark) if (mark.hub, mark.incarnation) == (owned.hub, owned.incarnation) => {
            check_mark(&mark, owned.tenure, log)?;
            match reopen(directory, mark, owned, log, memory_budget) {
                Ok(Some(current)) => return Ok(current),
                Ok(None) => tracing::info!("the copy is older than the log reaches back; replacing it"),
                // Whatever is wrong with it, the log has everything.
                Err(error) => tracing::warn!(%error, "the copy is damaged; replacing it"),
            }
        }
        _ => {}
    }
    restore(directory, owned, log, memory_budget)
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

/// Opens the copy that is there. Returns `None` if the log no longer has all records that it lacks.
fn reopen(
    directory: &Path,
    mark: Mark,
    owned: Owned<'_>,
    log: &dyn SharedLog,
    memory_budget: usize,
) -> Result<Option<Current>> {
    let base = open_writable(&database(directory), &options(memory_budget))?;
    base.remove_leftover()?;
    let kept = number(commit_in(&base)?);
    let first = owned.tenure.snapshot.map_or(1, |snapshot| snapshot.position);
    if mark.position < first {
        return Ok(None);
    }
    let start = match log.find(kept)? {
        // The record with the newest commit of the copy.
        Some(position) => position,
        None if owned.tenure.head == 0 => return Ok(Some(empty(directory, base, mark))),
        None => return Ok(None),
    };
    if kept == 0 && start != 1 {
        return Ok(None);
    }
    let before = chain_before(start, owned.tenure, log)?;
    replay(directory, base, mark, (start, before), owned, log, memory_budget).map(Some)
}

fn empty(directory: &Path, base: RocksBase, mark: Mark) -> Current {
    let appended = Arc::<Appended>::default();
    Current {
        copy: Copy {
            directory: directory.to_owned(),
            base,
            mark,
            appended: Arc::clone(&appended),
        },
        fronts: Fronts::over(0),
        kept: 0,
        appended,
    }
}

/// Replaces the copy with the newest snapshot, and replays the records after it.
fn restore(directory: &Path, owned: Owned<'_>, log: &dyn SharedLog, memory_budget: usize) -> Result<Current> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io_error("remove", directory, error)),
        _ => {}
    }
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
        for record in log.read(position, READ)? {
            let after = chain.after(record.first, record.last, &record.body);
            if record.position != position || record.chain != after {
                return Err(damaged(position, "is missing or damaged"));
            }
            decompress(&record.body, &mut |commit, changes| apply(&fronts, commit, changes))?;
            appended.push(Place {
                position,
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
        if position <= start {
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
