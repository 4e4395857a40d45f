//! One life of the hub: from an open to a crash.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::builds::Build;
use super::climate::Climate;
use super::orchestration::{RunningJob, Versions};
use super::plan::{Kind, key};
use super::random::Random;
use crate::commit::CommitOrder;
use crate::engine::code::AsyncOperation;
use crate::engine::message::{ActivityKey, Input, Settled, Token};
use crate::engine::{ActivitySlots, Core, CoreConfig, Progress, Step};
use crate::id::{InstanceId, MessageId, PartitionId};
use crate::store::records::{self, CommitRecord};
use crate::store::{Store, keys};
use crate::time::{Aging, Timestamp};

/// One life of the hub, from an open to a crash.
pub(super) struct Life {
    pub(super) build: Build,
    pub(super) versions: Versions,
    /// The largest payload that it allows.
    pub(super) payload_bytes: usize,
    /// Entities that are held until an operator resumes them.
    pub(super) held: BTreeSet<InstanceId>,
    pub(super) slots: Arc<ActivitySlots>,
    pub(super) order: Arc<CommitOrder<Released>>,
    pub(super) seats: Vec<Seat>,
    /// How many envelopes an inbox holds before messages are left to their rows.
    pub(super) inbox_limit: usize,
    /// The clients that wait for an answer, by core and token.
    pub(super) waiting: BTreeMap<(usize, Token), Asked>,
    pub(super) next_token: u64,
    /// The running `async` operations.
    pub(super) running: Vec<Running>,
    /// The running attempts of activities.
    pub(super) jobs: Vec<RunningJob>,
    /// Clients that wait until there is room, by instance; the door that they wait at has a number.
    pub(super) doors: BTreeMap<InstanceId, u64>,
    pub(super) next_door: u64,
    pub(super) at_door: Vec<(usize, u64)>,
    pub(super) open_doors: BTreeSet<u64>,
    /// The commit that each thing behind the gate belongs to.
    pub(super) tickets: BTreeMap<u64, u64>,
    pub(super) next_ticket: u64,
    /// The newest commit that was written.
    pub(super) written: u64,
    pub(super) failed: bool,
}

/// The place of one executor.
pub(super) struct Seat {
    pub(super) core: Core,
    pub(super) inbox: VecDeque<Envelope>,
    pub(super) spilled: bool,
    /// A step that is not written yet.
    pub(super) step: Option<Step>,
}

/// What waits for an executor.
pub(super) enum Envelope {
    Asked(Asked),
    Input(Box<Input>),
    /// Nothing but a reason to look.
    Wake,
}

/// Who asks a core something.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Client(usize),
    /// A client waits for the end of an orchestration.
    Wait(usize),
    /// A client that does not wait any more.
    Nobody,
    Resume(InstanceId),
    DeadLetter(PartitionId, MessageId, bool),
}

/// A running `async` operation.
pub(super) struct Running {
    pub(super) instance: InstanceId,
    pub(super) message: MessageId,
    pub(super) operation: AsyncOperation,
    pub(super) polls: u32,
}

/// What waits at the gate.
pub(super) struct Released {
    pub(super) ticket: u64,
    pub(super) what: Leaving,
}

pub(super) enum Leaving {
    Told(Asked, Told),
    Start(InstanceId, MessageId, AsyncOperation),
    StartJob(RunningJob),
    CancelJob(ActivityKey),
    Room(InstanceId),
}

pub(super) enum Told {
    Settled(Settled),
    /// The queue is full; this is the door to wait at.
    Full(u64),
}

impl Life {
    pub(super) fn open(
        store: Arc<dyn Store>,
        build: Build,
        versions: Versions,
        climate: &Climate,
        random: &mut Random,
        aside: &mut Random,
    ) -> Self {
        let last = match store.get(&keys::COMMIT).unwrap() {
            Some(row) => records::decode(&row, "commit").unwrap(),
            None => CommitRecord::before_the_first(climate.partitions),
        };
        let cores = random.between(1, climate.most_cores).min(u64::from(climate.partitions)) as usize;
        let mut limits = climate.limits(random);
        if let Some(conditions) = &climate.orchestrations {
            conditions.bound(&mut limits, random);
        }
        climate.limit_aside(&mut limits, aside);
        let registry = build.registry(versions);
        let mut held: BTreeSet<InstanceId> = BTreeSet::new();
        if climate.bad_builds && random.chance(20) {
            held.insert(random.pick(&Kind::ALL).id(&key(climate, random)));
        }
        let slots = Arc::new(ActivitySlots::new(limits.activities, cores));
        let open_core = |index: usize| {
            let owned: Vec<PartitionId> = (0..climate.partitions)
                .map(PartitionId)
                .filter(|id| usize::from(id.0) % cores == index)
                .collect();
            let held = held
                .iter()
                .filter(|id| owned.contains(&id.partition(climate.partitions)))
                .cloned()
                .collect();
            let config = CoreConfig {
                hub: "simulated".into(),
                limits: limits.clone(),
                registry: Arc::clone(&registry),
                progress: Arc::new(Progress::default()),
                index,
                slots: Arc::clone(&slots),
                partitions: climate.partitions,
                owned,
                held,
                // A life ends in a crash.
                calm_since: last.next_batch,
                aging: Default::default(),
            };
            Core::open(config, store.as_ref()).unwrap()
        };
        let seats = (0..cores).map(|index| Seat {
            core: open_core(index),
            inbox: VecDeque::new(),
            spilled: false,
            step: None,
        });
        Self {
            build,
            versions,
            payload_bytes: limits.payload_bytes,
            held: held.clone(),
            slots: Arc::clone(&slots),
            seats: seats.collect(),
            order: Arc::new(CommitOrder::new(Arc::clone(&store), last, Aging::default())),
            inbox_limit: random.between(1, 4) as usize,
            waiting: BTreeMap::new(),
            next_token: 0,
            running: Vec::new(),
            jobs: Vec::new(),
            doors: BTreeMap::new(),
            next_door: 0,
            at_door: Vec::new(),
            open_doors: BTreeSet::new(),
            tickets: BTreeMap::new(),
            next_ticket: 0,
            written: last.number,
            failed: false,
        }
    }

    pub(super) fn seat_of(&self, instance: &InstanceId, partitions: u16) -> usize {
        usize::from(instance.partition(partitions).0) % self.seats.len()
    }
}

impl Seat {
    pub(super) fn has_work(&self, now: Timestamp) -> bool {
        self.core.has_work(now) || self.spilled
    }

    /// How many envelopes have to be taken in before a step that shows the commits up to `seen`.
    pub(super) fn owed(&self, seen: u64) -> usize {
        let seen = |envelope: &Envelope| match envelope {
            Envelope::Input(input) => matches!(**input, Input::Delivery { commit, .. } if commit <= seen),
            Envelope::Asked(_) | Envelope::Wake => false,
        };
        self.inbox.iter().rposition(seen).map_or(0, |last| last + 1)
    }
}
