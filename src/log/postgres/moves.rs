//! A hub that moves from a directory into the database, or back.

use std::time::Duration;

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::members::{Seat, chain, number};
use super::schema;
use super::session::{Connected, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::id::ShardId;
use crate::log::shared::{Chain, LogError, Record, Snapshot};
use crate::model;

/// The stages of a hub in the column `stage`. Nodes run only one that is open.
pub(super) const OPEN: &str = "open";
const IMPORTING: &str = "importing";
const EXPORTED: &str = "exported";

/// The only shard of a hub that moves.
const WHOLE: ShardId = ShardId(0);

type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Checks that nodes may run a hub.
pub(super) fn check_stage(hub: &str, stage: &str) -> Result<()> {
    let why = match stage {
        OPEN => return Ok(()),
        IMPORTING => "is being imported; wait for the import to finish, or repeat it if it was interrupted",
        EXPORTED => "was exported to a directory and continues there; open that directory, or import it again",
        _ => "is in a state that this build does not know; use the build that wrote it",
    };
    let text = format!("the hub `{hub}` in the database {why}");
    Err(Error::new(ErrorKind::Moved, text))
}

/// The identity of a hub that moves.
#[derive(Clone, Debug)]
pub(crate) struct Moving {
    pub(crate) name: String,
    pub(crate) id: Uuid,
    pub(crate) incarnation: u64,
    pub(crate) partitions: u16,
    /// Its newest commit.
    pub(crate) commit: u64,
    /// The id of this import. Its repetition has the same.
    pub(crate) id_of_move: Uuid,
    /// The import repeats one that had come to its last step.
    pub(crate) is_repeated: bool,
}

/// The place in the database that a hub moves to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// The process that imports has the place of a node.
    pub(crate) seat: Seat,
    pub(crate) epoch: u64,
    /// The position of the record that stands for all commits before the move.
    pub(crate) position: u64,
    pub(crate) before: Chain,
}

/// Begins an import. Nodes cannot run the hub until [`finish`]. An import that was interrupted begins again.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::AlreadyExists`] if the database has a hub of this name that is not a former state
/// of this one, of kind [`ErrorKind::Moved`] if the database had a newer state of it, or any error of [`Session::run`].
pub(crate) fn begin(session: &Session, moving: &Moving, node: Uuid, patience: Duration) -> Result<Arrival> {
    schema::ensure(session, patience)?;
    let newest = "SELECT s.commit FROM abide.hub h JOIN abide.shard s ON s.hub = h.hub AND s.shard = $3 \
                  WHERE h.name = $1 AND h.id = $2";
    let create = "INSERT INTO abide.hub (name, id, incarnation, partitions, shards, format, stage, move) \
                  VALUES ($1, $2, $3, $4, 1, $5, $6, $7) ON CONFLICT DO NOTHING";
    let shard = "INSERT INTO abide.shard (hub, shard, chain, snapshot_before) \
                 SELECT hub, $3, $4, $4 FROM abide.hub WHERE name = $1 AND id = $2 ON CONFLICT DO NOTHING";
    // One statement, so that no node can run the hub between the look at its stage and the claim.
    let claim = "WITH mine AS (UPDATE abide.hub SET incarnation = $3, format = $5, stage = $6, move = $7 \
                     WHERE name = $1 AND id = $2 AND partitions = $4 AND stage <> 'open' \
                     AND (NOT $8 OR (stage = $6 AND move = $7)) RETURNING hub) \
                 UPDATE abide.shard AS s SET epoch = s.epoch + 1, owner = $10 FROM mine \
                 WHERE s.hub = mine.hub AND s.shard = $9 RETURNING s.hub, s.epoch, s.head, s.chain";
    let (incarnation, partitions) = (moving.incarnation as i64, i32::from(moving.partitions));
    let format = model::STORED_FORMAT as i32;
    let begun = session.run(patience, async |connected: &Connected| {
        let client = &connected.client;
        let found = client
            .query_opt(newest, &[&moving.name, &moving.id, &number(WHOLE)])
            .await?;
        let found = found.map_or(0, |row| row.get::<_, i64>(0) as u64);
        if found > moving.commit {
            return Ok(Begun::Newer(found));
        }
        let parameters: Parameters<'_> = &[
            &moving.name,
            &moving.id,
            &incarnation,
            &partitions,
            &format,
            &IMPORTING,
            &moving.id_of_move,
            &moving.is_repeated,
            &number(WHOLE),
            &node,
        ];
        if !moving.is_repeated {
            client.execute(create, &parameters[..7]).await?;
            let chain = &Chain::default().0[..];
            client
                .execute(shard, &[&moving.name, &moving.id, &number(WHOLE), &chain])
                .await?;
        }
        let row = client.query_opt(claim, parameters).await?;
        Ok(row.map_or(Begun::Other, |row| {
            Begun::Here(Arrival {
                seat: Seat {
                    hub: row.get(0),
                    shard: WHOLE,
                    node,
                },
                epoch: row.get::<_, i64>(1) as u64,
                position: row.get::<_, i64>(2) as u64 + 1,
                before: chain(row.get(3)),
            })
        }))
    })?;
    match begun {
        Begun::Here(arrival) => Ok(arrival),
        Begun::Newer(found) => Err(Error::new(
            ErrorKind::Moved,
            format!(
                "the directory has commit {} of the hub `{}`, and the database had commit {found} when it was exported; \
                 import the directory that it was exported to",
                moving.commit, moving.name
            ),
        )),
        Begun::Other => Err(Error::new(
            ErrorKind::AlreadyExists,
            format!(
                "the hub cannot be imported as `{}`: the database has it already, or another hub has this name, perhaps an empty \
                 one that a node has created; `abide cluster status` shows which",
                moving.name
            ),
        )),
    }
}

/// How an import has begun.
enum Begun {
    Here(Arrival),
    /// The database had this commit of the hub.
    Newer(u64),
    /// The hub is open, or another one has the name.
    Other,
}

/// Ends an import: the hub is open, and continues after the record that stands for all commits before the move.
///
/// # Errors
/// Returns [`LogError::Fenced`] if another import has begun, or any error of [`Session::run`].
pub(crate) fn finish(
    session: &Session,
    arrival: &Arrival,
    snapshot: Snapshot,
    record: &Record,
    calm_since: u64,
    patience: Duration,
) -> Result<(), LogError> {
    let open = "WITH mine AS (UPDATE abide.shard SET head = $4, commit = $5, chain = $6, owner = NULL, crashes = 0, \
                    calm_since = $7, snapshot_epoch = $3, snapshot = $4, snapshot_parts = $8, snapshot_before = $9 \
                    WHERE hub = $1 AND shard = $2 AND epoch = $3 AND owner = $10 AND head = $4::bigint - 1 RETURNING hub), \
                record AS (INSERT INTO abide.log (hub, shard, position, epoch, first_commit, last_commit, chain, body) \
                    SELECT hub, $2, $4, $3, $5, $5, $6, $11 FROM mine) \
                UPDATE abide.hub SET stage = 'open' WHERE hub IN (SELECT hub FROM mine)";
    // A write, so that it waits for the synchronous standby like the first attempt.
    let confirm = "UPDATE abide.shard AS s SET confirmed = confirmed + 1 WHERE s.hub = $1 AND s.shard = $2 \
                   AND EXISTS (SELECT FROM abide.log AS l WHERE l.hub = $1 AND l.shard = $2 AND l.position = $3 AND l.chain = $4)";
    let (epoch, position, commit) = (arrival.epoch as i64, record.position as i64, record.last as i64);
    let (calm_since, parts) = (calm_since as i64, snapshot.parts as i32);
    let (before, after) = (&arrival.before.0[..], &record.chain.0[..]);
    let changed = session.run(patience, async |connected: &Connected| {
        let parameters: Parameters<'_> = &[
            &arrival.seat.hub,
            &number(arrival.seat.shard),
            &epoch,
            &position,
            &commit,
            &after,
            &calm_since,
            &parts,
            &before,
            &arrival.seat.node,
            &record.body,
        ];
        match connected.client.execute(open, parameters).await? {
            // An earlier attempt may have succeeded, and its answer was lost.
            0 => {
                let parameters: Parameters<'_> = &[&arrival.seat.hub, &number(arrival.seat.shard), &position, &after];
                connected.client.execute(confirm, parameters).await
            }
            changed => Ok(changed),
        }
    });
    match changed.map_err(LogError::Failed)? {
        0 => Err(LogError::Fenced),
        _ => Ok(()),
    }
}

/// Ends the last tenure of a hub that was exported by the export with the id `id_of_move`. No node can run it any more.
///
/// # Errors
/// Returns [`LogError::Fenced`] if another node has become the owner, or any error of [`Session::run`].
pub(crate) fn depart(
    session: &Session,
    seat: Seat,
    epoch: u64,
    id_of_move: Uuid,
    patience: Duration,
) -> Result<(), LogError> {
    // The epoch changes, so that a claim that has begun finds another one.
    let depart = "WITH mine AS (UPDATE abide.shard SET epoch = epoch + 1, owner = NULL, crashes = 0 \
                      WHERE hub = $1 AND shard = $2 AND epoch = $3 AND owner = $4 RETURNING hub) \
                  UPDATE abide.hub SET stage = 'exported', move = $5 WHERE hub IN (SELECT hub FROM mine)";
    // An earlier attempt may have succeeded, and its answer was lost.
    let confirm = "UPDATE abide.hub SET stage = 'exported' WHERE hub = $1 AND stage = 'exported' AND move = $2";
    let epoch = epoch as i64;
    let Seat { hub, shard, node } = seat;
    let changed = session.run(patience, async |connected: &Connected| {
        let parameters: Parameters<'_> = &[&hub, &number(shard), &epoch, &node, &id_of_move];
        match connected.client.execute(depart, parameters).await? {
            0 => connected.client.execute(confirm, &[&hub, &id_of_move]).await,
            changed => Ok(changed),
        }
    });
    match changed.map_err(LogError::Failed)? {
        0 => Err(LogError::Fenced),
        _ => Ok(()),
    }
}

/// Returns `true` if the export with the id `id_of_move` has ended the last tenure of the hub with this name.
pub(crate) fn has_departed(session: &Session, name: &str, id_of_move: Uuid, patience: Duration) -> Result<bool> {
    if !schema::exists(session, patience)? {
        return Ok(false);
    }
    // A write, so that it waits for the synchronous standby.
    let text = "UPDATE abide.hub SET stage = 'exported' WHERE name = $1 AND stage = 'exported' AND move = $2";
    let changed = session.run(patience, async |connected: &Connected| {
        connected.client.execute(text, &[&name, &id_of_move]).await
    })?;
    Ok(changed > 0)
}
