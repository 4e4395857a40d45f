//! A hub that moves from a directory into the database, or back.

use std::time::Duration;

use tokio_postgres::Row;
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
    /// Number of shards that it gets.
    pub(crate) shards: u16,
    /// Its newest commit.
    pub(crate) commit: u64,
    /// The id of this import. Its repetition has the same.
    pub(crate) id_of_move: Uuid,
    /// The import repeats one that had come to its last step.
    pub(crate) is_repeated: bool,
}

/// The place in the database that a shard moves to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// The process that imports has the place of a node.
    pub(crate) seat: Seat,
    pub(crate) epoch: u64,
    /// The position of the record that stands for all commits before the move.
    pub(crate) position: u64,
    pub(crate) before: Chain,
}

/// Begins an import. Returns the places of the shards. Nodes cannot run the hub until [`open`]. An import that was interrupted
/// begins again.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::AlreadyExists`] if the database has a hub of this name that is not a former state
/// of this one, of kind [`ErrorKind::Moved`] if the database had a newer state of it, or any error of [`Session::run`].
pub(crate) fn begin(session: &Session, moving: &Moving, node: Uuid, patience: Duration) -> Result<Vec<Arrival>> {
    schema::ensure(session, patience)?;
    let newest = "SELECT coalesce(max(s.commit), 0) FROM abide.hub h JOIN abide.shard s ON s.hub = h.hub \
                  WHERE h.name = $1 AND h.id = $2";
    let create = "INSERT INTO abide.hub (name, id, incarnation, partitions, shards, format, stage, move) \
                  VALUES ($1, $2, $3, $4, $5, $6, 'importing', $7) ON CONFLICT DO NOTHING";
    // No node runs the hub from here on.
    let take = "UPDATE abide.hub SET incarnation = $3, shards = $5, format = $6, stage = 'importing', move = $7 \
                WHERE name = $1 AND id = $2 AND partitions = $4 AND stage <> 'open' \
                AND (NOT $8 OR (stage = 'importing' AND move = $7)) RETURNING hub";
    let (incarnation, partitions) = (moving.incarnation as i64, i32::from(moving.partitions));
    let (shards, format) = (i32::from(moving.shards), model::STORED_FORMAT as i32);
    let begun = session.run(patience, async |connected: &Connected| {
        let client = &connected.client;
        let found = client.query_one(newest, &[&moving.name, &moving.id]).await?;
        let found = found.get::<_, i64>(0) as u64;
        if found > moving.commit {
            return Ok(Begun::Newer(found));
        }
        let parameters: Parameters<'_> = &[
            &moving.name,
            &moving.id,
            &incarnation,
            &partitions,
            &shards,
            &format,
            &moving.id_of_move,
            &moving.is_repeated,
        ];
        if !moving.is_repeated {
            client.execute(create, &parameters[..7]).await?;
        }
        let Some(hub) = client.query_opt(take, parameters).await? else {
            return Ok(Begun::Other);
        };
        Ok(Begun::Taken(hub.get(0)))
    })?;
    let arrivals = match begun {
        Begun::Taken(hub) => arrange(session, moving, hub, node, patience)?,
        Begun::Other => Vec::new(),
        Begun::Newer(found) => return Err(newer(moving, found)),
    };
    match arrivals.len() {
        0 => Err(not_importable(moving)),
        _ => Ok(arrivals),
    }
}

fn newer(moving: &Moving, found: u64) -> Error {
    let text = format!(
        "the directory has commit {} of the hub `{}`, and the database had commit {found} when it was exported; \
         import the directory that it was exported to",
        moving.commit, moving.name
    );
    Error::new(ErrorKind::Moved, text)
}

fn not_importable(moving: &Moving) -> Error {
    let text = format!(
        "the hub cannot be imported as `{}`: the database has it already, or another hub has this name, perhaps an empty \
         one that a node has created; `abide cluster status` shows which",
        moving.name
    );
    Error::new(ErrorKind::AlreadyExists, text)
}

/// Arranges the shards of a hub that an import has taken, and claims them. The hub may have had another number of shards
/// before it was exported. If another import has taken it meanwhile, nothing changes, and the result is empty.
fn arrange(session: &Session, moving: &Moving, hub: i32, node: Uuid, patience: Duration) -> Result<Vec<Arrival>> {
    let mine = "h.hub = $1 AND h.stage = 'importing' AND h.move = $2";
    // All positions and epochs are new in each shard, so that the copy of a node shows that it is from before the move,
    // also that of a shard that was removed in between.
    let raise = format!(
        "UPDATE abide.shard AS s SET head = m.head, epoch = m.epoch, commit = m.commit FROM abide.hub h, \
             (SELECT max(head) AS head, max(epoch) AS epoch, max(commit) AS commit FROM abide.shard WHERE hub = $1) AS m \
         WHERE {mine} AND s.hub = h.hub"
    );
    let id_of_move = &moving.id_of_move;
    session.run(patience, async |connected: &Connected| {
        connected.client.execute(&raise, &[&hub, id_of_move]).await
    })?;
    let first_gone = moving.shards as i16;
    for table in ["log", "snapshot", "copy", "shard"] {
        // In small steps, each of which ends in time.
        let remove = format!(
            "DELETE FROM abide.{table} WHERE ctid = ANY (ARRAY(SELECT t.ctid FROM abide.{table} t JOIN abide.hub h ON h.hub = t.hub \
             WHERE {mine} AND t.shard >= $3 LIMIT 200))"
        );
        let remove = async |connected: &Connected| {
            let parameters: Parameters<'_> = &[&hub, id_of_move, &first_gone];
            connected.client.execute(&remove, parameters).await
        };
        while session.run(patience, remove)? > 0 {}
    }
    let add = format!(
        "INSERT INTO abide.shard (hub, shard, head, epoch, commit, chain, snapshot_before) \
         SELECT h.hub, number, m.head, m.epoch, m.commit, $4, $4 FROM abide.hub h, generate_series(0, $3::int4 - 1) AS number, \
             (SELECT coalesce(max(head), 0) AS head, coalesce(max(epoch), 0) AS epoch, coalesce(max(commit), 0) AS commit \
              FROM abide.shard WHERE hub = $1) AS m WHERE {mine} ON CONFLICT DO NOTHING"
    );
    let claim = format!(
        "UPDATE abide.shard AS s SET epoch = s.epoch + 1, owner = $3 FROM abide.hub h WHERE {mine} AND s.hub = h.hub \
         RETURNING s.hub, s.epoch, s.head, s.chain, s.shard"
    );
    session.run(patience, async |connected: &Connected| {
        let (shards, chain) = (i32::from(moving.shards), &Chain::default().0[..]);
        connected
            .client
            .execute(&add, &[&hub, id_of_move, &shards, &chain])
            .await?;
        let rows = connected.client.query(&claim, &[&hub, id_of_move, &node]).await?;
        let mut arrivals: Vec<Arrival> = rows.iter().map(|row| arrival(row, node)).collect();
        arrivals.sort_by_key(|arrival| arrival.seat.shard);
        Ok(arrivals)
    })
}

/// How an import has begun.
enum Begun {
    /// It has the hub with this number.
    Taken(i32),
    /// The database had this commit of the hub.
    Newer(u64),
    /// The hub is open, or another one has the name.
    Other,
}

/// Reads the columns hub, epoch, head, chain and shard, in this order.
fn arrival(row: &Row, node: Uuid) -> Arrival {
    Arrival {
        seat: Seat {
            hub: row.get(0),
            shard: ShardId(row.get::<_, i16>(4) as u16),
            node,
        },
        epoch: row.get::<_, i64>(1) as u64,
        position: row.get::<_, i64>(2) as u64 + 1,
        before: chain(row.get(3)),
    }
}

/// Ends the import of a shard: it continues after the record that stands for all commits before the move.
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
    let finish = "WITH mine AS (UPDATE abide.shard SET head = $4, commit = $5, chain = $6, owner = NULL, crashes = 0, \
                    calm_since = $7, snapshot_epoch = $3, snapshot = $4, snapshot_parts = $8, snapshot_before = $9 \
                    WHERE hub = $1 AND shard = $2 AND epoch = $3 AND owner = $10 AND head = $4::bigint - 1 RETURNING hub) \
                  INSERT INTO abide.log (hub, shard, position, epoch, first_commit, last_commit, chain, body) \
                      SELECT hub, $2, $4, $3, $5, $5, $6, $11 FROM mine";
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
        match connected.client.execute(finish, parameters).await? {
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

/// Lets nodes run a hub all of whose shards were imported.
///
/// # Errors
/// Returns [`LogError::Fenced`] if another import has begun, or any error of [`Session::run`].
pub(crate) fn open(session: &Session, moving: &Moving, patience: Duration) -> Result<(), LogError> {
    let open = "UPDATE abide.hub AS h SET stage = 'open' WHERE name = $1 AND id = $2 AND stage = 'importing' AND move = $3 \
                AND NOT EXISTS (SELECT FROM abide.shard s WHERE s.hub = h.hub AND s.owner IS NOT NULL)";
    // An earlier attempt may have succeeded, and its answer was lost.
    let confirm = "UPDATE abide.hub SET stage = 'open' WHERE name = $1 AND id = $2 AND stage = 'open' AND move = $3";
    let changed = session.run(patience, async |connected: &Connected| {
        let parameters: Parameters<'_> = &[&moving.name, &moving.id, &moving.id_of_move];
        match connected.client.execute(open, parameters).await? {
            0 => connected.client.execute(confirm, parameters).await,
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
    tenures: &[(Seat, u64)],
    id_of_move: Uuid,
    patience: Duration,
) -> Result<(), LogError> {
    // The epoch changes, so that a claim that has begun finds another one.
    let depart = "WITH mine AS (UPDATE abide.shard AS s SET epoch = s.epoch + 1, owner = NULL, crashes = 0 \
                      FROM unnest($2::int2[], $3::int8[]) AS mine (shard, epoch) \
                      WHERE s.hub = $1 AND s.shard = mine.shard AND s.epoch = mine.epoch AND s.owner = $4 RETURNING s.hub) \
                  UPDATE abide.hub SET stage = 'exported', move = $5 \
                  WHERE hub = $1 AND (SELECT count(*) FROM mine) = cardinality($2::int2[])";
    // An earlier attempt may have succeeded, and its answer was lost.
    let confirm = "UPDATE abide.hub SET stage = 'exported' WHERE hub = $1 AND stage = 'exported' AND move = $2";
    let Some((Seat { hub, node, .. }, _)) = tenures.first() else {
        unreachable!("a hub has shards");
    };
    let (shards, epochs): (Vec<i16>, Vec<i64>) = tenures
        .iter()
        .map(|(seat, epoch)| (number(seat.shard), *epoch as i64))
        .unzip();
    let changed = session.run(patience, async |connected: &Connected| {
        let parameters: Parameters<'_> = &[hub, &shards, &epochs, node, &id_of_move];
        match connected.client.execute(depart, parameters).await? {
            0 => connected.client.execute(confirm, &[hub, &id_of_move]).await,
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
