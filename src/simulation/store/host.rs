//! Where the processes of a shard run, how they end, and how the next ones begin.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::machine::MachineHost;
#[cfg(feature = "cluster")]
use super::nodes::NodesHost;
use crate::log::tests::memory::Chance;
use crate::simulation::coverage::{CoverageMark, Story};
use crate::simulation::shards::PlantedBug;
use crate::store::{Model, Store};

/// What outlives the processes of a shard.
pub(in crate::simulation) enum Host {
    Machine(MachineHost),
    #[cfg(feature = "cluster")]
    Nodes(NodesHost),
}

impl Host {
    /// Starts the first process on a machine, with an empty model.
    pub(in crate::simulation) fn on_a_machine(model: &Arc<Model>, chance: Chance, story: Story) -> Self {
        Self::Machine(MachineHost::begin(model, chance, story))
    }

    /// Starts the first process on one of up to three nodes, with an empty model. Without the feature `cluster`, there is only
    /// a machine.
    pub(in crate::simulation) fn on_nodes(
        model: &Arc<Model>,
        chance: Chance,
        story: Story,
        planted: Option<PlantedBug>,
    ) -> Self {
        #[cfg(feature = "cluster")]
        return Self::Nodes(NodesHost::begin(model, chance, story, planted));
        #[cfg(not(feature = "cluster"))]
        {
            let _ = planted;
            Self::on_a_machine(model, chance, story)
        }
    }

    /// Returns the generator of the choices that only this host requires.
    pub(in crate::simulation) fn chance(&mut self) -> &mut Chance {
        match self {
            Self::Machine(machine) => &mut machine.chance,
            #[cfg(feature = "cluster")]
            Self::Nodes(nodes) => nodes.chance(),
        }
    }

    /// Returns the store of this process.
    pub(in crate::simulation) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Machine(machine) => machine.store(),
            #[cfg(feature = "cluster")]
            Self::Nodes(nodes) => nodes.store(),
        }
    }

    /// Returns whether a process learns from its store that it was replaced. On a machine, the model says so.
    pub(in crate::simulation) fn tells_the_replaced(&self) -> bool {
        !matches!(self, Self::Machine(_))
    }

    /// Returns whether this process can continue beside the next one. On a machine, it continues with its model only.
    pub(in crate::simulation) fn has_room_for_another(&self) -> bool {
        match self {
            Self::Machine(_) => true,
            #[cfg(feature = "cluster")]
            Self::Nodes(nodes) => nodes.has_free_node(),
        }
    }

    /// Returns all marks so far.
    pub(in crate::simulation) fn marks(&self) -> BTreeSet<CoverageMark> {
        match self {
            Self::Machine(machine) => machine.marks(),
            #[cfg(feature = "cluster")]
            Self::Nodes(nodes) => nodes.marks(),
        }
    }

    /// Ends the process, unless it `stays` as one that was replaced, and starts another one, which opens the store. A prefix
    /// of the commits survives: commits after the last sync may be lost, unless `keeps_all` is set. Returns the model of the
    /// surviving commits, and the number of them that follow the last sync.
    pub(in crate::simulation) fn restart(
        &mut self,
        model: &Model,
        keeps_all: bool,
        #[cfg_attr(not(feature = "cluster"), expect(unused_variables))] stays: bool,
    ) -> (Arc<Model>, usize) {
        match self {
            Self::Machine(machine) => machine.restart(model, keeps_all),
            #[cfg(feature = "cluster")]
            Self::Nodes(nodes) => nodes.restart(model, keeps_all, stays),
        }
    }
}
