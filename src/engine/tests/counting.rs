//! One core whose reads are counted, for tests of the rows that the engine keeps. The tests simulate clients and run
//! each step.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::task::{Context, Poll, Waker};

use crate::engine::code::AsyncOperation;
use crate::engine::message::{AsyncEnded, ClientOrigin, Effect, Input, Output, Response, Token, WaitUntil, Waiter};
use crate::engine::{Core, CoreConfig, Limits, Registry};
use crate::entity::entity_code;
use crate::error::{ErrorKind, Result};
use crate::failure::CallFailure;
use crate::id::{InstanceId, MessageId, PartitionId};
use crate::model::orchestration::{Order, StartRecord};
use crate::model::{self, Action, PartitionRecord};
use crate::orchestration::orchestration_code;
use crate::prelude::*;
use crate::store::{Model, Reader, Store, Visitor};
use crate::time::{Aging, ClockRecord, Timestamp};
use crate::{Orchestration, orchestration::LocalBoxFuture, schema};

/// Adds up amounts.
#[derive(Clone, Entity, Default, Serialize, Deserialize)]
pub(in crate::engine) struct Counter {
    count: u64,
}

#[operations]
impl Counter {
    pub fn add(&mut self, amount: u64) -> u64 {
        self.count += amount;
        self.count
    }

    pub async fn add_slowly(&mut self, amount: u64) -> u64 {
        self.count += amount;
        self.count
    }
}

/// Reads as many events as its input specifies, and returns their numbers.
struct Collect;

impl Orchestration for Collect {
    const NAME: &'static str = "collect";
    const VERSION: &'static str = "";
    type Input = usize;
    type Output = Vec<usize>;
    type Error = Failure;

    fn run(ctx: OrchestrationContext, count: usize) -> LocalBoxFuture<std::result::Result<Vec<usize>, Failure>> {
        Box::pin(async move {
            let mut numbers = Vec::new();
            while numbers.len() < count {
                let (number, _) = ctx.wait_for_external_event::<(usize, String)>("number").await?;
                numbers.push(number);
            }
            Ok(numbers)
        })
    }
}

/// Sends as many events to `o` as its input specifies.
struct Tell;

impl Orchestration for Tell {
    const NAME: &'static str = "tell";
    const VERSION: &'static str = "";
    type Input = usize;
    type Output = ();
    type Error = Failure;

    fn run(ctx: OrchestrationContext, count: usize) -> LocalBoxFuture<std::result::Result<(), Failure>> {
        Box::pin(async move {
            for number in 0..count {
                ctx.send_event("o", "number", (number, ""));
            }
            Ok(())
        })
    }
}

/// The reply that a client received.
pub(in crate::engine) type Told = std::result::Result<String, ErrorKind>;

pub(in crate::engine) struct Stage {
    pub(in crate::engine) limits: Limits,
    pub(in crate::engine) model: Model,
    pub(in crate::engine) core: Core,
    pub(in crate::engine) now: u64,
    aging: Aging,
    /// The clock record of the newest step with changes.
    clock: ClockRecord,
    batch: u64,
    next_token: u64,
    told: BTreeMap<Token, Told>,
    /// Maximum number of bytes that one step has read.
    pub(in crate::engine) most_read: usize,
    /// Number of rows that all steps have read.
    pub(in crate::engine) rows_read: usize,
    /// Started `async` operations that have not ended.
    pub(in crate::engine) running: Vec<(InstanceId, MessageId, AsyncOperation)>,
}

impl Stage {
    pub(in crate::engine) fn new(limits: Limits) -> Self {
        let model = Model::new();
        let now = 1_000_000_000;
        let aging = Aging::new(Timestamp(now), ClockRecord::default());
        Self {
            core: open(&limits, &model, aging),
            limits,
            model,
            now,
            aging,
            clock: ClockRecord::default(),
            batch: 0,
            next_token: 0,
            told: BTreeMap::new(),
            most_read: 0,
            rows_read: 0,
            running: Vec::new(),
        }
    }

    /// Crashes the hub and opens it again with all written commits.
    pub(in crate::engine) fn reopen(&mut self) {
        self.aging = Aging::new(Timestamp(self.now), self.clock);
        self.core = open(&self.limits, &self.model, self.aging);
    }

    /// Sends a request of a client, optionally under a request id.
    pub(in crate::engine) fn ask(&mut self, target: &str, action: Action, call: bool, request: Option<&str>) -> Token {
        self.next_token += 1;
        let token = Token(self.next_token);
        let client = ClientOrigin {
            token: Some(token),
            call,
            request: request.map(str::to_owned),
            ..ClientOrigin::default()
        };
        let target = InstanceId::trusted(target);
        self.core.accept(Input::Request { target, action, client });
        token
    }

    pub(in crate::engine) fn add(&mut self, entity: &str, amount: u64, request: &str) -> Told {
        let token = self.ask(entity, operation("add", amount), true, Some(request));
        self.answer(token)
    }

    /// Raises an event with a text of `bytes` bytes.
    pub(in crate::engine) fn raise(&mut self, instance: &str, number: usize, bytes: usize, keep: Option<u64>) -> Told {
        let token = self.send_event(instance, number, bytes, keep);
        self.answer(token)
    }

    pub(in crate::engine) fn send_event(
        &mut self,
        instance: &str,
        number: usize,
        bytes: usize,
        keep: Option<u64>,
    ) -> Token {
        let order = Order::Raise {
            name: "number".into(),
            payload: serde_json::to_vec(&(number, "x".repeat(bytes))).unwrap(),
            keep_until: keep.map(|time| Timestamp(self.now + time)),
        };
        self.ask(instance, Action::Order(Box::new(order)), true, None)
    }

    pub(in crate::engine) fn start(&mut self, instance: &str, count: usize, at: Option<Timestamp>) -> Told {
        let token = self.send_start(instance, count, at);
        self.answer(token)
    }

    /// Starts an orchestration that reads `count` events.
    pub(in crate::engine) fn send_start(&mut self, instance: &str, count: usize, at: Option<Timestamp>) -> Token {
        self.send_start_of("collect", instance, count, at)
    }

    /// Starts an orchestration that sends `count` events to `o`.
    pub(in crate::engine) fn start_teller(&mut self, count: usize) -> Told {
        let token = self.send_start_of("tell", "teller", count, None);
        self.answer(token)
    }

    fn send_start_of(&mut self, name: &str, instance: &str, count: usize, at: Option<Timestamp>) -> Token {
        let start = StartRecord {
            name: name.into(),
            input: count.to_string().into(),
            at,
            ..StartRecord::default()
        };
        self.ask(
            instance,
            Action::Order(Box::new(Order::Start(Box::new(start)))),
            true,
            None,
        )
    }

    /// Waits for the end of an orchestration. It must have ended when no work is left.
    pub(in crate::engine) fn result(&mut self, instance: &str) -> Told {
        self.next_token += 1;
        let token = Token::of_wait(self.next_token);
        let instance = InstanceId::trusted(instance);
        let waiter = Waiter {
            token,
            until: WaitUntil::End,
        };
        self.core.accept(Input::Wait { instance, waiter });
        self.answer(token)
    }

    /// Runs steps until there is no work left, and returns the reply to the client.
    pub(in crate::engine) fn answer(&mut self, token: Token) -> Told {
        self.settle();
        self.told(token).expect("the client received a reply")
    }

    pub(in crate::engine) fn told(&self, token: Token) -> Option<Told> {
        self.told.get(&token).cloned()
    }

    pub(in crate::engine) fn settle(&mut self) {
        let mut steps = 0;
        while self.core.has_work(Timestamp(self.now)) {
            self.step();
            steps += 1;
            assert!(steps < 100_000, "the core never becomes idle");
        }
    }

    pub(in crate::engine) fn step(&mut self) {
        self.batch += 1;
        let reader = Counted {
            model: &self.model,
            bytes: Cell::new(0),
            rows: Cell::new(0),
        };
        let step = self
            .core
            .step(Timestamp(self.now), self.batch, &reader, u64::MAX, usize::MAX)
            .unwrap();
        self.most_read = self.most_read.max(reader.bytes.get());
        self.rows_read += reader.rows.get();
        self.model.write(&step.batch).unwrap();
        if !step.batch.is_empty() {
            self.clock = self.aging.record(Timestamp(self.now));
        }
        for output in step.outputs {
            match output {
                Output::Settle { token, settled } => {
                    assert_eq!(
                        self.told.insert(token, read(&settled)),
                        None,
                        "a client receives one reply"
                    );
                }
                Output::Effect(Effect::StartOperation {
                    instance,
                    message,
                    operation,
                }) => self.running.push((instance, message, operation)),
                _ => {}
            }
        }
    }

    /// Ends the started `async` operations.
    pub(in crate::engine) fn finish_async(&mut self) {
        for (instance, message, mut operation) in std::mem::take(&mut self.running) {
            let Poll::Ready(finished) = operation.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
                panic!("the operation does not wait");
            };
            let ended = AsyncEnded::Finished(finished);
            self.core.accept(Input::AsyncEnded {
                instance,
                message,
                ended,
            });
        }
    }

    /// Returns the counters of the only partition.
    pub(in crate::engine) fn counters(&self) -> PartitionRecord {
        let row = self.model.get(&schema::partition::key(PartitionId(0))).unwrap();
        row.map_or_else(PartitionRecord::default, |row| {
            model::decode(&row, "partition").unwrap()
        })
    }

    /// Returns the number of rows in a range.
    pub(in crate::engine) fn count(&self, range: Range<Vec<u8>>) -> usize {
        self.model.scan(range, usize::MAX).unwrap().len()
    }
}

pub(in crate::engine) fn operation(name: &'static str, amount: u64) -> Action {
    Action::Operation {
        operation: name.into(),
        arguments: format!(r#"{{"amount":{amount}}}"#).into_bytes(),
    }
}

fn read(settled: &Response) -> Told {
    match settled {
        Response::Answer(answer) => Ok(String::from_utf8_lossy(answer).into_owned()),
        Response::Accepted => Ok("accepted".to_owned()),
        Response::Full { .. } => Ok("full".to_owned()),
        Response::Failed(failure) => match &**failure {
            CallFailure::Returned(failure) => Ok(failure.to_string()),
            CallFailure::Runtime(error) => Err(error.kind()),
        },
    }
}

fn open(limits: &Limits, model: &Model, aging: Aging) -> Core {
    let mut registry = Registry::default();
    registry.add_entity(entity_code::<Counter>()).unwrap();
    registry.add_orchestration(orchestration_code::<Collect>()).unwrap();
    registry.add_orchestration(orchestration_code::<Tell>()).unwrap();
    let config = CoreConfig {
        aging,
        ..CoreConfig::of_all(1, registry, limits)
    };
    Core::open(config, model).unwrap()
}

/// A reader that counts the bytes and rows that it reads.
struct Counted<'a> {
    model: &'a Model,
    bytes: Cell<usize>,
    rows: Cell<usize>,
}

impl Counted<'_> {
    fn count(&self, values: impl IntoIterator<Item = usize>) {
        for bytes in values {
            self.bytes.set(self.bytes.get() + bytes);
            self.rows.set(self.rows.get() + 1);
        }
    }
}

impl Reader for Counted<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let value = self.model.get(key)?;
        self.count(value.as_ref().map(Vec::len));
        Ok(value)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        let values = self.model.get_many(keys)?;
        self.count(values.iter().flatten().map(Vec::len));
        Ok(values)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.model.visit(range, &mut |key, value| {
            self.count([value.len()]);
            visitor(key, value)
        })
    }
}
