//! The world of one run: a store, the cores, the clients, and the events that happen to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use xxhash_rust::xxh3::Xxh3;

use super::builds::Build;
use super::check;
use super::clients::{Heard, Request, What};
use super::climate::{Climate, Event};
use super::plan::{Kind, Plans, key};
use super::random::Random;
use super::survey::Survey;
use super::workload;
use crate::commit::{CommitOrder, Gated};
use crate::engine::code::AsyncOperation;
use crate::engine::message::{AsyncEnded, ClientOrigin, Input, Message, Output, Settled, Token};
use crate::engine::{Core, Progress, Step, panic_text};
use crate::error::Error;
use crate::id::{InstanceId, MessageId, PartitionId};
use crate::store::records::{self, CommitRecord};
use crate::store::{Change, Model, Reader, keys};
use crate::time::Timestamp;

/// How often an `async` operation is polled before it counts as one that never ends.
const PATIENCE: u32 = 12;

/// The world of one run.
pub(super) struct World {
    pub(super) random: Random,
    pub(super) climate: Climate,
    pub(super) now: Timestamp,
    pub(super) model: Arc<Model>,
    pub(super) plans: Plans,
    pub(super) requests: Vec<Request>,
    /// Work that was sent again from a dead letter, and entities whose logs were: their order is lost.
    pub(super) disordered: BTreeSet<u64>,
    pub(super) disordered_logs: BTreeSet<String>,
    pub(super) clock_was_set_back: bool,
    pub(super) life: Life,
    /// Everything that happened, in one number.
    hash: Xxh3,
    pub(super) story: Story,
    pub(super) sights: BTreeSet<Sight>,
}

/// What a run went through. A simulation that never comes to a place cannot say anything about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sight {
    CrashThatLosesCommits,
    CrashWithWaitingMessages,
    CrashWhileOperationsRun,
    Poison,
    MessageToAnotherCore,
    MessageLeftToItsRow,
    FullQueue,
    ReadAtTheGate,
    AsyncTimeout,
    AsyncPanic,
    Quarantine,
    HeldEntity,
    DeadLetterSentAgain,
    AnswerToARetry,
    MisusedRequestId,
    CancelInTime,
    CancelTooLate,
}

impl Sight {
    pub(super) const ALL: [Self; 17] = [
        Self::CrashThatLosesCommits,
        Self::CrashWithWaitingMessages,
        Self::CrashWhileOperationsRun,
        Self::Poison,
        Self::MessageToAnotherCore,
        Self::MessageLeftToItsRow,
        Self::FullQueue,
        Self::ReadAtTheGate,
        Self::AsyncTimeout,
        Self::AsyncPanic,
        Self::Quarantine,
        Self::HeldEntity,
        Self::DeadLetterSentAgain,
        Self::AnswerToARetry,
        Self::MisusedRequestId,
        Self::CancelInTime,
        Self::CancelTooLate,
    ];
}

/// One life of the hub, from an open to a crash.
pub(super) struct Life {
    pub(super) build: Build,
    /// Entities that are held until an operator resumes them.
    pub(super) held: BTreeSet<InstanceId>,
    pub(super) order: Arc<CommitOrder<Released>>,
    pub(super) seats: Vec<Seat>,
    /// How many envelopes an inbox holds before messages are left to their rows.
    inbox_limit: usize,
    /// The clients that wait for an answer, by core and token.
    pub(super) waiting: BTreeMap<(usize, Token), Asked>,
    next_token: u64,
    /// The running `async` operations.
    pub(super) running: Vec<Running>,
    /// Clients that wait until there is room, by instance; the door that they wait at has a number.
    doors: BTreeMap<InstanceId, u64>,
    next_door: u64,
    pub(super) at_door: Vec<(usize, u64)>,
    open_doors: BTreeSet<u64>,
    /// The commit that each thing behind the gate belongs to.
    tickets: BTreeMap<u64, u64>,
    next_ticket: u64,
    /// The newest commit that was written.
    written: u64,
    pub(super) failed: bool,
}

/// The place of one executor.
pub(super) struct Seat {
    pub(super) core: Core,
    pub(super) inbox: VecDeque<Envelope>,
    spilled: bool,
    /// A step that is not written yet.
    pub(super) step: Option<Step>,
}

/// What waits for an executor.
pub(super) enum Envelope {
    Asked(Asked),
    Input(Input),
    /// Nothing but a reason to look.
    Wake,
}

/// Who asks a core something.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Client(usize),
    Resume(InstanceId),
    DeadLetter(PartitionId, MessageId, bool),
}

/// A running `async` operation.
pub(super) struct Running {
    pub(super) instance: InstanceId,
    message: MessageId,
    operation: AsyncOperation,
    polls: u32,
}

/// What waits at the gate.
pub(super) struct Released {
    ticket: u64,
    what: Leaving,
}

enum Leaving {
    Told(Asked, Told),
    Start(InstanceId, MessageId, AsyncOperation),
    Room(InstanceId),
}

enum Told {
    Settled(Settled),
    /// The queue is full; this is the door to wait at.
    Full(u64),
}

/// What happened, for someone who looks for the reason of a failure.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) told: bool,
}

impl Story {
    fn tell(&self, event: impl FnOnce() -> String) {
        if self.told {
            eprintln!("{}", event());
        }
    }
}

impl World {
    pub(super) fn new(seed: u64, told: bool) -> Self {
        workload::reset_service();
        let mut random = Random::new(seed);
        let climate = Climate::draw(&mut random);
        let model = Arc::new(Model::new());
        let story = Story { told };
        story.tell(|| format!("{climate:?}"));
        let now = Timestamp(1_000_000);
        let life = Life::open(&model, Build::Good, &climate, &mut random);
        Self {
            random,
            climate,
            now,
            model,
            plans: Plans::default(),
            requests: Vec::new(),
            disordered: BTreeSet::new(),
            disordered_logs: BTreeSet::new(),
            clock_was_set_back: false,
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
        (self.hash.digest(), self.sights)
    }

    fn see(&mut self, sight: Sight, seen: bool) {
        if seen {
            self.sights.insert(sight);
        }
    }

    /// One event.
    fn happen(&mut self) {
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
        }
    }

    fn next_event(&mut self) -> Event {
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

    fn let_time_pass(&mut self) {
        let millis = *self.random.pick(&[0, 1, 1, 3, 50, 1_000, 70_000]);
        self.now.0 += millis;
        if self.climate.forgetful && self.random.chance(10) {
            self.now.0 += 2 * 60 * 60 * 1_000;
        }
    }

    /// An operator does something, if there is something to do.
    fn operate(&mut self) {
        if self.random.chance(50) {
            let kind = *self.random.pick(&Kind::ALL);
            let target = kind.id(&key(&self.climate, &mut self.random));
            self.resume(target);
        } else {
            self.redeliver_one();
        }
    }

    fn resume(&mut self, target: InstanceId) {
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

    pub(super) fn survey(&self) -> Survey {
        Survey::of(self.model.as_ref(), self.climate.partitions)
    }

    /// Puts a request into the inbox of its core.
    pub(super) fn send(&mut self, request: usize) {
        let asked = &mut self.requests[request];
        asked.attempts += 1;
        asked.open += 1;
        let target = asked.target.clone();
        self.send_to(target, Asked::Client(request));
    }

    fn send_to(&mut self, target: InstanceId, asked: Asked) {
        self.story.tell(|| format!("{} {asked:?} of {target}", self.now.0));
        let seat = self.life.seat_of(&target, self.climate.partitions);
        self.life.seats[seat].inbox.push_back(Envelope::Asked(asked));
    }

    /// The core takes in some of what waits for it, and at least the first `least`.
    fn accept(&mut self, index: usize, least: usize) {
        let more = self.life.seats[index].inbox.len() - least;
        let count = least + self.random.index(more + 1);
        self.accept_some(index, count);
    }

    pub(super) fn accept_some(&mut self, index: usize, count: usize) {
        for _ in 0..count {
            let Some(envelope) = self.life.seats[index].inbox.pop_front() else {
                return;
            };
            let input = match envelope {
                Envelope::Wake => continue,
                Envelope::Input(input) => input,
                Envelope::Asked(asked) => {
                    let token = Token(self.life.next_token);
                    self.life.next_token += 1;
                    self.life.waiting.insert((index, token), asked.clone());
                    self.input_of(asked, token)
                }
            };
            self.life.seats[index].core.accept(input);
        }
    }

    fn input_of(&self, asked: Asked, token: Token) -> Input {
        match asked {
            Asked::Client(request) => {
                let request = &self.requests[request];
                Input::Request {
                    target: request.target.clone(),
                    action: request.action.clone(),
                    client: ClientOrigin {
                        token: Some(token),
                        call: request.call,
                        request: request.id.clone(),
                        refuse_when_full: request.refuse_when_full,
                        must_store: false,
                    },
                }
            }
            Asked::Resume(instance) => Input::Resume { instance, token },
            Asked::DeadLetter(partition, id, redeliver) => Input::DeadLetter {
                partition,
                id,
                redeliver,
                token,
            },
        }
    }

    /// The core steps, if there is work, as its executor would.
    pub(super) fn step(&mut self, index: usize) {
        if self.life.failed || self.life.seats[index].step.is_some() {
            return;
        }
        if !self.life.seats[index].has_work(self.now) {
            return;
        }
        let order = Arc::clone(&self.life.order);
        let batch = order.draw_batch_number();
        let stepped = if self.life.seats.len() == 1 {
            let core = &mut self.life.seats[index].core;
            core.step(self.now, batch, order.store().as_ref(), u64::MAX)
        } else {
            let seat = &mut self.life.seats[index];
            let (seen, reader, spilled) = order.snapshot(|| std::mem::take(&mut seat.spilled));
            if spilled {
                seat.core.accept(Input::Spilled);
            }
            let owed = seat.owed(seen);
            self.accept(index, owed);
            let core = &mut self.life.seats[index].core;
            core.step(self.now, batch, reader.as_ref(), seen)
        };
        let step = stepped.expect("the model's reads do not fail");
        check::step(&step, self.model.as_ref());
        self.story
            .tell(|| format!("{} core {index} steps: {}", self.now.0, describe(&step)));
        for change in step.batch.changes() {
            match change {
                Change::Put { key, value } => {
                    self.hash.update(key);
                    self.hash.update(value);
                }
                Change::Delete { key } => self.hash.update(key),
            }
        }
        self.hash.update(format!("{:?}", step.outputs).as_bytes());
        self.life.seats[index].step = Some(step);
    }

    /// Writes the step of a core, delivers its messages, and brings what leaves the process to the gate.
    pub(super) fn commit(&mut self, index: usize) {
        let Some(mut step) = self.life.seats[index].step.take() else {
            return;
        };
        let ticket = self.life.next_ticket;
        self.life.next_ticket += 1;
        let outputs = std::mem::take(&mut step.outputs);
        let items: Vec<Released> = outputs
            .into_iter()
            .map(|output| Released {
                ticket,
                what: self.leaving(index, output),
            })
            .collect();
        if step.batch.is_empty() {
            assert!(step.deliveries.is_empty(), "a delivery without a row");
            self.life.tickets.insert(ticket, self.life.written);
            match self.life.order.hold(items) {
                Ok(Gated::Waiting) => self.see(Sight::ReadAtTheGate, true),
                Ok(Gated::Open(items)) => self.release(items),
                Err((error, items)) => self.fail(&error, items),
            }
            return;
        }
        let mut delivered = 0;
        let committed = self
            .life
            .order
            .commit(&mut step.batch, items, |commit| delivered = commit);
        match committed {
            Ok(number) => {
                assert_eq!(number, self.life.written + 1, "commit numbers have no gaps");
                assert_eq!(
                    number, delivered,
                    "messages are delivered with the number of their commit"
                );
                self.life.written = number;
                self.life.tickets.insert(ticket, number);
                for message in std::mem::take(&mut step.deliveries) {
                    self.deliver(message, number);
                }
            }
            Err((error, items)) => self.fail(&error, items),
        }
    }

    /// What an executor makes of an output before it is brought to the gate.
    fn leaving(&mut self, index: usize, output: Output) -> Leaving {
        let (token, settled) = match output {
            Output::Settle { token, settled } => (token, settled),
            Output::Start {
                instance,
                message,
                operation,
            } => return Leaving::Start(instance, message, operation),
            Output::Room { instance } => return Leaving::Room(instance),
        };
        let asked = self.life.waiting.remove(&(index, token));
        let asked = asked.expect("a client is told once, and only if it asked");
        let told = match (settled, &asked) {
            (Settled::Full(action), Asked::Client(request)) => {
                self.sights.insert(Sight::FullQueue);
                let request = &self.requests[*request];
                assert_eq!(*action, request.action, "the client gets its own action back");
                let life = &mut self.life;
                let door = life.doors.entry(request.target.clone()).or_insert_with(|| {
                    life.next_door += 1;
                    life.next_door
                });
                Told::Full(*door)
            }
            (settled, _) => Told::Settled(settled),
        };
        Leaving::Told(asked, told)
    }

    fn deliver(&mut self, message: Message, commit: u64) {
        self.see(Sight::MessageToAnotherCore, true);
        let limit = match self.climate.spills {
            true => self.life.inbox_limit,
            false => usize::MAX,
        };
        let index = self.life.seat_of(&message.target, self.climate.partitions);
        let seat = &mut self.life.seats[index];
        if seat.spilled {
            return;
        }
        if seat.inbox.len() >= limit {
            seat.spilled = true;
            self.sights.insert(Sight::MessageLeftToItsRow);
            seat.inbox.push_back(Envelope::Wake);
            return;
        }
        seat.inbox
            .push_back(Envelope::Input(Input::Delivery { message, commit }));
    }

    /// What the syncer's thread does once.
    pub(super) fn sync(&mut self) {
        let released = self.life.order.sync();
        match released.error {
            None => self.release(released.items),
            Some(error) => self.fail(&error, released.items),
        }
    }

    /// A write or a sync failed: nothing of `items` may be claimed, and nothing more is released.
    fn fail(&mut self, error: &Error, items: Vec<Released>) {
        self.story.tell(|| format!("{} poisoned: {error}", self.now.0));
        drop(items);
        self.see(Sight::Poison, true);
        self.life.failed = true;
        let after = self.life.order.sync();
        assert!(after.error.is_some(), "a poisoned order stays poisoned");
    }

    /// Things leave the process. Everything that they were derived from has to be durable.
    fn release(&mut self, items: Vec<Released>) {
        let durable = self.life.written - self.model.unsynced() as u64;
        for Released { ticket, what } in items {
            let commit = self.life.tickets[&ticket];
            assert!(
                commit <= durable,
                "something of commit {commit} leaves the process while {durable} is the newest durable one"
            );
            match what {
                Leaving::Told(Asked::Client(request), Told::Settled(settled)) => self.tell(request, &settled),
                Leaving::Told(Asked::Client(request), Told::Full(door)) => self.life.at_door.push((request, door)),
                Leaving::Told(..) => {}
                Leaving::Room(instance) => {
                    if let Some(door) = self.life.doors.remove(&instance) {
                        self.life.open_doors.insert(door);
                    }
                }
                Leaving::Start(instance, message, operation) => {
                    let row = keys::message(instance.partition(self.climate.partitions), &instance, message);
                    let durable = self.model.crash(0).get(&row).unwrap();
                    assert!(
                        durable.is_some(),
                        "{instance} runs an async operation whose message is not durable"
                    );
                    self.life.running.push(Running {
                        instance,
                        message,
                        operation,
                        polls: 0,
                    });
                }
            }
        }
    }

    fn tell(&mut self, index: usize, settled: &Settled) {
        let request = &mut self.requests[index];
        let heard = request.hear(settled);
        self.story
            .tell(|| format!("{} request {index} hears {heard:?}", self.now.0));
        request.open -= 1;
        request.heard.push(heard);
        let finals = request.heard.iter().filter(|heard| heard.is_final()).count();
        let (heard, misuse) = (request.heard.clone(), matches!(request.what, What::Misuse(_)));
        self.see(Sight::AnswerToARetry, finals > 1);
        self.see(Sight::MisusedRequestId, misuse);
        self.see(Sight::CancelInTime, heard.contains(&Heard::Canceled(true)));
        self.see(Sight::CancelTooLate, heard.contains(&Heard::Canceled(false)));
        self.hash.update(&(index as u64).to_le_bytes());
        check::heard(self, index);
    }

    /// Lets one client in that waited for room.
    fn open_a_door(&mut self) {
        let found = self
            .life
            .at_door
            .iter()
            .position(|(_, door)| self.life.open_doors.contains(door));
        if let Some(at) = found {
            let (request, _) = self.life.at_door.remove(at);
            self.requests[request].open -= 1;
            self.send(request);
        }
    }

    fn poll_something(&mut self) {
        if !self.life.running.is_empty() {
            let at = self.random.index(self.life.running.len());
            self.poll(at);
        }
    }

    /// Polls one `async` operation, as tokio would.
    fn poll(&mut self, at: usize) {
        let mut running = self.life.running.remove(at);
        let mut context = Context::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| running.operation.as_mut().poll(&mut context)));
        let ended = match polled {
            Ok(Poll::Ready(finished)) => AsyncEnded::Finished(finished),
            Err(panic) => AsyncEnded::Panicked(panic_text(panic.as_ref())),
            Ok(Poll::Pending) if running.polls == PATIENCE => AsyncEnded::TimedOut,
            Ok(Poll::Pending) => {
                running.polls += 1;
                self.life.running.insert(at, running);
                return;
            }
        };
        self.see(Sight::AsyncTimeout, matches!(ended, AsyncEnded::TimedOut));
        self.see(Sight::AsyncPanic, matches!(ended, AsyncEnded::Panicked(_)));
        let seat = self.life.seat_of(&running.instance, self.climate.partitions);
        let input = Input::AsyncEnded {
            instance: running.instance,
            message: running.message,
            ended,
        };
        self.life.seats[seat].inbox.push_back(Envelope::Input(input));
    }

    /// The process dies, any prefix of what was not synced survives, and the hub is opened again.
    fn crash(&mut self) {
        if !self.life.failed && self.random.chance(30) {
            self.finish();
        }
        let keep = self.random.index(self.model.unsynced() + 1);
        let build = match self.climate.bad_builds && self.random.chance(50) {
            true => *self.random.pick(&Build::BAD),
            false => Build::Good,
        };
        match self.random.chance(10) {
            // The wall clock was set back while the hub was closed.
            true => {
                self.clock_was_set_back = true;
                self.now.0 -= self.random.below(1_000);
            }
            false => self.now.0 += self.random.below(1_000),
        }
        self.reopen(keep, build);
    }

    fn reopen(&mut self, keep: usize, build: Build) {
        let lost = self.model.unsynced() - keep;
        let last = self.life.written - lost as u64;
        self.story.tell(|| {
            format!(
                "{} crash: {lost} commits lost, {last} is the last, then {build:?}",
                self.now.0
            )
        });
        self.model = Arc::new(self.model.crash(keep));
        let survey = self.survey();
        assert_eq!(survey.commit, last, "a crash loses a suffix of the commits");
        self.see(Sight::CrashThatLosesCommits, lost > 0);
        self.see(Sight::CrashWithWaitingMessages, !survey.messages.is_empty());
        self.see(Sight::CrashWhileOperationsRun, !self.life.running.is_empty());
        self.see(Sight::Quarantine, !survey.quarantined.is_empty());
        self.see(Sight::HeldEntity, !self.life.held.is_empty());
        for request in &mut self.requests {
            request.lost += std::mem::take(&mut request.open);
        }
        check::after_crash(self);
        self.life = Life::open(&self.model, build, &self.climate, &mut self.random);
    }

    /// Opens the hub with the good build and lets everything come to its end.
    fn rest(&mut self) {
        let keep = self.random.index(self.model.unsynced() + 1);
        self.reopen(keep, Build::Good);
        // Whoever was held is let go; the good build leaves nobody else waiting.
        for kind in Kind::ALL {
            for number in 0..self.climate.keys {
                self.resume(kind.id(&format!("k{number}")));
            }
        }
        self.finish();
        while self.redeliver_one() || self.wake() {
            self.finish();
        }
    }

    /// Lets everything happen that needs no time and no operator.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            let busy = self.go_on();
            if self.life.failed {
                return;
            }
            if !busy {
                return check::when_idle(self);
            }
        }
        panic!("the hub does not come to rest");
    }

    /// Does everything that can be done without time. Says whether there was anything.
    fn go_on(&mut self) -> bool {
        let mut busy = false;
        for index in 0..self.life.seats.len() {
            busy |= self.life.seats[index].step.is_some();
            self.commit(index);
            let count = self.life.seats[index].inbox.len();
            self.accept_some(index, count);
            if self.life.seats[index].has_work(self.now) {
                busy = true;
                self.step(index);
                self.commit(index);
            }
            busy |= count > 0;
        }
        self.sync();
        while !self.life.running.is_empty() {
            busy = true;
            self.poll(0);
        }
        while self
            .life
            .at_door
            .iter()
            .any(|(_, door)| self.life.open_doors.contains(door))
        {
            busy = true;
            self.open_a_door();
        }
        busy
    }

    /// Goes to the time of the next timer. Says whether there is one.
    fn wake(&mut self) -> bool {
        let next = self.survey().timers.into_iter().min();
        match next.filter(|due| due.0 < super::plan::NEVER_MS) {
            Some(due) => {
                assert!(due > self.now, "a timer that is due does not fire");
                self.now = due;
                true
            }
            None => false,
        }
    }

    /// Lets all request ids expire.
    pub(super) fn forget_requests(&mut self) {
        self.now.0 += 3 * 24 * 60 * 60 * 1_000;
        self.finish();
    }
}

impl Life {
    fn open(model: &Arc<Model>, build: Build, climate: &Climate, random: &mut Random) -> Self {
        let last = match model.get(&keys::COMMIT).unwrap() {
            Some(row) => records::decode(&row, "commit").unwrap(),
            None => CommitRecord {
                number: 0,
                next_batch: 1,
            },
        };
        let cores = random.between(1, climate.most_cores).min(u64::from(climate.partitions)) as usize;
        let limits = climate.limits(random);
        let registry = build.registry();
        let mut held: BTreeSet<InstanceId> = BTreeSet::new();
        if climate.bad_builds && random.chance(20) {
            held.insert(random.pick(&Kind::ALL).id(&key(climate, random)));
        }
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
            Core::open(
                limits.clone(),
                Arc::clone(&registry),
                Arc::new(Progress::default()),
                climate.partitions,
                &owned,
                held,
                model.as_ref(),
            )
            .unwrap()
        };
        let seats = (0..cores).map(|index| Seat {
            core: open_core(index),
            inbox: VecDeque::new(),
            spilled: false,
            step: None,
        });
        Self {
            build,
            held: held.clone(),
            seats: seats.collect(),
            order: Arc::new(CommitOrder::new(model.clone(), last)),
            inbox_limit: random.between(1, 4) as usize,
            waiting: BTreeMap::new(),
            next_token: 0,
            running: Vec::new(),
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

    fn seat_of(&self, instance: &InstanceId, partitions: u16) -> usize {
        usize::from(instance.partition(partitions).0) % self.seats.len()
    }
}

impl Seat {
    fn has_work(&self, now: Timestamp) -> bool {
        self.core.has_work(now) || self.spilled
    }

    /// How many envelopes have to be taken in before a step that shows the commits up to `seen`.
    fn owed(&self, seen: u64) -> usize {
        let seen = |envelope: &Envelope| matches!(envelope, Envelope::Input(Input::Delivery { commit, .. }) if *commit <= seen);
        self.inbox.iter().rposition(seen).map_or(0, |last| last + 1)
    }
}

fn describe(step: &Step) -> String {
    let changes: Vec<String> = step
        .batch
        .changes()
        .map(|change| match change {
            Change::Put { key, .. } => format!("+{}", key.escape_ascii()),
            Change::Delete { key } => format!("-{}", key.escape_ascii()),
        })
        .collect();
    format!(
        "{} {:?} deliveries {:?}",
        changes.join(" "),
        step.outputs,
        step.deliveries
    )
}
