//! The mailboxes of a core, and the queue of ready instances.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::engine::admission::{Admission, Facts, admission};
use crate::engine::ctx::{Ctx, Settings};
use crate::engine::mail::post;
use crate::engine::mailbox::{BlockReason, Mailbox};
use crate::engine::message::Message;
use crate::engine::partition::Partitions;
use crate::engine::timers::control;
use crate::error::Result;
use crate::id::{InstanceId, MessageId, PartitionId};
use crate::maps::InstanceMap;
use crate::planted::{self, Fault};
use crate::schema;

/// Number of messages for which the spare mailboxes keep capacity: 1,024 for the first and 1,024 / n for the n-th.
const SPARE_MESSAGES: usize = 1024;

/// Number of messages whose memory is kept from turn to turn.
const KEPT_MESSAGES: usize = 64;

/// The memory of the messages that wait in all mailboxes, in bytes.
#[derive(Debug)]
pub(super) struct QueueMemory {
    used: usize,
    limit: usize,
}

impl QueueMemory {
    pub(super) fn new(limit: usize) -> Self {
        Self { used: 0, limit }
    }

    /// Returns the number of bytes that waiting messages may still use.
    pub(super) fn left(&self) -> usize {
        self.limit.saturating_sub(self.used)
    }

    /// Returns `true` if the waiting messages exceed their budget, including the `in_hand` bytes of mailboxes that are
    /// taken out.
    pub(super) fn is_full(&self, in_hand: usize) -> bool {
        self.used.saturating_add(in_hand) > self.limit
    }

    /// Returns the counted number of bytes.
    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used
    }

    fn add(&mut self, bytes: usize) {
        self.used += bytes;
    }

    fn remove(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }
}

/// The mailboxes of a core, and the queue of ready instances.
#[derive(Debug)]
pub(super) struct Mailboxes {
    map: InstanceMap<Box<Mailbox>>,
    /// Free list of mailboxes. Most instances need one only briefly.
    #[expect(
        clippy::vec_box,
        reason = "the boxes come from the map above and return to it unchanged"
    )]
    spare: Vec<Box<Mailbox>>,
    /// Instances held by the operator.
    held: BTreeSet<InstanceId>,
    ready: VecDeque<InstanceId>,
    /// Partitions with a backlog.
    backlogs: VecDeque<PartitionId>,
}

impl Mailboxes {
    pub(super) fn new(held: BTreeSet<InstanceId>, partitions: &Partitions) -> Self {
        let with_backlog = partitions.owned().filter(|partition| partition.backlog.is_some());
        Self {
            map: InstanceMap::default(),
            spare: Vec::new(),
            held,
            ready: VecDeque::new(),
            backlogs: with_backlog.map(|partition| partition.id).collect(),
        }
    }

    /// Returns the number of mailboxes in memory.
    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    /// Returns `true` if an instance is ready, or rows of the last life have not been examined.
    pub(super) fn has_work(&self) -> bool {
        !self.ready.is_empty() || !self.backlogs.is_empty()
    }

    /// Returns `true` if an instance is ready.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&InstanceId, &Mailbox)> {
        self.map.iter().map(|(id, mailbox)| (id, &**mailbox))
    }

    /// Returns the mailbox of an instance, if it exists.
    pub(super) fn get(&self, id: &InstanceId) -> Option<&Mailbox> {
        self.map.get(id).map(|mailbox| &**mailbox)
    }

    /// Returns the mailbox of an instance, and creates it if necessary.
    pub(super) fn mailbox(&mut self, id: &InstanceId, settings: &Settings, partitions: &Partitions) -> &mut Mailbox {
        let (held, spare) = (&self.held, &mut self.spare);
        self.map.entry(id.clone()).or_insert_with(|| {
            let mut mailbox = spare.pop().unwrap_or_default();
            if let Some(partition) = partitions.find(settings.partition_of(id))
                && partition.backlog.is_some()
            {
                mailbox.rows = partition.backlog_covers(id).then_some(MessageId::MIN);
                mailbox.uncounted = mailbox.rows.is_some();
                mailbox.priority_rows = partition.backlog_covers_priority(id);
            }
            if held.contains(id) {
                mailbox.block = Some(BlockReason::Held);
            }
            mailbox
        })
    }

    /// Takes a mailbox out for processing. [`put`](Self::put) or [`recycle`](Self::recycle) returns it.
    pub(super) fn take(&mut self, id: &InstanceId, memory: &mut QueueMemory) -> Option<Box<Mailbox>> {
        let mailbox = self.map.remove(id)?;
        memory.remove(mailbox.bytes);
        Some(mailbox)
    }

    /// Puts a mailbox back. If memory is full, messages with rows are removed from memory.
    pub(super) fn put(&mut self, id: &InstanceId, mut mailbox: Box<Mailbox>, memory: &mut QueueMemory) {
        mailbox.bytes = mailbox.weigh();
        if memory.is_full(mailbox.bytes) {
            mailbox.shed();
            mailbox.bytes = mailbox.weigh();
        }
        memory.add(mailbox.bytes);
        mailbox.give_back_capacity();
        self.map.insert(id.clone(), mailbox);
    }

    /// Adds a mailbox to the free list.
    pub(super) fn recycle(&mut self, mut mailbox: Box<Mailbox>, settings: &Settings) {
        if self.spare.len() < settings.limits.page {
            mailbox.clear(SPARE_MESSAGES / (self.spare.len() + 1));
            self.spare.push(mailbox);
        }
    }

    /// Releases an instance that the operator holds. Returns `true` if it was held.
    pub(super) fn release_hold(&mut self, id: &InstanceId) -> bool {
        self.held.remove(id)
    }

    /// Adds an instance to the queue of ready instances, unless it is already there.
    pub(super) fn make_ready(&mut self, id: &InstanceId, settings: &Settings, partitions: &Partitions) {
        let mailbox = self.mailbox(id, settings, partitions);
        if !std::mem::replace(&mut mailbox.ready, true) {
            self.ready.push_back(id.clone());
        }
    }

    /// Takes the next ready instances from the queue.
    pub(super) fn next_ready(&mut self, at_most: usize) -> Arc<[InstanceId]> {
        let count = self.ready.len().min(at_most);
        self.ready.drain(..count).collect()
    }

    /// Returns instances that got no turn to the front of the queue.
    pub(super) fn return_ready(&mut self, ids: &[InstanceId]) {
        for id in ids.iter().rev() {
            self.ready.push_front(id.clone());
        }
    }

    /// Routes the messages that the last turn sent.
    pub(super) fn route_outbound(&mut self, ctx: &mut Ctx<'_>) -> Result<()> {
        let mut outbound = std::mem::take(&mut ctx.step.outbound);
        for message in outbound.drain(..) {
            self.route(message, ctx)?;
        }
        if ctx.step.outbound.is_empty() && outbound.capacity() <= KEPT_MESSAGES {
            // Its memory serves the next turn.
            ctx.step.outbound = outbound;
        }
        Ok(())
    }

    /// Delivers a message to its instance in this core, or stores it as a row for another core or shard.
    pub(super) fn route(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<()> {
        match self.admission(&message, ctx) {
            Admission::OtherShard => post(&message, ctx)?,
            Admission::OtherCore => {
                let (key, value) = message.row(ctx.settings.partition_of(&message.target))?;
                if !planted::is(Fault::DropInboxRow) {
                    ctx.step.batch.insert(&key, &value);
                }
                ctx.step.deliveries.push(Message {
                    stored: true,
                    ..message
                });
            }
            Admission::Priority => self.pass_queue(message, ctx),
            Admission::Row => {
                let target = message.target.clone();
                self.mailbox(&target, ctx.settings, ctx.partitions).park(message, 0);
                self.make_ready(&target, ctx.settings, ctx.partitions);
            }
            Admission::Now => {
                if message.stored {
                    let step = ctx.step.number;
                    self.mailbox(&message.target, ctx.settings, ctx.partitions).touched_in = step;
                    self.make_ready(&message.target, ctx.settings, ctx.partitions);
                }
                return control(message, ctx);
            }
            Admission::Line => self.queue(message, ctx),
        }
        Ok(())
    }

    fn admission(&self, message: &Message, ctx: &Ctx<'_>) -> Admission {
        let id = &message.target;
        if !ctx.settings.has(id) {
            return Admission::OtherShard;
        }
        let Some(partition) = ctx.partitions.find(ctx.settings.partition_of(id)) else {
            return Admission::OtherCore;
        };
        let has_unread_rows = || match self.get(id) {
            Some(mailbox) => mailbox.rows.is_some(),
            None => partition.backlog_covers(id),
        };
        let has_control = || self.get(id).is_some_and(Mailbox::has_control);
        admission(Facts::of(message, ctx.memory.is_full(0), has_unread_rows, has_control))
    }

    /// Appends a message to the queue of its instance.
    fn queue(&mut self, message: Message, ctx: &mut Ctx<'_>) {
        if message.needs_row() {
            ctx.step.unsaved.push(message.target.clone());
        }
        let mailbox = self.mailbox(&message.target, ctx.settings, ctx.partitions);
        let was_ready = std::mem::replace(&mut mailbox.ready, true);
        let newly_ready = (!was_ready).then(|| message.target.clone());
        let bytes = message.weight();
        mailbox.bytes += bytes;
        mailbox.arrivals.push_back(message);
        ctx.memory.add(bytes);
        self.ready.extend(newly_ready);
    }

    /// Delivers a message to its instance, ahead of its queue.
    fn pass_queue(&mut self, message: Message, ctx: &mut Ctx<'_>) {
        let target = message.target.clone();
        let needs_row = message.needs_row();
        let mailbox = self.mailbox(&target, ctx.settings, ctx.partitions);
        // While priority rows are unread, a message with a row is read together with them.
        if !(message.stored && mailbox.priority_rows) {
            mailbox.priority.push_back(message);
        }
        self.make_ready(&target, ctx.settings, ctx.partitions);
        if needs_row {
            ctx.step.unsaved.push(target);
        }
    }

    /// Writes a row for every message that this step accepted, did not process and must not lose.
    pub(super) fn save_arrivals(&mut self, ctx: &mut Ctx<'_>) -> Result<()> {
        ctx.step.unsaved.dedup();
        for id in std::mem::take(&mut ctx.step.unsaved) {
            self.save_arrivals_of(&id, ctx)?;
        }
        Ok(())
    }

    fn save_arrivals_of(&mut self, id: &InstanceId, ctx: &mut Ctx<'_>) -> Result<()> {
        let partition = ctx.settings.partition_of(id);
        let full = ctx.memory.is_full(0);
        let Some(mailbox) = self.map.get_mut(id) else {
            return Ok(());
        };
        let mut kept = VecDeque::with_capacity(mailbox.arrivals.len());
        for mut message in std::mem::take(&mut mailbox.arrivals) {
            if message.needs_row() {
                mailbox.give_row(&mut message, partition, ctx.step)?;
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
        ctx.memory.add(bytes);
        ctx.memory.remove(before);
        for mut message in std::mem::take(&mut mailbox.priority) {
            if message.needs_row() {
                mailbox.give_row(&mut message, partition, ctx.step)?;
                if mailbox.priority_rows {
                    continue;
                }
            }
            mailbox.priority.push_back(message);
        }
        Ok(())
    }

    /// Makes the next instances of the backlog ready. Their mailboxes are marked as having unread rows.
    pub(super) fn look_at_backlog(&mut self, ctx: &mut Ctx<'_>) -> Result<()> {
        let at_once = ctx.settings.limits.page;
        if self.ready.len() >= at_once {
            return Ok(());
        }
        let Some(id) = self.backlogs.pop_front() else {
            return Ok(());
        };
        let Some(from) = ctx.partitions.get(id).backlog.clone() else {
            return Ok(());
        };
        let range = from..schema::message::all_with_priority(id).end;
        let rows = ctx.reader.keys(range, at_once)?;
        let mut instances: Vec<InstanceId> = rows.iter().filter_map(|key| schema::id_of(key)).collect();
        instances.dedup();
        for instance in &instances {
            self.make_ready(instance, ctx.settings, ctx.partitions);
        }
        let next = match rows.last() {
            Some(last) if rows.len() == at_once => Some(schema::after_id(last)),
            _ => None,
        };
        if next.is_some() {
            self.backlogs.push_back(id);
        }
        ctx.partitions.get_mut(id).backlog = next;
        Ok(())
    }

    /// Removes messages with rows from memory, because later messages were not delivered. All rows are read again.
    pub(super) fn forget_deliveries(&mut self, ctx: &mut Ctx<'_>) {
        ctx.memory.used = 0;
        for mailbox in self.map.values_mut() {
            mailbox.arrivals.retain(|message| !message.stored);
            mailbox.spill();
            mailbox.bytes = mailbox.weigh();
            ctx.memory.add(mailbox.bytes);
        }
        self.backlogs = ctx.partitions.owned().map(|partition| partition.id).collect();
        for id in &self.backlogs {
            ctx.partitions.get_mut(*id).backlog = Some(schema::message::all_with_priority(*id).start);
        }
    }
}
