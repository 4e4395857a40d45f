//! Entities that every open of a hub holds.

use std::time::Duration;

use super::schema;
use super::session::{Connected, Session};
use super::status::no_hub;
use crate::error::Result;

/// Holds an entity from the next open of a hub on. Returns `false` if it was held already.
pub(crate) fn hold(session: &Session, hub: &str, entity: &str, patience: Duration) -> Result<bool> {
    let text = "INSERT INTO abide.hold (hub, entity) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    change(session, text, hub, entity, patience)
}

/// Ends the hold of an entity from the next open of a hub on. Returns `false` if it was not held.
pub(crate) fn release(session: &Session, hub: &str, entity: &str, patience: Duration) -> Result<bool> {
    let text = "DELETE FROM abide.hold WHERE hub = $1 AND entity = $2";
    change(session, text, hub, entity, patience)
}

fn change(session: &Session, text: &str, hub: &str, entity: &str, patience: Duration) -> Result<bool> {
    if !schema::exists(session, patience)? {
        return Err(no_hub(hub));
    }
    let changed = session.run(patience, async |connected: &Connected| {
        let find = "SELECT hub FROM abide.hub WHERE name = $1";
        let Some(row) = connected.client.query_opt(find, &[&hub]).await? else {
            return Ok(None);
        };
        let number: i32 = row.get(0);
        connected.client.execute(text, &[&number, &entity]).await.map(Some)
    })?;
    changed.map(|changed| changed > 0).ok_or_else(|| no_hub(hub))
}

/// Returns the entities of a hub that are held.
pub(super) async fn list(connected: &Connected, hub: i32) -> Result<Vec<String>, tokio_postgres::Error> {
    let text = "SELECT entity FROM abide.hold WHERE hub = $1 ORDER BY entity";
    let rows = connected.client.query(text, &[&hub]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
