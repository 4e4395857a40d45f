//! The world outside of the cores: the syncer, released outputs, clients, and `async` operations.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use super::check;
use super::clients::{Heard, What};
use super::coverage::CoverageMark;
use super::orchestration::RunningJob;
use super::plan::End;
use super::process::{Asked, Released, Running};
use super::world::World;
use crate::engine::message::{AsyncEnded, Effect, Input, Message};
use crate::engine::panic_text;
use crate::error::{Error, ErrorKind};
use crate::runtime::driver::Release;
use crate::runtime::{Envelope, Response};
use crate::schema;
use crate::store::Reader;

/// How often an `async` operation is polled before it counts as one that never ends.
const PATIENCE: u32 = 12;

impl World {
    /// Runs the syncer once.
    pub(super) fn sync(&mut self) {
        let released = self.process.order.sync();
        match released.error {
            None => self.release(released.items),
            Some(error) => self.fail(&error, released.items),
        }
    }

    /// A write or a sync failed: nothing of `items` may be claimed, and nothing more is released.
    pub(super) fn fail(&mut self, error: &Error, items: Vec<Released>) {
        self.story.tell(|| format!("{} poisoned: {error}", self.now.0));
        drop(items);
        self.see(CoverageMark::Poison, true);
        self.process.failed = true;
        let after = self.process.order.sync();
        assert!(after.error.is_some(), "a poisoned order stays poisoned");
    }

    /// Things leave the process. Everything that they were derived from has to be durable.
    pub(super) fn release(&mut self, items: Vec<Released>) {
        let durable = self.process.written - self.model.unsynced() as u64;
        for Released { ticket, what } in items {
            let commit = self.process.tickets[&ticket];
            assert!(
                commit <= durable,
                "something of commit {commit} leaves the process while {durable} is the newest durable one"
            );
            match what {
                Release::Reply { client, response } => self.respond(client, response),
                Release::Effect(effect) => self.carry_out(effect),
            }
        }
    }

    /// A client receives its response.
    fn respond(&mut self, client: Asked, response: Response) {
        match (client, response) {
            (Asked::Client(request), Response::Full { message, door }) => {
                self.see(CoverageMark::FullQueue, true);
                self.gets_its_message_back(request, &message);
                self.process.at_door.push((request, door));
            }
            (Asked::Client(request), response) => self.tell(request, &response),
            (Asked::Wait(request), response) => self.tell_end(request, &response),
            (Asked::Mail(from), response) => self.answer_letter(from, &response),
            (Asked::Nobody | Asked::Resume(_) | Asked::DeadLetter(..), _) => {}
        }
    }

    fn gets_its_message_back(&self, request: usize, message: &Message) {
        let request = &self.requests[request];
        let client = message.client().expect("a client gets its own message back");
        assert_eq!(
            (&message.target, &message.action),
            (&request.target, &request.action),
            "a client gets its own message back"
        );
        assert_eq!(
            (client.call, client.refuse_when_full, &client.request),
            (request.call, request.refuse_when_full, &request.id),
            "a client gets its own message back"
        );
    }

    /// Something happens outside of the cores.
    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::StartActivity(start) => self.start_job(RunningJob::new(*start)),
            Effect::CancelActivity { activity } => self.cancel_job(&activity),
            Effect::Changes(changes) => self.process.mirror.follow(changes),
            Effect::Room { instance } => self.process.room.open(&instance),
            Effect::Mail { to, newest } => self.post(to, newest),
            Effect::Span(span) => {
                let is_new = self.spans.insert(span.context.to_string());
                assert!(is_new, "a span was exported twice: {span:?}");
                self.see(CoverageMark::Span, true);
            }
            Effect::StartOperation {
                instance,
                message,
                operation,
            } => {
                let partition = instance.partition(self.profile.partitions);
                let durable = self.model.crash(0);
                let rows = [
                    schema::message::key(partition, &instance, message),
                    schema::priority::key(partition, &instance, message),
                ];
                assert!(
                    rows.iter().any(|row| durable.get(row).unwrap().is_some()),
                    "{instance} runs an async operation whose message is not durable"
                );
                self.process.running.push(Running {
                    instance,
                    message,
                    operation,
                    polls: 0,
                });
            }
        }
    }

    pub(super) fn tell(&mut self, index: usize, settled: &Response) {
        let request = &mut self.requests[index];
        let heard = request.hear(settled);
        self.story
            .tell(|| format!("{} request {index} receives {heard:?}", self.now.0));
        request.open -= 1;
        request.heard.push(heard);
        let finals = request.heard.iter().filter(|heard| heard.is_final()).count();
        let refuses_when_full = request.refuse_when_full || matches!(request.what, What::Order(_));
        let (heard, misuse) = (request.heard.clone(), matches!(request.what, What::Misuse(_)));
        self.see(CoverageMark::AnswerToARetry, finals > 1);
        self.see(CoverageMark::MisusedRequestId, misuse);
        let refused = heard.contains(&Heard::Failed(ErrorKind::Overloaded)) && !refuses_when_full;
        self.see(CoverageMark::RequestIdRefused, refused);
        self.see(CoverageMark::CancelInTime, heard.contains(&Heard::Canceled(true)));
        self.see(CoverageMark::CancelTooLate, heard.contains(&Heard::Canceled(false)));
        self.see_answer(index);
        self.hash.update(&(index as u64).to_le_bytes());
        check::heard(self, index);
        if let What::Work(work) = self.requests[index].what
            && self.plans.nodes[&work].end == End::Disputed
        {
            let request = self.requests[index].clone();
            let heard = request.heard.last().expect("something was heard");
            self.check_dispute(&request, heard);
        }
    }

    /// Lets one client in that waited for room.
    pub(super) fn open_a_door(&mut self) {
        let found = self.process.at_door.iter().position(|(_, door)| door.is_open());
        if let Some(at) = found {
            let (request, _) = self.process.at_door.remove(at);
            self.requests[request].open -= 1;
            self.send(request);
        }
    }

    pub(super) fn poll_something(&mut self) {
        if !self.process.running.is_empty() {
            let at = self.random.index(self.process.running.len());
            self.poll(at);
        }
    }

    /// Polls one `async` operation, as tokio would.
    pub(super) fn poll(&mut self, at: usize) {
        let mut running = self.process.running.remove(at);
        let mut context = Context::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| running.operation.as_mut().poll(&mut context)));
        let ended = match polled {
            Ok(Poll::Ready(finished)) => AsyncEnded::Finished(finished),
            Err(panic) => AsyncEnded::Panicked(panic_text(panic.as_ref())),
            Ok(Poll::Pending) if running.polls == PATIENCE => AsyncEnded::TimedOut,
            Ok(Poll::Pending) => {
                running.polls += 1;
                self.process.running.insert(at, running);
                return;
            }
        };
        self.see(CoverageMark::AsyncTimeout, matches!(ended, AsyncEnded::TimedOut));
        self.see(CoverageMark::AsyncPanic, matches!(ended, AsyncEnded::Panicked(_)));
        let slot = self.process.slot_of(&running.instance, self.profile.partitions);
        let input = Input::AsyncEnded {
            instance: running.instance,
            message: running.message,
            ended,
        };
        self.process.cores[slot].inbox.send(Envelope::Input(Box::new(input)));
    }
}
