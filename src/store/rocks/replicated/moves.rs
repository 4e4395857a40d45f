//! Moves a hub from a directory into the database, and back.
//!
//! Both directions compare all rows at the end, and let the hub run in one place only:
//!
//! ```text
//! import: the database has the hub, which no node may run ─► MOVED ─► nodes may run it
//! export: the directory is a copy, which no one may run ─► no node may run the hub ─► the directory may run
//! ```
//!
//! A move that was interrupted is repeated.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::open::OpenOptions;
use super::snapshot::{self, Content, Stored};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{create_private_directory, io_error};
use crate::log::commits::Commits;
use crate::log::postgres::moves::{self, Arrival, Moving};
use crate::log::postgres::{Address, PostgresLog, Session, status};
use crate::log::shared::Record;
use crate::random;
use crate::store::directory::{Format, moved};
use crate::store::rocks::checkpoint;
use crate::store::rocks::open::{self as directory_open, number};
use crate::store::{PARTITIONS, Store};

/// A hub that has moved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    pub(crate) id: Uuid,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) commit: u64,
}

/// Options of a move.
#[derive(Clone, Debug)]
pub(crate) struct MoveOptions {
    pub(crate) address: Address,
    /// The name of the hub in the database.
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    pub(crate) memory_budget: usize,
    /// Time for which the move waits for a database that cannot be reached.
    pub(crate) patience: Duration,
}

/// Moves the hub of a directory into the database.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Format`] if the directory is not a hub, the errors of [`moves::begin`], or any
/// error of an open.
pub(crate) fn import(how: &MoveOptions) -> Result<Moved> {
    let Some(format) = Format::find(&how.directory)? else {
        let text = format!(
            "{} is not a hub: the directory is empty or does not exist; a new hub needs no import, open it with `Hub::cluster`",
            how.directory.display()
        );
        return Err(Error::new(ErrorKind::Format, text));
    };
    let options = directory_open::OpenOptions {
        memory_budget: how.memory_budget,
        moves: true,
        ..directory_open::OpenOptions::default()
    };
    let opened = directory_open::open(&how.directory, &options)?;
    let commit = number(opened.last_commit);
    let moving = Moving {
        name: how.name.clone(),
        id: opened.hub,
        incarnation: opened.incarnation,
        partitions: format.partitions,
        commit,
    };
    let moved = bring(how, &opened.store, &moving, opened.calm_since);
    // Nothing has changed in the directory, so nothing that ran there was interrupted.
    opened.store.close(commit)?;
    moved.map(|content| Moved {
        id: moving.id,
        rows: content.rows,
        bytes: content.bytes,
        commit,
    })
}

/// Writes the rows of a store to the database, and lets nodes run the hub there.
fn bring(how: &MoveOptions, store: &dyn Store, moving: &Moving, calm_since: u64) -> Result<Content> {
    if moving.commit == 0 {
        let text = format!(
            "the hub of {} is empty; a new hub needs no import, open it with `Hub::cluster`",
            how.directory.display()
        );
        return Err(Error::new(ErrorKind::Configuration, text));
    }
    let session = Session::new(how.address.clone())?;
    let arrival = moves::begin(&session, moving, random::uuid(), how.patience)?;
    let log = PostgresLog::new(&how.address, arrival.hub, arrival.node)?;
    let view = store.snapshot();
    let Stored { snapshot, content } =
        snapshot::store(view.as_ref(), arrival.epoch, arrival.position, arrival.before, &log)?;
    moved::mark(
        &how.directory,
        &format!("the database {} as `{}`", how.address.name(), how.name),
    )?;
    let record = last_commit(&arrival, moving.commit);
    moves::finish(&session, &arrival, snapshot, &record, calm_since, how.patience)?;
    Ok(content)
}

/// Returns a record with the newest commit. The snapshot has its changes already, so the record needs none.
fn last_commit(arrival: &Arrival, commit: u64) -> Record {
    let mut commits = Commits::default();
    commits.push(commit, &[]);
    let body = commits.compress();
    Record {
        position: arrival.position,
        first: commit,
        last: commit,
        chain: arrival.before.after(commit, commit, &body),
        body,
    }
}

/// Moves a hub from the database into a directory, which has to be empty.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::NotFound`] if the database has no such hub, of kind [`ErrorKind::Locked`] if a node
/// runs it, of kind [`ErrorKind::Configuration`] if the directory is not empty, or any error of an open.
pub(crate) fn export(how: &MoveOptions) -> Result<Moved> {
    let session = Session::new(how.address.clone())?;
    if let Some(format) = interrupted(how, &session)? {
        return arrived(how, &format);
    }
    checkpoint::check_empty(&how.directory)?;
    check_idle(how, &session)?;
    let place = beside(&how.directory);
    create_private_directory(&place)?;
    let opened = super::open(&OpenOptions {
        address: how.address.clone(),
        name: how.name.clone(),
        directory: place.clone(),
        memory_budget: how.memory_budget,
        wal_limit: crate::store::LOG_LIMIT,
        // The hub exists.
        partitions: *PARTITIONS.start(),
        patience: how.patience,
        canceled: Arc::default(),
    })?;
    let commit = number(opened.last_commit);
    opened.store.checkpoint(&how.directory, commit)?;
    let written = directory_open::open_read_only(&how.directory, how.memory_budget)?;
    if snapshot::content(&written.store)? != snapshot::content(opened.store.snapshot().as_ref())? {
        let text = format!(
            "{} has other rows than were written to it; check its disk",
            how.directory.display()
        );
        return Err(Error::new(ErrorKind::Corrupted, text));
    }
    drop(written);
    opened.store.depart(&session, how.patience)?;
    drop(opened);
    fs::remove_dir_all(&place).map_err(|error| io_error("remove", &place, error))?;
    let Some(format) = Format::find(&how.directory)? else {
        unreachable!("the checkpoint is a hub")
    };
    arrived(how, &format)
}

/// Returns the identity of a copy that an interrupted export of the same hub has left in the directory, if no node can run
/// the hub any more. A checkpoint of an earlier state is none.
fn interrupted(how: &MoveOptions, session: &Session) -> Result<Option<Format>> {
    let format = match Format::find(&how.directory) {
        Ok(Some(format)) if format.copy => format,
        // `check_empty` says what is wrong.
        _ => return Ok(None),
    };
    let Some(commit) = moves::exported_commit(session, &how.name, format.hub, how.patience)? else {
        return Ok(None);
    };
    let written = directory_open::open_read_only(&how.directory, how.memory_budget)?;
    Ok((written.last_commit == commit).then_some(format))
}

/// Lets the directory run as the hub that was exported to it.
fn arrived(how: &MoveOptions, format: &Format) -> Result<Moved> {
    let written = directory_open::open_read_only(&how.directory, how.memory_budget)?;
    let content = snapshot::content(&written.store)?;
    let released = Format {
        copy: false,
        ..format.clone()
    };
    released.write(&how.directory)?;
    Ok(Moved {
        id: format.hub,
        rows: content.rows,
        bytes: content.bytes,
        commit: written.last_commit,
    })
}

/// Returns the directory of the node that exports.
fn beside(directory: &Path) -> PathBuf {
    let mut name = directory.as_os_str().to_owned();
    name.push(".export");
    name.into()
}

/// Checks that there is a hub, and that no living node runs it.
fn check_idle(how: &MoveOptions, session: &Session) -> Result<()> {
    let hubs = status::hubs(session, Some(&how.name), how.patience)?;
    let Some(hub) = hubs.first() else {
        let text = format!("the database has no hub `{}`", how.name);
        return Err(Error::new(ErrorKind::NotFound, text));
    };
    match hub.nodes.iter().find(|node| node.is_owner && node.is_connected) {
        None => Ok(()),
        Some(node) => Err(Error::new(
            ErrorKind::Locked,
            format!(
                "the node {} runs the hub `{}`; shut its nodes down, and export it then",
                node.name, how.name
            ),
        )),
    }
}
