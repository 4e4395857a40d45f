//! How a node becomes the owner of a shard.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::beats::Beats;
use crate::error::{Error, ErrorKind, Result};
use crate::id::ShardId;
use crate::log::postgres::{Claimed, Members, NodeView};
use crate::time::Stopwatch;

/// Time for which a waiting node tries to reach the database. The owner waits as long.
const OUTAGE: Duration = Duration::from_secs(600);

/// Time after which a claim is not tried again, so that the other shards of the node do not wait for it. The session gives
/// one attempt a few seconds.
const ATTEMPT: Duration = Duration::from_secs(1);

/// Waits until this node owns a shard, or until `canceled`. Calls `watch_owner` with each other owner that it sees. `was_seen`
/// tells that the node has seen the shard before, so that a database that cannot be reached now will be back.
pub(super) fn wait(
    beats: &Beats,
    members: &Members,
    shard: ShardId,
    canceled: &AtomicBool,
    patience: Duration,
    was_seen: bool,
    mut watch_owner: impl FnMut(&NodeView) -> Result<()>,
) -> Result<Claimed> {
    // What was seen before may show an earlier tenure of this node.
    let mut seen_at = beats.begun();
    beats.look();
    let (mut was_seen, mut told) = (was_seen, None);
    let mut failing: Option<Stopwatch> = None;
    loop {
        check_canceled(canceled)?;
        let patience = if was_seen { OUTAGE } else { patience };
        let Some(sighting) = beats.next(&mut seen_at, patience)? else {
            continue;
        };
        let (seen, owner) = (sighting.shard(shard), sighting.other_owner(shard));
        if sighting.may_claim(shard) {
            let former = owner.map(|owner| (owner.id, owner.beat));
            match members.claim(shard, &seen, former, ATTEMPT) {
                Ok(Some(claimed)) => return Ok(claimed),
                Ok(None) => failing = None,
                // Whether it had an effect shows with the next beat.
                Err(error) if error.kind() == ErrorKind::Io => {
                    if failing.get_or_insert_with(Stopwatch::start).elapsed() > patience {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        } else if let Some(owner) = owner {
            was_seen = true;
            if told.as_ref() != Some(&(owner.id, owner.endpoint.clone())) {
                told = Some((owner.id, owner.endpoint.clone()));
                tracing::info!(
                    owner = owner.name,
                    shard = shard.0,
                    "another node runs a shard of this hub; waiting to take over"
                );
                watch_owner(owner)?;
            }
        }
    }
}

/// Fails if an open was canceled.
pub(super) fn check_canceled(canceled: &AtomicBool) -> Result<()> {
    if canceled.load(Ordering::Relaxed) {
        return Err(Error::new(
            ErrorKind::Closed,
            "the open was canceled while it waited for another node",
        ));
    }
    Ok(())
}
