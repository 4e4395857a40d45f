//! Cores on one store, with orchestrations that the test simulates: it sends their messages and reads their replies.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::engine::code::AsyncOperation;
use crate::engine::message::{AsyncEnded, ClientOrigin, Effect, Input, Message, Origin, Output, Response, Token};
use crate::engine::{ActivitySlots, Core, CoreConfig, CoreStep, Limits, Progress, Registry};
use crate::entity::entity_code;
use crate::failure::CallFailure;
use crate::id::{ExecutionId, InstanceId, MessageId, PartitionId, Shard};
use crate::model::orchestration::{LockId, LockOrder, LockRecord, Order};
use crate::model::{self, Action, Outcome, StateRecord, StepRef};
use crate::prelude::*;
use crate::schema;
use crate::store::{Batch, Change, Model, Reader, Store};
use crate::time::Timestamp;

/// Records the lines that it receives.
#[derive(Clone, Debug, Entity, Default, Serialize, Deserialize)]
pub(super) struct Log {
    lines: Vec<String>,
}

#[operations]
impl Log {
    pub fn note(&mut self, line: String) -> Result<usize, Failure> {
        self.lines.push(line.clone());
        match line.as_str() {
            "refuse" => Err(Failure::message("refused")),
            "panic" => std::panic::resume_unwind(Box::new("panicked".to_owned())),
            _ => Ok(self.lines.len()),
        }
    }

    pub async fn note_slowly(&mut self, line: String) -> usize {
        self.lines.push(line);
        self.lines.len()
    }

    pub fn forget(&mut self, line: String, ctx: &mut EntityContext) {
        let _ = line;
        ctx.delete_state();
    }

    pub fn read(&self, line: String) -> Vec<String> {
        let _ = line;
        self.lines.clone()
    }
}

/// The delivery of an orchestration's message to an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The same core created the message. It has no row yet.
    Fresh,
    /// Another core wrote a row of the message and delivered it.
    Delivered,
    /// The message is only a row, because the inbox was full.
    Spilled,
}

/// The configuration of the hub.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) cores: u16,
    pub(super) way: Way,
    /// True if hardly any message of a queue is kept in memory.
    pub(super) small: bool,
}

impl Setting {
    pub(super) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for cores in [1, 2] {
            for way in [Way::Fresh, Way::Delivered, Way::Spilled] {
                for small in [false, true] {
                    all.push(Self { cores, way, small });
                }
            }
        }
        all
    }
}

pub(super) struct Stage {
    setting: Setting,
    pub(super) limits: Limits,
    pub(super) held: BTreeSet<InstanceId>,
    /// True if the build registers the type of the entities.
    pub(super) registered: bool,
    model: Model,
    cores: Vec<Core>,
    written: u64,
    batch: u64,
    next_token: u64,
    orders: Vec<String>,
    told: BTreeMap<Token, String>,
    running: Vec<(InstanceId, MessageId, AsyncOperation)>,
    pub(super) rooms: usize,
    /// Size of all commits in bytes.
    pub(super) logged: usize,
}

/// The execution of every orchestration in these tests.
const EXECUTION: ExecutionId = ExecutionId([7; 16]);

impl Stage {
    pub(super) fn new(setting: Setting) -> Self {
        let mut limits = Limits::default();
        if setting.small {
            limits.queue_in_memory = 1;
            limits.page = 2;
        }
        let mut stage = Self {
            setting,
            limits,
            held: BTreeSet::new(),
            registered: true,
            model: Model::new(),
            cores: Vec::new(),
            written: 0,
            batch: 1,
            next_token: 0,
            orders: Vec::new(),
            told: BTreeMap::new(),
            running: Vec::new(),
            rooms: 0,
            logged: 0,
        };
        stage.reopen();
        stage
    }

    /// Crashes the hub and opens it again. All written commits are kept.
    pub(super) fn reopen(&mut self) {
        self.running.clear();
        let slots = Arc::new(ActivitySlots::new(
            self.limits.activities,
            usize::from(self.setting.cores),
        ));
        self.cores = (0..self.setting.cores)
            .map(|index| self.open_core(index, &slots))
            .collect();
    }

    fn open_core(&self, index: u16, slots: &Arc<ActivitySlots>) -> Core {
        let mut registry = Registry::default();
        if self.registered {
            registry.add_entity(entity_code::<Log>()).unwrap();
        }
        let owned = PartitionId(index);
        let config = CoreConfig {
            hub: "hub-1".into(),
            limits: self.limits.clone(),
            registry: Arc::new(registry),
            progress: Arc::new(Progress::default()),
            index: usize::from(index),
            slots: Arc::clone(slots),
            partitions: self.partitions(),
            shard: Shard::WHOLE,
            owned: vec![owned],
            held: self
                .held
                .iter()
                .filter(|id| id.partition(self.partitions()) == owned)
                .cloned()
                .collect(),
            calm_since: 0,
            aging: Default::default(),
            watched: Default::default(),
        };
        Core::open(config, &self.model).unwrap()
    }

    /// Returns the number of partitions: one for each core and one for the orchestrations.
    fn partitions(&self) -> u16 {
        self.setting.cores + 1
    }

    /// Returns entities in the order of their ids. Neighbors belong to different cores.
    pub(super) fn entities<const N: usize>(&self) -> [InstanceId; N] {
        let mut number = 0;
        std::array::from_fn(|at| {
            let core = at as u16 % self.setting.cores;
            loop {
                number += 1;
                let id = InstanceId::trusted(format!("@log@k{number:06}"));
                if id.partition(self.partitions()).0 == core {
                    return id;
                }
            }
        })
    }

    fn orchestration(&self, name: &str) -> InstanceId {
        (0..)
            .map(|number| InstanceId::trusted(format!("{name}-{number}")))
            .find(|id| id.partition(self.partitions()).0 == self.setting.cores)
            .unwrap()
    }

    fn lock_id(&self, owner: &str, sequence: u64) -> LockId {
        LockId {
            instance: self.orchestration(owner),
            execution: EXECUTION,
            sequence,
        }
    }

    /// Requests locks on behalf of an orchestration.
    pub(super) fn take(&mut self, owner: &str, sequence: u64, entities: &[InstanceId]) {
        let order = LockOrder::Take {
            owner: self.lock_id(owner, sequence),
            rest: entities[1..].iter().cloned().collect(),
        };
        self.send_order(owner, &entities[0], order);
    }

    /// Releases granted locks on behalf of an orchestration.
    pub(super) fn release(&mut self, owner: &str, sequence: u64, entities: &[InstanceId]) {
        for entity in entities {
            let order = LockOrder::Release {
                owner: self.lock_id(owner, sequence),
                rest: VecDeque::new(),
            };
            self.send_order(owner, entity, order);
        }
    }

    /// Withdraws a request for locks on behalf of an orchestration that has not received the grant.
    pub(super) fn withdraw(&mut self, owner: &str, sequence: u64, entities: &[InstanceId]) {
        let order = LockOrder::Release {
            owner: self.lock_id(owner, sequence),
            rest: entities[1..].iter().cloned().collect(),
        };
        self.send_order(owner, &entities[0], order);
    }

    fn send_order(&mut self, owner: &str, entity: &InstanceId, order: LockOrder) {
        let origin = Origin::Instance(self.orchestration(owner));
        self.send(entity, Action::Lock(Box::new(order)), origin);
    }

    /// Calls an operation on behalf of an orchestration, optionally under a lock.
    pub(super) fn call(
        &mut self,
        owner: &str,
        sequence: u64,
        entity: &InstanceId,
        operation: &'static str,
        line: &str,
        lock: Option<u64>,
    ) {
        let origin = self.step_of(owner, sequence, lock);
        self.send(entity, operation_of(operation, line), origin);
    }

    /// Returns the origin of a call.
    pub(super) fn step_of(&self, owner: &str, sequence: u64, lock: Option<u64>) -> Origin {
        let step = StepRef {
            execution: EXECUTION,
            sequence,
            lock,
        };
        Origin::Step(self.orchestration(owner), step)
    }

    /// Sends a signal on behalf of another entity.
    pub(super) fn signal(&mut self, entity: &InstanceId, line: &str) {
        let origin = Origin::Instance(InstanceId::trusted("@log@elsewhere"));
        self.send(entity, operation_of("note", line), origin);
    }

    /// Sends a message that no core of this stage created.
    pub(super) fn send(&mut self, target: &InstanceId, action: Action, origin: Origin) {
        let mut message = Message::new(
            MessageId {
                batch: self.draw(),
                index: 0,
            },
            target.clone(),
            action,
            origin,
        );
        let core = usize::from(target.partition(self.partitions()).0);
        if self.setting.way != Way::Fresh {
            self.write_row(&mut message);
        }
        if self.setting.way == Way::Spilled {
            self.cores[core].accept(Input::Spilled);
        } else {
            let commit = self.written;
            self.cores[core].accept(Input::Delivery { message, commit });
        }
    }

    /// Writes a message to the store, where the next open finds it.
    pub(super) fn leave(&mut self, target: &InstanceId, line: &str) {
        let mut message = Message::new(
            MessageId {
                batch: self.draw(),
                index: 0,
            },
            target.clone(),
            operation_of("note", line),
            Origin::Instance(InstanceId::trusted("@log@elsewhere")),
        );
        self.write_row(&mut message);
    }

    fn write_row(&mut self, message: &mut Message) {
        let mut batch = Batch::default();
        let (key, value) = message.row(message.target.partition(self.partitions())).unwrap();
        batch.put(&key, &value);
        message.stored = true;
        self.write(&batch);
    }

    /// Sends a call or a signal of a client.
    pub(super) fn ask(&mut self, entity: &InstanceId, operation: &'static str, line: &str, call: bool) -> Token {
        self.request(entity, operation_of(operation, line), call)
    }

    /// Releases a lock by force on behalf of an operator.
    pub(super) fn force(&mut self, entity: &InstanceId) -> Token {
        self.request(entity, Action::Lock(Box::new(LockOrder::Force)), true)
    }

    fn request(&mut self, entity: &InstanceId, action: Action, call: bool) -> Token {
        let token = self.token();
        let client = ClientOrigin {
            token: Some(token),
            call,
            ..ClientOrigin::default()
        };
        let core = usize::from(entity.partition(self.partitions()).0);
        self.cores[core].accept(Input::Request {
            target: entity.clone(),
            action,
            client,
        });
        token
    }

    pub(super) fn resume(&mut self, entity: &InstanceId) {
        let token = self.token();
        self.held.remove(entity);
        let core = usize::from(entity.partition(self.partitions()).0);
        self.cores[core].accept(Input::Resume {
            instance: entity.clone(),
            token,
        });
    }

    fn token(&mut self) -> Token {
        self.next_token += 1;
        Token(self.next_token)
    }

    fn draw(&mut self) -> u64 {
        self.batch += 1;
        self.batch
    }

    /// Runs steps of the cores until there is no work left.
    pub(super) fn settle(&mut self) {
        let mut steps = 0;
        // Every core gets its turn in each round, even after another one had work.
        while (0..self.cores.len()).filter(|core| self.step(*core)).count() > 0 {
            steps += 1;
            assert!(steps < 100_000, "the cores never become idle");
        }
    }

    /// Runs a step of one core. Returns `true` if it had work.
    pub(super) fn step(&mut self, core: usize) -> bool {
        let now = Timestamp(1_000);
        if !self.cores[core].has_work(now) {
            return false;
        }
        let batch = self.draw();
        let step = self.cores[core]
            .step(now, batch, &self.model, self.written, usize::MAX)
            .unwrap();
        self.check(&step);
        self.write(&step.batch);
        for output in step.outputs {
            self.leave_process(output);
        }
        for message in step.deliveries {
            self.deliver(message);
        }
        true
    }

    /// Checks that no commit writes a row of a message that it consumes, and that every consumed row exists.
    fn check(&self, step: &CoreStep) {
        let tables = [
            schema::message::all(PartitionId(0)).start[2],
            schema::priority::all(PartitionId(0)).start[2],
        ];
        let mut changed = BTreeSet::new();
        for change in step.batch.changes() {
            let (key, _) = change.parts();
            if !tables.contains(&key[2]) {
                continue;
            }
            let shown = key.escape_ascii();
            assert!(
                changed.insert(key.to_vec()),
                "the message {shown} is changed twice in one commit"
            );
            let there = self.model.get(key).unwrap().is_some();
            let is_deleted = matches!(change, Change::Delete { .. });
            assert_eq!(there, is_deleted, "the message {shown} is written or consumed twice");
        }
    }

    fn leave_process(&mut self, output: Output) {
        match output {
            Output::Settle { token, settled } => {
                let text = match settled {
                    Response::Answer(answer) => String::from_utf8(answer).unwrap(),
                    Response::Accepted => "accepted".to_owned(),
                    Response::Failed(failure) => shown_failure(*failure),
                    Response::Full { .. } => "full".to_owned(),
                };
                assert_eq!(self.told.insert(token, text), None, "a client receives one response");
            }
            Output::Effect(Effect::StartOperation {
                instance,
                message,
                operation,
            }) => self.running.push((instance, message, operation)),
            Output::Effect(Effect::Room { .. }) => self.rooms += 1,
            other => panic!("unexpected: {other:?}"),
        }
    }

    fn deliver(&mut self, message: Message) {
        let partition = message.target.partition(self.partitions());
        let Some(core) = self.cores.get_mut(usize::from(partition.0)) else {
            let mut batch = Batch::default();
            batch.delete(&message.key(partition));
            self.write(&batch);
            // A notification about an unregistered type is not an answer.
            if !matches!(message.order(), Some(Order::Awaits { .. })) {
                self.orders.push(shown_order(&message));
            }
            return;
        };
        if self.setting.way == Way::Spilled {
            core.accept(Input::Spilled);
        } else {
            let commit = self.written;
            core.accept(Input::Delivery { message, commit });
        }
    }

    fn write(&mut self, batch: &Batch) {
        if !batch.is_empty() {
            self.model.write(batch).unwrap();
            self.written += 1;
            self.logged += batch.bytes();
        }
    }

    /// Runs the started `async` operations.
    pub(super) fn finish_async(&mut self) -> usize {
        let running = std::mem::take(&mut self.running);
        let count = running.len();
        for (instance, message, mut operation) in running {
            let Poll::Ready(finished) = operation.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
                panic!("the operation does not wait");
            };
            let core = usize::from(instance.partition(self.partitions()).0);
            self.cores[core].accept(Input::AsyncEnded {
                instance,
                message,
                ended: AsyncEnded::Finished(finished),
            });
        }
        count
    }

    /// Exceeds the time limit of the running `async` operations. They block their threads and keep running.
    pub(super) fn linger_async(&mut self) {
        let running = self.running.iter();
        let running: Vec<_> = running.map(|(id, message, _)| (id.clone(), *message)).collect();
        for (instance, message) in running {
            let core = usize::from(instance.partition(self.partitions()).0);
            self.cores[core].accept(Input::AsyncEnded {
                instance,
                message,
                ended: AsyncEnded::Lingers,
            });
        }
    }

    /// Takes the orders that orchestrations have received since the last call.
    pub(super) fn orders(&mut self) -> Vec<String> {
        std::mem::take(&mut self.orders)
    }

    pub(super) fn told(&self, token: Token) -> Option<&str> {
        self.told.get(&token).map(String::as_str)
    }

    /// Returns the stored state.
    pub(super) fn lines(&self, entity: &InstanceId) -> Option<Vec<String>> {
        let row = self.model.get(&self.state_key(entity)).unwrap()?;
        let record: StateRecord<'_> = model::decode(&row, "state").unwrap();
        let log: Log = serde_json::from_slice(record.state).unwrap();
        Some(log.lines)
    }

    /// Makes the stored state unreadable.
    pub(super) fn damage(&mut self, entity: &InstanceId) {
        let record = StateRecord {
            changed: Timestamp(1),
            state: b"5",
        };
        let mut batch = Batch::default();
        batch.put(&self.state_key(entity), &model::encode(&record).unwrap());
        self.write(&batch);
    }

    /// Removes the stored state.
    pub(super) fn mend(&mut self, entity: &InstanceId) {
        let mut batch = Batch::default();
        batch.delete(&self.state_key(entity));
        self.write(&batch);
    }

    fn state_key(&self, entity: &InstanceId) -> Vec<u8> {
        schema::state::key(entity.partition(self.partitions()), entity)
    }

    /// Returns the stored locks with their owners.
    pub(super) fn locks(&self) -> Vec<(InstanceId, String)> {
        let mut locks = Vec::new();
        for partition in (0..self.partitions()).map(PartitionId) {
            for (key, value) in self.model.scan(schema::lock::all(partition), usize::MAX).unwrap() {
                let record: LockRecord = model::decode(&value, "lock").unwrap();
                assert_eq!(record.since, Timestamp(1_000));
                let id = schema::id_of(&key).unwrap();
                locks.push((
                    id,
                    format!("{} {}", name(record.owner.instance.as_str()), record.owner.sequence),
                ));
            }
        }
        locks.sort();
        locks
    }

    /// Returns the size of the rows of all locks in bytes.
    pub(super) fn lock_bytes(&self) -> usize {
        let of = |partition| self.model.scan(schema::lock::all(partition), usize::MAX).unwrap();
        let rows = (0..self.partitions()).map(PartitionId).flat_map(of);
        rows.map(|(key, value)| key.len() + value.len()).sum()
    }

    /// Returns all rows except those of states.
    pub(super) fn left(&self) -> Vec<String> {
        let rows = self.model.scan(Vec::new()..vec![0xff], usize::MAX).unwrap();
        let is_state = |key: &[u8]| key[2] == schema::state::with_prefix(PartitionId(0), "").start[2];
        rows.iter()
            .filter(|(key, _)| !is_state(key))
            .map(|(key, _)| key.escape_ascii().to_string())
            .collect()
    }
}

fn operation_of(operation: &'static str, line: &str) -> Action {
    Action::Operation {
        operation: operation.into(),
        arguments: serde_json::json!({ "line": line }).to_string().into_bytes(),
    }
}

fn name(orchestration: &str) -> &str {
    orchestration.split('-').next().unwrap()
}

fn shown_order(message: &Message) -> String {
    let owner = name(message.target.as_str());
    let Action::Order(order) = &message.action else {
        panic!("the message is not for an orchestration: {message:?}");
    };
    match &**order {
        Order::Completed {
            execution,
            sequence,
            outcome,
        } => {
            assert_eq!(*execution, EXECUTION);
            let outcome = match outcome.clone() {
                Outcome::Answer(answer) => String::from_utf8(answer).unwrap(),
                Outcome::Returned(failure) => shown_failure(CallFailure::Returned(failure)),
                Outcome::Runtime(error) => shown_failure(CallFailure::Runtime(error)),
            };
            format!("{owner} {sequence}: {outcome}")
        }
        Order::LockLost {
            execution,
            lock,
            entity,
        } => {
            assert_eq!(*execution, EXECUTION);
            format!("{owner} lost {lock} of {entity}")
        }
        other => panic!("unexpected: {other:?}"),
    }
}

fn shown_failure(failure: CallFailure) -> String {
    match failure {
        CallFailure::Returned(failure) => failure.to_string(),
        CallFailure::Runtime(error) => format!("{:?}", error.kind()),
    }
}
