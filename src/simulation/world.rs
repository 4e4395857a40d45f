//! The world of one run: a store, the cores, the clients, and the events that affect them.

use std::collections::BTreeSet;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::builds::Build;
use super::clients::{Request, What};
use super::coverage::{CoverageMark, Story};
use super::orchestration::{Conditions, Drawer, Observations};
use super::plan::{Kind, Plans, key};
use super::process::{Asked, Process};
use super::profile::{Event, Profile};
use super::random::Random;
use super::shards::{Elsewhere, PlantedBug, Shards};
use super::store::{Host, Tenure};
use super::survey::Survey;
use super::{check, workload};
use crate::engine::message::LetterFate;
use crate::id::{InstanceId, Shard, ShardId};
use crate::log::tests::memory::Chance;
use crate::store::{Model, Store};
use crate::time::Timestamp;

/// The participants of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    EntitiesOnly,
    WithOrchestrations,
}

/// The edition of the simulation in which a seed is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Edition {
    /// The edition in which the first seeds of the corpus were found.
    First,
    /// The last edition in which no hub had a machine.
    Second,
    /// The last edition in which no hub had several shards.
    Third,
    /// The last edition in which no process was replaced, no id had a placement, and a step took all inputs.
    Fourth,
    Newest,
}

impl Edition {
    pub(super) const ALL: [Self; 5] = [Self::First, Self::Second, Self::Third, Self::Fourth, Self::Newest];
}

/// One in this many hubs is on one to three nodes. These runs take longer, because each process opens RocksDB.
const SHARE_OF_NODES: u64 = 16;

/// The world of one run.
pub(super) struct World {
    pub(super) random: Random,
    /// Decides everything that was added after the first seeds entered the corpus, so that those seeds keep their runs.
    pub(super) aside: Random,
    /// Decides everything that was added after `aside`.
    pub(super) later: Random,
    /// Decides how many inputs a step leaves to the next one, if any.
    pub(super) portions: Option<Random>,
    pub(super) profile: Profile,
    pub(super) now: Timestamp,
    /// The store, or the expected content of the store of the host.
    pub(super) model: Arc<Model>,
    /// What holds the store of the hub, in most seeds.
    pub(super) host: Option<Host>,
    pub(super) plans: Plans,
    pub(super) requests: Vec<Request>,
    pub(super) drawer: Drawer,
    pub(super) observations: Observations,
    /// Work that was sent again from a dead letter, so that its order is lost.
    pub(super) disordered: BTreeSet<u64>,
    /// Entities whose logs were sent again from a dead letter, so that the order of the logs is lost.
    pub(super) disordered_logs: BTreeSet<String>,
    /// Work whose dead letter may have been dropped to make room for others.
    pub(super) dropped: BTreeSet<u64>,
    /// Work in calls that ended because a build lacked the operation.
    pub(super) refused: BTreeSet<u64>,
    pub(super) clock_was_set_back: bool,
    /// All spans that were exported.
    pub(super) spans: BTreeSet<String>,
    pub(super) process: Process,
    /// The shards. `model`, `host` and `process` belong to one of them.
    pub(super) shards: Shards,
    /// The payload limits of all processes so far.
    pub(super) limits_met: BTreeSet<usize>,
    /// Hash of everything that happened.
    pub(super) hash: Xxh3,
    pub(super) story: Story,
    pub(super) marks: BTreeSet<CoverageMark>,
}

impl World {
    pub(super) fn new(seed: u64, told: bool, cast: Cast, edition: Edition, planted: Option<PlantedBug>) -> Self {
        workload::reset_service();
        let mut random = Random::new(seed);
        let mut profile = Profile::draw(&mut random);
        if cast == Cast::WithOrchestrations {
            Conditions::add_to(&mut profile, &mut random);
        }
        let mut aside = Random::new(!seed);
        profile.draw_aside(&mut aside);
        let mut later = Random::new(seed.rotate_left(32));
        if edition > Edition::First {
            profile.draw_later(&mut later);
        }
        let mut of_shards = Random::new(seed.rotate_left(16));
        let shards = match edition >= Edition::Fourth {
            true => Shards::draw(&mut of_shards, profile.partitions),
            false => 1,
        };
        let mut of_nodes = Chance::new(seed.rotate_left(8));
        let is_on_nodes = of_nodes.one_in(SHARE_OF_NODES) || planted.is_some_and(PlantedBug::is_of_nodes);
        let on_nodes = edition == Edition::Newest && cfg!(feature = "cluster") && is_on_nodes;
        let replaces = edition == Edition::Newest && shards > 1;
        profile.placed = replaces && of_shards.chance(50);
        let replaces = replaces || on_nodes;
        if on_nodes {
            // Of a replaced process, only the first executor continues.
            profile.most_cores = 1;
            // The database is out of reach, or goes back.
            profile.faults = true;
        }
        let story = Story { told };
        story.tell(|| format!("{profile:?} {shards} shards, on nodes: {on_nodes}"));
        let now = Timestamp(1_000_000);
        let mut chance = Chance::new(seed);
        let has_machine = edition >= Edition::Third && !chance.one_in(4);
        let versions = profile.all_versions();
        let mut limits_met = BTreeSet::new();
        let mut open = |shard: u16, chance: Chance| {
            let model = Arc::new(Model::new());
            let host = match on_nodes {
                true => Some(Host::on_nodes(&model, of_nodes.fork(), story, planted)),
                false => has_machine.then(|| Host::on_a_machine(&model, chance, story)),
            };
            let store = store_of(host.as_ref(), &model, replaces, planted);
            let shard = Shard {
                id: ShardId(shard),
                count: shards,
            };
            let process = Process::open(store, Build::Good, versions, shard, &profile, &mut random, &mut aside);
            limits_met.insert(process.payload_bytes);
            Elsewhere { model, host, process }
        };
        let Elsewhere { model, host, process } = open(0, chance);
        let elsewhere = (1..shards)
            .map(|shard| open(shard, Chance::new(!seed + u64::from(shard))))
            .collect();
        Self {
            shards: Shards::new(shards, elsewhere, of_shards, planted, replaces),
            random,
            aside,
            later,
            portions: (edition == Edition::Newest).then(|| Random::new(seed.rotate_left(48))),
            profile,
            now,
            model,
            host,
            plans: Plans::default(),
            requests: Vec::new(),
            drawer: Drawer::default(),
            observations: Observations::default(),
            disordered: BTreeSet::new(),
            disordered_logs: BTreeSet::new(),
            dropped: BTreeSet::new(),
            refused: BTreeSet::new(),
            clock_was_set_back: false,
            spans: BTreeSet::new(),
            limits_met,
            process,
            hash: Xxh3::new(),
            story,
            marks: BTreeSet::new(),
        }
    }

    /// Runs to the end. Returns a hash of everything that happened, and the marks of the run.
    pub(super) fn run(mut self) -> (u64, BTreeSet<CoverageMark>) {
        for _ in 0..self.profile.events {
            self.tick();
        }
        self.rest();
        check::at_rest(&mut self);
        self.reopen_at_rest();
        let of_stores = self.hosts().flat_map(Host::marks);
        let marks = of_stores.chain(self.marks.iter().copied()).collect();
        (self.hash.digest(), marks)
    }

    pub(super) fn see(&mut self, mark: CoverageMark, seen: bool) {
        if seen {
            self.marks.insert(mark);
        }
    }

    /// Performs one event.
    pub(super) fn tick(&mut self) {
        if self.tick_mail() || self.tick_replaced() {
            return;
        }
        self.focus_somewhere();
        if self.random.below(1_000) < self.profile.crashes || (self.process.failed && self.random.chance(30)) {
            return self.crash();
        }
        if self.profile.faults && self.random.chance(1) && !self.process.failed {
            let succeed = self.random.below(5);
            match self.random.chance(50) {
                true => self.model.fail_write_after(succeed),
                false => self.model.fail_sync_after(succeed),
            }
        }
        if self.profile.impatient && self.aside.chance(3) && !self.process.failed {
            self.give_up();
        }
        let slot = self.random.index(self.process.cores.len());
        match self.next_event() {
            Event::Ask => self.ask_something(),
            Event::AskAgain => self.ask_again(),
            Event::Accept if self.process.cores[slot].step.is_none() => self.accept(slot, 0),
            Event::Accept => {}
            Event::Step => self.step(slot),
            Event::Commit => self.commit(slot),
            Event::Sync => self.sync(),
            Event::Poll => self.poll_something(),
            Event::Time => self.let_time_pass(),
            Event::Operator => self.operate(),
            Event::CapacityWaiter => self.open_a_door(),
            Event::Order => self.ask_of_an_orchestration(),
            Event::Job => self.end_some_job(),
        }
    }

    pub(super) fn next_event(&mut self) -> Event {
        let weights = &self.profile.weights;
        let mut at = self.random.below(weights.iter().map(|(_, weight)| weight).sum());
        for (event, weight) in weights {
            if at < *weight {
                return *event;
            }
            at -= weight;
        }
        unreachable!("the number is below the sum of the weights")
    }

    pub(super) fn let_time_pass(&mut self) {
        let millis = *self.random.pick(&[0, 1, 1, 3, 50, 1_000, 70_000]);
        self.now.0 += millis;
        if self.profile.forgetful && self.random.chance(10) {
            self.now.0 += 2 * 60 * 60 * 1_000;
        }
    }

    /// Performs an action of an operator, if there is anything to do.
    pub(super) fn operate(&mut self) {
        if self.random.chance(50) {
            let kind = *self.random.pick(&Kind::ALL);
            let target = kind.id(&key(&self.profile, &mut self.random));
            self.resume(target);
        } else {
            self.redeliver_one();
        }
    }

    pub(super) fn resume(&mut self, target: InstanceId) {
        self.focus_on(&target);
        self.process.held.remove(&target);
        self.send_to(target.clone(), Asked::Resume(target));
    }

    /// Sends a dead letter again, or drops it if no build ever had its operation. Returns whether there was one.
    pub(super) fn redeliver_one(&mut self) -> bool {
        let survey = self.survey();
        let Some((partition, id, known)) = survey.letters.first().copied() else {
            return false;
        };
        self.see(CoverageMark::DeadLetterSentAgain, known);
        self.disordered.extend(survey.dead_work);
        self.disordered_logs.extend(survey.dead_logs);
        self.focus(self.shards.here.of(partition));
        let slot = usize::from(partition.0) % self.process.cores.len();
        let fate = match known {
            true => LetterFate::Redeliver,
            false => LetterFate::Drop,
        };
        let envelope = self.envelope(Asked::DeadLetter(partition, id, fate));
        self.process.cores[slot].inbox.send(envelope);
        true
    }

    /// Returns the store of this process.
    pub(super) fn store(&self) -> Arc<dyn Store> {
        let Shards { replaces, planted, .. } = self.shards;
        store_of(self.host.as_ref(), &self.model, replaces, planted)
    }

    pub(super) fn survey(&self) -> Survey {
        Survey::of(self.whole().as_ref(), self.profile.partitions)
    }

    /// Puts a request into the inbox of its core.
    pub(super) fn send(&mut self, request: usize) {
        let asked = &mut self.requests[request];
        asked.attempts += 1;
        asked.open += 1;
        let target = asked.target.clone();
        let asked = match asked.what {
            What::Wait => Asked::Wait(request),
            _ => Asked::Client(request),
        };
        self.send_to(target, asked);
    }

    pub(super) fn send_to(&mut self, target: InstanceId, asked: Asked) {
        self.story.tell(|| format!("{} {asked:?} of {target}", self.now.0));
        self.focus_on(&target);
        let slot = self.process.slot_of(&target, self.profile.partitions);
        let envelope = self.envelope(asked);
        self.process.cores[slot].inbox.send(envelope);
    }
}

/// Returns the store of a new process, which another one may replace if `replaces` is set.
fn store_of(host: Option<&Host>, model: &Arc<Model>, replaces: bool, planted: Option<PlantedBug>) -> Arc<dyn Store> {
    let store = match host {
        Some(host) => host.store(),
        None => Arc::clone(model) as Arc<dyn Store>,
    };
    if !replaces {
        return store;
    }
    Arc::new(Tenure {
        store,
        model: Arc::clone(model),
        confirms_reads: planted != Some(PlantedBug::AnswerUnconfirmed),
        confirms_unseen: planted == Some(PlantedBug::ConfirmUnseen),
        tells: host.is_some_and(Host::tells_the_replaced),
    })
}
