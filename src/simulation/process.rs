//! One process of the hub: from an open to a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::builds::Build;
use super::orchestration::Mirror;
use super::orchestration::{RunningJob, Versions};
use super::plan::{Kind, key};
use super::profile::Profile;
use super::random::Random;
use crate::commit::CommitOrder;
use crate::engine::code::AsyncOperation;
use crate::engine::message::LetterFate;
use crate::engine::{ActivitySlots, CoreConfig, CoreStep, Progress};
use crate::id::{InstanceId, MessageId, PartitionId, Shard, ShardId};
use crate::model::{self, CommitRecord};
use crate::runtime::callers::Client;
use crate::runtime::driver::{Driver, Release};
use crate::runtime::{Backpressure, CapacityWaiter, Inbox};
use crate::schema;
use crate::store::Store;
use crate::time::Aging;

/// The id of the simulated hub.
pub(super) const HUB: &str = "simulated";

/// One process of the hub, from an open to a crash.
pub(super) struct Process {
    /// What a watcher of this process knows.
    pub(super) mirror: Mirror,
    pub(super) build: Build,
    pub(super) versions: Versions,
    /// The largest payload that it allows.
    pub(super) payload_bytes: usize,
    /// Entities that are held until an operator resumes them.
    pub(super) held: BTreeSet<InstanceId>,
    pub(super) slots: Arc<ActivitySlots>,
    pub(super) order: Arc<CommitOrder<Released>>,
    pub(super) cores: Vec<CoreSlot>,
    /// Number of waits for ends that have begun.
    pub(super) waits: u64,
    /// The running `async` operations.
    pub(super) running: Vec<Running>,
    /// The running attempts of activities.
    pub(super) jobs: Vec<RunningJob>,
    pub(super) room: Backpressure,
    /// Clients that wait until there is room, with the doors that they wait at.
    pub(super) at_door: Vec<(usize, CapacityWaiter)>,
    /// The commit that each thing behind the gate belongs to.
    pub(super) tickets: BTreeMap<u64, u64>,
    pub(super) next_ticket: u64,
    /// The newest commit that was written.
    pub(super) written: u64,
    pub(super) failed: bool,
    /// True once it has closed the hub.
    pub(super) has_left: bool,
}

/// An executor without its thread.
pub(super) struct CoreSlot {
    pub(super) driver: Driver<Asked>,
    pub(super) inbox: Arc<Inbox<Asked>>,
    /// A step that is not written yet.
    pub(super) step: Option<CoreStep>,
}

/// The sender of a request.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Client(usize),
    /// A client waits for the end of an orchestration.
    Wait(usize),
    /// A client that does not wait any more.
    Nobody,
    /// Another shard, which has sent a letter.
    Mail(ShardId),
    Resume(InstanceId),
    DeadLetter(PartitionId, MessageId, LetterFate),
}

/// A running `async` operation.
pub(super) struct Running {
    pub(super) instance: InstanceId,
    pub(super) message: MessageId,
    pub(super) operation: AsyncOperation,
    pub(super) polls: u32,
}

/// An output at the gate.
pub(super) struct Released {
    pub(super) ticket: u64,
    pub(super) what: Release<Asked>,
}

impl Process {
    pub(super) fn open(
        store: Arc<dyn Store>,
        build: Build,
        versions: Versions,
        shard: Shard,
        profile: &Profile,
        random: &mut Random,
        aside: &mut Random,
    ) -> Self {
        let last = match store.get(&schema::COMMIT).unwrap() {
            Some(row) => model::decode(&row, "commit").unwrap(),
            None => CommitRecord::before_the_first(profile.partitions),
        };
        let cores = random.between(1, profile.most_cores).min(u64::from(profile.partitions)) as usize;
        let cores = if shard == Shard::WHOLE { cores } else { 1 };
        let mut limits = profile.limits(random);
        if let Some(conditions) = &profile.orchestrations {
            conditions.bound(&mut limits, random);
        }
        profile.limit_aside(&mut limits, aside);
        let registry = build.registry(versions);
        let mut held: BTreeSet<InstanceId> = BTreeSet::new();
        if profile.bad_builds && random.chance(20) {
            held.insert(random.pick(&Kind::ALL).id(&key(profile, random)));
        }
        let slots = Arc::new(ActivitySlots::new(limits.activities, cores));
        let limit = random.between(1, 4) as usize;
        let delivery_limit = if profile.spills { limit } else { usize::MAX };
        let open_slot = |index: usize| {
            let owned: Vec<PartitionId> = (0..profile.partitions)
                .map(PartitionId)
                .filter(|id| shard.has(*id) && usize::from(id.0) % cores == index)
                .collect();
            let held = held
                .iter()
                .filter(|id| owned.contains(&id.partition(profile.partitions)))
                .cloned()
                .collect();
            let config = CoreConfig {
                hub: HUB.into(),
                limits: limits.clone(),
                registry: Arc::clone(&registry),
                progress: Arc::new(Progress::default()),
                index,
                slots: Arc::clone(&slots),
                partitions: profile.partitions,
                shard,
                owned,
                held,
                // A process ends in a crash.
                calm_since: last.next_batch,
                aging: Default::default(),
                watched: Mirror::watched(),
            };
            let (inbox, receiver) = Inbox::new(delivery_limit);
            CoreSlot {
                driver: Driver::open(config, receiver, cores == 1, store.as_ref()).unwrap(),
                inbox,
                step: None,
            }
        };
        Self {
            build,
            versions,
            payload_bytes: limits.payload_bytes,
            held: held.clone(),
            slots: Arc::clone(&slots),
            cores: (0..cores).map(open_slot).collect(),
            order: Arc::new(CommitOrder::new(Arc::clone(&store), last, Aging::default()).of_shard(shard)),
            waits: 0,
            mirror: Mirror::of(store.as_ref(), profile.partitions),
            running: Vec::new(),
            jobs: Vec::new(),
            room: Backpressure::default(),
            at_door: Vec::new(),
            tickets: BTreeMap::new(),
            next_ticket: 0,
            written: last.number,
            failed: false,
            has_left: false,
        }
    }

    pub(super) fn slot_of(&self, instance: &InstanceId, partitions: u16) -> usize {
        usize::from(instance.partition(partitions).0) % self.cores.len()
    }
}

impl Client for Asked {
    fn is_gone(&self) -> bool {
        matches!(self, Self::Nobody)
    }
}
