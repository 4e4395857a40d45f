//! One core on one store. The test simulates the clients.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::memory;
use crate::ErrorKind;
use crate::engine::code::AsyncOperation;
use crate::engine::message::{AsyncEnded, ClientOrigin, Effect, Input, Message, Output, Response, Token};
use crate::engine::{Core, CoreConfig, Limits, Registry};
use crate::entity::entity_code;
use crate::failure::CallFailure;
use crate::id::{InstanceId, MessageId, PartitionId};
use crate::model::{self, Action, StateRecord};
use crate::orchestration::orchestration_code;
use crate::prelude::*;
use crate::schema;
use crate::store::{Model, Page, PageBounds, Reader, Store, Visitor};
use crate::time::{Aging, ClockRecord, Timestamp};

/// Adds up numbers.
#[derive(Clone, Debug, Entity, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    sum: u64,
    #[serde(default)]
    text: String,
}

#[operations]
impl Tally {
    pub fn add(&mut self, n: u64) -> u64 {
        self.sum += n;
        self.sum
    }

    /// Adds one, and decodes a long text.
    pub fn note(&mut self, text: String) {
        let _ = text;
        self.sum += 1;
    }

    /// Keeps a long text.
    pub fn keep(&mut self, text: String) {
        self.text = text;
        self.sum += 1;
    }

    pub async fn add_slowly(&mut self, n: u64) -> u64 {
        self.sum += n;
        self.sum
    }

    /// Schedules an addition to the tally `a`.
    pub fn add_later(&mut self, ctx: &mut EntityContext, n: u64) {
        self.sum += 1;
        ctx.entity::<Tally>("a").add(n).signal_after(Duration::from_secs(1));
    }
}

/// A reader that records the maximum size of one read.
pub(super) struct Weighed<'a> {
    model: &'a Model,
    most: &'a Cell<usize>,
}

impl Weighed<'_> {
    fn note(&self, bytes: usize) {
        self.most.set(self.most.get().max(bytes));
    }
}

impl Reader for Weighed<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.model.get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let rows = self.model.get_many(keys)?;
        self.note(rows.iter().flatten().map(Vec::len).sum());
        Ok(rows)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<(), Error> {
        self.model.visit(range, visitor)
    }

    fn page(&self, range: Range<Vec<u8>>, bounds: PageBounds) -> Result<Page, Error> {
        let page = self.model.page(range, bounds)?;
        self.note(page.bytes);
        Ok(page)
    }
}

pub(super) struct Stage {
    pub(super) core: Core,
    pub(super) model: Model,
    pub(super) now: u64,
    limits: Limits,
    held: BTreeSet<InstanceId>,
    aging: Aging,
    batch: u64,
    next_token: u64,
    told: BTreeMap<Token, Response>,
    running: Vec<(InstanceId, MessageId, AsyncOperation)>,
    /// Maximum number of bytes of one read.
    pub(super) most_read: Cell<usize>,
    /// Maximum number of bytes of messages in memory between two steps.
    pub(super) most_waiting: usize,
}

impl Stage {
    /// Creates a hub with one core and one partition.
    pub(super) fn new(limits: Limits) -> Self {
        let model = Model::new();
        let now = 1_000;
        let aging = Aging::new(Timestamp(now), ClockRecord::default());
        Self {
            core: open(&limits, &model, BTreeSet::new(), aging),
            model,
            now,
            limits,
            held: BTreeSet::new(),
            aging,
            batch: 1,
            next_token: 0,
            told: BTreeMap::new(),
            running: Vec::new(),
            most_read: Cell::new(0),
            most_waiting: 0,
        }
    }

    /// Crashes the hub and opens it again. All written commits are kept.
    pub(super) fn reopen(&mut self) {
        self.reopen_after(0);
    }

    /// Like [`reopen`](Self::reopen), but `millis` milliseconds later by the clock.
    pub(super) fn reopen_after(&mut self, millis: u64) {
        let last = self.aging.record(Timestamp(self.now));
        self.now += millis;
        self.aging = Aging::new(Timestamp(self.now), last);
        self.running.clear();
        self.core = open(&self.limits, &self.model, self.held.clone(), self.aging);
    }

    /// Sends a message of a client that waits until the message is stored.
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

    /// Sends a call of a client under a request id.
    pub(super) fn request(&mut self, target: &InstanceId, action: Action, request: &str) -> Token {
        self.next_token += 1;
        let token = Token(self.next_token);
        self.core.accept(Input::Request {
            target: target.clone(),
            action,
            client: ClientOrigin {
                token: Some(token),
                call: true,
                request: Some(request.to_owned()),
                ..ClientOrigin::default()
            },
        });
        token
    }

    /// Schedules `add(n)` on behalf of a client, under the name of a timer.
    pub(super) fn schedule(&mut self, target: &InstanceId, timer: &str, due: u64, n: u64) {
        let action = Action::Schedule {
            timer: timer.to_owned(),
            due: Timestamp(due),
            operation: "add".into(),
            arguments: arguments(n),
        };
        self.signal(target, action);
    }

    /// Runs one step, as the executor does.
    pub(super) fn step(&mut self) {
        self.batch += 1;
        let now = Timestamp(self.now);
        let reader = Weighed {
            model: &self.model,
            most: &self.most_read,
        };
        let step = self.core.step(now, self.batch, &reader, u64::MAX, usize::MAX).unwrap();
        self.model.write(&step.batch).unwrap();
        for output in step.outputs {
            match output {
                Output::Settle { token, settled } => drop(self.told.insert(token, settled)),
                Output::Effect(Effect::StartOperation {
                    instance,
                    message,
                    operation,
                }) => self.running.push((instance, message, operation)),
                Output::Effect(Effect::Room { .. } | Effect::Mail { .. }) => {}
                other => panic!("unexpected: {other:?}"),
            }
        }
        let mailboxes = self.core.mailboxes().iter().map(|(_, mailbox)| mailbox);
        let messages = mailboxes.flat_map(|mailbox| mailbox.waiting.iter().chain(&mailbox.arrivals));
        self.most_waiting = self.most_waiting.max(messages.map(Message::weight).sum());
    }

    /// Ends the running `async` operations.
    pub(super) fn finish_async(&mut self) {
        for (instance, message, mut operation) in std::mem::take(&mut self.running) {
            let Poll::Ready(finished) = operation.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
                panic!("the operation does not wait");
            };
            self.core.accept(Input::AsyncEnded {
                instance,
                message,
                ended: AsyncEnded::Finished(finished),
            });
        }
    }

    /// Exceeds the time limit of the running `async` operations. They block their threads and keep running.
    pub(super) fn linger_async(&mut self) {
        for (instance, message, _) in &self.running {
            self.core.accept(Input::AsyncEnded {
                instance: instance.clone(),
                message: *message,
                ended: AsyncEnded::Lingers,
            });
        }
    }

    /// Returns the number of running `async` operations.
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Returns `Ok` if the request of a client was acknowledged as stored or done, and otherwise the kind of its error.
    pub(super) fn told(&self, token: Token) -> Result<(), ErrorKind> {
        match &self.told[&token] {
            Response::Answer(_) | Response::Accepted => Ok(()),
            Response::Failed(failure) => match failure.as_ref() {
                CallFailure::Runtime(error) => Err(error.kind()),
                CallFailure::Returned(failure) => panic!("unexpected: {failure}"),
            },
            Response::Full { .. } => Err(ErrorKind::Overloaded),
        }
    }

    /// Returns `true` if the request of a client has received a reply.
    pub(super) fn is_told(&self, token: Token) -> bool {
        self.told.contains_key(&token)
    }

    /// Holds an entity on behalf of an operator, from the next open on.
    pub(super) fn hold(&mut self, id: &InstanceId) {
        self.held.insert(id.clone());
    }

    /// Runs steps until there is no work left at this time.
    pub(super) fn settle(&mut self) {
        let mut steps = 0;
        while self.core.has_work(Timestamp(self.now)) {
            self.step();
            steps += 1;
            assert!(steps < 100_000, "the core never becomes idle");
        }
    }

    /// Returns the number of orchestrations with a row.
    pub(super) fn ended_or_alive(&self) -> usize {
        let range = schema::orchestration::with_prefix(PartitionId(0), "");
        Reader::scan(&self.model, range, usize::MAX).unwrap().len()
    }

    /// Returns the stored sum of an entity.
    pub(super) fn sum(&self, id: &InstanceId) -> u64 {
        let key = schema::state::key(PartitionId(0), id);
        let Some(row) = self.model.get(&key).unwrap() else {
            return 0;
        };
        let record: StateRecord<'_> = model::decode(&row, "state").unwrap();
        serde_json::from_slice::<Tally>(record.state).unwrap().sum
    }
}

fn open(limits: &Limits, model: &Model, held: BTreeSet<InstanceId>, aging: Aging) -> Core {
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
        held,
        aging,
        ..CoreConfig::of_all(1, registry, limits)
    };
    Core::open(config, model).unwrap()
}

pub(super) fn tally(key: &str) -> InstanceId {
    InstanceId::trusted(format!("@tally@{key}"))
}

/// Returns an operation with a text of `bytes` bytes as its argument.
pub(super) fn with_text(operation: &'static str, bytes: usize) -> Action {
    Action::Operation {
        operation: operation.into(),
        arguments: serde_json::json!({ "text": "x".repeat(bytes) })
            .to_string()
            .into_bytes(),
    }
}

/// Returns an operation with a number as its argument.
pub(super) fn with_number(operation: &'static str, n: u64) -> Action {
    Action::Operation {
        operation: operation.into(),
        arguments: arguments(n),
    }
}

pub(super) fn arguments(n: u64) -> Vec<u8> {
    serde_json::json!({ "n": n }).to_string().into_bytes()
}
