//! The executors: each runs the driver of production, one action at a time.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::check;
use super::coverage::CoverageMark;
use super::process::{Asked, Released};
use super::world::World;
use crate::commit::Gated;
use crate::engine::CoreStep;
use crate::engine::message::{ClientOrigin, Message, OperatorRequest, Output, Token, WaitUntil, Waiter};
use crate::runtime::Envelope;
use crate::runtime::driver::Committed;
use crate::store::Change;

impl World {
    /// The core takes in some of what waits for it, and at least the first `least`.
    pub(super) fn accept(&mut self, index: usize, least: usize) {
        let more = self.process.cores[index].inbox.len() - least;
        let count = least + self.random.index(more + 1);
        self.accept_some(index, count);
    }

    pub(super) fn accept_some(&mut self, index: usize, count: usize) {
        self.process.cores[index].driver.receive(count);
    }

    /// The envelope in which a client asks its core.
    pub(super) fn envelope(&mut self, asked: Asked) -> Envelope<Asked> {
        match asked {
            Asked::Client(request) => {
                let request = &self.requests[request];
                Envelope::Request {
                    target: request.target.clone(),
                    action: request.action.clone(),
                    client: ClientOrigin {
                        token: None,
                        call: request.call,
                        request: request.id.clone(),
                        refuse_when_full: request.refuse_when_full,
                        must_store: false,
                        trace: None,
                    },
                    reply: asked,
                }
            }
            Asked::Wait(request) => {
                self.process.waits += 1;
                Envelope::Wait {
                    instance: self.requests[request].target.clone(),
                    waiter: Waiter {
                        token: Token::of_wait(self.process.waits),
                        until: WaitUntil::End,
                    },
                    reply: asked,
                }
            }
            Asked::Nobody | Asked::Mail(_) => unreachable!("no client asks this"),
            Asked::Resume(ref instance) => {
                let request = OperatorRequest::Resume(instance.clone());
                Envelope::Operator { request, reply: asked }
            }
            Asked::DeadLetter(partition, id, fate) => {
                let request = OperatorRequest::DeadLetter { partition, id, fate };
                Envelope::Operator { request, reply: asked }
            }
        }
    }

    /// The core steps, if there is work, as its executor would.
    pub(super) fn step(&mut self, index: usize) {
        if self.process.failed || self.process.cores[index].step.is_some() {
            return;
        }
        if !self.process.cores[index].driver.has_work(self.now) {
            return;
        }
        self.forget_who_gave_up(index);
        let order = Arc::clone(&self.process.order);
        let view = self.process.cores[index].driver.view(&order);
        let at_most = if self.process.cores[index].driver.is_alone() {
            self.portion()
        } else {
            let owed = self.process.cores[index].driver.inbox().owed(view.seen);
            self.accept(index, owed);
            self.go_on_elsewhere(index);
            usize::MAX
        };
        let step = self.process.cores[index].driver.step(view, &order, self.now, at_most);
        let step = step.expect("the model's reads do not fail");
        for core in self.process.slots.take_wakeups() {
            self.process.cores[core].inbox.send(Envelope::Wake);
        }
        let core = self.process.cores[index].driver.core();
        core.recount();
        let holders = self
            .process
            .cores
            .iter()
            .flat_map(|slot| slot.driver.core().slot_holders());
        self.process.slots.recount(holders);
        let [_, attached, _] = core.clients();
        self.see(CoverageMark::CallShared, attached > 0);
        let driver = &self.process.cores[index].driver;
        let left = driver.is_alone() && driver.core().inputs() > 0;
        self.see(CoverageMark::InputsLeft, left);
        check::step(&step, self.model.as_ref(), self.profile.orchestrations.is_some());
        self.check_work_of(&step);
        self.note_dropped(&step);
        self.note_refused(&step);
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
        self.process.cores[index].step = Some(step);
    }

    /// Returns the maximum number of inputs of a step.
    fn portion(&mut self) -> usize {
        let Some(portions) = &mut self.portions else {
            return usize::MAX;
        };
        if portions.chance(20) {
            portions.between(1, 3) as usize
        } else {
            usize::MAX
        }
    }

    /// Another executor goes on while this one has its snapshot, which shows nothing of that. Only where the hub has a
    /// machine: a snapshot of the model cannot do otherwise.
    fn go_on_elsewhere(&mut self, index: usize) {
        let Some(host) = &mut self.host else { return };
        let others = (self.process.cores.len() - index - 1) as u64;
        if others == 0 || !host.chance().one_in(3) {
            return;
        }
        let other = index + 1 + host.chance().below(others) as usize;
        if self.process.cores[other].step.is_none() {
            return self.step(other);
        }
        self.see(CoverageMark::StepBesideACommit, true);
        self.commit(other);
    }

    /// Writes the step of a core, delivers its messages, and brings what leaves the process to the gate.
    pub(super) fn commit(&mut self, index: usize) {
        let Some(mut step) = self.process.cores[index].step.take() else {
            return;
        };
        self.forget(&mut step);
        let ticket = self.process.next_ticket;
        self.process.next_ticket += 1;
        let shown = self.look_at(&step);
        self.see(CoverageMark::MessageToAnotherCore, !step.deliveries.is_empty());
        self.each_settled_client_waits(index, &step);
        let number = self.process.written + u64::from(!step.batch.is_empty());
        assert!(
            number > self.process.written || step.deliveries.is_empty(),
            "a delivery without a row"
        );
        self.process.tickets.insert(ticket, number);
        let order = Arc::clone(&self.process.order);
        let inboxes: Vec<_> = self.process.cores.iter().map(|slot| Arc::clone(&slot.inbox)).collect();
        let partitions = self.profile.partitions;
        let deliver = |message: Message, commit| {
            assert_eq!(number, commit, "messages are delivered with the number of their commit");
            let slot = usize::from(message.target.partition(partitions).0) % inboxes.len();
            inboxes[slot].deliver(message, commit);
        };
        let wrap = |what| Released { ticket, what };
        let (driver, room) = (&mut self.process.cores[index].driver, &self.process.room);
        match driver.commit(step, &order, room, wrap, deliver) {
            Ok(Committed::Written) => {
                assert_eq!(number, order.watermarks().0, "commit numbers have no gaps");
                self.process.written = number;
                self.note_commit(shown, (self.shards.here.id, number));
            }
            Ok(Committed::Read(Gated::Waiting)) => self.see(CoverageMark::ReadAtTheGate, true),
            Ok(Committed::Read(Gated::Open(items))) => self.release(items),
            Err((error, items)) => self.fail(&error, items),
        }
        let mut cores = self.process.cores.iter();
        let spilled = cores.any(|slot| slot.driver.inbox().has_spilled());
        self.see(CoverageMark::MessageLeftToItsRow, spilled);
    }

    /// A client receives one response, and only if it has asked. One that waits for an end may have gone away.
    fn each_settled_client_waits(&self, index: usize, step: &CoreStep) {
        let clients = self.process.cores[index].driver.clients();
        let mut waiting: BTreeSet<Token> = clients.into_iter().map(|(token, _)| token).collect();
        for output in &step.outputs {
            if let Output::Settle { token, .. } = output {
                assert!(waiting.remove(token) || token.is_wait(), "{output:?} for no one");
            }
        }
    }
}

fn describe(step: &CoreStep) -> String {
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
