//! What the threads of the executors do: take in, step, commit, deliver.

use std::sync::Arc;

use super::check;
use super::life::{Asked, Envelope, Leaving, Released, Told};
use super::orchestration::RunningJob;
use super::sights::Sight;
use super::world::World;
use crate::commit::Gated;
use crate::engine::Step;
use crate::engine::message::{ClientOrigin, Input, Message, Output, Settled, Token, Waiter};
use crate::store::Change;

impl World {
    /// The core takes in some of what waits for it, and at least the first `least`.
    pub(super) fn accept(&mut self, index: usize, least: usize) {
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
                Envelope::Input(input) => *input,
                Envelope::Asked(asked) => {
                    let token = match &asked {
                        Asked::Wait(_) => Token::of_wait(self.life.next_token),
                        _ => Token(self.life.next_token),
                    };
                    self.life.next_token += 1;
                    self.life.waiting.insert((index, token), asked.clone());
                    self.input_of(asked, token)
                }
            };
            self.life.seats[index].core.accept(input);
        }
    }

    pub(super) fn input_of(&self, asked: Asked, token: Token) -> Input {
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
            Asked::Wait(request) => Input::Wait {
                instance: self.requests[request].target.clone(),
                waiter: Waiter {
                    token,
                    hears_stops: false,
                },
            },
            Asked::Nobody => unreachable!("nobody asks nothing"),
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
        self.forget_who_gave_up(index);
        let order = Arc::clone(&self.life.order);
        let stepped = if self.life.seats.len() == 1 {
            let batch = order.draw_batch_number();
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
            self.go_on_elsewhere(index);
            let batch = order.draw_batch_number();
            let core = &mut self.life.seats[index].core;
            core.step(self.now, batch, reader.as_ref(), seen)
        };
        let step = stepped.expect("the model's reads do not fail");
        for core in self.life.slots.take_news() {
            self.life.seats[core].inbox.push_back(Envelope::Wake);
        }
        let core = &self.life.seats[index].core;
        core.recount();
        let holders = self.life.seats.iter().flat_map(|seat| seat.core.slot_holders());
        self.life.slots.recount(holders);
        let [_, attached, _] = core.clients();
        self.see(Sight::CallShared, attached > 0);
        check::step(&step, self.model.as_ref(), self.climate.orchestrations.is_some());
        self.check_work_of(&step);
        self.note_dropped(&step);
        self.story
            .tell(|| format!("{} core {index} steps: {}", self.now.0, describe(&step)));
        for change in step.batch.changes() {
            match change {
                Change::Put { key, value } | Change::Insert { key, value } => {
                    self.hash.update(key);
                    self.hash.update(value);
                }
                Change::Delete { key } => self.hash.update(key),
            }
        }
        self.hash.update(format!("{:?}", step.outputs).as_bytes());
        self.life.seats[index].step = Some(step);
    }

    /// Another executor goes on while this one has its snapshot, which shows nothing of that. Only where the hub has a machine:
    /// a snapshot of the model cannot do otherwise.
    fn go_on_elsewhere(&mut self, index: usize) {
        let Some(host) = &mut self.host else { return };
        let others = (self.life.seats.len() - index - 1) as u64;
        if others == 0 || !host.chance.one_in(3) {
            return;
        }
        let other = index + 1 + host.chance.below(others) as usize;
        if self.life.seats[other].step.is_none() {
            return self.step(other);
        }
        self.see(Sight::StepBesideACommit, true);
        self.commit(other);
    }

    /// Writes the step of a core, delivers its messages, and brings what leaves the process to the gate.
    pub(super) fn commit(&mut self, index: usize) {
        let Some(mut step) = self.life.seats[index].step.take() else {
            return;
        };
        let ticket = self.life.next_ticket;
        self.life.next_ticket += 1;
        let shown = self.look_at(&step);
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
            .commit(step.now, &mut step.batch, items, |commit| delivered = commit);
        match committed {
            Ok(number) => {
                assert_eq!(number, self.life.written + 1, "commit numbers have no gaps");
                assert_eq!(
                    number, delivered,
                    "messages are delivered with the number of their commit"
                );
                self.life.written = number;
                self.life.tickets.insert(ticket, number);
                self.note_commit(shown, number);
                for message in std::mem::take(&mut step.deliveries) {
                    self.deliver(message, number);
                }
            }
            Err((error, items)) => self.fail(&error, items),
        }
    }

    /// What an executor makes of an output before it is brought to the gate.
    pub(super) fn leaving(&mut self, index: usize, output: Output) -> Leaving {
        let (token, settled) = match output {
            Output::Settle { token, settled } => (token, settled),
            Output::Start {
                instance,
                message,
                operation,
            } => return Leaving::Start(instance, message, operation),
            Output::Room { instance } => return Leaving::Room(instance),
            Output::StartActivity {
                activity,
                name,
                input,
                attempt,
                ..
            } => return Leaving::StartJob(RunningJob::new(activity, name, &input, attempt)),
            Output::CancelActivity { activity } => return Leaving::CancelJob(activity),
        };
        let asked = self.life.waiting.remove(&(index, token));
        let asked = asked.expect("a client is told once, and only if it asked");
        let told = match (settled, &asked) {
            (Settled::Full(message), Asked::Client(request)) => {
                self.sights.insert(Sight::FullQueue);
                let request = &self.requests[*request];
                assert_eq!(message.target, request.target, "the client gets its own message back");
                assert_eq!(message.action, request.action, "the client gets its own message back");
                let client = message.client().expect("the client gets its own message back");
                assert_eq!(
                    (client.call, client.refuse_when_full, &client.request),
                    (request.call, request.refuse_when_full, &request.id),
                    "the client gets its own message back"
                );
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

    pub(super) fn deliver(&mut self, message: Message, commit: u64) {
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
            .push_back(Envelope::Input(Box::new(Input::Delivery { message, commit })));
    }
}

fn describe(step: &Step) -> String {
    let changes: Vec<String> = step
        .batch
        .changes()
        .map(|change| match change {
            Change::Put { key, .. } | Change::Insert { key, .. } => format!("+{}", key.escape_ascii()),
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
