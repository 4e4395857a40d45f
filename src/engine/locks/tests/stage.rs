//! Cores over one store, with orchestrations that the test plays: it sends their messages and reads what they are told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::engine::code::AsyncOperation;
use crate::engine::message::{AsyncEnded, ClientOrigin, Input, Message, Origin, Output, Settled, Token};
use crate::engine::{ActivitySlots, Core, CoreConfig, Limits, Progress, Registry, Step};
use crate::entity::entity_code;
use crate::failure::CallFailure;
use crate::id::{ExecutionId, InstanceId, MessageId, PartitionId};
use crate::prelude::*;
use crate::store::records::history::StepOutcome;
use crate::store::records::instance::{LockId, LockOrder, LockRecord, Order};
use crate::store::records::{self, Action, StateRecord, StepRef};
use crate::store::{Batch, Change, Model, Reader, Store, keys};
use crate::time::Timestamp;

/// Notes what it is told.
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

/// How a message of an orchestration comes to its entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Made by the same core, without a row as yet.
    Fresh,
    /// With a row that another core wrote.
    Delivered,
    /// As a row only, because the inbox was full.
    Spilled,
}

/// What the hub is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) cores: u16,
    pub(super) way: Way,
    /// Whether hardly anything of a queue is kept in memory.
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
    /// Whether the build knows the type of the entities.
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
    /// The bytes of all commits.
    pub(super) logged: usize,
}

/// The execution that every orchestration here has.
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

    /// The hub goes down and is opened again. What was written is there.
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
            owned: vec![owned],
            held: self
                .held
                .iter()
                .filter(|id| id.partition(self.partitions()) == owned)
                .cloned()
                .collect(),
            calm_since: 0,
            aging: Default::default(),
        };
        Core::open(config, &self.model).unwrap()
    }

    /// One for each core, and the last for the orchestrations.
    fn partitions(&self) -> u16 {
        self.setting.cores + 1
    }

    /// Some entities, in the order of their ids; neighbours are of different cores.
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
            instance: self.orchestration(owner).as_str().to_owned(),
            execution: EXECUTION,
            sequence,
        }
    }

    /// An orchestration asks for locks.
    pub(super) fn take(&mut self, owner: &str, sequence: u64, entities: &[InstanceId]) {
        let order = LockOrder::Take {
            owner: self.lock_id(owner, sequence),
            rest: texts(&entities[1..]),
        };
        self.send_order(owner, &entities[0], order);
    }

    /// An orchestration releases locks that were granted.
    pub(super) fn release(&mut self, owner: &str, sequence: u64, entities: &[InstanceId]) {
        for entity in entities {
            let order = LockOrder::Release {
                owner: self.lock_id(owner, sequence),
                rest: texts(&[]),
            };
            self.send_order(owner, entity, order);
        }
    }

    /// An orchestration does not want the locks any more that it asked for, and does not know of any grant.
    pub(super) fn withdraw(&mut self, owner: &str, sequence: u64, entities: &[InstanceId]) {
        let order = LockOrder::Release {
            owner: self.lock_id(owner, sequence),
            rest: texts(&entities[1..]),
        };
        self.send_order(owner, &entities[0], order);
    }

    fn send_order(&mut self, owner: &str, entity: &InstanceId, order: LockOrder) {
        let origin = Origin::Instance(self.orchestration(owner));
        self.send(entity, Action::Lock(Box::new(order)), origin);
    }

    /// An orchestration calls an operation, under a lock if there is one.
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

    /// The origin of a call.
    pub(super) fn step_of(&self, owner: &str, sequence: u64, lock: Option<u64>) -> Origin {
        let step = StepRef {
            execution: EXECUTION,
            sequence,
            lock,
        };
        Origin::Step(self.orchestration(owner), step)
    }

    /// Another entity signals.
    pub(super) fn signal(&mut self, entity: &InstanceId, line: &str) {
        let origin = Origin::Instance(InstanceId::trusted("@log@elsewhere"));
        self.send(entity, operation_of("note", line), origin);
    }

    /// Sends a message that was not made by a core of this stage.
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

    /// Leaves a message in the store, to be found at the next open.
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

    /// A client calls or signals.
    pub(super) fn ask(&mut self, entity: &InstanceId, operation: &'static str, line: &str, call: bool) -> Token {
        self.request(entity, operation_of(operation, line), call)
    }

    /// An operator releases a lock.
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

    /// Lets the cores step until nothing is left to do.
    pub(super) fn settle(&mut self) {
        let mut steps = 0;
        // Every core gets its turn, also after one that stepped.
        while (0..self.cores.len()).filter(|core| self.step(*core)).count() > 0 {
            steps += 1;
            assert!(steps < 100_000, "the cores do not come to rest");
        }
    }

    /// Lets one core step. Says whether it had something to do.
    pub(super) fn step(&mut self, core: usize) -> bool {
        let now = Timestamp(1_000);
        if !self.cores[core].has_work(now) {
            return false;
        }
        let batch = self.draw();
        let step = self.cores[core].step(now, batch, &self.model, self.written).unwrap();
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

    /// Nothing becomes a row that is consumed in the same commit, and what is consumed is there.
    fn check(&self, step: &Step) {
        let tables = [
            keys::messages(PartitionId(0)).start[2],
            keys::urgents(PartitionId(0)).start[2],
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
            assert_eq!(there, is_deleted, "the message {shown} is made or consumed twice");
        }
    }

    fn leave_process(&mut self, output: Output) {
        match output {
            Output::Settle { token, settled } => {
                let text = match settled {
                    Settled::Answer(answer) => String::from_utf8(answer).unwrap(),
                    Settled::Accepted => "accepted".to_owned(),
                    Settled::Failed(failure) => shown_failure(*failure),
                    Settled::Full(_) => "full".to_owned(),
                };
                assert_eq!(self.told.insert(token, text), None, "a client is told once");
            }
            Output::Start {
                instance,
                message,
                operation,
            } => self.running.push((instance, message, operation)),
            Output::Room { .. } => self.rooms += 1,
            other => panic!("unexpected: {other:?}"),
        }
    }

    fn deliver(&mut self, message: Message) {
        let partition = message.target.partition(self.partitions());
        let Some(core) = self.cores.get_mut(usize::from(partition.0)) else {
            let mut batch = Batch::default();
            batch.delete(&message.key(partition));
            self.write(&batch);
            // That a type is not registered is no answer.
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

    /// Runs the `async` operations that were started.
    pub(super) fn finish_async(&mut self) -> usize {
        let running = std::mem::take(&mut self.running);
        let count = running.len();
        for (instance, message, mut operation) in running {
            let Poll::Ready(finished) = operation.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
                panic!("the operation waits for nothing");
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

    /// Lets the time of the `async` operations run out that run. They block their threads and go on.
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

    /// What orchestrations were told since the last look.
    pub(super) fn orders(&mut self) -> Vec<String> {
        std::mem::take(&mut self.orders)
    }

    pub(super) fn told(&self, token: Token) -> Option<&str> {
        self.told.get(&token).map(String::as_str)
    }

    /// The stored state.
    pub(super) fn lines(&self, entity: &InstanceId) -> Option<Vec<String>> {
        let row = self.model.get(&self.state_key(entity)).unwrap()?;
        let record: StateRecord<'_> = records::decode(&row, "state").unwrap();
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
        batch.put(&self.state_key(entity), &records::encode(&record).unwrap());
        self.write(&batch);
    }

    /// Removes the stored state.
    pub(super) fn mend(&mut self, entity: &InstanceId) {
        let mut batch = Batch::default();
        batch.delete(&self.state_key(entity));
        self.write(&batch);
    }

    fn state_key(&self, entity: &InstanceId) -> Vec<u8> {
        keys::state(entity.partition(self.partitions()), entity)
    }

    /// The stored locks, with their owners.
    pub(super) fn locks(&self) -> Vec<(InstanceId, String)> {
        let mut locks = Vec::new();
        for partition in (0..self.partitions()).map(PartitionId) {
            for (key, value) in self.model.scan(keys::locks(partition), usize::MAX).unwrap() {
                let record: LockRecord = records::decode(&value, "lock").unwrap();
                assert_eq!(record.since, Timestamp(1_000));
                let id = InstanceId::trusted(keys::id_of(&key).unwrap());
                locks.push((
                    id,
                    format!("{} {}", name(&record.owner.instance), record.owner.sequence),
                ));
            }
        }
        locks.sort();
        locks
    }

    /// The bytes of the rows of all locks.
    pub(super) fn lock_bytes(&self) -> usize {
        let of = |partition| self.model.scan(keys::locks(partition), usize::MAX).unwrap();
        let rows = (0..self.partitions()).map(PartitionId).flat_map(of);
        rows.map(|(key, value)| key.len() + value.len()).sum()
    }

    /// All rows but those of states.
    pub(super) fn left(&self) -> Vec<String> {
        let rows = self.model.scan(Vec::new()..vec![0xff], usize::MAX).unwrap();
        let is_state = |key: &[u8]| key[2] == keys::states(PartitionId(0), "").start[2];
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

fn texts(entities: &[InstanceId]) -> VecDeque<String> {
    entities.iter().map(|id| id.as_str().to_owned()).collect()
}

fn name(orchestration: &str) -> &str {
    orchestration.split('-').next().unwrap()
}

fn shown_order(message: &Message) -> String {
    let owner = name(message.target.as_str());
    let Action::Order(order) = &message.action else {
        panic!("not for an orchestration: {message:?}");
    };
    match &**order {
        Order::Completed {
            execution,
            sequence,
            outcome,
        } => {
            assert_eq!(*execution, EXECUTION);
            let outcome = match outcome.clone() {
                StepOutcome::Answer(answer) => String::from_utf8(answer).unwrap(),
                StepOutcome::Returned(failure) => shown_failure(CallFailure::Returned(failure)),
                StepOutcome::Runtime(error) => shown_failure(CallFailure::Runtime(error)),
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
