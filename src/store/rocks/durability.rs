//! The promise of the previous process, and the check that the store still keeps it.

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::store::directory::{Acknowledged, Sidecar, commit_log, database};
use crate::store::rocks::manifest;

/// The promise of the last process that had the hub open.
#[derive(Debug)]
pub(super) struct DurabilityCheck {
    /// `None` if the sidecar is missing, or if it is broken and the loss was accepted.
    acknowledged: Option<Acknowledged>,
    accept_loss: bool,
}

impl DurabilityCheck {
    /// Reads the acknowledged state without changing anything. Fails if RocksDB's list of its files is broken.
    pub(super) fn read(directory: &Path, accept_loss: bool) -> Result<Self> {
        manifest::check_readable(&database(directory))?;
        accept(manifest::check_whole(&database(directory)), accept_loss)?;
        Ok(Self {
            acknowledged: accept(Sidecar::read(directory), accept_loss)?.flatten(),
            accept_loss,
        })
    }

    /// Returns `true` if the hub was closed.
    pub(super) fn was_closed(&self) -> bool {
        self.acknowledged.is_some_and(|acknowledged| acknowledged.clean)
    }

    /// Returns `true` if the hub was closed with this commit as its last. RocksDB then has all commits of the log.
    pub(super) fn was_closed_with(&self, kept: u64) -> bool {
        self.acknowledged
            .is_some_and(|acknowledged| acknowledged.clean && acknowledged.commit == kept)
    }

    /// Returns the first batch since which no crash has happened, for a life that begins with batch `first`.
    pub(super) fn calm_since(&self, first: u64) -> u64 {
        self.acknowledged
            .map_or(first, |acknowledged| acknowledged.calm_since(first))
    }

    /// Returns `true` if acknowledged commits are or may be missing in a store whose newest commit is `newest`.
    pub(super) fn is_broken(&self, newest: u64) -> bool {
        self.acknowledged
            .map_or(newest > 0, |acknowledged| acknowledged.commit > newest)
    }

    /// Compares the promise with the newest commit (0 for none) and with the damage of the log.
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
            tracing::warn!(%loss, "opening despite the loss because accept_loss is set");
            Ok(None)
        }
        checked => checked.map(Some),
    }
}

fn missing(directory: &Path, acknowledged: u64, newest: u64, damage: Option<&str>) -> Error {
    let log = commit_log(directory);
    let damage = match damage {
        Some(damage) => format!(" ({damage})"),
        None if !log.exists() => format!(" ({} does not exist)", log.display()),
        None => String::new(),
    };
    Error::new(
        ErrorKind::Corrupted,
        format!(
            "{} has lost {} acknowledged commits: {acknowledged} were acknowledged, but the store ends with \
             {newest}{damage}; restore a backup, or open with accept_loss to continue without them",
            directory.display(),
            acknowledged - newest,
        ),
    )
}

fn broken(damage: &str) -> Error {
    Error::new(
        ErrorKind::Corrupted,
        format!("{damage}; restore a backup, or open with accept_loss to continue with the commits before them"),
    )
}

fn unknown(directory: &Path) -> Error {
    Error::new(
        ErrorKind::Corrupted,
        format!(
            "{}/ACKNOWLEDGED is missing, so acknowledged commits may also be missing; \
             restore a backup, or open with accept_loss to continue with the remaining data",
            directory.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store is refused if acknowledged commits are missing, if its log is damaged behind them, or if it has commits
    /// and no promise.
    #[test]
    fn each_loss_is_refused() {
        let is_refused = |commit: Option<u64>, newest, damage| {
            let check = DurabilityCheck {
                acknowledged: commit.map(|commit| Acknowledged {
                    commit,
                    ..Acknowledged::default()
                }),
                accept_loss: false,
            };
            check.check(Path::new("hub"), newest, damage).is_err()
        };
        let damage = Some("damage");
        for (commit, newest, damage) in [
            (Some(8), 7, None),
            (Some(8), 7, damage),
            (Some(7), 7, damage),
            (None, 7, None),
            (None, 0, damage),
        ] {
            assert!(is_refused(commit, newest, damage), "{commit:?} {newest} {damage:?}");
        }
        for (commit, newest) in [(Some(7), 7), (Some(6), 7), (None, 0)] {
            assert!(!is_refused(commit, newest, None), "{commit:?} {newest}");
        }
    }

    /// The lives before an orderly end without a crash are calm. After a crash, the calm begins with the new life.
    #[test]
    fn an_orderly_end_keeps_the_calm() {
        let calm_since = |acknowledged| {
            let check = DurabilityCheck {
                acknowledged,
                accept_loss: false,
            };
            check.calm_since(8)
        };
        let ended = |left| Acknowledged {
            left,
            calm_since: 3,
            ..Acknowledged::default()
        };
        assert_eq!([Some(ended(true)), Some(ended(false)), None].map(calm_since), [3, 8, 8]);
    }

    /// The error of a loss names the damage of the log, or the log if it is missing.
    #[test]
    fn a_loss_names_what_is_wrong_with_the_log() {
        let place = tempfile::tempdir().unwrap();
        let text = |damage| missing(place.path(), 8, 7, damage).to_string();
        assert!(text(Some("a tear")).contains("(a tear)"), "{}", text(Some("a tear")));
        assert!(text(None).contains("does not exist"), "{}", text(None));
        std::fs::create_dir(commit_log(place.path())).unwrap();
        assert!(!text(None).contains("does not exist"), "{}", text(None));
    }
}
