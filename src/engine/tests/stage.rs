//! One core over one store, whose clients the test plays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::memory;
use crate::engine::message::{ClientOrigin, Input, Output, Settled, Token};
use crate::engine::{ActivitySlots, Core, CoreConfig, Limits, Progress, Registry};
use crate::entity::entity_code;
use crate::id::{InstanceId, PartitionId};
use crate::orchestration::orchestration_code;
use crate::prelude::*;
use crate::store::records::{self, Action, StateRecord};
use crate::store::{Model, Store, keys};
use crate::time::{Aging, Clock, Timestamp};

/// Adds up what it is given.
#[derive(Clone, Debug, Entity, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    sum: u64,
}

#[operations]
impl Tally {
    pub fn add(&mut self, n: u64) -> u64 {
        self.sum += n;
        self.sum
    }
}

pub(super) struct Stage {
    pub(super) core: Core,
    pub(super) model: Model,
    pub(super) now: u64,
    limits: Limits,
    batch: u64,
    next_token: u64,
    told: BTreeMap<Token, Settled>,
}

impl Stage {
    /// A hub with one core and one partition.
    pub(super) fn new(limits: Limits) -> Self {
        let model = Model::new();
        Self {
            core: open(&limits, &model, Aging::default()),
            model,
            now: 1_000,
            limits,
            batch: 1,
            next_token: 0,
            told: BTreeMap::new(),
        }
    }

    /// The hub goes down and is opened again. What was written is there.
    pub(super) fn reopen(&mut self) {
        self.core = open(&self.limits, &self.model, Aging::default());
    }

    /// As [`reopen`](Self::reopen), so many milliseconds later by the clock.
    pub(super) fn reopen_after(&mut self, millis: u64) {
        let known = Timestamp(self.now);
        self.now += millis;
        let aging = Clock::start_at(Timestamp(self.now), known).aging();
        self.core = open(&self.limits, &self.model, aging);
    }

    /// A client sends something and waits until it is stored.
    pub(super) fn signal(&mut self, target: &InstanceId, action: Action) -> Token {
        self.next_token += 1;
        let token = Token(self.next_token);
        self.core.accept(Input::Request {
            target: target.clone(),
            action,
            client: ClientOrigin {
                token: Some(token),
                ..ClientOrigin::default()
            },
        });
        token
    }

    /// A client sends something under a request id.
    pub(super) fn request(&mut self, target: &InstanceId, action: Action, request: &str) {
        self.next_token += 1;
        self.core.accept(Input::Request {
            target: target.clone(),
            action,
            client: ClientOrigin {
                token: Some(Token(self.next_token)),
                call: true,
                request: Some(request.to_owned()),
                ..ClientOrigin::default()
            },
        });
    }

    /// A client schedules `add(n)` under the name of a timer.
    pub(super) fn schedule(&mut self, target: &InstanceId, timer: &str, due: u64, n: u64) {
        let action = Action::Schedule {
            timer: timer.to_owned(),
            due: Timestamp(due),
            operation: "add".into(),
            arguments: arguments(n),
        };
        self.signal(target, action);
    }

    /// One step, as the executor makes it.
    pub(super) fn step(&mut self) {
        self.batch += 1;
        let now = Timestamp(self.now);
        let step = self.core.step(now, self.batch, &self.model, u64::MAX).unwrap();
        self.model.write(&step.batch).unwrap();
        for output in step.outputs {
            if let Output::Settle { token, settled } = output {
                self.told.insert(token, settled);
            }
        }
    }

    /// Steps until there is nothing to do at this time.
    pub(super) fn settle(&mut self) {
        let mut steps = 0;
        while self.core.has_work(Timestamp(self.now)) {
            self.step();
            steps += 1;
            assert!(steps < 100_000, "the core does not come to rest");
        }
    }

    /// How many orchestrations have a row.
    pub(super) fn ended_or_alive(&self) -> usize {
        let range = keys::instances(PartitionId(0), "");
        crate::store::Reader::scan(&self.model, range, usize::MAX)
            .unwrap()
            .len()
    }

    /// The stored sum of an entity.
    pub(super) fn sum(&self, id: &InstanceId) -> u64 {
        let key = keys::state(PartitionId(0), id);
        let Some(row) = crate::store::Reader::get(&self.model, &key).unwrap() else {
            return 0;
        };
        let record: StateRecord<'_> = records::decode(&row, "state").unwrap();
        serde_json::from_slice::<Tally>(record.state).unwrap().sum
    }
}

fn open(limits: &Limits, model: &Model, aging: Aging) -> Core {
    let mut registry = Registry::default();
    registry.add_entity(entity_code::<Tally>()).unwrap();
    for code in [
        orchestration_code::<memory::returns>(),
        orchestration_code::<memory::rests>(),
        orchestration_code::<memory::stops>(),
    ] {
        registry.add_orchestration(code).unwrap();
    }
    let config = CoreConfig {
        hub: "hub-1".into(),
        limits: limits.clone(),
        registry: Arc::new(registry),
        progress: Arc::new(Progress::default()),
        index: 0,
        slots: Arc::new(ActivitySlots::new(limits.activities, 1)),
        partitions: 1,
        owned: vec![PartitionId(0)],
        held: BTreeSet::new(),
        calm_since: 0,
        aging,
    };
    Core::open(config, model).unwrap()
}

pub(super) fn tally(key: &str) -> InstanceId {
    InstanceId::trusted(format!("@tally@{key}"))
}

pub(super) fn arguments(n: u64) -> Vec<u8> {
    serde_json::json!({ "n": n }).to_string().into_bytes()
}
