//! What was promised before this open, and whether the store still holds it.

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::store::directory::{Acknowledged, Sidecar, commit_log, database};
use crate::store::rocks::manifest;

/// The promise of the last process that had the hub open.
#[derive(Debug)]
pub(super) struct Promise {
    /// `None` if the sidecar is missing, or broken and that was accepted.
    acknowledged: Option<Acknowledged>,
    accept_loss: bool,
}

impl Promise {
    /// Reads what was acknowledged, and refuses where RocksDB's list of its files is broken. Changes nothing.
    pub(super) fn read(directory: &Path, accept_loss: bool) -> Result<Self> {
        manifest::check_readable(&database(directory))?;
        accept(manifest::check_whole(&database(directory)), accept_loss)?;
        Ok(Self {
            acknowledged: accept(Sidecar::read(directory), accept_loss)?.flatten(),
            accept_loss,
        })
    }

    /// Whether the hub was closed.
    pub(super) fn was_closed(&self) -> bool {
        self.acknowledged.is_some_and(|acknowledged| acknowledged.clean)
    }

    /// Whether the hub was closed with this commit as its last, so that there is nothing in the log that RocksDB does not have.
    pub(super) fn was_closed_with(&self, kept: u64) -> bool {
        self.acknowledged
            .is_some_and(|acknowledged| acknowledged.clean && acknowledged.commit == kept)
    }

    /// From which batch on nothing was running in a crash, for a life that begins with batch `first`.
    pub(super) fn calm_since(&self, first: u64) -> u64 {
        self.acknowledged
            .map_or(first, |acknowledged| acknowledged.calm_since(first))
    }

    /// Whether acknowledged commits are missing, or may be, in a store whose newest commit is this one.
    pub(super) fn is_broken(&self, newest: u64) -> bool {
        self.acknowledged
            .map_or(newest > 0, |acknowledged| acknowledged.commit > newest)
    }

    /// Compares the promise with the newest commit that is there, 0 for none, and with what the log shows to be missing.
    pub(super) fn check(&self, directory: &Path, newest: u64, damage: Option<&str>) -> Result<()> {
        let kept = match (self.acknowledged, damage) {
            (Some(Acknowledged { commit, .. }), _) if commit > newest => {
                Err(missing(directory, commit, newest, damage))
            }
            (_, Some(damage)) => Err(broken(damage)),
            (None, None) if newest > 0 => Err(unknown(directory)),
            _ => Ok(()),
        };
        accept(kept, self.accept_loss).map(drop)
    }
}

/// Turns a loss into a warning if the caller accepts it.
fn accept<T>(checked: Result<T>, accept_loss: bool) -> Result<Option<T>> {
    match checked {
        Err(loss) if accept_loss && loss.kind() == ErrorKind::Corrupted => {
            tracing::warn!(%loss, "opening all the same, as accept_loss says");
            Ok(None)
        }
        checked => checked.map(Some),
    }
}

fn missing(directory: &Path, acknowledged: u64, newest: u64, damage: Option<&str>) -> Error {
    let log = commit_log(directory);
    let damage = match damage {
        Some(damage) => format!(" ({damage})"),
        None if !log.exists() => format!(" ({} is not there)", log.display()),
        None => String::new(),
    };
    Error::new(
        ErrorKind::Corrupted,
        format!(
            "{} has lost {} acknowledged commits: {acknowledged} were acknowledged and the store ends with {newest}{damage}; \
             restore a backup, or open with accept_loss to go on without them",
            directory.display(),
            acknowledged - newest,
        ),
    )
}

fn broken(damage: &str) -> Error {
    Error::new(
        ErrorKind::Corrupted,
        format!("{damage}; restore a backup, or open with accept_loss to go on with what is before them"),
    )
}

fn unknown(directory: &Path) -> Error {
    Error::new(
        ErrorKind::Corrupted,
        format!(
            "{}/ACKNOWLEDGED is missing, so nobody can tell whether acknowledged commits are too; \
             restore a backup, or open with accept_loss to go on with what is there",
            directory.display()
        ),
    )
}
