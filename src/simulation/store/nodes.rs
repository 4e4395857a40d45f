//! The nodes of a hub: how the processes that run a shard end, and how another node takes over.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::node_twin::NodeTwin;
use crate::error::{ErrorKind, Result};
use crate::log::tests::memory::Chance;
use crate::simulation::coverage::{CoverageMark, Story};
use crate::simulation::shards::PlantedBug;
use crate::store::{Model, Nodes, Owner, ShardMark, Store};

/// Maximum number of successive processes that give up while they open the store.
const MOST_DEATHS: u64 = 3;

/// A shard of a hub on several nodes.
pub(in crate::simulation) struct NodesHost {
    nodes: Nodes,
    twin: Arc<NodeTwin>,
    story: Story,
}

impl NodesHost {
    /// Starts the first process, with an empty model.
    pub(super) fn begin(model: &Arc<Model>, chance: Chance, story: Story, planted: Option<PlantedBug>) -> Self {
        let bug = match planted {
            Some(PlantedBug::Log(bug)) => Some(bug),
            _ => None,
        };
        let mut nodes = Nodes::new(chance, bug);
        let owner = nodes.open().expect("a new hub can be opened");
        let twin = NodeTwin::new(owner, Arc::clone(model), nodes.chance.fork(), story);
        Self { nodes, twin, story }
    }

    pub(super) fn chance(&mut self) -> &mut Chance {
        &mut self.nodes.chance
    }

    /// Returns the store of this process.
    pub(super) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.twin) as Arc<dyn Store>
    }

    pub(super) fn has_free_node(&self) -> bool {
        self.nodes.has_free_node()
    }

    /// Returns all marks so far.
    pub(super) fn marks(&self) -> BTreeSet<CoverageMark> {
        self.nodes.marks().into_iter().map(CoverageMark::Shard).collect()
    }

    /// Ends the process, unless it `stays`, and lets a node open the store.
    pub(super) fn restart(&mut self, model: &Model, keeps_all: bool, stays: bool) -> (Arc<Model>, usize) {
        let written = self.twin.newest();
        let synced = written - model.unsynced() as u64;
        if !self.twin.has_failed() {
            self.twin.compare_all();
            if keeps_all {
                self.twin.sync_owner().expect("the tenure has not ended");
            }
            if !stays {
                self.end(keeps_all);
            }
        }
        if !stays {
            self.twin.kill();
        }
        // The other nodes follow the log only now and after the open, and not while the owner writes.
        self.nodes.pass_time();
        if self.nodes.chance.one_in(6) {
            self.nodes.open_over_a_backup();
        }
        let owner = self.open();
        let newest = owner.newest();
        assert!(
            (synced..=written).contains(&newest),
            "a node opens the shard at commit {newest}; {synced} is the newest durable one, and {written} was written"
        );
        self.story.tell(|| format!("{owner:?} continues at commit {newest}"));
        if (synced + 1..written).contains(&newest) {
            self.nodes.see(ShardMark::PartKept);
        }
        self.nodes.pass_time();
        let keep = (newest - synced) as usize;
        let left = Arc::new(model.crash(keep));
        self.twin = NodeTwin::new(owner, Arc::clone(&left), self.nodes.chance.fork(), self.story);
        (left, keep)
    }

    /// The process closes its store, or dies, possibly while it waits for the database.
    fn end(&mut self, is_orderly: bool) {
        type Act = fn(&NodeTwin) -> Result<()>;
        let (what, act, most): (_, Act, _) = match self.nodes.chance.below(8) {
            0..=3 if is_orderly => ("closes its store", NodeTwin::release, 8),
            0..=2 => ("dies in a sync", NodeTwin::sync_owner, 4),
            3 => ("dies in a materialization", NodeTwin::materialize, 4),
            4 => ("dies while it stores a snapshot", NodeTwin::take_snapshot, 20),
            _ => return,
        };
        let answers = self.nodes.chance.below(most);
        self.nodes.answer_only(Some(answers));
        let done = act(&self.twin);
        self.nodes.answer_only(None);
        self.story
            .tell(|| format!("the process {what}, with {answers} answers: {done:?}"));
        if let Err(error) = done {
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        }
    }

    /// Opens the store on a free node, until one succeeds.
    fn open(&mut self) -> Owner {
        for deaths in 0.. {
            let gives_up = deaths < MOST_DEATHS && self.nodes.chance.one_in(3);
            let answers = gives_up.then(|| self.nodes.chance.below(12));
            self.nodes.answer_only(answers);
            let opened = self.nodes.open();
            self.nodes.answer_only(None);
            match opened {
                Ok(owner) => return owner,
                Err(error) => {
                    self.story.tell(|| format!("a node gives up: {error}"));
                    self.nodes.see(ShardMark::OpenGivenUp);
                    assert!(gives_up && error.kind() == ErrorKind::Io, "{error}");
                }
            }
        }
        unreachable!("a node that receives every answer opens the store")
    }
}
