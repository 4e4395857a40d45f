//! The statements of a node that reads or writes the log of a hub.

use std::sync::mpsc::channel;
use std::time::Duration;

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::members::{Seat, chain, log_state, number};
use super::session::{Address, Connected, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::log::shared::{Chain, LogError, LogState, Record, SharedLog, Snapshot};
use crate::planted::{self, Fault};
use crate::spawn::spawn;

/// Time for which the hub waits for a database that cannot be reached. Then the hub stops.
const OUTAGE: Duration = Duration::from_secs(600);

/// Appends at the expected end, in the expected tenure. No row means that one of the two is different.
const APPEND: &str = "\
WITH mine AS (UPDATE abide.shard SET head = head + 1, commit = $6, chain = $7
    WHERE hub = $1 AND shard = $2 AND epoch = $3 AND head = $4::bigint - 1 AND owner = $9 RETURNING head)
INSERT INTO abide.log (hub, shard, position, epoch, first_commit, last_commit, chain, body)
SELECT $1, $2, head, $3, $5, $6, $7, $8 FROM mine RETURNING position";

/// What [`Fault::AppendUnfenced`] does instead: neither the end nor the tenure is compared.
const APPEND_UNFENCED: &str = "\
WITH mine AS (UPDATE abide.shard SET head = head + 1, commit = $6, chain = $7
    WHERE hub = $1 AND shard = $2 AND $4::bigint > 0 AND $9::uuid IS NOT NULL RETURNING head)
INSERT INTO abide.log (hub, shard, position, epoch, first_commit, last_commit, chain, body)
SELECT $1, $2, head, $3, $5, $6, $7, $8 FROM mine RETURNING position";

/// Changes a row, so that it also waits for the synchronous standby, which a read would not.
const CONFIRM: &str = "\
UPDATE abide.shard SET confirmed = confirmed + 1
WHERE hub = $1 AND shard = $2 AND epoch = $3 AND owner = $4 RETURNING head";

/// Writes, so that it waits for the synchronous standby, and returns the state of the log.
const BARRIER: &str = "\
WITH written AS (UPDATE abide.copy SET read = read WHERE hub = $1 AND shard = $2 AND node = $3 RETURNING node)
SELECT head, commit, chain, snapshot_epoch, snapshot, snapshot_parts, snapshot_before, incarnation
FROM abide.shard s JOIN abide.hub h ON h.hub = s.hub JOIN written ON true WHERE s.hub = $1 AND s.shard = $2";

/// Without the record or the parts, the database was restored to an older state while the snapshot was made.
const PUBLISH: &str = "\
UPDATE abide.shard SET snapshot_epoch = $3, snapshot = $4, snapshot_parts = $5::int4, snapshot_before = $6
WHERE hub = $1 AND shard = $2 AND epoch = $3 AND owner = $7 AND snapshot <= $4
    AND EXISTS (SELECT FROM abide.log WHERE hub = $1 AND shard = $2 AND position = $4 AND chain = $8)
    AND $5::int4 = (SELECT count(*) FROM abide.snapshot
        WHERE hub = $1 AND shard = $2 AND epoch = $3 AND position = $4 AND part < $5::int4)";

/// Deletes some of the records behind a snapshot.
const TRIM: &str = "\
DELETE FROM abide.log WHERE hub = $1 AND shard = $2 AND position IN (
    SELECT l.position FROM abide.log l JOIN abide.shard s ON s.hub = l.hub AND s.shard = l.shard
    WHERE l.hub = $1 AND l.shard = $2 AND s.snapshot_epoch = $3 AND s.snapshot = $4 AND l.position < $4
    ORDER BY l.position LIMIT 1000)";

/// Deletes some parts of the snapshots before one.
const REMOVE: &str = "\
DELETE FROM abide.snapshot WHERE hub = $1 AND shard = $2 AND (epoch, position, part) IN (
    SELECT p.epoch, p.position, p.part FROM abide.snapshot p JOIN abide.shard s ON s.hub = p.hub AND s.shard = p.shard
    WHERE p.hub = $1 AND p.shard = $2 AND s.snapshot_epoch = $3 AND s.snapshot = $4
        AND (p.epoch < $3 OR (p.epoch = $3 AND p.position < $4)) LIMIT 100)";

type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The log of a shard of a hub, for one of its nodes.
#[derive(Debug)]
pub(crate) struct PostgresLog {
    address: Address,
    /// The connection for appends.
    session: Session,
    /// The connection for all that takes long, so that no append waits for it.
    slow: Session,
    hub: i32,
    shard: i16,
    node: Uuid,
    /// Time for which a call waits for a database that cannot be reached.
    patience: Duration,
}

impl PostgresLog {
    /// The log for the owner of a shard, which waits for the database as long as the hub does.
    pub(crate) fn new(address: &Address, seat: Seat) -> Result<Self> {
        Self::with_patience(address, seat, OUTAGE)
    }

    pub(crate) fn with_patience(address: &Address, seat: Seat, patience: Duration) -> Result<Self> {
        Ok(Self {
            address: address.clone(),
            session: Session::new(address.clone())?,
            slow: Session::new(address.clone())?,
            hub: seat.hub,
            shard: number(seat.shard),
            node: seat.node,
            patience,
        })
    }

    fn run<R>(&self, job: impl AsyncFn(&Connected) -> Result<R, tokio_postgres::Error>) -> Result<R, LogError> {
        self.session.run(self.patience, job).map_err(LogError::Failed)
    }

    fn run_slowly<R>(&self, job: impl AsyncFn(&Connected) -> Result<R, tokio_postgres::Error>) -> Result<R, LogError> {
        self.slow.run(self.patience, job).map_err(LogError::Failed)
    }
}

/// How an append has ended.
enum Appended {
    Done,
    Fenced,
    WentBack(i64),
}

impl SharedLog for PostgresLog {
    fn append(&self, epoch: u64, record: &Record) -> Result<(), LogError> {
        let (epoch, position) = (epoch as i64, record.position as i64);
        let (first, last, new) = (record.first as i64, record.last as i64, &record.chain.0[..]);
        let append = if planted::is(Fault::AppendUnfenced) {
            APPEND_UNFENCED
        } else {
            APPEND
        };
        let done = self.run(async |connected: &Connected| {
            let append = connected.statement(append).await?;
            let parameters: Parameters<'_> = &[
                &self.hub,
                &self.shard,
                &epoch,
                &position,
                &first,
                &last,
                &new,
                &record.body,
                &self.node,
            ];
            if connected.client.query_opt(&append, parameters).await?.is_some() {
                return Ok(Appended::Done);
            }
            // An earlier attempt may have succeeded, and its answer was lost.
            let there = "SELECT chain FROM abide.log WHERE hub = $1 AND shard = $2 AND position = $3";
            let there = connected
                .client
                .query_opt(there, &[&self.hub, &self.shard, &position])
                .await?;
            let is_ours = there.is_some_and(|row| chain(row.get(0)) == record.chain);
            // What can be read may not be on the standby yet. A write waits for it.
            let confirm = connected.statement(CONFIRM).await?;
            let confirmed = connected
                .client
                .query_opt(&confirm, &[&self.hub, &self.shard, &epoch, &self.node])
                .await?;
            Ok(match confirmed {
                Some(_) if is_ours => Appended::Done,
                Some(row) => Appended::WentBack(row.get(0)),
                None => Appended::Fenced,
            })
        })?;
        match done {
            Appended::Done => Ok(()),
            Appended::Fenced => Err(LogError::Fenced),
            Appended::WentBack(found) => Err(LogError::WentBack {
                acknowledged: record.position - 1,
                found: found as u64,
            }),
        }
    }

    fn confirm(&self, epoch: u64) -> Result<u64, LogError> {
        let epoch = epoch as i64;
        let confirmed = self.run(async |connected: &Connected| {
            let confirm = connected.statement(CONFIRM).await?;
            let parameters: Parameters<'_> = &[&self.hub, &self.shard, &epoch, &self.node];
            connected.client.query_opt(&confirm, parameters).await
        })?;
        confirmed.map(|row| row.get::<_, i64>(0) as u64).ok_or(LogError::Fenced)
    }

    fn state(&self) -> Result<LogState, LogError> {
        let text = "SELECT head, commit, chain, snapshot_epoch, snapshot, snapshot_parts, snapshot_before, \
                    incarnation FROM abide.shard s JOIN abide.hub h ON h.hub = s.hub WHERE s.hub = $1 AND s.shard = $2";
        let row = self.run_slowly(async |connected: &Connected| {
            connected.client.query_one(text, &[&self.hub, &self.shard]).await
        })?;
        Ok(log_state(&row))
    }

    fn barrier(&self) -> Result<LogState, LogError> {
        // A read alone may be answered by a server that has been replaced, and does not wait for the standby. The write
        // cannot succeed on such a server, and the state is read by the same statement.
        let row = self.run_slowly(async |connected: &Connected| {
            let barrier = connected.statement(BARRIER).await?;
            connected
                .client
                .query_opt(&barrier, &[&self.hub, &self.shard, &self.node])
                .await
        })?;
        let missing = "the database does not know this node yet, or any more; its next beat enters it";
        row.map(|row| log_state(&row))
            .ok_or_else(|| LogError::Failed(Error::new(ErrorKind::Io, missing)))
    }

    fn settle(&self, position: u64, chain: Chain) -> Result<bool, LogError> {
        // Any write waits for the standby to have everything before it. The record is looked for by the same statement,
        // because the standby may have become the database since the record was read. The row of this node is missing if
        // the database has lost it. Then nothing is written, and the next beat enters it.
        let text = "UPDATE abide.copy SET read = $3 WHERE hub = $1 AND shard = $4 AND node = $2 AND EXISTS \
                    (SELECT FROM abide.log WHERE hub = $1 AND shard = $4 AND position = $3 AND chain = $5)";
        let position = position as i64;
        let changed = self.run_slowly(async |connected: &Connected| {
            let settle = connected.statement(text).await?;
            let parameters: Parameters<'_> = &[&self.hub, &self.node, &position, &self.shard, &&chain.0[..]];
            connected.client.execute(&settle, parameters).await
        })?;
        Ok(changed > 0)
    }

    fn read(&self, from: u64, bytes: usize) -> Result<Vec<Record>, LogError> {
        // The sizes first, so that the answer is bounded whatever the records have.
        let sizes = "SELECT position, octet_length(body) FROM abide.log \
                     WHERE hub = $1 AND shard = $2 AND position >= $3 ORDER BY position LIMIT 1000";
        let records = "SELECT position, first_commit, last_commit, chain, body FROM abide.log \
                       WHERE hub = $1 AND shard = $2 AND position BETWEEN $3 AND $4 ORDER BY position";
        let from = from as i64;
        self.run_slowly(async |connected: &Connected| {
            let sizes = connected.statement(sizes).await?;
            let found = connected.client.query(&sizes, &[&self.hub, &self.shard, &from]).await?;
            if found.is_empty() {
                return Ok(Vec::new());
            }
            let (mut until, mut size) = (from, 0);
            for row in &found {
                if size > 0 && size + row.get::<_, i32>(1) as usize > bytes {
                    break;
                }
                size += row.get::<_, i32>(1) as usize;
                until = row.get(0);
            }
            let records = connected.statement(records).await?;
            let rows = connected
                .client
                .query(&records, &[&self.hub, &self.shard, &from, &until])
                .await?;
            let record = |row: &tokio_postgres::Row| Record {
                position: row.get::<_, i64>(0) as u64,
                first: row.get::<_, i64>(1) as u64,
                last: row.get::<_, i64>(2) as u64,
                chain: chain(row.get(3)),
                body: row.get(4),
            };
            Ok(rows.iter().map(record).collect())
        })
    }

    fn find(&self, commit: u64, from: u64) -> Result<Option<u64>, LogError> {
        let text = "SELECT position FROM abide.log WHERE hub = $1 AND shard = $2 AND last_commit >= $3 \
                    AND position >= $4 ORDER BY position LIMIT 1";
        let (commit, from) = (commit as i64, from as i64);
        let row = self.run_slowly(async |connected: &Connected| {
            connected
                .client
                .query_opt(text, &[&self.hub, &self.shard, &commit, &from])
                .await
        })?;
        Ok(row.map(|row| row.get::<_, i64>(0) as u64))
    }

    fn bytes(&self) -> Result<u64, LogError> {
        let text = "SELECT coalesce(sum(octet_length(body)), 0)::bigint FROM abide.log WHERE hub = $1 AND shard = $2";
        let row = self.run_slowly(async |connected: &Connected| {
            connected.client.query_one(text, &[&self.hub, &self.shard]).await
        })?;
        Ok(row.get::<_, i64>(0) as u64)
    }

    fn set_calm_since(&self, epoch: u64, batch: u64) -> Result<(), LogError> {
        let text = "UPDATE abide.shard SET calm_since = $4 WHERE hub = $1 AND shard = $2 AND epoch = $3";
        let (epoch, batch) = (epoch as i64, batch as i64);
        let changed = self.run(async |connected: &Connected| {
            connected
                .client
                .execute(text, &[&self.hub, &self.shard, &epoch, &batch])
                .await
        })?;
        if changed == 0 { Err(LogError::Fenced) } else { Ok(()) }
    }

    fn put_part(&self, epoch: u64, position: u64, part: u32, body: &[u8]) -> Result<(), LogError> {
        // A database that was restored to an older state may have given the same epoch to another node.
        let put = "INSERT INTO abide.snapshot (hub, shard, epoch, position, part, crc32, body) \
                   SELECT hub, shard, epoch, $4, $5, $6, $7 FROM abide.shard \
                   WHERE hub = $1 AND shard = $2 AND epoch = $3 AND owner = $8 \
                   ON CONFLICT (hub, shard, epoch, position, part) \
                   DO UPDATE SET crc32 = excluded.crc32, body = excluded.body";
        let (epoch, position, part) = (epoch as i64, position as i64, part as i32);
        let crc = i64::from(crc32fast::hash(body));
        let put_parts = self.run_slowly(async |connected: &Connected| {
            let parameters: Parameters<'_> = &[
                &self.hub,
                &self.shard,
                &epoch,
                &position,
                &part,
                &crc,
                &body,
                &self.node,
            ];
            connected.client.execute(put, parameters).await
        })?;
        if put_parts == 0 { Err(LogError::Fenced) } else { Ok(()) }
    }

    fn publish(&self, epoch: u64, snapshot: Snapshot, chain: Chain) -> Result<(), LogError> {
        let (own_epoch, of_record) = (epoch, chain);
        let (epoch, position, parts) = (epoch as i64, snapshot.position as i64, snapshot.parts as i32);
        let (before, chain) = (&snapshot.before.0[..], &chain.0[..]);
        let changed = self.run_slowly(async |connected: &Connected| {
            let parameters: Parameters<'_> = &[
                &self.hub,
                &self.shard,
                &epoch,
                &position,
                &parts,
                &before,
                &self.node,
                &chain,
            ];
            connected.client.execute(PUBLISH, parameters).await
        })?;
        if changed == 0 {
            let head = self.confirm(own_epoch)?;
            let found = self.read(snapshot.position, 1)?;
            if found
                .first()
                .is_some_and(|record| record.position == snapshot.position && record.chain == of_record)
            {
                let text = "the database has lost a part of a snapshot while it was made";
                return Err(LogError::Failed(Error::new(ErrorKind::Io, text)));
            }
            return Err(LogError::WentBack {
                acknowledged: snapshot.position,
                found: head.min(snapshot.position - 1),
            });
        }
        // From here on, the older records and snapshots are of no use, as long as the database has this snapshot. In small
        // steps, each of which ends before the session loses its patience.
        for statement in [TRIM, REMOVE] {
            while self.run_slowly(async |connected: &Connected| {
                let parameters: Parameters<'_> = &[&self.hub, &self.shard, &epoch, &position];
                connected.client.execute(statement, parameters).await
            })? > 0
            {}
        }
        Ok(())
    }

    fn part(&self, snapshot: Snapshot, part: u32) -> Result<Vec<u8>, LogError> {
        let text = "SELECT crc32, body FROM abide.snapshot \
                    WHERE hub = $1 AND shard = $2 AND epoch = $3 AND position = $4 AND part = $5";
        let (epoch, position, number) = (snapshot.epoch as i64, snapshot.position as i64, part as i32);
        let row = self.run_slowly(async |connected: &Connected| {
            let parameters: Parameters<'_> = &[&self.hub, &self.shard, &epoch, &position, &number];
            connected.client.query_opt(text, parameters).await
        })?;
        let found = row.map(|row| (row.get::<_, i64>(0), row.get::<_, Vec<u8>>(1)));
        match found {
            Some((crc, body)) if crc == i64::from(crc32fast::hash(&body)) => Ok(body),
            found => {
                let what = if found.is_some() { "is damaged" } else { "is missing" };
                let text = format!(
                    "part {part} of the snapshot at position {} {what} in the database; restore a backup of it",
                    snapshot.position
                );
                Err(LogError::Failed(Error::new(ErrorKind::Corrupted, text)))
            }
        }
    }

    fn release(&self, epoch: u64, patience: Duration) -> Result<(), LogError> {
        let text = "UPDATE abide.shard SET owner = NULL, crashes = 0 \
                    WHERE hub = $1 AND shard = $2 AND epoch = $3 AND owner = $4";
        let (hub, shard, node, epoch) = (self.hub, self.shard, self.node, epoch as i64);
        // The other connections may wait for the database.
        let session = Session::new(self.address.clone()).map_err(LogError::Failed)?;
        let (tell, told) = channel();
        // The caller may be a thread of the program's runtime, on which no other runtime can run.
        let release = move || {
            let released = session.run(patience, async |connected: &Connected| {
                let parameters: Parameters<'_> = &[&hub, &shard, &epoch, &node];
                connected.client.execute(text, parameters).await.map(drop)
            });
            // The caller may have given up.
            let _ = tell.send(released);
        };
        spawn("abide-release", release).map_err(LogError::Failed)?;
        let late = |_| {
            Error::new(
                ErrorKind::Io,
                "the database has not confirmed the release of the hub in time",
            )
        };
        let released = told.recv_timeout(patience * 2).map_err(late).flatten();
        released.map_err(LogError::Failed)
    }
}
