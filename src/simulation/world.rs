//! The world of one run: a store, the cores, the clients, and the events that happen to them.

use std::collections::BTreeSet;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::builds::Build;
use super::check;
use super::clients::{Request, What};
use super::climate::{Climate, Event};
use super::life::{Asked, Envelope, Life};
use super::orchestration::{Chronicle, Conditions, Drawer};
use super::plan::{Kind, Plans, key};
use super::random::Random;
use super::sights::{Sight, Story};
use super::store::Host;
use super::survey::Survey;
use super::workload;
use crate::id::InstanceId;
use crate::log::tests::memory::Chance;
use crate::store::{Model, Store};
use crate::time::Timestamp;

/// Who plays in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    EntitiesOnly,
    WithOrchestrations,
}

/// Which edition of the simulation a seed is played in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edition {
    /// The one in which the first seeds of the corpus were found.
    First,
    /// The one before hubs had a machine.
    Second,
    Newest,
}

/// The world of one run.
pub(super) struct World {
    pub(super) random: Random,
    /// Decides what was added after the first seeds were kept in the corpus, so that those still tell their stories.
    pub(super) aside: Random,
    /// Decides what was added after that.
    pub(super) later: Random,
    pub(super) climate: Climate,
    pub(super) now: Timestamp,
    /// The store, or what the store of the machine has to be.
    pub(super) model: Arc<Model>,
    /// In three of four seeds the hub has a store on a machine.
    pub(super) host: Option<Host>,
    pub(super) plans: Plans,
    pub(super) requests: Vec<Request>,
    pub(super) drawer: Drawer,
    pub(super) chronicle: Chronicle,
    /// Work that was sent again from a dead letter, and entities whose logs were: their order is lost.
    pub(super) disordered: BTreeSet<u64>,
    pub(super) disordered_logs: BTreeSet<String>,
    /// Work in dead letters that may have been dropped for others.
    pub(super) dropped: BTreeSet<u64>,
    pub(super) clock_was_set_back: bool,
    pub(super) life: Life,
    /// The largest payloads that the lives allowed which there were.
    pub(super) limits_met: BTreeSet<usize>,
    /// Everything that happened, in one number.
    pub(super) hash: Xxh3,
    pub(super) story: Story,
    pub(super) sights: BTreeSet<Sight>,
}

impl World {
    pub(super) fn new(seed: u64, told: bool, cast: Cast, edition: Edition) -> Self {
        workload::reset_service();
        let mut random = Random::new(seed);
        let mut climate = Climate::draw(&mut random);
        if cast == Cast::WithOrchestrations {
            Conditions::add_to(&mut climate, &mut random);
        }
        let mut aside = Random::new(!seed);
        climate.draw_aside(&mut aside);
        let mut later = Random::new(seed.rotate_left(32));
        if edition != Edition::First {
            climate.draw_later(&mut later);
        }
        let model = Arc::new(Model::new());
        let story = Story { told };
        story.tell(|| format!("{climate:?}"));
        let now = Timestamp(1_000_000);
        let mut chance = Chance::new(seed);
        let has_machine = edition == Edition::Newest && !chance.one_in(4);
        let host = has_machine.then(|| Host::begin(&model, chance, story));
        let versions = climate.all_versions();
        let store = store_of(host.as_ref(), &model);
        let life = Life::open(store, Build::Good, versions, &climate, &mut random, &mut aside);
        Self {
            random,
            aside,
            later,
            climate,
            now,
            model,
            host,
            plans: Plans::default(),
            requests: Vec::new(),
            drawer: Drawer::default(),
            chronicle: Chronicle::default(),
            disordered: BTreeSet::new(),
            disordered_logs: BTreeSet::new(),
            dropped: BTreeSet::new(),
            clock_was_set_back: false,
            limits_met: [life.payload_bytes].into(),
            life,
            hash: Xxh3::new(),
            story,
            sights: BTreeSet::new(),
        }
    }

    /// Runs to the end. Gives a number in which everything is that happened, and what there was to see.
    pub(super) fn run(mut self) -> (u64, BTreeSet<Sight>) {
        for _ in 0..self.climate.events {
            self.happen();
        }
        self.rest();
        check::at_rest(&mut self);
        self.reopen_at_rest();
        let of_store = self.host.map(|host| host.sights()).unwrap_or_default();
        (self.hash.digest(), &self.sights | &of_store)
    }

    pub(super) fn see(&mut self, sight: Sight, seen: bool) {
        if seen {
            self.sights.insert(sight);
        }
    }

    /// One event.
    pub(super) fn happen(&mut self) {
        if self.random.below(1_000) < self.climate.crashes || (self.life.failed && self.random.chance(30)) {
            return self.crash();
        }
        if self.climate.faults && self.random.chance(1) && !self.life.failed {
            let succeed = self.random.below(5);
            match self.random.chance(50) {
                true => self.model.fail_write_after(succeed),
                false => self.model.fail_sync_after(succeed),
            }
        }
        if self.climate.impatient && self.aside.chance(3) && !self.life.failed {
            self.give_up();
        }
        let seat = self.random.index(self.life.seats.len());
        match self.next_event() {
            Event::Ask => self.ask_something(),
            Event::AskAgain => self.ask_again(),
            Event::Accept if self.life.seats[seat].step.is_none() => self.accept(seat, 0),
            Event::Accept => {}
            Event::Step => self.step(seat),
            Event::Commit => self.commit(seat),
            Event::Sync => self.sync(),
            Event::Poll => self.poll_something(),
            Event::Time => self.let_time_pass(),
            Event::Operator => self.operate(),
            Event::Door => self.open_a_door(),
            Event::Order => self.ask_of_an_orchestration(),
            Event::Job => self.end_some_job(),
        }
    }

    pub(super) fn next_event(&mut self) -> Event {
        let weights = &self.climate.weights;
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
        if self.climate.forgetful && self.random.chance(10) {
            self.now.0 += 2 * 60 * 60 * 1_000;
        }
    }

    /// An operator does something, if there is something to do.
    pub(super) fn operate(&mut self) {
        if self.random.chance(50) {
            let kind = *self.random.pick(&Kind::ALL);
            let target = kind.id(&key(&self.climate, &mut self.random));
            self.resume(target);
        } else {
            self.redeliver_one();
        }
    }

    pub(super) fn resume(&mut self, target: InstanceId) {
        self.life.held.remove(&target);
        self.send_to(target.clone(), Asked::Resume(target));
    }

    /// Sends a dead letter again, or drops it if no build ever knew its operation. Says whether there was one.
    pub(super) fn redeliver_one(&mut self) -> bool {
        let survey = self.survey();
        let Some((partition, id, known)) = survey.letters.first().copied() else {
            return false;
        };
        self.see(Sight::DeadLetterSentAgain, known);
        self.disordered.extend(survey.dead_work);
        self.disordered_logs.extend(survey.dead_logs);
        let seat = usize::from(partition.0) % self.life.seats.len();
        let asked = Asked::DeadLetter(partition, id, known);
        self.life.seats[seat].inbox.push_back(Envelope::Asked(asked));
        true
    }

    /// The store of this life.
    pub(super) fn store(&self) -> Arc<dyn Store> {
        store_of(self.host.as_ref(), &self.model)
    }

    pub(super) fn survey(&self) -> Survey {
        Survey::of(self.model.as_ref(), self.climate.partitions)
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
        let seat = self.life.seat_of(&target, self.climate.partitions);
        self.life.seats[seat].inbox.push_back(Envelope::Asked(asked));
    }
}

fn store_of(host: Option<&Host>, model: &Arc<Model>) -> Arc<dyn Store> {
    match host {
        Some(host) => host.store(),
        None => Arc::clone(model) as Arc<dyn Store>,
    }
}
