//! Moves a hub from the database into a directory.
//!
//! ```text
//! .NAME.abide-export/EXPORT   the id of the export; written first
//! .NAME.abide-export/node/    the node that owns the hub during the export
//! .NAME.abide-export/hub/     the hub, which gets the name of the target in the end
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

use super::merge::{Arrive, merge};
use super::moves::{MoveOptions, Moved};
use super::open::{OpenOptions, Opened, close_all, open_all, runs_elsewhere};
use super::snapshot::{self, Content};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{create_private_directory, io_error, is_absent_or_empty, read_if_present, replace, sync_parent};
use crate::log::postgres::{Session, moves, status};
use crate::random;
use crate::store::directory::Format;
use crate::store::rocks::checkpoint;
use crate::store::rocks::open::{number, open_read_only};
use crate::store::{LOG_LIMIT, USUAL_PARTITIONS};
use crate::time::Stopwatch;

const EXPORT: &str = "EXPORT";

/// Time for which a node may still be connected that has been shut down.
const PARTING: Duration = Duration::from_secs(1);

/// Interval between two looks at the nodes.
const LOOK: Duration = Duration::from_millis(50);

/// Moves a hub from the database into a directory, which has to be empty or missing. There it has one shard.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::NotFound`] if the database has no such hub, of kind [`ErrorKind::Locked`] if a node
/// has joined it, of kind [`ErrorKind::Configuration`] if the directory is not empty, or any error of an open.
pub(crate) fn export(how: &MoveOptions, arrive: Arrive) -> Result<Moved> {
    let session = Session::new(how.address.clone())?;
    let place = Place::beside(&how.directory)?;
    let id = match place.export()? {
        Some(id) if moves::has_departed(&session, &how.name, id, how.patience)? => {
            return place.finish(how);
        }
        Some(_) => {
            place.check_without_effect(how, &session)?;
            place.remove()?;
            random::uuid()
        }
        None => random::uuid(),
    };
    place.check_target()?;
    let shards = check_idle(how, &session)?;
    place.begin(id)?;
    let opened = open_all(&OpenOptions {
        address: how.address.clone(),
        name: how.name.clone(),
        directory: place.node(),
        memory_budget: how.memory_budget,
        wal_limit: LOG_LIMIT,
        // The hub exists.
        partitions: USUAL_PARTITIONS,
        patience: how.patience,
        canceled: how.canceled.clone(),
        shards,
        endpoint: None,
    })?;
    let departed = write(how, &opened, &place, arrive).and_then(|()| {
        let tenures = opened.iter().map(|shard| shard.store.retire());
        let tenures = tenures.collect::<Result<Vec<_>>>()?;
        Ok(moves::depart(&session, &tenures, id, how.patience)?)
    });
    if let Err(error) = departed {
        // Otherwise, the next owners would take this for a crash.
        close_all(&opened);
        return Err(error);
    }
    drop(opened);
    place.finish(how)
}

/// Writes the hub to a directory, as a copy that cannot run, and compares all rows.
fn write(how: &MoveOptions, shards: &[Opened], place: &Place, arrive: Arrive) -> Result<()> {
    let directory = &place.hub();
    let expected = match shards {
        [whole] => {
            let commit = number(whole.last_commit);
            whole.store.copy_to(directory, commit, whole.calm_since)?;
            snapshot::content(whole.store.rows().as_ref())?
        }
        shards => {
            let merged = merge(shards, &place.merged(), how.memory_budget, arrive)?;
            let format = Format {
                hub: shards[0].hub,
                incarnation: shards[0].incarnation,
                ..Format::new(shards[0].partitions)
            };
            let (commit, calm_since) = (merged.commit.number, merged.calm_since);
            checkpoint::create(&merged.base.database, &format, directory, commit, calm_since)?;
            snapshot::content(&merged.base)?
        }
    };
    let (written, _) = read(how, directory)?;
    if written == expected {
        return Ok(());
    }
    let text = format!(
        "{} has other rows than were written to it; check its disk",
        directory.display()
    );
    Err(Error::new(ErrorKind::Corrupted, text))
}

/// Returns the content of a directory, and its newest commit.
fn read(how: &MoveOptions, directory: &Path) -> Result<(Content, u64)> {
    let written = open_read_only(directory, how.memory_budget)?;
    Ok((snapshot::content(&written.store)?, written.last_commit))
}

/// Checks that there is a hub, and that no living node has joined it. The database notices the end of a node a moment later.
/// Returns the number of shards.
fn check_idle(how: &MoveOptions, session: &Session) -> Result<u16> {
    let watch = Stopwatch::start();
    loop {
        let hub = status::hub_named(session, &how.name, how.patience)?;
        let Some(node) = hub.nodes.iter().find(|node| node.is_connected) else {
            return Ok(hub.shards.len() as u16);
        };
        if watch.elapsed() > PARTING {
            return Err(runs_elsewhere(&node.name, &how.name));
        }
        std::thread::park_timeout(LOOK);
    }
}

/// The target of an export, and the directory beside it in which the export works.
struct Place {
    target: PathBuf,
    work: PathBuf,
}

impl Place {
    fn beside(target: &Path) -> Result<Self> {
        let absolute = std::path::absolute(target).map_err(|error| io_error("find", target, error))?;
        let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
            let text = format!("{} has no name; give the directory a name", target.display());
            return Err(Error::new(ErrorKind::Configuration, text));
        };
        let mut work = std::ffi::OsString::from(".");
        work.push(name);
        work.push(".abide-export");
        Ok(Self {
            work: parent.join(work),
            target: parent.join(name),
        })
    }

    fn node(&self) -> PathBuf {
        self.work.join("node")
    }

    fn hub(&self) -> PathBuf {
        self.work.join("hub")
    }

    /// The database into which shards are merged.
    fn merged(&self) -> PathBuf {
        self.node().join("merged")
    }

    /// Returns the id of an export that was interrupted.
    fn export(&self) -> Result<Option<Uuid>> {
        let bytes = read_if_present(&self.work.join(EXPORT))?;
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(text.and_then(|text| text.trim().parse().ok()))
    }

    /// Checks that an interrupted export had no effect: the database still has the hub, so what the export has written may
    /// go. Otherwise, this may be another database than that of the export, and the hub may be here only.
    fn check_without_effect(&self, how: &MoveOptions, session: &Session) -> Result<()> {
        // The file is written last, and an export has no effect before.
        let written = if Format::is_marked(&self.hub()) {
            Format::find(&self.hub())?.map(|format| format.hub)
        } else {
            None
        };
        let hubs = status::hubs(session, Some(&how.name), how.patience)?;
        let is_same = |hub: &status::HubRow| written.is_none_or(|written| written == hub.id);
        if hubs.iter().any(|hub| hub.is_open() && is_same(hub)) {
            return Ok(());
        }
        let text = format!(
            "{} is left of an interrupted export, but not of the hub `{}` in the database {}; repeat that export with its own \
             database and name, or move this directory away",
            self.work.display(),
            how.name,
            how.address.name()
        );
        Err(Error::new(ErrorKind::Configuration, text))
    }

    /// Checks that the hub can get the name of the target.
    fn check_target(&self) -> Result<()> {
        let refused = |why: &str| {
            let text = format!("cannot export to {}: {why}", self.target.display());
            Err(Error::new(ErrorKind::Configuration, text))
        };
        if !is_absent_or_empty(&self.target)? {
            return refused("the directory is not empty; specify a new one");
        }
        if !is_absent_or_empty(&self.work)? {
            return refused(&format!("{} is in the way; remove it", self.work.display()));
        }
        if is_mount_point(&self.target) {
            return refused("it is the root of a file system; specify a directory in it");
        }
        Ok(())
    }

    fn begin(&self, export: Uuid) -> Result<()> {
        create_private_directory(&self.work)?;
        replace(&self.work.join(EXPORT), format!("{export}\n").as_bytes())?;
        create_private_directory(&self.node())
    }

    /// Gives the hub its name and lets it run. No node can run it any more.
    fn finish(&self, how: &MoveOptions) -> Result<Moved> {
        if self.hub().exists() {
            let hub = Format::find(&self.hub())?.filter(|format| format.copy);
            if let Some(format) = hub {
                Format { copy: false, ..format }.write(&self.hub())?;
            }
            fs::rename(self.hub(), &self.target).map_err(|error| io_error("rename", &self.hub(), error))?;
            sync_parent(&self.target)?;
        }
        let (content, commit) = read(how, &self.target)?;
        let Some(format) = Format::find(&self.target)? else {
            unreachable!("the directory was read")
        };
        if let Err(error) = self.remove() {
            tracing::warn!(%error, "a directory is left of the export; remove it");
        }
        Ok(Moved {
            id: format.hub,
            rows: content.rows,
            bytes: content.bytes,
            commit,
        })
    }

    /// Removes the work of the export, the id last: until then, the directory is known to be of an export.
    fn remove(&self) -> Result<()> {
        for directory in [self.node(), self.hub()] {
            match fs::remove_dir_all(&directory) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io_error("remove", &directory, error));
                }
                _ => {}
            }
        }
        let export = self.work.join(EXPORT);
        fs::remove_file(&export).map_err(|error| io_error("remove", &export, error))?;
        fs::remove_dir(&self.work).map_err(|error| io_error("remove", &self.work, error))
    }
}

/// Returns `true` if the directory is on another file system than its parent.
fn is_mount_point(directory: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| fs::metadata(path).map(|file| file.dev()).ok();
    directory
        .parent()
        .is_some_and(|parent| device(directory).is_some_and(|its| Some(its) != device(parent)))
}
