//! A core on the model store. The tests control the messages and activities of its orchestrations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::code::OrchestrationCode;
use crate::engine::core::CoreConfig;
use crate::engine::message::{ClientOrigin, Effect, Input, Message, Origin, Output, Response, Token};
use crate::engine::{ChangeKind, ChangeKinds, Core, CoreStep, Limits, Registry, WatchedKinds};
use crate::error::{Error, ErrorKind};
use crate::failure::CallFailure;
use crate::id::{ExecutionId, InstanceId, MessageId, PartitionId};
use crate::model::Action;
use crate::model::history::{Parent, TurnRecord};
use crate::model::orchestration::{OrchestrationRecord, OrchestrationStatus, Order, ReusePolicy, StartRecord};
use crate::orchestration::orchestration_code;
use crate::prelude::*;
use crate::schema;
use crate::store::{Batch, Model, Reader, Store};
use crate::time::Timestamp;
use crate::views::orchestrations::{record, start_of};
use crate::views::turns::read_turns;
use crate::{OrchestrationContext, orchestration};

mod children;
mod orders;
mod traces;
mod watching;

const PARTITIONS: u16 = 4;

/// Returns its input, after the event `go` if the input is 0.
#[orchestration]
async fn echo(ctx: OrchestrationContext, n: u32) -> Result<u32, Failure> {
    if n == 0 {
        ctx.wait_for_external_event::<()>("go").await?;
    }
    Ok(n)
}

/// Continues as new forever.
#[orchestration]
async fn spins(ctx: OrchestrationContext, n: u32) -> Result<(), Failure> {
    ctx.continue_as_new(n + 1).await
}

/// Waits for the event `go` and returns its version. Panics if its input is 0.
#[orchestration(version = "2")]
async fn moody(ctx: OrchestrationContext, n: u32) -> Result<(u32, String), Failure> {
    assert!(n > 0, "in a bad mood");
    let event = ctx.wait_for_external_event::<()>("go").await;
    event.map(|()| (n, ctx.version().to_owned())).map_err(Failure::from)
}

/// A hub with one core and no threads.
struct Stage {
    model: Model,
    core: Core,
    now: u64,
    batch: u64,
    tokens: u64,
    answers: BTreeMap<Token, Response>,
    /// All steps, in order.
    steps: Vec<CoreStep>,
}

impl Stage {
    fn open() -> Self {
        let model = Model::new();
        Self {
            core: Self::core(&model, &[orchestration_code::<echo>(), orchestration_code::<spins>()]),
            model,
            now: 1_000,
            batch: 1,
            tokens: 0,
            answers: BTreeMap::new(),
            steps: Vec::new(),
        }
    }

    /// Reopens the store with a build that has this code.
    fn reopen(&mut self, code: &[Arc<dyn OrchestrationCode>]) {
        self.core = Self::core(&self.model, code);
        self.run();
    }

    fn core(model: &Model, code: &[Arc<dyn OrchestrationCode>]) -> Core {
        let mut registry = Registry::default();
        for code in code {
            registry.add_orchestration(Arc::clone(code)).unwrap();
        }
        let watched = WatchedKinds::default();
        watched.set(ChangeKinds::from_iter(ChangeKind::ALL));
        let config = CoreConfig {
            watched: Arc::new(watched),
            ..CoreConfig::of_all(PARTITIONS, registry, &Limits::default())
        };
        Core::open(config, model).unwrap()
    }

    /// Runs steps until there is no work left.
    fn run(&mut self) {
        while self.core.has_work(Timestamp(self.now)) {
            self.step();
        }
    }

    fn step(&mut self) {
        self.now += 1;
        self.batch += 1;
        let now = Timestamp(self.now);
        let step = self
            .core
            .step(now, self.batch, &self.model, u64::MAX, usize::MAX)
            .unwrap();
        if !step.batch.is_empty() {
            self.model.write(&step.batch).unwrap();
        }
        for output in &step.outputs {
            if let Output::Settle { token, settled } = output {
                self.answers.insert(*token, settled.clone());
            }
        }
        self.steps.push(step);
    }

    /// Returns the effects of all steps, in order.
    fn effects(&self) -> impl Iterator<Item = &Effect> {
        let outputs = self.steps.iter().flat_map(|step| &step.outputs);
        outputs.filter_map(|output| match output {
            Output::Effect(effect) => Some(effect),
            Output::Settle { .. } => None,
        })
    }

    /// Returns the history of the current execution of an orchestration.
    fn turns(&self, id: &str) -> Vec<TurnRecord> {
        let record = self.record(id).unwrap();
        let id = InstanceId::trusted(id);
        let mut turns = Vec::new();
        let push = |_, turn| {
            turns.push(turn);
            true
        };
        read_turns(
            &self.model,
            id.partition(PARTITIONS),
            &id,
            &record,
            0..record.turns,
            push,
        )
        .unwrap();
        turns
    }

    /// Returns the start of the current execution of an orchestration.
    fn start_of(&self, id: &str) -> StartRecord {
        let record = self.record(id).unwrap();
        let id = InstanceId::trusted(id);
        start_of(&self.model, id.partition(PARTITIONS), &id, &record).unwrap()
    }

    /// Sends an order of a client and returns its result.
    fn tell(&mut self, id: &str, order: Order) -> Result<(), Error> {
        let token = self.send(id, order);
        self.run();
        match self.answers.remove(&token) {
            Some(Response::Failed(failure)) => match *failure {
                CallFailure::Runtime(error) => Err(error),
                failure => panic!("{failure:?}"),
            },
            Some(_) => Ok(()),
            None => panic!("there is no response"),
        }
    }

    /// Sends an order of a client, which the next step processes.
    fn send(&mut self, id: &str, order: Order) -> Token {
        self.tokens += 1;
        let token = Token(self.tokens);
        self.core.accept(Input::Request {
            target: InstanceId::trusted(id),
            action: Action::Order(Box::new(order)),
            client: ClientOrigin {
                token: Some(token),
                call: true,
                ..ClientOrigin::default()
            },
        });
        token
    }

    /// Writes and delivers messages of `from` as another core does, in one commit.
    fn deliver(&mut self, from: &str, id: &str, orders: Vec<Order>) {
        self.batch += 1;
        let target = InstanceId::trusted(id);
        let mut batch = Batch::default();
        for (index, order) in (0..).zip(orders) {
            let message = Message {
                stored: true,
                ..Message::new(
                    MessageId {
                        batch: self.batch,
                        index,
                    },
                    target.clone(),
                    Action::Order(Box::new(order)),
                    Origin::Instance(InstanceId::trusted(from)),
                )
            };
            let (key, value) = message.row(target.partition(PARTITIONS)).unwrap();
            batch.put(&key, &value);
            self.core.accept(Input::Delivery { message, commit: 0 });
        }
        self.model.write(&batch).unwrap();
        self.run();
    }

    fn record(&self, id: &str) -> Option<OrchestrationRecord> {
        let id = InstanceId::trusted(id);
        record(&self.model, id.partition(PARTITIONS), &id).unwrap()
    }

    fn status(&self, id: &str) -> OrchestrationStatus {
        self.record(id).unwrap().status
    }
}

fn start(n: u32) -> StartRecord {
    StartRecord {
        name: "echo".into(),
        input: n.to_string().into_bytes(),
        ..StartRecord::default()
    }
}

fn moody_start(n: u32) -> StartRecord {
    StartRecord {
        name: "moody".into(),
        ..start(n)
    }
}

fn go() -> Order {
    Order::Raise {
        name: "go".into(),
        payload: b"null".to_vec(),
        keep_until: None,
    }
}

fn begin(n: u32) -> Order {
    Order::Start(Box::new(start(n)))
}

/// Returns the start that a parent requests with its step, in an execution of this number.
fn wanted(n: u32, execution: u8) -> StartRecord {
    StartRecord {
        parent: Some(Parent {
            instance: "parent".into(),
            execution: ExecutionId([execution; 16]),
            sequence: 3,
        }),
        ..start(n)
    }
}

fn unwanted(execution: u8) -> Order {
    Order::CancelChild {
        parent: wanted(0, execution).parent.unwrap(),
        reason: None,
        terminated: false,
    }
}

fn rewind(start: StartRecord) -> Order {
    Order::Rewind {
        reason: "fixed".into(),
        start: Some(Box::new(start)),
    }
}

/// A sub-orchestration that is canceled before its start was processed exists as canceled, with its input, and starts
/// again when its parent is rewound. So does one that does not exist.
#[test]
fn a_child_that_never_began_is_there_and_can_begin() {
    let mut stage = Stage::open();
    stage.deliver("parent", "kid", vec![Order::Start(Box::new(wanted(7, 1))), unwanted(1)]);
    let record = stage.record("kid").unwrap();
    assert_eq!((record.status, record.turns), (OrchestrationStatus::Canceled, 0));
    assert_eq!(
        stage.start_of("kid"),
        StartRecord {
            version: Some(String::new()),
            ..wanted(7, 1)
        }
    );
    for id in ["kid", "purged"] {
        stage.deliver("parent", id, vec![rewind(wanted(7, 2))]);
        let record = stage.record(id).unwrap();
        assert_eq!(record.status, OrchestrationStatus::Completed, "{id}");
        assert_eq!(record.parent, wanted(7, 2).parent, "{id}");
    }
}

/// A child that its parent rewinds, and that no build can run yet, still begins after the next open.
#[test]
fn a_rewound_child_whose_code_is_gone_begins_with_the_build_that_has_it() {
    let mut stage = Stage::open();
    let wanted = StartRecord {
        name: "moody".into(),
        ..wanted(1, 2)
    };
    stage.deliver("parent", "kid", vec![rewind(wanted)]);
    assert!(stage.record("kid").unwrap().stopped.is_some());
    stage.reopen(&[orchestration_code::<moody>()]);
    assert_eq!(stage.status("kid"), OrchestrationStatus::Running);
    stage.tell("kid", go()).unwrap();
    assert_eq!(stage.status("kid"), OrchestrationStatus::Completed);
}

/// Messages that a parent sends after it has requested a child again are for the child that begins then. This is true
/// even if the order and the messages are processed late.
#[test]
fn an_event_that_follows_a_rewind_is_for_the_child_that_begins_with_it() {
    let mut stage = Stage::open();
    stage.deliver("parent", "kid", vec![Order::Start(Box::new(wanted(0, 1))), unwanted(1)]);
    stage.deliver("parent", "kid", vec![rewind(wanted(0, 2)), go()]);
    assert_eq!(stage.status("kid"), OrchestrationStatus::Completed);
}

/// A cancellation withdraws the order to rewind that it bypasses, whatever the state of the child. An ended child stays
/// as it is. A child that runs, or that would have begun, is canceled.
#[test]
fn a_rewind_that_is_taken_back_lets_no_child_run() {
    use OrchestrationStatus::{Canceled, Completed, Terminated};
    let first = || Order::Start(Box::new(wanted(0, 1)));
    let end = || Order::Terminate {
        reason: "a client".into(),
        children: true,
    };
    for (before, expected) in [
        (vec![], Canceled),
        (vec![first()], Canceled),
        (vec![first(), end()], Terminated),
        (vec![first(), go()], Completed),
        // An unrelated orchestration with the id of the child.
        (vec![begin(1)], Canceled),
    ] {
        let mut stage = Stage::open();
        for order in before {
            stage.deliver("parent", "kid", vec![order]);
        }
        stage.deliver("parent", "kid", vec![rewind(wanted(0, 2)), unwanted(2)]);
        assert_eq!(stage.status("kid"), expected);
        assert_eq!(stage.record("kid").unwrap().parent, wanted(0, 2).parent);
    }
    // An unrelated running orchestration is not affected.
    let mut stage = Stage::open();
    stage.tell("kid", begin(0)).unwrap();
    stage.deliver("parent", "kid", vec![rewind(wanted(0, 2)), unwanted(2)]);
    assert_eq!(stage.status("kid"), OrchestrationStatus::Running);
}

/// A start of an unregistered orchestration gets its version from the build that registers it, with or without waiting
/// events.
#[test]
fn a_start_that_waits_for_a_build_gets_its_version_with_its_events() {
    let mut stage = Stage::open();
    stage.deliver("parent", "kid", vec![Order::Start(Box::new(moody_start(1)))]);
    assert!(stage.record("kid").unwrap().stopped.is_some());
    stage.tell("kid", go()).unwrap();
    stage.reopen(&[orchestration_code::<moody>()]);
    let record = stage.record("kid").unwrap();
    assert_eq!(
        (record.status, record.version.as_str()),
        (OrchestrationStatus::Completed, "2")
    );
}

/// A start that is due in a build without its code keeps the events that were raised before it. The build that has the
/// code runs it with them.
#[test]
fn a_start_that_waits_for_a_build_keeps_earlier_events() {
    let mut stage = Stage::open();
    let due = Timestamp(stage.now + 1_000);
    let Order::Raise { name, payload, .. } = go() else {
        unreachable!()
    };
    let early = Order::Raise {
        name,
        payload,
        keep_until: Some(Timestamp(u64::MAX / 2)),
    };
    stage.tell("o", early).unwrap();
    let start = StartRecord {
        at: Some(due),
        ..moody_start(1)
    };
    stage.tell("o", Order::Start(Box::new(start))).unwrap();
    stage.now = due.0;
    stage.reopen(&[]);
    assert!(stage.record("o").unwrap().stopped.is_some());
    stage.reopen(&[orchestration_code::<moody>()]);
    assert_eq!(stage.status("o"), OrchestrationStatus::Completed);
}

/// The start record of an orchestration is removed with it, even if the start was retried and replaced in one step.
#[test]
fn nothing_is_left_of_a_start_that_never_began() {
    let mut stage = Stage::open();
    stage.reopen(&[orchestration_code::<moody>()]);
    stage.tell("mood", Order::Start(Box::new(moody_start(0)))).unwrap();
    stage.tell("mood", go()).unwrap();
    let resume = Order::Resume { reason: String::new() };
    let start = StartRecord {
        reuse: ReusePolicy::Terminate,
        ..moody_start(1)
    };
    for order in [resume, Order::Start(Box::new(start)), go()] {
        stage.send("mood", order);
    }
    stage.run();
    assert_eq!(stage.status("mood"), OrchestrationStatus::Completed);
    let id = InstanceId::trusted("mood");
    let row = stage
        .model
        .get(&schema::orchestration::start_key(id.partition(PARTITIONS), &id));
    assert_eq!(row.unwrap(), None);
}

/// A canceled start does not affect an unrelated orchestration with the same id.
#[test]
fn a_start_that_is_taken_back_leaves_others_alone() {
    let mut stage = Stage::open();
    stage.tell("kid", begin(0)).unwrap();
    let before = stage.record("kid");
    stage.deliver("parent", "kid", vec![Order::Start(Box::new(wanted(7, 1))), unwanted(1)]);
    assert_eq!(stage.record("kid"), before);
}

/// A child that a client has restarted counts as the one that its parent requests when it retries.
#[test]
fn a_child_that_was_restarted_is_not_in_the_way_of_its_parent() {
    let mut stage = Stage::open();
    stage.deliver("parent", "kid", vec![Order::Start(Box::new(wanted(0, 1)))]);
    let end = Order::Terminate {
        reason: "a client".into(),
        children: true,
    };
    stage.tell("kid", end).unwrap();
    stage.tell("kid", Order::Restart).unwrap();
    let before = stage.record("kid").unwrap();
    assert_eq!(
        (before.status, &before.parent),
        (OrchestrationStatus::Running, &wanted(0, 1).parent)
    );
    stage.deliver("parent", "kid", vec![Order::Start(Box::new(wanted(0, 1)))]);
    assert_eq!(stage.record("kid").unwrap(), before);
    stage.deliver("parent", "kid", vec![unwanted(1)]);
    assert_eq!(stage.status("kid"), OrchestrationStatus::Canceled);
}

/// An orchestration from a list is purged only if it has not changed since. It is not purged if it was restarted and
/// has ended again, or after any other change.
#[test]
fn only_what_was_seen_is_purged() {
    let mut stage = Stage::open();
    stage.tell("daily", begin(1)).unwrap();
    let seen = |stage: &Stage| {
        let record = stage.record("daily").unwrap();
        Order::Purge {
            children: false,
            seen: Some((record.execution, record.changed)),
        }
    };
    let old = seen(&stage);
    stage.tell("daily", begin(2)).unwrap();
    let error = stage.tell("daily", old).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongState);
    assert!(error.to_string().contains("inspect it again"), "{error}");
    let old = seen(&stage);
    stage.tell("daily", Order::Restart).unwrap();
    assert_eq!(stage.tell("daily", old).unwrap_err().kind(), ErrorKind::WrongState);
    let now = seen(&stage);
    stage.tell("daily", now).unwrap();
    assert_eq!(stage.record("daily"), None);
}

/// An orchestration that continues as new forever runs at most two executions in each step, so other instances get
/// their turns. When the hub closes, it pauses between two executions, and the start of the next one is stored.
#[test]
fn an_endless_orchestration_shares_the_steps() {
    let mut stage = Stage::open();
    let start = StartRecord {
        name: "spins".into(),
        ..start(0)
    };
    stage.core.accept(Input::Request {
        target: InstanceId::trusted("wheel"),
        action: Action::Order(Box::new(Order::Start(Box::new(start)))),
        client: ClientOrigin::default(),
    });
    let round = |stage: &Stage| {
        String::from_utf8(stage.start_of("wheel").input)
            .unwrap()
            .parse::<u32>()
            .unwrap()
    };
    for steps in 1..=5 {
        stage.step();
        assert!(
            (1..=2 * steps).contains(&round(&stage)),
            "{} after {steps} steps",
            round(&stage)
        );
    }
    assert!(stage.core.has_work(Timestamp(stage.now)));
    stage.core.begin_no_more_activities();
    stage.run();
    assert!(round(&stage) <= 12);
    assert_eq!(stage.record("wheel").unwrap().turns, 0);
}
