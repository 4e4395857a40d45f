//! Which node runs which shard.
//!
//! Every node decides for itself, from what the database says and from what it has seen on its own monotonic clock. Nodes that
//! decide differently do no harm: a claim compares the epoch of the shard, and only one of two claims succeeds.
//!
//! * A shard is free if it has no owner, or if its owner is dead: its beat stands still for too long.
//! * A free shard has an heir: the node with the fewest shards of those that could run it. If the heir does not claim it, any
//!   node does.
//! * If the node with the most shards has at least two more than another one for a while, it hands one over. One that an
//!   operator drains hands over all of them.

use std::collections::HashMap;
use std::time::Duration;

use uuid::Uuid;

use crate::id::ShardId;
use crate::log::postgres::{NodeView, ShardView, View};

/// Time without a beat after which an owner without a connection is dead.
const DISCONNECTED: Duration = Duration::from_secs(2);

/// Time without a beat after which any owner is dead.
const SILENT: Duration = Duration::from_secs(6);

/// Time for which the next node waits after this number of owners that died one after the other. An operation that ends
/// its process would otherwise end all nodes in turn.
const CRASH_PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::ZERO,
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(300),
];

/// Time between two looks after which what was seen before no longer counts: the database was away, and the nodes have to
/// find it again as well.
const GAP: Duration = Duration::from_millis(1_500);

/// Time for which a free shard is left to its heir.
const HEIR: Duration = Duration::from_millis(1_500);

/// Time for which the same nodes have to be there before a shard moves from one to another only because of their loads.
const SETTLED: Duration = Duration::from_secs(10);

/// What a node has seen of the others so far. All times are those of its monotonic clock, since it started.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// When it has looked last.
    looked: Option<Duration>,
    /// The newest beat of each node, and since when it has been the newest.
    beats: HashMap<Uuid, (i64, Duration)>,
    /// By the numbers of the shards.
    shards: Vec<WatchedShard>,
    /// The nodes that could run a shard, and since when they have been the same.
    candidates: (Vec<Uuid>, Duration),
}

#[derive(Clone, Copy, Debug, Default)]
struct WatchedShard {
    /// The newest owner that was seen.
    owner: Option<Uuid>,
    free_since: Option<Duration>,
}

/// What a node knows about the hub at one moment.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    /// The node that has looked.
    me: Uuid,
    nodes: Vec<SeenNode>,
    shards: Vec<SeenShard>,
    /// Time for which the same nodes could run a shard.
    settled: Duration,
}

#[derive(Clone, Debug)]
struct SeenNode {
    view: NodeView,
    /// Time for which its beat has stood still.
    still: Duration,
}

#[derive(Clone, Copy, Debug)]
struct SeenShard {
    view: ShardView,
    /// The owner before, if the shard has none.
    former: Option<Uuid>,
    /// Time for which it has been free, if it is.
    free: Option<Duration>,
}

impl Watch {
    /// Notes what the database says at time `now`.
    pub(super) fn see(&mut self, me: Uuid, view: View, now: Duration) -> Sighting {
        let gap = now.saturating_sub(self.looked.replace(now).unwrap_or(now));
        if gap > GAP {
            self.beats.clear();
            self.shards.iter_mut().for_each(|shard| shard.free_since = None);
        }
        let unknown = unknown_owners(&view);
        let nodes = view.nodes.into_iter().chain(unknown);
        let nodes: Vec<SeenNode> = nodes.map(|node| self.see_node(node, now)).collect();
        self.beats.retain(|id, _| nodes.iter().any(|node| node.view.id == *id));
        self.shards.resize(view.shards.len(), WatchedShard::default());
        let mut sighting = Sighting {
            me,
            nodes,
            shards: Vec::new(),
            settled: Duration::ZERO,
        };
        for (watched, shard) in self.shards.iter_mut().zip(view.shards) {
            let is_free = sighting.is_free(&shard);
            watched.free_since = is_free.then(|| watched.free_since.unwrap_or(now));
            sighting.shards.push(SeenShard {
                view: shard,
                former: watched.owner,
                free: watched.free_since.map(|since| now.saturating_sub(since)),
            });
            watched.owner = shard.owner.or(watched.owner);
        }
        let candidates: Vec<Uuid> = sighting.candidates().map(|node| node.view.id).collect();
        if gap > GAP || candidates != self.candidates.0 {
            self.candidates = (candidates, now);
        }
        sighting.settled = now.saturating_sub(self.candidates.1);
        sighting
    }

    fn see_node(&mut self, view: NodeView, now: Duration) -> SeenNode {
        let (beat, since) = self.beats.entry(view.id).or_insert((view.beat, now));
        if *beat != view.beat {
            (*beat, *since) = (view.beat, now);
        }
        SeenNode {
            still: now.saturating_sub(*since),
            view,
        }
    }
}

/// Returns the owners whose rows the database has lost. Each of them is dead, unless its next beat enters it again.
fn unknown_owners(view: &View) -> Vec<NodeView> {
    let is_known = |id: &Uuid| view.nodes.iter().any(|node| node.id == *id);
    let mut owners: Vec<Uuid> = view.shards.iter().filter_map(|shard| shard.owner).collect();
    owners.retain(|owner| !is_known(owner));
    owners.sort_unstable();
    owners.dedup();
    let node = |id| NodeView {
        id,
        name: "unknown".to_owned(),
        beat: 0,
        is_connected: false,
        is_draining: false,
        is_ready: false,
        endpoint: None,
    };
    owners.into_iter().map(node).collect()
}

impl Sighting {
    /// Returns what the database says about a shard.
    pub(super) fn shard(&self, shard: ShardId) -> ShardView {
        self.shards[shard.index()].view
    }

    /// Returns the owner of a shard, if it is another node.
    pub(super) fn other_owner(&self, shard: ShardId) -> Option<&NodeView> {
        let owner = self.shard(shard).owner.filter(|owner| *owner != self.me)?;
        self.node(owner).map(|node| &node.view)
    }

    fn node(&self, id: Uuid) -> Option<&SeenNode> {
        self.nodes.iter().find(|node| node.view.id == id)
    }

    /// Returns `true` if this node should claim a shard now.
    pub(super) fn may_claim(&self, shard: ShardId) -> bool {
        if self.node(self.me).is_some_and(|me| me.view.is_draining) {
            return false;
        }
        let SeenShard { view, free, .. } = self.shards[shard.index()];
        // A process that has started again continues with what it had.
        let was_mine = view.owner == Some(self.me);
        was_mine || free.is_some_and(|free| free >= HEIR || self.heirs().contains(&(shard, self.me)))
    }

    /// Returns `true` if this node, which owns a shard, should leave it to another one.
    pub(super) fn hands_over(&self, shard: ShardId) -> bool {
        if self.shard(shard).owner != Some(self.me) {
            return false;
        }
        let others = || self.candidates().filter(|node| node.view.id != self.me);
        if self.node(self.me).is_some_and(|me| me.view.is_draining) {
            return others().next().is_some();
        }
        let mine = self.load(self.me);
        let is_last_of_mine = self.shards[shard.index() + 1..]
            .iter()
            .all(|later| later.view.owner != Some(self.me));
        self.settled >= SETTLED
            && is_last_of_mine
            && self.shards.iter().all(|shard| shard.free.is_none())
            && others().all(|node| self.load(node.view.id) <= mine)
            && others().any(|node| self.load(node.view.id) + 2 <= mine)
    }

    fn is_free(&self, shard: &ShardView) -> bool {
        let Some(owner) = shard.owner else { return true };
        owner != self.me && self.node(owner).is_some_and(|node| node.is_dead(shard.crashes))
    }

    /// Returns the nodes that could run a shard: those whose copies are up to date, or this one if there are none.
    fn candidates(&self) -> impl Iterator<Item = &SeenNode> {
        let is_fit = |node: &&SeenNode| {
            node.view.is_ready && node.view.is_connected && !node.view.is_draining && node.still < DISCONNECTED
        };
        let none_is_fit = !self.nodes.iter().any(|node| is_fit(&node));
        self.nodes
            .iter()
            .filter(move |node| is_fit(node) || (none_is_fit && node.view.id == self.me && !node.view.is_draining))
    }

    /// Returns the number of shards that a node owns.
    fn load(&self, node: Uuid) -> usize {
        self.shards
            .iter()
            .filter(|shard| shard.view.owner == Some(node) && shard.free.is_none())
            .count()
    }

    /// Returns the node that each free shard is left to. The nodes that could run it get the shards one by one, so that their
    /// loads are as equal as possible afterwards. One that has left a shard does not get it back.
    fn heirs(&self) -> Vec<(ShardId, Uuid)> {
        let mut loads: Vec<(usize, Uuid)> = self
            .candidates()
            .map(|node| (self.load(node.view.id), node.view.id))
            .collect();
        let mut heirs = Vec::new();
        for (number, shard) in self.shards.iter().enumerate().filter(|(_, shard)| shard.free.is_some()) {
            let is_alone = loads.len() == 1;
            let heir = loads
                .iter_mut()
                .filter(|(_, node)| is_alone || shard.former != Some(*node))
                .min();
            if let Some((load, node)) = heir {
                *load += 1;
                heirs.push((ShardId(number as u16), *node));
            }
        }
        heirs
    }
}

impl SeenNode {
    /// Returns `true` if this owner is dead: its beat has stood still for long enough.
    fn is_dead(&self, crashes: u32) -> bool {
        let still = if self.view.is_connected { SILENT } else { DISCONNECTED };
        let pause = CRASH_PAUSES[(crashes as usize).min(CRASH_PAUSES.len() - 1)];
        self.still >= still + pause
    }
}

#[cfg(test)]
mod tests;
