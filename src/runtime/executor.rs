//! The thread that runs one core.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Duration;

use crate::engine::message::{ClientOrigin, Input, Output, Token};
use crate::engine::{Core, CoreConfig, Step, panic_text};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::activities::StartActivity;
use crate::runtime::callers::Callers;
use crate::runtime::contained::contained;
use crate::runtime::gauges::Gauges;
use crate::runtime::inbox::{Envelope, InboxReceiver, Reply};
use crate::runtime::release::Release;
use crate::runtime::shared::Runtime;
use crate::runtime::totals::Held;
use crate::time::Timestamp;

/// How long a hub that is asked to stop continues work that no client waits for.
const ENCORE: Duration = Duration::from_secs(1);

/// The longest wait for a time that is known. The clock of such a wait may stand still while the computer sleeps, and the
/// hub's does not.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The thread that runs one core: it receives, steps, commits and hands on.
pub(crate) struct Executor {
    index: usize,
    core: Core,
    inbox: InboxReceiver,
    runtime: Arc<Runtime>,
    /// Memory for the envelopes that are taken in.
    envelopes: VecDeque<Envelope>,
    callers: Callers,
    /// The clients that wait for the ends of orchestrations. Their tokens are drawn by the runtime and never used twice:
    /// one that is forgotten here may still be settled by the core.
    waits: HashMap<Token, Reply>,
    gauges: Gauges,
    /// What the totals of the hub count of this executor.
    held: Held,
    /// When to leave what is not done, once the hub is asked to stop.
    stop_at: Option<Timestamp>,
    /// Since when, after the hub was asked to stop, no client and no `async` operation is left to wait for.
    settled_since: Option<Timestamp>,
}

impl Executor {
    /// Opens a core and runs it until it is stopped; `opened` hears whether it could be opened. All of it happens on the
    /// calling thread, because what the core holds of orchestrations never leaves it. After an error everyone who asks hears
    /// of it.
    pub(crate) fn run(
        index: usize,
        core: CoreConfig,
        inbox: InboxReceiver,
        runtime: Arc<Runtime>,
        opened: &Sender<Result<()>>,
    ) {
        let core = match Core::open(core, runtime.order.store().as_ref()) {
            Ok(core) => core,
            Err(error) => {
                runtime.fail(&error);
                runtime.executor_ended();
                let _ = opened.send(Err(error));
                return;
            }
        };
        let _ = opened.send(Ok(()));
        let executor = Self {
            index,
            core,
            inbox,
            runtime,
            envelopes: VecDeque::new(),
            callers: Callers::default(),
            waits: HashMap::new(),
            gauges: Gauges::of_executor(index),
            held: Held::default(),
            stop_at: None,
            settled_since: None,
        };
        executor.execute();
    }

    fn execute(mut self) {
        let _ended = Ended(Arc::clone(&self.runtime));
        // Nothing of a step that panicked is written, and nothing of the core is used after it.
        let worked =
            catch_unwind(AssertUnwindSafe(|| self.work())).unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
        if let Err(error) = worked {
            self.runtime.fail(&error);
            contained(|| {
                tracing::error!(%error, executor = self.index, "an executor stops; the hub has to be opened again");
            });
            self.refuse_until_stopped(&error);
        }
        // Who was told of a full queue by the last steps waits for room that no step will make.
        self.runtime.room.open_all();
        // What is left of the core holds states of users, and one of them may panic again when it is dropped.
        contained(|| drop(self));
    }

    fn work(&mut self) -> Result<()> {
        loop {
            // First the work, then the wait: what was stored by the last process is there before anything comes in.
            while self.has_work() && !self.has_to_end() {
                self.go_on()?;
                self.step()?;
                self.drain();
            }
            self.go_on()?;
            if self.may_end() {
                return self.leave();
            }
            self.receive();
        }
    }

    /// Whether a step would have something to do. Messages that were left to their rows count: nothing else may ever come
    /// in after them.
    fn has_work(&self) -> bool {
        self.core.has_work(self.runtime.clock.now()) || self.runtime.inboxes[self.index].has_spilled()
    }

    /// Whether the hub still works: a sync or another executor may have failed.
    fn go_on(&self) -> Result<()> {
        self.runtime.failed().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Waits for an envelope, or until the core wants to run, and takes in what is there.
    fn receive(&mut self) {
        let now = self.runtime.clock.now();
        let wake = self.core.next_wake().into_iter().chain(self.stop_at).min();
        // The clock rounds down, so a wait ends up to a millisecond early; one more keeps it from spinning.
        let timeout = wake.map(|wake| (now.until(wake) + Duration::from_millis(1)).min(LONGEST_WAIT));
        self.inbox.wait(timeout);
        self.drain();
    }

    /// Takes in everything that was sent before the call.
    fn drain(&mut self) {
        let mut envelopes = std::mem::take(&mut self.envelopes);
        self.inbox.take(&mut envelopes);
        for envelope in envelopes.drain(..) {
            self.take_in(envelope);
        }
        self.envelopes = envelopes;
        let inbox = &self.runtime.inboxes[self.index];
        if self.callers.is_worth_a_look(inbox.given_up()) {
            inbox.forget_given_up();
            for token in self.core.forget_callers(|token| self.callers.is_gone(token)) {
                self.callers.remove(token);
            }
        }
    }

    fn take_in(&mut self, envelope: Envelope) {
        match envelope {
            Envelope::Request {
                target,
                action,
                client,
                reply,
            } => {
                let token = self.callers.add(reply);
                let client = ClientOrigin {
                    token: Some(token),
                    ..client
                };
                self.core.accept(Input::Request { target, action, client });
            }
            Envelope::Operator { input, reply } => {
                let token = self.callers.add(reply);
                self.core.accept(input(token));
            }
            Envelope::Wait {
                instance,
                waiter,
                reply,
            } => {
                self.waits.insert(waiter.token, reply);
                self.core.accept(Input::Wait { instance, waiter });
            }
            Envelope::Forget { instance, token } => {
                // Nothing is left to forget of one that was settled meanwhile.
                if self.waits.remove(&token).is_some() {
                    self.core.accept(Input::Forget { instance, token });
                }
            }
            Envelope::Input(input) => self.core.accept(*input),
            Envelope::Wake => {}
            Envelope::Stop { patience } => {
                self.core.begin_no_more_activities();
                self.stop_at = Some(self.runtime.clock.now().after(patience));
            }
        }
    }

    /// One step of the core, and what follows from it.
    fn step(&mut self) -> Result<()> {
        let runtime = Arc::clone(&self.runtime);
        let step = if runtime.inboxes.len() == 1 {
            // Nobody else writes messages for this core, so the newest state of the store is as good as a view of it.
            let (now, batch) = (runtime.clock.now(), runtime.order.draw_batch_number());
            self.core.step(now, batch, runtime.order.store().as_ref(), u64::MAX)?
        } else {
            let inbox = &runtime.inboxes[self.index];
            let (seen, reader, spilled) = runtime.order.snapshot(|| inbox.take_spilled());
            if spilled {
                self.core.accept(Input::Spilled);
            }
            // After the snapshot, so that everything is accepted that was delivered of the commits that it shows.
            self.drain();
            // After everything is in, so that what the step sends has higher ids than whatever it was derived from, and no message
            // is processed before the time at which it was sent.
            let (now, batch) = (runtime.clock.now(), runtime.order.draw_batch_number());
            self.core.step(now, batch, reader.as_ref(), seen)?
        };
        for core in runtime.slots.take_news() {
            runtime.inboxes[core].send(Envelope::Wake);
        }
        self.commit(step)
    }

    /// Notes what is left behind. Nobody but this executor writes these rows, so the newest state of the store serves.
    fn leave(&mut self) -> Result<()> {
        let order = &self.runtime.order;
        let (now, batch) = (self.runtime.clock.now(), order.draw_batch_number());
        match self.core.leave(now, batch, order.store().as_ref())? {
            Some(step) => self.commit(step),
            None => Ok(()),
        }
    }

    /// Writes what the step changed, delivers its messages, and brings what leaves the process to the gate.
    fn commit(&mut self, mut step: Step) -> Result<()> {
        let runtime = Arc::clone(&self.runtime);
        runtime.totals.add(&step.counts);
        let (mailboxes, entities) = self.core.sizes();
        self.gauges.set(runtime.inboxes[self.index].len(), mailboxes, entities);
        let held = Held {
            mailboxes: mailboxes as u64,
            entities: entities as u64,
            callers: self.callers.len() as u64,
        };
        runtime.totals.hold(&mut self.held, held);
        for token in step.stored_calls.drain(..) {
            self.callers.give_back_room(token);
        }
        let mut releases = Vec::with_capacity(step.outputs.len());
        releases.extend(step.outputs.drain(..).filter_map(|output| self.release(output)));
        if step.batch.is_empty() {
            if !releases.is_empty() {
                runtime.hold(releases);
            }
            self.core.reuse(step);
            return Ok(());
        }
        let _span = tracing::debug_span!("commit", executor = self.index, changes = step.batch.len()).entered();
        runtime.totals.commits.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("abide.commits").increment(1);
        metrics::histogram!("abide.commit.changes").record(step.batch.len() as f64);
        let deliveries = std::mem::take(&mut step.deliveries);
        let deliver = |commit| {
            for message in deliveries {
                runtime.inbox_of(&message.target).deliver(message, commit);
            }
        };
        match runtime.order.commit(step.now, &mut step.batch, releases, deliver) {
            Ok(_) => {
                self.core.reuse(step);
                Ok(())
            }
            Err((error, releases)) => {
                runtime.release(releases, Some(&error));
                Err(error)
            }
        }
    }

    fn release(&mut self, output: Output) -> Option<Release> {
        Some(match output {
            Output::Settle { token, settled } => {
                let reply = if token.is_wait() {
                    self.waits.remove(&token)?
                } else {
                    self.callers.remove(token)?
                };
                let told = self.runtime.room.told(settled);
                Release::Reply { reply, told }
            }
            Output::Start {
                instance,
                message,
                operation,
            } => Release::Start {
                instance,
                message,
                operation,
            },
            Output::StartActivity {
                activity,
                name,
                input,
                attempt,
                asked_by,
                timeout,
            } => Release::StartActivity(Box::new(StartActivity {
                canceled: self.runtime.activities.add(&activity),
                activity,
                name,
                input,
                attempt,
                asked_by,
                timeout,
            })),
            Output::CancelActivity { activity } => Release::CancelActivity { activity },
            Output::Room { instance } => Release::Room { instance },
        })
    }

    /// Whether everything is done that a stop waits for.
    fn may_end(&mut self) -> bool {
        self.stop_at.is_some() && self.core.running() == 0 || self.has_to_end()
    }

    /// Whether the patience of a stop is over, or there was nothing to wait for during the last second. Messages between
    /// instances and endless orchestrations may never come to rest, and all of that is stored.
    fn has_to_end(&mut self) -> bool {
        let Some(stop_at) = self.stop_at else {
            return false;
        };
        let now = self.runtime.clock.now();
        if self.core.running() > 0 || self.callers.anyone_waits() {
            self.settled_since = None;
            return now >= stop_at;
        }
        let since = *self.settled_since.get_or_insert(now);
        now >= stop_at.min(since.after(ENCORE))
    }

    /// Tells everyone who waits, or still asks, why nothing is done any more.
    fn refuse_until_stopped(&mut self, error: &Error) {
        // Whoever was told of a full queue lately has to come and hear it, too.
        self.runtime.room.open_all();
        self.callers.refuse(error);
        for (_, reply) in self.waits.drain() {
            reply.refuse(error);
        }
        while self.stop_at.is_none() {
            self.inbox.wait(None);
            let mut envelopes = VecDeque::new();
            self.inbox.take(&mut envelopes);
            for envelope in envelopes {
                match envelope {
                    Envelope::Request { reply, .. }
                    | Envelope::Operator { reply, .. }
                    | Envelope::Wait { reply, .. } => reply.refuse(error),
                    Envelope::Stop { patience } => self.stop_at = Some(self.runtime.clock.now().after(patience)),
                    Envelope::Forget { .. } | Envelope::Input(_) | Envelope::Wake => {}
                }
            }
        }
    }
}

/// Tells the hub that an executor has ended, however it did.
struct Ended(Arc<Runtime>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.executor_ended();
    }
}

/// User code runs inside a catch of its own. What is left is a state whose `Drop` panics, or a fault of ours.
fn panicked(panic: &(dyn Any + Send)) -> Error {
    Error::new(
        ErrorKind::Poisoned,
        format!(
            "an executor panicked, so this hub does nothing more; mend the cause and open it again: {}",
            panic_text(panic)
        ),
    )
}
