//! The tables of all hubs in a database.

use tokio_postgres::Error as PostgresError;

use super::session::{Connected, Session};
use crate::error::{Error, ErrorKind, Result};

/// The version of the tables. A database with another version is refused.
const VERSION: i32 = 7;

/// Serializes nodes that create the tables at the same time.
const LOCK: i64 = 0x0061_6269_6465;

/// The tables. `fillfactor` leaves space in the pages of the rows that change with each append, so that PostgreSQL does not
/// have to change their indexes. The bodies are compressed already.
const TABLES: &str = "
CREATE TABLE abide.meta (version int NOT NULL);
CREATE TABLE abide.hub (
    hub int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    id uuid NOT NULL UNIQUE,
    incarnation bigint NOT NULL DEFAULT 1,
    partitions int NOT NULL,
    shards int NOT NULL,
    format int NOT NULL,
    stage text NOT NULL DEFAULT 'open',
    move uuid,
    created timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE abide.shard (
    hub int NOT NULL REFERENCES abide.hub,
    shard smallint NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    head bigint NOT NULL DEFAULT 0,
    commit bigint NOT NULL DEFAULT 0,
    chain bytea NOT NULL,
    owner uuid,
    crashes int NOT NULL DEFAULT 0,
    confirmed bigint NOT NULL DEFAULT 0,
    calm_since bigint DEFAULT 0,
    snapshot_epoch bigint,
    snapshot bigint NOT NULL DEFAULT 0,
    snapshot_parts int NOT NULL DEFAULT 0,
    snapshot_before bytea NOT NULL,
    PRIMARY KEY (hub, shard)) WITH (fillfactor = 10);
CREATE TABLE abide.node (
    hub int NOT NULL REFERENCES abide.hub,
    node uuid NOT NULL,
    name text NOT NULL,
    build text NOT NULL,
    address text,
    fingerprint bytea,
    draining boolean NOT NULL DEFAULT false,
    ready boolean NOT NULL DEFAULT false,
    beat bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (hub, node)) WITH (fillfactor = 50);
CREATE TABLE abide.copy (
    hub int NOT NULL,
    shard smallint NOT NULL,
    node uuid NOT NULL,
    read bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (hub, shard, node)) WITH (fillfactor = 50);
CREATE TABLE abide.hold (
    hub int NOT NULL REFERENCES abide.hub,
    entity text NOT NULL,
    PRIMARY KEY (hub, entity));
CREATE TABLE abide.log (
    hub int NOT NULL,
    shard smallint NOT NULL,
    position bigint NOT NULL,
    epoch bigint NOT NULL,
    first_commit bigint NOT NULL,
    last_commit bigint NOT NULL,
    chain bytea NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (hub, shard, position));
CREATE INDEX ON abide.log (hub, shard, last_commit);
CREATE TABLE abide.snapshot (
    hub int NOT NULL,
    shard smallint NOT NULL,
    epoch bigint NOT NULL,
    position bigint NOT NULL,
    part int NOT NULL,
    crc32 bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (hub, shard, epoch, position, part));
ALTER TABLE abide.log ALTER body SET STORAGE EXTERNAL;
ALTER TABLE abide.snapshot ALTER body SET STORAGE EXTERNAL;
ALTER TABLE abide.log SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
INSERT INTO abide.meta VALUES (7);
";

/// Creates the tables, unless they exist.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Format`] if another build has created them, or any error of [`Session::run`].
pub(super) fn ensure(session: &Session, patience: std::time::Duration) -> Result<()> {
    let found = session.run(patience, async |connected: &Connected| {
        if let Some(version) = version(connected).await? {
            return Ok(version);
        }
        let begin = format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK});");
        connected.client.batch_execute(&begin).await?;
        let created = match version(connected).await {
            // Another node was faster.
            Ok(Some(version)) => Ok(version),
            Ok(None) => create(connected).await.map(|()| VERSION),
            Err(error) => Err(error),
        };
        let end = if created.is_ok() { "COMMIT" } else { "ROLLBACK" };
        connected.client.batch_execute(end).await?;
        created
    })?;
    check(found)
}

/// Returns `true` if the tables exist. Creates nothing.
///
/// # Errors
/// Returns the same errors as [`ensure`].
pub(super) fn exists(session: &Session, patience: std::time::Duration) -> Result<bool> {
    let found = session.run(patience, async |connected: &Connected| version(connected).await)?;
    found.map_or(Ok(false), |found| check(found).map(|()| true))
}

fn check(found: i32) -> Result<()> {
    if found == VERSION {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Format,
        format!(
            "the tables of Abide in the database have version {found}, and this build supports version {VERSION}; \
             use the build that wrote them"
        ),
    ))
}

async fn create(connected: &Connected) -> Result<(), PostgresError> {
    // `IF NOT EXISTS` would need the right to create a schema that exists.
    let exists = "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'abide')";
    if !connected.client.query_one(exists, &[]).await?.get::<_, bool>(0) {
        connected.client.batch_execute("CREATE SCHEMA abide").await?;
    }
    connected.client.batch_execute(TABLES).await
}

/// Returns the version of the tables, or `None` if there are none.
async fn version(connected: &Connected) -> Result<Option<i32>, PostgresError> {
    // A read of the catalog. `to_regclass` would ask the cache of the connection, which does not have the tables that
    // another node has just created.
    let exists = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class class \
                  JOIN pg_catalog.pg_namespace namespace ON namespace.oid = class.relnamespace \
                  WHERE namespace.nspname = 'abide' AND class.relname = 'meta')";
    if !connected.client.query_one(exists, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = connected
        .client
        .query_one("SELECT version FROM abide.meta", &[])
        .await?;
    Ok(Some(row.get(0)))
}
