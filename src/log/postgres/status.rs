//! What the tables say about hubs and their nodes.

use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use super::holds;
use super::members::CONNECTED;
use super::moves::OPEN;
use super::schema;
use super::session::{Connected, Session};
use crate::error::{Error, ErrorKind, Result};

/// A hub in the database.
#[derive(Clone, Debug)]
pub(crate) struct HubRow {
    pub(super) hub: i32,
    pub(crate) name: String,
    pub(crate) id: Uuid,
    pub(crate) incarnation: u64,
    pub(crate) partitions: u16,
    pub(crate) format: u32,
    pub(crate) stage: String,
    /// The shards, by their numbers.
    pub(crate) shards: Vec<ShardRow>,
    /// The ids of the entities that every open holds.
    pub(crate) held: Vec<String>,
    pub(crate) nodes: Vec<NodeRow>,
}

impl HubRow {
    /// Returns `true` if nodes may run the hub.
    pub(crate) fn is_open(&self) -> bool {
        self.stage == OPEN
    }
}

/// A shard of a hub.
#[derive(Clone, Debug)]
pub(crate) struct ShardRow {
    pub(crate) number: u16,
    pub(crate) owner: Option<Uuid>,
    pub(crate) epoch: u64,
    pub(crate) head: u64,
    pub(crate) commit: u64,
    pub(crate) crashes: u32,
    /// The position of the newest snapshot, or 0.
    pub(crate) snapshot: u64,
    /// Size of all records of the log, in bytes.
    pub(crate) log_bytes: u64,
}

/// A node that has once joined a hub.
#[derive(Clone, Debug)]
pub(crate) struct NodeRow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) build: String,
    /// Where the other nodes reach it.
    pub(crate) address: Option<String>,
    pub(crate) is_draining: bool,
    /// Its process has a connection to the database.
    pub(crate) is_connected: bool,
    /// Its copies have been up to date since its process started.
    pub(crate) is_ready: bool,
    /// Number of records that it had not read, of the shards that it does not own.
    pub(crate) behind: u64,
}

/// Returns the hub with a name.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::NotFound`] if there is none, or any error of [`Session::run`].
pub(crate) fn hub_named(session: &Session, name: &str, patience: Duration) -> Result<HubRow> {
    let found = hubs(session, Some(name), patience)?.pop();
    found.ok_or_else(|| no_hub(name))
}

/// Creates the error for a name without a hub.
pub(super) fn no_hub(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("the database has no hub `{name}`"))
}

/// Returns the hubs of a database, or only the one with a name.
pub(crate) fn hubs(session: &Session, name: Option<&str>, patience: Duration) -> Result<Vec<HubRow>> {
    if !schema::exists(session, patience)? {
        return Ok(Vec::new());
    }
    let hubs = "SELECT hub, name, id, incarnation, partitions, format, stage FROM abide.hub \
                WHERE $1::text IS NULL OR name = $1 ORDER BY name";
    let shards = "SELECT s.shard, s.owner, s.epoch, s.head, s.commit, s.crashes, s.snapshot, \
                      (SELECT coalesce(sum(octet_length(l.body)), 0)::bigint FROM abide.log l \
                          WHERE l.hub = s.hub AND l.shard = s.shard) \
                  FROM abide.shard s WHERE s.hub = $1 ORDER BY s.shard";
    let nodes = "SELECT n.node, n.name, n.build, EXISTS (SELECT FROM pg_locks l \
                     WHERE l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database \
                     WHERE datname = current_database()) AND l.classid = $2::int4::oid \
                     AND l.objid = (hashtext(n.node::text)::int8 & 4294967295)::oid), n.address, n.draining, n.ready, \
                     (SELECT coalesce(sum(s.head - coalesce(c.read, 0)), 0)::bigint FROM abide.shard s \
                         LEFT JOIN abide.copy c ON c.hub = s.hub AND c.shard = s.shard AND c.node = n.node \
                         WHERE s.hub = n.hub AND s.owner IS DISTINCT FROM n.node) \
                 FROM abide.node n WHERE n.hub = $1 ORDER BY n.name, n.node";
    session.run(patience, async |connected: &Connected| {
        let client = &connected.client;
        let rows = client.query(hubs, &[&name]).await?;
        let mut found: Vec<HubRow> = rows.iter().map(hub).collect();
        for hub in &mut found {
            let class = CONNECTED + hub.hub;
            hub.shards = client.query(shards, &[&hub.hub]).await?.iter().map(shard).collect();
            hub.nodes = client
                .query(nodes, &[&hub.hub, &class])
                .await?
                .iter()
                .map(node)
                .collect();
            hub.held = holds::list(connected, hub.hub).await?;
        }
        Ok(found)
    })
}

fn hub(row: &Row) -> HubRow {
    HubRow {
        hub: row.get(0),
        name: row.get(1),
        id: row.get(2),
        incarnation: row.get::<_, i64>(3) as u64,
        partitions: row.get::<_, i32>(4) as u16,
        format: row.get::<_, i32>(5) as u32,
        stage: row.get(6),
        shards: Vec::new(),
        held: Vec::new(),
        nodes: Vec::new(),
    }
}

fn shard(row: &Row) -> ShardRow {
    ShardRow {
        number: row.get::<_, i16>(0) as u16,
        owner: row.get(1),
        epoch: row.get::<_, i64>(2) as u64,
        head: row.get::<_, i64>(3) as u64,
        commit: row.get::<_, i64>(4) as u64,
        crashes: row.get::<_, i32>(5) as u32,
        snapshot: row.get::<_, i64>(6) as u64,
        log_bytes: row.get::<_, i64>(7) as u64,
    }
}

fn node(row: &Row) -> NodeRow {
    NodeRow {
        id: row.get(0),
        name: row.get(1),
        build: row.get(2),
        is_connected: row.get(3),
        address: row.get(4),
        is_draining: row.get(5),
        is_ready: row.get(6),
        behind: row.get::<_, i64>(7) as u64,
    }
}
