//! A core: the partitions that one thread executes, and the loop that turns inputs into steps.

#[cfg(test)]
mod recount;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::engine::activities::{self, Activities, ActivitySlots};
use crate::engine::async_operation::end_async;
use crate::engine::audit::delete_changes;
use crate::engine::batch_times::BatchTimes;
use crate::engine::changes::{Changes, WatchedKinds};
use crate::engine::core_step::CoreStep;
use crate::engine::ctx::{Ctx, Settings};
use crate::engine::dead_letters::settle_dead_letter;
use crate::engine::limits::Limits;
use crate::engine::locks::Locks;
use crate::engine::mail::{Mail, delete_mail, mail_was_taken, no_instance_here, take_mail, write_mail};
use crate::engine::mailbox::BlockReason;
use crate::engine::mailboxes::{Mailboxes, QueueMemory};
use crate::engine::message::{Effect, Output};
use crate::engine::message::{Input, Message, Origin, Response, Token};
use crate::engine::orchestration::{Orchestrations, Waiters, wait_for_end, write_orchestrations};
use crate::engine::partition::Partitions;
use crate::engine::progress::Progress;
use crate::engine::quarantine::resume;
use crate::engine::registry::Registry;
use crate::engine::requests::Callers;
use crate::engine::states::States;
use crate::engine::sweep::sweep;
use crate::engine::timers::fire_timers;
use crate::engine::turn::{load, turn, write_states};
use crate::engine::waiting::admit_behind_locks;
use crate::error::Result;
use crate::id::{InstanceId, PartitionId, Shard};
use crate::store::Reader;
use crate::time::{Aging, Timestamp};
use crate::{model, schema};

/// The configuration of a core.
pub(crate) struct CoreConfig {
    /// Id and incarnation of the hub, as one string.
    pub(crate) hub: Arc<str>,
    pub(crate) limits: Limits,
    pub(crate) registry: Arc<Registry>,
    pub(crate) progress: Arc<Progress>,
    /// Index of the core among the cores of the hub.
    pub(crate) index: usize,
    /// The limits on activities, shared by all cores.
    pub(crate) slots: Arc<ActivitySlots>,
    /// Number of partitions of the hub.
    pub(crate) partitions: u16,
    /// The shard of the hub that this core is a part of.
    pub(crate) shard: Shard,
    /// The partitions that this core owns.
    pub(crate) owned: Vec<PartitionId>,
    /// Instances held by the operator.
    pub(crate) held: BTreeSet<InstanceId>,
    /// Attempts of activities that an earlier life started in this batch or later were not running during a crash.
    pub(crate) calm_since: u64,
    /// Determines the age of rows that expire.
    pub(crate) aging: Aging,
    /// The watched kinds of changes.
    pub(crate) watched: Arc<WatchedKinds>,
}

#[cfg(test)]
impl CoreConfig {
    /// Returns the configuration of a core that owns all partitions of a hub, in the first life of the hub and with a
    /// correct clock.
    pub(crate) fn of_all(partitions: u16, registry: Registry, limits: &Limits) -> Self {
        Self {
            hub: "hub-1".into(),
            limits: limits.clone(),
            registry: Arc::new(registry),
            progress: Arc::new(Progress::default()),
            index: 0,
            slots: Arc::new(ActivitySlots::new(limits.activities, 1)),
            partitions,
            shard: Shard::WHOLE,
            owned: (0..partitions).map(PartitionId).collect(),
            held: BTreeSet::new(),
            calm_since: 0,
            aging: Aging::default(),
            watched: Arc::default(),
        }
    }
}

/// The partitions that one thread executes. Its only I/O is reads, and it uses no clock and no randomness: the same
/// inputs produce the same steps, bit for bit.
pub(crate) struct Core {
    settings: Settings,
    progress: Arc<Progress>,
    inputs: VecDeque<Input>,
    mailboxes: Mailboxes,
    /// The parts that turns use, from here to `waiters`.
    memory: QueueMemory,
    partitions: Partitions,
    states: States,
    locks: Locks,
    mail: Mail,
    orchestrations: Orchestrations,
    activities: Activities,
    callers: Callers,
    waiters: Waiters,
    times: BatchTimes,
    steps: u64,
    /// A committed step, kept for its memory.
    last_step: CoreStep,
}

impl Core {
    /// Opens a core. It reads the rows that it needs and runs no user code.
    pub(crate) fn open(config: CoreConfig, reader: &dyn Reader) -> Result<Self> {
        let activities = Activities::open(config.index, config.slots, &config.owned, config.calm_since, reader)?;
        let partitions = Partitions::open(config.partitions, &config.owned, reader)?;
        let mut core = Self {
            progress: config.progress,
            inputs: VecDeque::new(),
            mailboxes: Mailboxes::new(config.held, &partitions),
            memory: QueueMemory::new(config.limits.queue_bytes),
            states: States::new(config.limits.cache_bytes),
            locks: Locks::open(&partitions, reader)?,
            mail: Mail::open(config.shard, reader)?,
            orchestrations: Orchestrations::new(config.limits.live_bytes),
            activities,
            callers: Callers::default(),
            waiters: Waiters::default(),
            times: BatchTimes::default(),
            steps: 0,
            last_step: CoreStep::default(),
            partitions,
            settings: Settings {
                hub: config.hub,
                limits: config.limits,
                registry: config.registry,
                partitions: config.partitions,
                shard: config.shard,
                aging: config.aging,
                watched: config.watched,
            },
        };
        core.wake_leftovers();
        Ok(core)
    }

    /// Makes the instances ready that have work immediately. A quarantined instance is retried once at every open,
    /// because the build may have been fixed.
    fn wake_leftovers(&mut self) {
        let partitions = || self.partitions.owned();
        let unread = partitions().flat_map(|partition| partition.early_left.keys());
        let quarantined = partitions().flat_map(|partition| &partition.quarantined);
        for id in unread.chain(quarantined) {
            self.mailboxes.make_ready(id, &self.settings, &self.partitions);
        }
    }

    /// Accepts an external input for the next step.
    pub(crate) fn accept(&mut self, input: Input) {
        self.inputs.push_back(input);
    }

    /// Removes and returns the inputs that no step has taken. The core must not be used afterwards.
    pub(crate) fn take_inputs(&mut self) -> impl Iterator<Item = Input> {
        self.inputs.drain(..)
    }

    /// Returns the number of inputs that wait for the next step.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// Returns `true` if a step at `now` would have work.
    pub(crate) fn has_work(&self, now: Timestamp) -> bool {
        !self.inputs.is_empty()
            || self.mailboxes.has_work()
            || self.activities.has_work(&self.settings.limits)
            || self.next_wake().is_some_and(|wake| wake <= now)
    }

    /// Returns the time at which the next step is due if there is no further input.
    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        let timers = self.partitions.owned().filter_map(|partition| partition.next_due);
        timers.chain(self.partitions.sweep_due()).min()
    }

    /// Returns the time at which the next timer is due.
    #[cfg(feature = "testing")]
    pub(crate) fn next_timer(&self) -> Option<Timestamp> {
        self.partitions.owned().filter_map(|partition| partition.next_due).min()
    }

    /// Returns the number of running `async` operations and activities, including those whose results are no longer
    /// needed.
    pub(crate) fn occupied(&self) -> usize {
        self.running() + self.activities.unwanted()
    }

    /// Returns the number of running `async` operations and activities.
    pub(crate) fn running(&self) -> usize {
        let operations = self.mailboxes.iter().filter(|(_, mailbox)| mailbox.is_running());
        operations.count() + self.activities.running()
    }

    /// Returns a description of each mailbox in memory.
    #[cfg(test)]
    pub(crate) fn remembered(&self) -> Vec<String> {
        let shown = self.mailboxes.iter().map(|(id, mailbox)| format!("{id}: {mailbox:?}"));
        shown.collect()
    }

    /// Returns the number of instances in memory.
    pub(crate) fn sizes(&self) -> Sizes {
        Sizes {
            mailboxes: self.mailboxes.len(),
            entities: self.states.len(),
            orchestrations: self.orchestrations.len(),
        }
    }

    /// Performs pending work, up to the size of one commit. Takes in at most `at_most` inputs, and leaves the others to the
    /// next steps.
    ///
    /// `reader` shows exactly the commits up to `seen`, including all commits of this core. All messages delivered by
    /// those commits must have been accepted. Otherwise a row could be read before a row of the same sender whose
    /// delivery is still pending. Deliveries of later commits remain in the core, together with all inputs that follow
    /// them, until a step can read their rows.
    ///
    /// # Errors
    /// Returns any error of the reader. The core must not be used afterwards.
    pub(crate) fn step(
        &mut self,
        now: Timestamp,
        batch_number: u64,
        reader: &dyn Reader,
        seen: u64,
        at_most: usize,
    ) -> Result<CoreStep> {
        let mut step = self.new_step(now, batch_number);
        let (
            LoopParts {
                inputs,
                mailboxes,
                progress,
            },
            ctx,
        ) = &mut self.split(&mut step, reader);
        activities::begin_waiting(ctx)?;
        mailboxes.route_outbound(ctx)?;
        for _ in 0..at_most {
            let Some(input) = inputs.pop_front() else { break };
            if matches!(input, Input::Delivery { commit, .. } if commit > seen) {
                inputs.push_front(input);
                break;
            }
            take_in(input, mailboxes, ctx)?;
        }
        fire_timers(ctx)?;
        mailboxes.route_outbound(ctx)?;
        sweep(ctx)?;
        mailboxes.look_at_backlog(ctx)?;
        run(mailboxes, progress, ctx)?;
        admit_behind_locks(mailboxes, ctx)?;
        close(mailboxes, ctx)?;
        if let Some(oldest) = ctx.step.counts.oldest {
            ctx.step.counts.queue_age = ctx.age(oldest);
        }
        Ok(step)
    }

    /// Returns the last step of a core that is shut down cleanly. Running activities that are left behind were not
    /// running during a crash, so the step resets their rows to not started. Returns `None` if no activity is left
    /// behind.
    ///
    /// # Errors
    /// Returns any error of the reader.
    pub(crate) fn leave(&mut self, now: Timestamp, batch_number: u64, reader: &dyn Reader) -> Result<Option<CoreStep>> {
        let mut step = self.new_step(now, batch_number);
        activities::leave(&mut self.split(&mut step, reader).1)?;
        Ok((!step.batch.is_empty()).then_some(step))
    }

    /// Starts no further activities, because the hub closes.
    pub(crate) fn begin_no_more_activities(&mut self) {
        self.activities.close();
    }

    /// Forgets the clients that no longer wait, if their calls wait as rows or they are attached to such a call.
    /// Returns their tokens. The core sends nothing to these tokens afterwards.
    pub(crate) fn forget_callers(&mut self, is_gone: impl Fn(Token) -> bool) -> Vec<Token> {
        self.callers.forget(is_gone)
    }

    pub(super) fn new_step(&mut self, now: Timestamp, batch_number: u64) -> CoreStep {
        self.steps += 1;
        self.times.note(batch_number, now);
        let mut step = std::mem::take(&mut self.last_step).renewed(self.steps, now, batch_number);
        step.changes = Changes::new(&self.settings.watched);
        step
    }

    /// Takes back a committed step so that the next step can reuse its memory.
    pub(crate) fn reuse(&mut self, step: CoreStep) {
        self.last_step = step;
    }

    /// Splits the core for a step: the parts that only the loop may access, and the context of the turns.
    pub(super) fn split<'a>(&'a mut self, step: &'a mut CoreStep, reader: &'a dyn Reader) -> (LoopParts<'a>, Ctx<'a>) {
        let parts = LoopParts {
            inputs: &mut self.inputs,
            mailboxes: &mut self.mailboxes,
            progress: &self.progress,
        };
        let ctx = Ctx {
            step,
            reader,
            settings: &self.settings,
            partitions: &mut self.partitions,
            memory: &mut self.memory,
            states: &mut self.states,
            locks: &mut self.locks,
            mail: &mut self.mail,
            orchestrations: &mut self.orchestrations,
            activities: &mut self.activities,
            callers: &mut self.callers,
            waiters: &mut self.waiters,
            times: &self.times,
        };
        (parts, ctx)
    }
}

/// The number of instances in the memory of a core.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Instances with waiting messages.
    pub(crate) mailboxes: usize,
    pub(crate) entities: usize,
    pub(crate) orchestrations: usize,
}

/// The parts of a core that only its loop may access.
pub(super) struct LoopParts<'a> {
    pub(super) inputs: &'a mut VecDeque<Input>,
    pub(super) mailboxes: &'a mut Mailboxes,
    pub(super) progress: &'a Progress,
}

fn take_in(input: Input, mailboxes: &mut Mailboxes, ctx: &mut Ctx<'_>) -> Result<()> {
    match input {
        Input::Request {
            target,
            action,
            mut client,
        } => {
            if !ctx.settings.has(&target) {
                if let Some(token) = client.token {
                    let error = no_instance_here(&target, ctx.settings.shard);
                    ctx.step.settle(token, Response::Failed(Box::new(error.into())));
                }
                return Ok(());
            }
            let trace = client.trace.take();
            let message = Message::new(ctx.step.next_id(), target, action, Origin::Client(client)).in_trace(trace);
            return mailboxes.route(message, ctx);
        }
        Input::Delivery { message, .. } => return mailboxes.route(message, ctx),
        Input::Mail {
            from,
            first,
            messages,
            token,
        } => return take_mail(from, first, messages, token, mailboxes, ctx),
        Input::MailTaken { to, upto } => return mail_was_taken(to, upto, ctx),
        Input::ActivityEnded {
            activity,
            attempt,
            ended,
            span,
        } => activities::end(activity, attempt, ended, span, ctx)?,
        Input::Wait { instance, waiter } => {
            // A stopped orchestration that this build has not tried yet may be able to continue.
            let mailbox = mailboxes.get(&instance);
            let is_tried = mailbox.is_some_and(|mailbox| matches!(mailbox.block, Some(BlockReason::Stopped)));
            wait_for_end(&instance, waiter, is_tried, ctx)?;
        }
        Input::Forget { instance, token } => ctx.waiters.forget(&instance, token),
        Input::Spilled => mailboxes.forget_deliveries(ctx),
        Input::AsyncEnded {
            instance,
            message,
            ended,
        } => end_async(&instance, message, ended, mailboxes, ctx)?,
        Input::Resume { instance, token } => resume(&instance, token, mailboxes, ctx),
        Input::DeleteChanges { instance, token } => delete_changes(&instance, token, ctx)?,
        Input::DeadLetter {
            partition,
            id,
            fate,
            token,
        } => settle_dead_letter(partition, id, fate, token, ctx)?,
    }
    mailboxes.route_outbound(ctx)
}

/// Runs the ready instances in order until the commit is full.
fn run(mailboxes: &mut Mailboxes, progress: &Progress, ctx: &mut Ctx<'_>) -> Result<()> {
    // Instances that have to wait for this step's commit run again in the next step.
    let mut later = Vec::new();
    while mailboxes.has_ready() && !ctx.is_full() {
        let page = mailboxes.next_ready(ctx.settings.limits.page);
        load(&page, ctx)?;
        progress.take_up(&page);
        let mut turns = 0;
        while turns < page.len() && !ctx.is_full() {
            let id = &page[turns];
            progress.enter(turns);
            if turn(id, mailboxes, ctx)? {
                later.push(id.clone());
            }
            progress.leave();
            turns += 1;
        }
        mailboxes.return_ready(&page[turns..]);
    }
    for id in later {
        mailboxes.make_ready(&id, ctx.settings, ctx.partitions);
    }
    Ok(())
}

/// Writes the remaining changes of the step as rows.
fn close(mailboxes: &mut Mailboxes, ctx: &mut Ctx<'_>) -> Result<()> {
    mailboxes.save_arrivals(ctx)?;
    write_states(ctx)?;
    write_orchestrations(ctx)?;
    write_mail(ctx)?;
    if let Some(changes) = ctx.step.changes.take() {
        ctx.step.outputs.push(Output::Effect(Effect::Changes(changes)));
    }
    for partition in ctx.partitions.owned_mut() {
        if std::mem::take(&mut partition.record_changed) {
            let key = schema::partition::key(partition.id);
            ctx.step.batch.put(&key, &model::encode(&partition.record)?);
        }
    }
    delete_mail(ctx);
    ctx.states.age();
    ctx.orchestrations.age();
    Ok(())
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("registry", &self.settings.registry)
            .field("steps", &self.steps)
            .field("mailboxes", &self.mailboxes.len())
            .field("states", &self.states.len())
            .finish_non_exhaustive()
    }
}
