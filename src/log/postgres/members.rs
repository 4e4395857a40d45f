//! The nodes of a hub, and which of them owns which shard.
//!
//! A node counts a beat once in a while. Another node that sees the beat of an owner stand still for long enough, by its
//! own monotonic clock, claims its shards. No clock is compared with another, and a wrong claim does no harm: it ends the
//! tenure of a node that is only slow.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::holds;
use super::moves::check_stage;
use super::schema;
use super::session::{Address, Connected, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::id::ShardId;
use crate::log::shared::{Chain, LogState, Snapshot, Tenure};
use crate::model;

/// Maximum time for the connection of an earlier process of a directory to end, in milliseconds.
const EARLIER_MS: u32 = 2_000;

/// Waits for as long as a node that lives takes for several beats.
const BEATS: &str = "SELECT pg_sleep(2)";

/// The class of the advisory locks that show that nodes are connected. The hub is added.
pub(super) const CONNECTED: i32 = 0x0ab1_de00;

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) id: Uuid,
    /// Host and process, for people.
    pub(crate) name: String,
    /// Where the other nodes reach this one, if they may.
    pub(crate) endpoint: Option<Endpoint>,
}

/// Where a node can be reached by other nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Host and port.
    pub(crate) address: String,
    /// The SHA-256 fingerprint of its certificate.
    pub(crate) fingerprint: [u8; 32],
}

/// The hub that a node wants to join.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) name: String,
    /// Number of partitions if the hub is new.
    pub(crate) partitions: u16,
    /// Number of shards. An existing hub has to have the same.
    pub(crate) shards: u16,
    /// The id if the hub is new.
    pub(crate) id: Uuid,
}

/// A node in one shard of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    /// The number of the hub in the database.
    pub(crate) hub: i32,
    pub(crate) shard: ShardId,
    pub(crate) node: Uuid,
}

/// The identity of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Its number in the database.
    pub(crate) hub: i32,
    pub(crate) id: Uuid,
    pub(crate) partitions: u16,
}

/// What the database says about a hub at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// The nodes that are connected, those that own a shard, and this one.
    pub(crate) nodes: Vec<NodeView>,
    /// The shards, by their numbers.
    pub(crate) shards: Vec<ShardView>,
}

/// A node, and signs of its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeView {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) beat: i64,
    /// Its process has a connection to the database.
    pub(crate) is_connected: bool,
    /// It must not own a shard, because an operator drains it.
    pub(crate) is_draining: bool,
    /// Its copies have been brought up to date since its process started.
    pub(crate) is_ready: bool,
    pub(crate) endpoint: Option<Endpoint>,
}

/// A shard, and who owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShardView {
    pub(crate) epoch: u64,
    pub(crate) owner: Option<Uuid>,
    /// Number of owners that died one after the other.
    pub(crate) crashes: u32,
}

/// An owner that is replaced by a claim, and its beat when it was seen last.
pub(crate) type Former = Option<(Uuid, i64)>;

/// A shard that this node owns now.
#[derive(Clone, Debug)]
pub(crate) struct Claimed {
    pub(crate) tenure: Tenure,
    /// The first batch since which no owner has crashed. `None` if one has crashed and none has opened the shard since.
    pub(crate) calm_since: Option<u64>,
    /// The ids of the entities that are held.
    pub(crate) held: Vec<String>,
    /// Number of owners that died one after the other, as of before the claim.
    pub(crate) crashes_before: u32,
}

/// The membership of a node in a hub.
#[derive(Debug)]
pub(crate) struct Members {
    /// For the beats.
    session: Session,
    /// For the claims, so that no beat waits for them.
    claims: Session,
    identity: Identity,
    shards: u16,
    /// The name of the hub.
    name: String,
    node: Node,
}

impl Members {
    /// Creates the tables and the hub if they are missing, and joins it. If a process with the id of the node is connected, as
    /// after the directory of a node was copied, `renew` gives the node another id.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Format`] if another build has created the hub, of kind [`ErrorKind::Moved`] if
    /// it is not open, of kind [`ErrorKind::Configuration`] if it has another number of shards, or any error of
    /// [`Session::run`].
    pub(crate) fn join(
        address: &Address,
        wish: &Wish,
        mut node: Node,
        renew: impl FnOnce() -> Result<Node>,
        patience: Duration,
    ) -> Result<Self> {
        let (session, claims) = (Session::new(address.clone())?, Session::new(address.clone())?);
        schema::ensure(&session, patience)?;
        let found = session.run(patience, async |connected: &Connected| {
            find_or_create(connected, wish).await
        })?;
        check_stage(&wish.name, &found.stage)?;
        found.check(wish)?;
        let (identity, shards) = (found.identity, wish.shards);
        let is_alone = session.run(patience, async |connected: &Connected| {
            lock_at_start(connected, identity.hub, node.id).await
        })?;
        if !is_alone {
            let copied = node.id;
            node = renew()?;
            tracing::warn!(
                %copied,
                node = %node.id,
                "another process lives with the id of this node, so its directory was copied; this node has a new id"
            );
        }
        session.run(patience, async |connected: &Connected| {
            let client = &connected.client;
            let begin = "INSERT INTO abide.shard (hub, shard, chain, snapshot_before) \
                         SELECT $1, shard, $3, $3 FROM generate_series(0, $2::int4 - 1) AS shard ON CONFLICT DO NOTHING";
            let chain = &Chain::default().0[..];
            client
                .execute(begin, &[&identity.hub, &i32::from(shards), &chain])
                .await?;
            count_beat(connected, identity.hub, shards, &node, false).await?;
            // A process that starts ends the drain of the one before.
            let begin = "UPDATE abide.node SET draining = false WHERE hub = $1 AND node = $2 AND draining";
            client.execute(begin, &[&identity.hub, &node.id]).await.map(drop)
        })?;
        Ok(Self {
            session,
            claims,
            identity,
            shards,
            name: wish.name.clone(),
            node,
        })
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// Returns the number of shards of the hub.
    pub(crate) fn shards(&self) -> u16 {
        self.shards
    }

    /// Closes the connection that shows that this node lives.
    pub(crate) fn disconnect(&self) {
        self.session.disconnect();
    }

    /// Returns the place of this node in a shard.
    pub(crate) fn seat(&self, shard: ShardId) -> Seat {
        Seat {
            hub: self.identity.hub,
            shard,
            node: self.node.id,
        }
    }

    /// Counts a beat, and returns what the hub looks like. `is_ready` tells the other nodes that the copies of this one are
    /// up to date.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Moved`] if the hub has left the database, of kind [`ErrorKind::Corrupted`] if the
    /// database has lost a shard, or any error of [`Session::run`].
    pub(crate) fn beat(&self, is_ready: bool, patience: Duration) -> Result<View> {
        let (view, hub) = self.session.run(patience, async |connected: &Connected| {
            let (hub, node) = (self.identity.hub, self.node.id);
            let class = CONNECTED + hub;
            lock(connected, hub, node).await?;
            count_beat(connected, hub, self.shards, &self.node, is_ready).await?;
            let nodes = "WITH connected AS MATERIALIZED (SELECT l.objid FROM pg_locks l WHERE l.locktype = 'advisory' \
                             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
                             AND l.classid = $2::int4::oid) \
                         SELECT node, name, beat, address, fingerprint, draining, ready, is_connected FROM \
                             (SELECT n.*, (hashtext(n.node::text)::int8 & 4294967295)::oid IN (SELECT objid FROM connected) \
                                 AS is_connected FROM abide.node n WHERE n.hub = $1) AS n \
                         WHERE is_connected OR node = $3 \
                             OR EXISTS (SELECT FROM abide.shard s WHERE s.hub = $1 AND s.owner = n.node)";
            let nodes = connected.statement(nodes).await?;
            let nodes = connected.client.query(&nodes, &[&hub, &class, &node]).await?;
            let shards = "SELECT s.epoch, s.owner, s.crashes, h.stage, h.shards FROM abide.shard s JOIN abide.hub h ON h.hub = s.hub \
                          WHERE s.hub = $1 ORDER BY s.shard";
            let shards = connected.statement(shards).await?;
            let shards = connected.client.query(&shards, &[&hub]).await?;
            let view = View {
                nodes: nodes.iter().map(node_view).collect(),
                shards: shards.iter().map(shard_view).collect(),
            };
            let hub = shards.first().map(|row| (row.get::<_, String>(3), row.get::<_, i32>(4)));
            Ok((view, hub))
        })?;
        if let Some((stage, shards)) = &hub {
            check_stage(&self.name, stage)?;
            if *shards != i32::from(self.shards) {
                return Err(divided_again(&self.name, *shards, self.shards));
            }
        }
        if view.shards.len() != usize::from(self.shards) {
            let text = format!(
                "the database has {} of the {} shards of the hub `{}`; restore a backup of it",
                view.shards.len(),
                self.shards,
                self.name
            );
            return Err(Error::new(ErrorKind::Corrupted, text));
        }
        Ok(view)
    }

    /// Returns `true` if a node of this hub has a certificate with this fingerprint. The lookup has a session of its own.
    pub(crate) fn admits(&self, session: &Session, fingerprint: &[u8; 32], patience: Duration) -> Result<bool> {
        let text = "SELECT EXISTS (SELECT FROM abide.node WHERE hub = $1 AND fingerprint = $2)";
        session.run(patience, async |connected: &Connected| {
            let fingerprint = &fingerprint[..];
            let row = connected
                .client
                .query_one(text, &[&self.identity.hub, &fingerprint])
                .await?;
            Ok(row.get(0))
        })
    }

    /// Ends a tenure of this node that did not get as far as to open the shard, so that another node can try. A crash that the
    /// claim has counted no longer counts: this node would look like another crash to the next one.
    pub(crate) fn give_up(&self, shard: ShardId, epoch: u64, crashes_before: u32, patience: Duration) -> Result<()> {
        let text = "UPDATE abide.shard SET owner = NULL, epoch = epoch + 1, crashes = LEAST(crashes, $5) \
                    WHERE hub = $1 AND shard = $2 AND epoch = $3 AND owner = $4";
        self.claims.run(patience, async |connected: &Connected| {
            let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 5] = [
                &self.identity.hub,
                &number(shard),
                &(epoch as i64),
                &self.node.id,
                &(crashes_before as i32),
            ];
            connected.client.execute(text, &parameters).await.map(drop)
        })
    }

    /// Claims a shard as it was seen. Returns `None` if it has changed since, or if its owner has counted a beat.
    pub(crate) fn claim(
        &self,
        shard: ShardId,
        seen: &ShardView,
        former: Former,
        patience: Duration,
    ) -> Result<Option<Claimed>> {
        let (owner, beat) = former.map_or((None, 0), |(owner, beat)| (Some(owner), beat));
        // The database may have lost the row of the owner, which is then dead until it counts the next beat.
        let text = "UPDATE abide.shard AS s SET epoch = s.epoch + 1, owner = $4, \
                        crashes = CASE WHEN s.owner IS NULL OR s.owner = $4 THEN s.crashes ELSE s.crashes + 1 END, \
                        calm_since = CASE WHEN s.owner IS NULL THEN s.calm_since END \
                    FROM abide.hub AS h WHERE s.hub = $1 AND s.shard = $2 AND s.epoch = $3 \
                        AND h.hub = $1 AND h.stage = 'open' AND (s.owner IS NULL OR s.owner = $4 \
                        OR (s.owner = $5 AND NOT EXISTS (SELECT FROM abide.node n \
                            WHERE n.hub = $1 AND n.node = $5 AND n.beat <> $6))) \
                    RETURNING head, commit, chain, snapshot_epoch, snapshot, snapshot_parts, snapshot_before, incarnation, \
                        s.epoch, s.calm_since";
        self.claims.run(patience, async |connected: &Connected| {
            let claim = connected.statement(text).await?;
            let (hub, epoch) = (self.identity.hub, seen.epoch as i64);
            let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
                [&hub, &number(shard), &epoch, &self.node.id, &owner, &beat];
            let Some(row) = connected.client.query_opt(&claim, &parameters).await? else {
                return Ok(None);
            };
            Ok(Some(Claimed {
                tenure: Tenure {
                    epoch: row.get::<_, i64>(8) as u64,
                    log: log_state(&row),
                },
                calm_since: row.get::<_, Option<i64>>(9).map(|batch| batch as u64),
                held: holds::list(connected, hub).await?,
                crashes_before: seen.crashes,
            }))
        })
    }

    /// Records that this owner has served for a while, so that the deaths of earlier ones no longer count.
    pub(crate) fn forget_crashes(&self, shard: ShardId, epoch: u64, patience: Duration) -> Result<()> {
        let text = "UPDATE abide.shard SET crashes = 0 WHERE hub = $1 AND shard = $2 AND epoch = $3 AND crashes > 0";
        self.session.run(patience, async |connected: &Connected| {
            let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
                [&self.identity.hub, &number(shard), &(epoch as i64)];
            connected.client.execute(text, &parameters).await.map(drop)
        })
    }
}

/// A hub as the database has it.
struct Found {
    identity: Identity,
    shards: i32,
    format: i32,
    stage: String,
}

impl Found {
    /// Refuses a hub that this process cannot run.
    fn check(&self, wish: &Wish) -> Result<()> {
        let name = &wish.name;
        if self.format != model::STORED_FORMAT as i32 {
            let text = format!(
                "the hub `{name}` in the database has the stored format {}, and this build supports format {}; \
                 use the build that wrote it",
                self.format,
                model::STORED_FORMAT
            );
            return Err(Error::new(ErrorKind::Format, text));
        }
        if self.shards != i32::from(wish.shards) {
            let text = format!(
                "the hub `{name}` in the database has {} shards, and this program opens it with {}; specify the same \
                 number, or export the hub and import it with another one",
                self.shards, wish.shards
            );
            return Err(Error::new(ErrorKind::Configuration, text));
        }
        Ok(())
    }
}

/// Creates the error for a hub that has another number of shards since it was exported and imported.
fn divided_again(hub: &str, shards: i32, before: u16) -> Error {
    let text = format!(
        "the hub `{hub}` was exported and imported, and has {shards} shards instead of {before} now; open it with \
         `.shards({shards})`"
    );
    Error::new(ErrorKind::Moved, text)
}

async fn find_or_create(connected: &Connected, wish: &Wish) -> Result<Found, tokio_postgres::Error> {
    let client = &connected.client;
    let find = "SELECT hub, id, partitions, shards, format, stage FROM abide.hub WHERE name = $1";
    let row = match client.query_opt(find, &[&wish.name]).await? {
        Some(row) => row,
        None => {
            // Another node may be faster.
            let create = "INSERT INTO abide.hub (name, id, partitions, shards, format) \
                          VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO NOTHING";
            let (partitions, shards) = (i32::from(wish.partitions), i32::from(wish.shards));
            let format = model::STORED_FORMAT as i32;
            client
                .execute(create, &[&wish.name, &wish.id, &partitions, &shards, &format])
                .await?;
            client.query_one(find, &[&wish.name]).await?
        }
    };
    Ok(Found {
        identity: Identity {
            hub: row.get(0),
            id: row.get(1),
            partitions: row.get::<_, i32>(2) as u16,
        },
        shards: row.get(3),
        format: row.get(4),
        stage: row.get(5),
    })
}

/// Takes the lock that shows that a node is connected, unless another connection has it. The lock ends with the connection.
/// Other nodes see its absence sooner than a beat that stands still.
async fn lock(connected: &Connected, hub: i32, node: Uuid) -> Result<(), tokio_postgres::Error> {
    let lock = "SELECT CASE WHEN NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' \
                    AND pid = pg_backend_pid() AND classid = $1::int4::oid) \
                THEN pg_try_advisory_lock($1, hashtext($2::text)) END";
    let lock = connected.statement(lock).await?;
    let class = CONNECTED + hub;
    connected.client.query_one(&lock, &[&class, &node.to_string()]).await?;
    Ok(())
}

/// Takes the same lock for a process that starts. Returns `false` if another process lives as this node: it keeps the lock for
/// longer than the connection of an earlier process of the directory takes to end, and it beats. A machine that lost its power
/// leaves a connection as well, which does not beat.
async fn lock_at_start(connected: &Connected, hub: i32, node: Uuid) -> Result<bool, tokio_postgres::Error> {
    let (client, class) = (&connected.client, CONNECTED + hub);
    let lock = format!(
        "BEGIN; SET LOCAL lock_timeout = {EARLIER_MS}; SELECT pg_advisory_lock({class}, hashtext('{node}')); COMMIT"
    );
    match client.batch_execute(&lock).await {
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => client.batch_execute("ROLLBACK").await?,
        locked => return locked.map(|()| true),
    }
    let beat = async || {
        let text = "SELECT beat FROM abide.node WHERE hub = $1 AND node = $2";
        let row = client.query_opt(text, &[&hub, &node]).await?;
        Ok::<_, tokio_postgres::Error>(row.map(|row| row.get::<_, i64>(0)))
    };
    let before = beat().await?;
    client.batch_execute(BEATS).await?;
    Ok(beat().await? == before)
}

/// Counts a beat of a node, and enters the node if the database does not have it, or has lost it.
async fn count_beat(
    connected: &Connected,
    hub: i32,
    shards: u16,
    node: &Node,
    is_ready: bool,
) -> Result<(), tokio_postgres::Error> {
    let beat = "WITH beat AS (INSERT INTO abide.node AS n (hub, node, name, build, address, fingerprint, ready, beat) \
                    VALUES ($1, $2, $3, $4, $5, $6, $7, 1) ON CONFLICT (hub, node) \
                    DO UPDATE SET beat = n.beat + 1, name = $3, build = $4, address = $5, fingerprint = $6, ready = $7) \
                INSERT INTO abide.copy (hub, shard, node) SELECT $1, shard, $2 FROM generate_series(0, $8::int4 - 1) AS shard \
                ON CONFLICT DO NOTHING";
    let beat = connected.statement(beat).await?;
    let build = env!("CARGO_PKG_VERSION");
    let address = node.endpoint.as_ref().map(|endpoint| &endpoint.address);
    let fingerprint = node.endpoint.as_ref().map(|endpoint| &endpoint.fingerprint[..]);
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 8] = [
        &hub,
        &node.id,
        &node.name,
        &build,
        &address,
        &fingerprint,
        &is_ready,
        &i32::from(shards),
    ];
    connected.client.execute(&beat, &parameters).await.map(drop)
}

/// Reads the columns node, name, beat, address, fingerprint, draining, ready and is_connected, in this order.
fn node_view(row: &Row) -> NodeView {
    NodeView {
        id: row.get(0),
        name: row.get(1),
        beat: row.get(2),
        endpoint: endpoint(row.get(3), row.get(4)),
        is_draining: row.get(5),
        is_ready: row.get(6),
        is_connected: row.get(7),
    }
}

/// Reads the columns epoch, owner and crashes, in this order.
fn shard_view(row: &Row) -> ShardView {
    ShardView {
        epoch: row.get::<_, i64>(0) as u64,
        owner: row.get(1),
        crashes: row.get::<_, i32>(2) as u32,
    }
}

/// Returns the number of a shard as its column has it.
pub(super) fn number(shard: ShardId) -> i16 {
    shard.0 as i16
}

/// Returns where a node can be reached, from its columns.
fn endpoint(address: Option<String>, fingerprint: Option<&[u8]>) -> Option<Endpoint> {
    Some(Endpoint {
        address: address?,
        fingerprint: fingerprint?.try_into().ok()?,
    })
}

/// Reads the columns head, commit, chain, snapshot_epoch, snapshot, snapshot_parts, snapshot_before and incarnation, in this
/// order.
pub(super) fn log_state(row: &Row) -> LogState {
    let snapshot = row.get::<_, Option<i64>>(3).map(|epoch| Snapshot {
        epoch: epoch as u64,
        position: row.get::<_, i64>(4) as u64,
        parts: row.get::<_, i32>(5) as u32,
        before: chain(row.get(6)),
    });
    LogState {
        incarnation: row.get::<_, i64>(7) as u64,
        head: row.get::<_, i64>(0) as u64,
        commit: row.get::<_, i64>(1) as u64,
        chain: chain(row.get(2)),
        snapshot,
    }
}

/// Returns the chain in a column. One of another length equals no chain.
pub(super) fn chain(bytes: &[u8]) -> Chain {
    Chain(bytes.try_into().unwrap_or([0xff; 16]))
}
