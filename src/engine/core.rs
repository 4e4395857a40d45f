//! A core: the partitions that one thread executes, and the loop that turns inputs into steps.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::engine::activities::{Activities, ActivitySlots};
use crate::engine::limits::Limits;
use crate::engine::mailbox::{Block, Mailbox};
use crate::engine::message::{Input, Message, Origin, Token, Waiter};
use crate::engine::orchestration::Instances;
use crate::engine::partition::Partition;
use crate::engine::progress::Progress;
use crate::engine::registry::Registry;
use crate::engine::states::{InstanceMap, States};
use crate::engine::step::Step;
use crate::engine::sweep::NEVER;
use crate::error::Result;
use crate::id::{InstanceId, MessageId, PartitionId};
use crate::store::records::instance::LockRecord;
use crate::store::{Reader, keys, records};
use crate::time::{Aging, Timestamp};

/// How many times the bytes of its batch the turns of a step may hold in memory until it closes.
const HELD_BYTES: usize = 4;

/// Messages for which the spare mailboxes keep capacity: the first for 1 024, the n-th for 1 024 / n.
const SPARE_MESSAGES: usize = 1024;

/// What a core is made of.
pub(crate) struct CoreConfig {
    /// Who the hub is: its id and incarnation, as one text.
    pub(crate) hub: Arc<str>,
    pub(crate) limits: Limits,
    pub(crate) registry: Arc<Registry>,
    pub(crate) progress: Arc<Progress>,
    /// The place of the core among those of the hub.
    pub(crate) index: usize,
    /// What all cores share of the limits on activities.
    pub(crate) slots: Arc<ActivitySlots>,
    /// How many partitions the hub has.
    pub(crate) partitions: u16,
    /// Which of them are this core's.
    pub(crate) owned: Vec<PartitionId>,
    /// Instances that the operator holds.
    pub(crate) held: BTreeSet<InstanceId>,
    /// What an earlier life began in this batch or later was not running in a crash.
    pub(crate) calm_since: u64,
    /// By what time it is decided how old something is that is deleted for its age.
    pub(crate) aging: Aging,
}

#[cfg(test)]
impl CoreConfig {
    /// A core that has all partitions of a hub, in its first life and at rest with its clock.
    pub(crate) fn of_all(partitions: u16, registry: Registry, limits: &Limits) -> Self {
        Self {
            hub: "hub-1".into(),
            limits: limits.clone(),
            registry: Arc::new(registry),
            progress: Arc::new(Progress::default()),
            index: 0,
            slots: Arc::new(ActivitySlots::new(limits.activities, 1)),
            partitions,
            owned: (0..partitions).map(PartitionId).collect(),
            held: BTreeSet::new(),
            calm_since: 0,
            aging: Aging::default(),
        }
    }
}

/// The partitions that one thread executes. It performs no I/O but reads, reads no clock and draws no chance: the same
/// inputs give the same steps, bit for bit.
pub(crate) struct Core {
    pub(super) hub: Arc<str>,
    pub(super) limits: Limits,
    pub(super) registry: Arc<Registry>,
    pub(super) progress: Arc<Progress>,
    /// Indexed by partition id; nothing where another core owns the partition.
    pub(super) partitions: Vec<Option<Partition>>,
    pub(super) mailboxes: InstanceMap<Box<Mailbox>>,
    /// The bytes of the messages in all of them.
    pub(super) mailbox_bytes: usize,
    /// Spare mailboxes, for the next instances that need one: most have a message only for a moment.
    #[expect(
        clippy::vec_box,
        reason = "they come from the map above and go back there as they are"
    )]
    spare_mailboxes: Vec<Box<Mailbox>>,
    pub(super) states: States,
    /// The locked entities.
    pub(super) locks: InstanceMap<LockRecord>,
    pub(super) activities: Activities,
    pub(super) instances: Instances,
    /// Clients that wait for the end of an orchestration.
    pub(super) waiters: HashMap<InstanceId, Vec<Waiter>>,
    /// Clients that wait for the answer of a message that is a row.
    pub(super) callers: HashMap<MessageId, (Token, InstanceId)>,
    /// Clients that repeated a request whose call waits as a row, by the key of the request.
    pub(super) attached: HashMap<Vec<u8>, Vec<Token>>,
    /// Instances that the operator holds.
    pub(super) held: BTreeSet<InstanceId>,
    pub(super) next_sweep: Timestamp,
    /// By what time it is decided how old something is that is deleted for its age.
    pub(super) aging: Aging,
    inputs: VecDeque<Input>,
    ready: VecDeque<InstanceId>,
    /// Partitions with a backlog.
    backlogs: VecDeque<PartitionId>,
    steps: u64,
    /// A step that is done, for its memory.
    last_step: Step,
}

impl Core {
    /// Opens a core. It reads what it has to know and runs no user code.
    pub(crate) fn open(config: CoreConfig, reader: &dyn Reader) -> Result<Self> {
        let CoreConfig {
            hub,
            limits,
            registry,
            progress,
            index,
            slots: activity_slots,
            partitions,
            owned,
            held,
            calm_since,
            aging,
        } = config;
        let activities = Activities::open(index, activity_slots, &owned, calm_since, reader)?;
        let mut slots: Vec<Option<Partition>> = (0..partitions).map(|_| None).collect();
        let mut backlogs = VecDeque::new();
        let mut quarantined = Vec::new();
        for id in owned {
            let partition = Partition::open(id, reader)?;
            if partition.backlog.is_some() {
                backlogs.push_back(id);
            }
            quarantined.extend(partition.quarantined.iter().cloned());
            slots[usize::from(id.0)] = Some(partition);
        }
        let states = States::new(limits.cache_bytes);
        let instances = Instances::new(limits.live_bytes);
        let mut core = Self {
            hub,
            limits,
            registry,
            progress,
            partitions: slots,
            mailboxes: InstanceMap::default(),
            mailbox_bytes: 0,
            spare_mailboxes: Vec::new(),
            states,
            locks: InstanceMap::default(),
            activities,
            instances,
            waiters: HashMap::new(),
            callers: HashMap::new(),
            attached: HashMap::new(),
            held,
            next_sweep: Timestamp::default(),
            aging,
            inputs: VecDeque::new(),
            ready: VecDeque::new(),
            backlogs,
            steps: 0,
            last_step: Step::default(),
        };
        let owned: Vec<PartitionId> = core.owned().map(|partition| partition.id).collect();
        for id in owned {
            core.read_locks(id, reader)?;
        }
        let dues = core.owned().flat_map(|partition| {
            let sweeping = [&partition.requests, &partition.letters, &partition.early];
            sweeping.map(|sweeping| sweeping.due)
        });
        core.next_sweep = dues.flatten().min().unwrap_or(NEVER);
        let unread = core.owned().flat_map(|partition| partition.early_left.keys().cloned());
        for id in unread.collect::<Vec<_>>() {
            core.make_ready(&id);
        }
        // A quarantined instance gets one new chance at every open: the build may have been mended.
        for id in quarantined {
            core.make_ready(&id);
        }
        Ok(core)
    }

    /// Takes in what came from outside; the next step looks at it.
    pub(crate) fn accept(&mut self, input: Input) {
        self.inputs.push_back(input);
    }

    /// Whether a step at `now` would have something to do.
    pub(crate) fn has_work(&self, now: Timestamp) -> bool {
        !self.inputs.is_empty()
            || !self.ready.is_empty()
            || !self.backlogs.is_empty()
            || self.has_activities_to_begin()
            || self.next_wake().is_some_and(|wake| wake <= now)
    }

    /// When the next step is due if nothing comes in.
    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        let timers = self.owned().filter_map(|partition| partition.next_due);
        timers.chain(self.sweep_due()).min()
    }

    /// How many `async` operations and activities run.
    pub(crate) fn running(&self) -> usize {
        let operations = self.mailboxes.values();
        let operations = operations.filter(|mailbox| mailbox.block.is_running());
        operations.count() + self.activities.running()
    }

    /// What is in memory of instances that have something to remember.
    #[cfg(test)]
    pub(crate) fn remembered(&self) -> Vec<String> {
        let shown = self.mailboxes.iter().map(|(id, mailbox)| format!("{id}: {mailbox:?}"));
        shown.collect()
    }

    /// How many instances have messages that wait, and how many entities are in memory.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.mailboxes.len(), self.states.len())
    }

    /// Does what there is to do, up to the size of one commit.
    ///
    /// `reader` shows exactly the commits up to `seen`, among them every one of this core, and everything was accepted
    /// that was delivered of them. Otherwise a row could be read before one of the same sender that is still on its way.
    /// Deliveries of later commits stay with the core, and so does what came after them, until a step sees their rows.
    ///
    /// # Errors
    /// What the reader meets. The core is of no use after that.
    pub(crate) fn step(&mut self, now: Timestamp, batch_number: u64, reader: &dyn Reader, seen: u64) -> Result<Step> {
        let mut step = self.new_step(now, batch_number);
        self.begin_waiting_activities(&mut step, reader)?;
        while let Some(input) = self.inputs.pop_front() {
            if matches!(input, Input::Delivery { commit, .. } if commit > seen) {
                self.inputs.push_front(input);
                break;
            }
            self.take_in(input, &mut step, reader)?;
        }
        self.fire_timers(&mut step, reader)?;
        self.sweep(&mut step, reader)?;
        self.look_at_backlog(reader)?;
        self.run(&mut step, reader)?;
        self.admit_behind_locks(&mut step, reader)?;
        self.close(&mut step)?;
        Ok(step)
    }

    pub(super) fn new_step(&mut self, now: Timestamp, batch_number: u64) -> Step {
        self.steps += 1;
        std::mem::take(&mut self.last_step).renewed(self.steps, now, batch_number)
    }

    /// Takes back a step that is committed: the next one uses its memory.
    pub(crate) fn reuse(&mut self, step: Step) {
        self.last_step = step;
    }

    /// Runs the instances that are ready, in their order, until the commit is full.
    fn run(&mut self, step: &mut Step, reader: &dyn Reader) -> Result<()> {
        // What becomes ready again because it has to wait for this step's commit runs in the next one.
        let mut later = Vec::new();
        while !self.ready.is_empty() && !self.is_full(step) {
            let count = self.ready.len().min(self.limits.page);
            let page: Arc<[InstanceId]> = self.ready.drain(..count).collect();
            self.load(&page, step, reader)?;
            self.progress.take_up(&page);
            let mut turns = 0;
            while turns < count && !self.is_full(step) {
                let id = &page[turns];
                self.progress.enter(turns);
                if self.turn(id, step, reader)? {
                    later.push(id.clone());
                }
                self.progress.leave();
                turns += 1;
            }
            // Who got no turn is still ready, and first in the next step.
            for id in page[turns..].iter().rev() {
                self.ready.push_front(id.clone());
            }
        }
        for id in later {
            self.make_ready(&id);
        }
        Ok(())
    }

    pub(super) fn is_full(&self, step: &Step) -> bool {
        step.counts.operations >= self.limits.batch_operations as u64
            || step.bytes() >= self.limits.batch_bytes
            || step.held >= self.limits.batch_bytes.saturating_mul(HELD_BYTES)
    }

    /// Turns what is left of the step into rows.
    fn close(&mut self, step: &mut Step) -> Result<()> {
        step.unsaved.dedup();
        for id in std::mem::take(&mut step.unsaved) {
            self.save_arrivals(&id, step)?;
        }
        self.write_states(step)?;
        self.write_instances(step)?;
        for partition in self.partitions.iter_mut().flatten() {
            if std::mem::take(&mut partition.record_changed) {
                let key = keys::partition(partition.id);
                step.batch.put(&key, &records::encode(&partition.record)?);
            }
        }
        self.states.age();
        self.instances.age();
        Ok(())
    }

    fn take_in(&mut self, input: Input, step: &mut Step, reader: &dyn Reader) -> Result<()> {
        match input {
            Input::Request { target, action, client } => {
                let message = Message::new(step.next_id(), target, action, Origin::Client(client));
                self.route(message, step, reader)
            }
            Input::Delivery { message, .. } => self.route(message, step, reader),
            Input::ActivityEnded {
                activity,
                attempt,
                ended,
            } => self.end_activity(activity, attempt, ended, step, reader),
            Input::Wait { instance, waiter } => self.wait_for_end(instance, waiter, step, reader),
            Input::Forget { instance, token } => {
                self.forget_waiter(&instance, token);
                Ok(())
            }
            Input::Spilled => {
                self.forget_deliveries();
                Ok(())
            }
            Input::AsyncEnded {
                instance,
                message,
                ended,
            } => self.end_async(&instance, message, ended, step, reader),
            Input::Resume { instance, token } => {
                self.resume(&instance, token, step);
                Ok(())
            }
            Input::DeadLetter {
                partition,
                id,
                redeliver,
                token,
            } => self.settle_dead_letter(partition, id, redeliver, token, step, reader),
        }
    }

    /// Brings a message to its instance here, or makes it a row for another core.
    pub(super) fn route(&mut self, message: Message, step: &mut Step, reader: &dyn Reader) -> Result<()> {
        let partition = self.partition_of(&message.target);
        if self.partitions[usize::from(partition.0)].is_none() {
            let (key, value) = message.row(partition)?;
            step.batch.insert(&key, &value);
            step.deliveries.push(Message {
                stored: true,
                ..message
            });
            return Ok(());
        }
        if message.is_urgent() {
            self.pass_queue(message, step);
            return Ok(());
        }
        if message.stored && (self.has_unread_rows(&message.target) || self.is_memory_full(0)) {
            // Rows come before it, or there is no memory for it, so it is read in its turn.
            let target = message.target.clone();
            self.mailbox(&target).park(message, 0);
            self.make_ready(&target);
            return Ok(());
        }
        if message.is_control() && !self.has_control_before(&message) {
            if message.stored {
                self.mailbox(&message.target).touched_in = step.number;
                self.make_ready(&message.target);
            }
            return self.control(message, step, reader);
        }
        if message.needs_row() {
            step.unsaved.push(message.target.clone());
        }
        let mailbox = self.mailbox(&message.target);
        let was_ready = std::mem::replace(&mut mailbox.ready, true);
        let newly_ready = (!was_ready).then(|| message.target.clone());
        let bytes = message.weight();
        mailbox.bytes += bytes;
        mailbox.arrivals.push_back(message);
        self.mailbox_bytes += bytes;
        if let Some(id) = newly_ready {
            self.ready.push_back(id);
        }
        Ok(())
    }

    /// Brings a message to its instance here, past those that wait in line.
    fn pass_queue(&mut self, message: Message, step: &mut Step) {
        let target = message.target.clone();
        let needs_row = message.needs_row();
        let mailbox = self.mailbox(&target);
        // While rows are unread, one that has a row is read with them.
        if !(message.stored && mailbox.urgent_rows) {
            mailbox.urgent.push_back(message);
        }
        self.make_ready(&target);
        if needs_row {
            step.unsaved.push(target);
        }
    }

    /// Whether a message that sets or cancels a timer has to wait, because one of the same sender may be before it.
    fn has_control_before(&self, message: &Message) -> bool {
        // A client's is processed when it comes in, so that none of a client ever waits.
        if message.client().is_some() {
            return false;
        }
        let mailbox = self.mailboxes.get(&message.target);
        mailbox.is_some_and(|mailbox| mailbox.has_control()) || self.has_unread_rows(&message.target)
    }

    /// Whether rows of an instance may be in the store that are not in memory.
    fn has_unread_rows(&self, id: &InstanceId) -> bool {
        match self.mailboxes.get(id) {
            Some(mailbox) => mailbox.rows.is_some(),
            None => self.partition(self.partition_of(id)).backlog_covers(id),
        }
    }

    /// Gives a row to every message of an instance that this step took in, did not process and must not lose.
    fn save_arrivals(&mut self, id: &InstanceId, step: &mut Step) -> Result<()> {
        let partition = self.partition_of(id);
        let full = self.is_memory_full(0);
        let Some(mailbox) = self.mailboxes.get_mut(id) else {
            return Ok(());
        };
        let mut kept = VecDeque::with_capacity(mailbox.arrivals.len());
        for mut message in std::mem::take(&mut mailbox.arrivals) {
            if message.needs_row() {
                mailbox.give_row(&mut message, partition, step)?;
                if mailbox.rows.is_some() {
                    mailbox.park(message, 0);
                    continue;
                }
            }
            kept.push_back(message);
        }
        mailbox.arrivals = kept;
        if full {
            mailbox.shed();
        }
        let bytes = mailbox.weigh();
        let before = std::mem::replace(&mut mailbox.bytes, bytes);
        self.mailbox_bytes = (self.mailbox_bytes + bytes).saturating_sub(before);
        for mut message in std::mem::take(&mut mailbox.urgent) {
            if message.needs_row() {
                mailbox.give_row(&mut message, partition, step)?;
                if mailbox.urgent_rows {
                    continue;
                }
            }
            mailbox.urgent.push_back(message);
        }
        Ok(())
    }

    /// Makes the next instances of the backlog ready; their mailboxes know that they have rows.
    fn look_at_backlog(&mut self, reader: &dyn Reader) -> Result<()> {
        if self.ready.len() >= self.limits.page {
            return Ok(());
        }
        let Some(id) = self.backlogs.pop_front() else {
            return Ok(());
        };
        let Some(from) = self.partition(id).backlog.clone() else {
            return Ok(());
        };
        let range = from..keys::all_messages(id).end;
        let rows = reader.keys(range, self.limits.page)?;
        let mut instances: Vec<InstanceId> = rows
            .iter()
            .filter_map(|key| keys::id_of(key).map(InstanceId::trusted))
            .collect();
        instances.dedup();
        for instance in &instances {
            self.mailbox(instance);
            self.make_ready(instance);
        }
        let next = match rows.last() {
            Some(last) if rows.len() == self.limits.page => Some(keys::after_id(last)),
            _ => None,
        };
        if next.is_some() {
            self.backlogs.push_back(id);
        }
        self.partition_mut(id).backlog = next;
        Ok(())
    }

    /// Forgets what is in memory of messages with rows, because later ones were not delivered: all rows are read again.
    fn forget_deliveries(&mut self) {
        for mailbox in self.mailboxes.values_mut() {
            mailbox.arrivals.retain(|message| !message.stored);
            mailbox.spill();
            mailbox.bytes = mailbox.weigh();
        }
        self.mailbox_bytes = self.mailboxes.values().map(|mailbox| mailbox.bytes).sum();
        let owned: Vec<PartitionId> = self.owned().map(|partition| partition.id).collect();
        for id in &owned {
            self.partition_mut(*id).backlog = Some(keys::all_messages(*id).start);
        }
        self.backlogs = owned.into();
    }

    /// The mailbox of an instance, made if there is none.
    pub(super) fn mailbox(&mut self, id: &InstanceId) -> &mut Mailbox {
        let partition = usize::from(self.partition_of(id).0);
        let (partitions, held, spare) = (&self.partitions, &self.held, &mut self.spare_mailboxes);
        self.mailboxes.entry(id.clone()).or_insert_with(|| {
            let mut mailbox = spare.pop().unwrap_or_default();
            if let Some(partition) = &partitions[partition]
                && partition.backlog.is_some()
            {
                mailbox.rows = partition.backlog_covers(id).then_some(MessageId::MIN);
                mailbox.uncounted = mailbox.rows.is_some();
                mailbox.urgent_rows = partition.backlog_covers_urgent(id);
            }
            if held.contains(id) {
                mailbox.block = Block::Held;
            }
            mailbox
        })
    }

    /// Takes a mailbox out, to be put back after what is done with its messages.
    pub(super) fn take_mailbox(&mut self, id: &InstanceId) -> Option<Box<Mailbox>> {
        let mailbox = self.mailboxes.remove(id)?;
        self.mailbox_bytes = self.mailbox_bytes.saturating_sub(mailbox.bytes);
        Some(mailbox)
    }

    /// Puts a mailbox back. What has a row is left to it where there is no memory for more.
    pub(super) fn put_mailbox(&mut self, id: &InstanceId, mut mailbox: Box<Mailbox>) {
        mailbox.bytes = mailbox.weigh();
        if self.is_memory_full(mailbox.bytes) {
            mailbox.shed();
            mailbox.bytes = mailbox.weigh();
        }
        self.mailbox_bytes += mailbox.bytes;
        mailbox.give_back_capacity();
        self.mailboxes.insert(id.clone(), mailbox);
    }

    /// The bytes that messages that wait may still take.
    pub(super) fn memory_left(&self) -> usize {
        self.limits.queue_bytes.saturating_sub(self.mailbox_bytes)
    }

    /// Whether the messages that wait have as many bytes as they may, those of mailboxes that are in hand included.
    pub(super) fn is_memory_full(&self, in_hand: usize) -> bool {
        self.mailbox_bytes.saturating_add(in_hand) > self.limits.queue_bytes
    }

    /// Keeps a mailbox that nobody needs any more for somebody else.
    pub(super) fn keep_spare(&mut self, mut mailbox: Box<Mailbox>) {
        if self.spare_mailboxes.len() < self.limits.page {
            mailbox.clear(SPARE_MESSAGES / (self.spare_mailboxes.len() + 1));
            self.spare_mailboxes.push(mailbox);
        }
    }

    pub(super) fn make_ready(&mut self, id: &InstanceId) {
        let mailbox = self.mailbox(id);
        if !std::mem::replace(&mut mailbox.ready, true) {
            self.ready.push_back(id.clone());
        }
    }

    pub(super) fn partition_of(&self, id: &InstanceId) -> PartitionId {
        id.partition(self.partitions.len() as u16)
    }

    pub(super) fn partition(&self, id: PartitionId) -> &Partition {
        self.partitions[usize::from(id.0)]
            .as_ref()
            .expect("a core is only asked about partitions that it owns")
    }

    pub(super) fn partition_mut(&mut self, id: PartitionId) -> &mut Partition {
        self.partitions[usize::from(id.0)]
            .as_mut()
            .expect("a core is only asked about partitions that it owns")
    }

    pub(super) fn owned(&self) -> impl Iterator<Item = &Partition> {
        self.partitions.iter().flatten()
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("registry", &self.registry)
            .field("steps", &self.steps)
            .field("mailboxes", &self.mailboxes.len())
            .field("states", &self.states.len())
            .finish_non_exhaustive()
    }
}
