//! Moves a hub from a directory into the database.

use super::moves::{MoveOptions, Moved};
use super::snapshot::{self, Stored};
use crate::error::{Error, ErrorKind, Result};
use crate::id::Shard;
use crate::log::commits::Commits;
use crate::log::postgres::moves::{self, Arrival, Moving};
use crate::log::postgres::{PostgresLog, Session};
use crate::log::shared::Record;
use crate::random;
use crate::schema;
use crate::store::directory::{Format, moved};
use crate::store::rocks::open::{OpenOptions, number, open};
use crate::store::{Reader, Store};

/// Moves the hub of a directory into the database, where it has a number of shards.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Format`] if the directory is not a hub, of kind [`ErrorKind::Configuration`] if it
/// cannot have so many shards, the errors of [`moves::begin`], or any error of an open.
pub(crate) fn import(how: &MoveOptions, shards: u16) -> Result<Moved> {
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
        shards,
        commit: number(opened.last_commit),
        id_of_move: before.unwrap_or_else(random::uuid),
        is_repeated: before.is_some(),
    };
    let written = write(how, &opened.store, &moving, opened.calm_since);
    // Nothing has changed in the directory, so nothing that ran there was interrupted.
    if let Err(error) = opened.store.close(moving.commit) {
        tracing::warn!(%error, "the directory of the imported hub was not closed");
    }
    written.map(|written| Moved {
        id: moving.id,
        rows: written.rows,
        bytes: written.bytes,
        commit: moving.commit,
    })
}

/// What was written to the database.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    rows: u64,
    bytes: u64,
}

/// Writes the rows of a store to the database, and lets nodes run the hub there.
fn write(how: &MoveOptions, store: &dyn Store, moving: &Moving, calm_since: u64) -> Result<Written> {
    if moving.shards == 0 || moving.shards > moving.partitions {
        let text = format!(
            "the hub of {} has {} partitions, so it can have 1 to {} shards, and not {}",
            how.directory.display(),
            moving.partitions,
            moving.partitions,
            moving.shards
        );
        return Err(Error::new(ErrorKind::Configuration, text));
    }
    if moving.commit == 0 {
        let text = format!(
            "the hub of {} is empty; a new hub needs no import, open it with `Hub::cluster`",
            how.directory.display()
        );
        return Err(Error::new(ErrorKind::Configuration, text));
    }
    let session = Session::new(how.address.clone())?;
    let arrivals = match moves::begin(&session, moving, random::uuid(), how.patience) {
        // Another import of this directory has ended, or the database is another one.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && moving.is_repeated => {
            moved::check(&how.directory)?;
            return Err(error);
        }
        begun => begun?,
    };
    let view = store.snapshot();
    let (mut written, mut snapshots) = (Written::default(), Vec::new());
    for arrival in &arrivals {
        let log = PostgresLog::new(&how.address, arrival.seat)?;
        let shard = Shard {
            id: arrival.seat.shard,
            count: moving.shards,
        };
        let Stored { snapshot, content } = snapshot::store(
            view.as_ref(),
            &schema::rows_of_shard(shard, moving.partitions),
            arrival.epoch,
            arrival.position,
            arrival.before,
            &log,
            snapshot::PART,
        )?;
        written.rows += content.rows;
        written.bytes += content.bytes;
        snapshots.push(snapshot);
    }
    check_complete(view.as_ref(), written, moving.shards)?;
    let place = format!("the database {} as `{}`", how.address.name(), how.name);
    moved::mark(&how.directory, moving.id_of_move, &place)?;
    for (arrival, snapshot) in arrivals.iter().zip(snapshots) {
        let record = last_commit(arrival, moving.commit);
        moves::finish(&session, arrival, snapshot, &record, calm_since, how.patience)?;
    }
    moves::open(&session, moving, how.patience)?;
    Ok(written)
}

/// Checks that the shards together have every row. Each of them has the row of the newest commit.
fn check_complete(view: &dyn Reader, written: Written, shards: u16) -> Result<()> {
    let content = snapshot::content(view)?;
    if content.rows + u64::from(shards - 1) == written.rows {
        return Ok(());
    }
    let text = format!(
        "the shards have {} rows of the {} of the hub; this is a fault of Abide, and the directory is unchanged",
        written.rows, content.rows
    );
    Err(Error::new(ErrorKind::Corrupted, text))
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
