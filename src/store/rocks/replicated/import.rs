//! Moves a hub from a directory into the database.

use super::moves::{MoveOptions, Moved};
use super::snapshot::{self, Content, Stored};
use crate::error::{Error, ErrorKind, Result};
use crate::log::commits::Commits;
use crate::log::postgres::moves::{self, Arrival, Moving};
use crate::log::postgres::{PostgresLog, Session};
use crate::log::shared::Record;
use crate::random;
use crate::store::Store;
use crate::store::directory::{Format, moved};
use crate::store::rocks::open::{OpenOptions, number, open};

/// Moves the hub of a directory into the database.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Format`] if the directory is not a hub, the errors of [`moves::begin`], or any
/// error of an open.
pub(crate) fn import(how: &MoveOptions) -> Result<Moved> {
    if Format::find(&how.directory)?.is_none() {
        let text = format!(
            "{} is not a hub: the directory is empty or does not exist; a new hub needs no import, open it with `Hub::cluster`",
            how.directory.display()
        );
        return Err(Error::new(ErrorKind::Format, text));
    }
    let options = OpenOptions {
        memory_budget: how.memory_budget,
        moves: true,
        ..OpenOptions::default()
    };
    let opened = open(&how.directory, &options)?;
    let before = moved::import(&how.directory)?;
    let moving = Moving {
        name: how.name.clone(),
        id: opened.hub,
        incarnation: opened.incarnation,
        partitions: opened.partitions,
        commit: number(opened.last_commit),
        id_of_move: before.unwrap_or_else(random::uuid),
        is_repeated: before.is_some(),
    };
    let content = write(how, &opened.store, &moving, opened.calm_since);
    // Nothing has changed in the directory, so nothing that ran there was interrupted.
    if let Err(error) = opened.store.close(moving.commit) {
        tracing::warn!(%error, "the directory of the imported hub was not closed");
    }
    content.map(|content| Moved {
        id: moving.id,
        rows: content.rows,
        bytes: content.bytes,
        commit: moving.commit,
    })
}

/// Writes the rows of a store to the database, and lets nodes run the hub there.
fn write(how: &MoveOptions, store: &dyn Store, moving: &Moving, calm_since: u64) -> Result<Content> {
    if moving.commit == 0 {
        let text = format!(
            "the hub of {} is empty; a new hub needs no import, open it with `Hub::cluster`",
            how.directory.display()
        );
        return Err(Error::new(ErrorKind::Configuration, text));
    }
    let session = Session::new(how.address.clone())?;
    let arrival = match moves::begin(&session, moving, random::uuid(), how.patience) {
        // Another import of this directory has ended, or the database is another one.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && moving.is_repeated => {
            moved::check(&how.directory)?;
            return Err(error);
        }
        begun => begun?,
    };
    let log = PostgresLog::new(&how.address, arrival.seat)?;
    let view = store.snapshot();
    let Stored { snapshot, content } = snapshot::store(
        view.as_ref(),
        arrival.epoch,
        arrival.position,
        arrival.before,
        &log,
        snapshot::PART,
    )?;
    let place = format!("the database {} as `{}`", how.address.name(), how.name);
    moved::mark(&how.directory, moving.id_of_move, &place)?;
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
