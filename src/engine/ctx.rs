//! The context of a step: the commit under construction, the state of the store before it, and the parts that a turn
//! uses.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::activities::Activities;
use crate::engine::batch_times::BatchTimes;
use crate::engine::changes::WatchedKinds;
use crate::engine::core_step::CoreStep;
use crate::engine::limits::Limits;
use crate::engine::locks::Locks;
use crate::engine::mail::Mail;
use crate::engine::mailboxes::QueueMemory;
use crate::engine::orchestration::{Orchestrations, Waiters};
use crate::engine::partition::Partitions;
use crate::engine::registry::Registry;
use crate::engine::requests::Callers;
use crate::engine::states::States;
use crate::id::{InstanceId, MessageId, PartitionId, Shard};
use crate::store::Reader;
use crate::time::Aging;

/// Memory that the turns of a step may hold until the step closes, as a multiple of the limit on the size of its batch.
const HELD_BYTES: usize = 4;

/// The settings of a core. They never change while it is open.
#[derive(Debug)]
pub(super) struct Settings {
    /// Id and incarnation of the hub, as one string.
    pub(super) hub: Arc<str>,
    pub(super) limits: Limits,
    pub(super) registry: Arc<Registry>,
    /// Number of partitions of the hub.
    pub(super) partitions: u16,
    /// The shard of the hub that the core is a part of.
    pub(super) shard: Shard,
    /// Determines the age of rows that expire.
    pub(super) aging: Aging,
    /// The watched kinds of changes.
    pub(super) watched: Arc<WatchedKinds>,
}

impl Settings {
    pub(super) fn partition_of(&self, id: &InstanceId) -> PartitionId {
        id.partition(self.partitions)
    }

    /// Returns `true` if the shard of this core has an instance.
    pub(super) fn has(&self, id: &InstanceId) -> bool {
        self.shard == Shard::WHOLE || self.shard.has(self.partition_of(id))
    }
}

/// Everything that a turn uses. The mailboxes and the run queue belong to the core. A turn receives one mailbox, and
/// the messages that it sends remain in the step until the turn is over.
pub(super) struct Ctx<'a> {
    /// The commit under construction.
    pub(super) step: &'a mut CoreStep,
    /// The state of the store before the step.
    pub(super) reader: &'a dyn Reader,
    pub(super) settings: &'a Settings,
    pub(super) partitions: &'a mut Partitions,
    /// The memory of all waiting messages.
    pub(super) memory: &'a mut QueueMemory,
    pub(super) states: &'a mut States,
    pub(super) locks: &'a mut Locks,
    pub(super) mail: &'a mut Mail,
    pub(super) orchestrations: &'a mut Orchestrations,
    pub(super) activities: &'a mut Activities,
    pub(super) callers: &'a mut Callers,
    pub(super) waiters: &'a mut Waiters,
    pub(super) times: &'a BatchTimes,
}

impl Ctx<'_> {
    /// Returns the age of a message.
    pub(super) fn age(&self, message: MessageId) -> Duration {
        self.times.age(message, self.step.now)
    }

    /// Returns `true` if the commit has reached its maximum size, so the remaining work is left to the next step.
    pub(super) fn is_full(&self) -> bool {
        let limits = &self.settings.limits;
        self.step.counts.operations >= limits.batch_operations as u64
            || self.step.bytes() >= limits.batch_bytes
            || self.step.held >= limits.batch_bytes.saturating_mul(HELD_BYTES)
    }
}
