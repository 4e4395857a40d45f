//! Going on after the database has lost acknowledged data.

use std::time::Duration;

use super::moves::check_stage;
use super::session::{Connected, Session};
use super::status;
use crate::error::Result;
use crate::random;

/// Makes the state in the database the newest one, and begins a new incarnation of the hub: ids that were given out before
/// the loss are not given out again. The copies of all nodes are of no use any more. An owner is fenced. Returns the
/// incarnation.
///
/// # Errors
/// Returns an error of kind [`NotFound`](crate::ErrorKind::NotFound) if the database has no such hub, of kind
/// [`Moved`](crate::ErrorKind::Moved) if it is not open, or any error of [`Session::run`].
pub(crate) fn accept(session: &Session, name: &str, patience: Duration) -> Result<u64> {
    let hub = status::hub_named(session, name, patience)?;
    check_stage(name, &hub.stage)?;
    // The incarnation is compared, so that a repetition after a lost answer has no effect. There is an owner afterwards, so
    // that the next one takes the end of its tenure for a crash. The new incarnation is the time of the database: it may
    // lose this incarnation as well, and the one after that must be another one, and greater. The last bits are random.
    let text = "WITH mine AS (UPDATE abide.hub \
                    SET incarnation = greatest(incarnation + 1, extract(epoch FROM clock_timestamp())::bigint * 65536 + $4) \
                    WHERE name = $1 AND incarnation = $2 AND stage = 'open' RETURNING hub) \
                UPDATE abide.shard AS s SET epoch = s.epoch + 1, crashes = 0, owner = coalesce(s.owner, $3) FROM mine \
                WHERE s.hub = mine.hub";
    // A write, so that it waits for the synchronous standby like the first attempt.
    let confirm = "UPDATE abide.hub SET incarnation = incarnation WHERE name = $1";
    let before = hub.incarnation as i64;
    let nobody = random::uuid();
    let [one, other, ..] = *nobody.as_bytes();
    let last_bits = i64::from(u16::from_le_bytes([one, other]));
    session.run(patience, async |connected: &Connected| {
        let client = &connected.client;
        if client.execute(text, &[&name, &before, &nobody, &last_bits]).await? == 0 {
            client.execute(confirm, &[&name]).await?;
        }
        Ok(())
    })?;
    let hub = status::hub_named(session, name, patience)?;
    check_stage(name, &hub.stage)?;
    Ok(hub.incarnation)
}
