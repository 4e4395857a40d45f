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

/// Time for which a stopping hub continues work that no client waits for.
const ENCORE: Duration = Duration::from_secs(1);

/// Maximum duration of one wait for a known time. The clock of a wait may stop while the computer sleeps, unlike the
/// clock of the hub.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The thread that runs one core: it receives envelopes, runs steps, commits them and delivers messages.
pub(crate) struct Executor {
    index: usize,
    core: Core,
    inbox: InboxReceiver,
    runtime: Arc<Runtime>,
    /// Reusable memory for received envelopes.
    envelopes: VecDeque<Envelope>,
    callers: Callers,
    /// The clients that wait for the ends of orchestrations. The runtime assigns their tokens and never reuses one,
    /// because the core may still settle a token that was removed here.
    waits: HashMap<Token, Reply>,
    gauges: Gauges,
    /// The share of this executor in the totals of the hub.
    held: Held,
    /// Time at which a stopping hub abandons unfinished work.
    stop_at: Option<Timestamp>,
    /// Time since which no clients and no `async` operations are left to wait for, after the hub was asked to stop.
    settled_since: Option<Timestamp>,
}

impl Executor {
    /// Opens a core and runs it until it is stopped. The result of the open is sent to `opened`.
    ///
    /// All of it happens on the calling thread, because the orchestrations in the memory of the core never leave their
    /// thread. After an error, every request fails with that error.
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
        // No changes of a step that panicked are written, and the core is not used afterwards.
        let worked =
            catch_unwind(AssertUnwindSafe(|| self.work())).unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
        if let Err(error) = worked {
            self.runtime.fail(&error);
            contained(|| {
                tracing::error!(%error, executor = self.index, "an executor has stopped; open the hub again");
            });
            self.refuse_until_stopped(&error);
        }
        // Clients that the last steps refused because of a full queue wait for room that no further step will make.
        self.runtime.room.open_all();
        // The core holds user states, and one of them may panic again when it is dropped.
        contained(|| drop(self));
    }

    fn work(&mut self) -> Result<()> {
        loop {
            // Work precedes the wait, because work stored by the last process exists before any envelope arrives.
            while self.has_work() && !self.has_to_end() {
                self.check()?;
                self.step()?;
                self.drain();
            }
            self.check()?;
            if self.may_end() {
                return self.leave();
            }
            self.receive();
        }
    }

    /// Returns `true` if a step would have work. Messages that were left to their rows count, because no other envelope
    /// may ever follow them.
    fn has_work(&self) -> bool {
        self.core.has_work(self.runtime.clock.now()) || self.runtime.inboxes[self.index].has_spilled()
    }

    /// Fails if the hub has failed, because of a sync or another executor.
    fn check(&self) -> Result<()> {
        self.runtime.failed().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Waits for an envelope, or until the core has to run, and receives all envelopes.
    fn receive(&mut self) {
        let now = self.runtime.clock.now();
        let wake = self.core.next_wake().into_iter().chain(self.stop_at).min();
        // The clock rounds down, so a wait would end up to a millisecond early. One more millisecond prevents spinning.
        let timeout = wake.map(|wake| (now.until(wake) + Duration::from_millis(1)).min(LONGEST_WAIT));
        self.inbox.wait(timeout);
        self.drain();
    }

    /// Receives all envelopes that were sent before the call.
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
                // A wait that was settled in the meantime is already removed.
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

    /// Runs one step of the core and commits it.
    fn step(&mut self) -> Result<()> {
        let runtime = Arc::clone(&self.runtime);
        let step = if runtime.inboxes.len() == 1 {
            // No other executor writes messages for this core, so the newest state of the store serves as the view.
            let (now, batch) = (runtime.clock.now(), runtime.order.draw_batch_number());
            self.core.step(now, batch, runtime.order.store().as_ref(), u64::MAX)?
        } else {
            let inbox = &runtime.inboxes[self.index];
            let (seen, reader, spilled) = runtime.order.snapshot(|| inbox.take_spilled());
            if spilled {
                self.core.accept(Input::Spilled);
            }
            // Drain after the snapshot, so all deliveries of the commits in the snapshot are accepted.
            self.drain();
            // Draw the number and time after all input is accepted. Messages of the step then have higher ids than the
            // messages that they are derived from, and no message is processed before the time at which it was sent.
            let (now, batch) = (runtime.clock.now(), runtime.order.draw_batch_number());
            self.core.step(now, batch, reader.as_ref(), seen)?
        };
        for core in runtime.slots.take_news() {
            runtime.inboxes[core].send(Envelope::Wake);
        }
        self.commit(step)
    }

    /// Records the unfinished work. Only this executor writes these rows, so the newest state of the store serves as
    /// the view.
    fn leave(&mut self) -> Result<()> {
        let order = &self.runtime.order;
        let (now, batch) = (self.runtime.clock.now(), order.draw_batch_number());
        match self.core.leave(now, batch, order.store().as_ref())? {
            Some(step) => self.commit(step),
            None => Ok(()),
        }
    }

    /// Writes the changes of a step, delivers its messages and brings its outputs to the gate.
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

    /// Returns `true` if all work that a stop waits for is done.
    fn may_end(&mut self) -> bool {
        self.stop_at.is_some() && self.core.running() == 0 || self.has_to_end()
    }

    /// Returns `true` if the patience of a stop has expired, or if there was nothing to wait for during the last
    /// second. Messages between instances and endless orchestrations may never end, and all of their work is stored.
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

    /// Fails all waiting and new requests with `error` until the hub is stopped.
    fn refuse_until_stopped(&mut self, error: &Error) {
        // Clients that wait because of a full queue must retry and receive the error, too.
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

/// Reports the end of an executor to the hub when it is dropped.
struct Ended(Arc<Runtime>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.executor_ended();
    }
}

/// Returns the error for a panic of an executor. Panics of user code are caught separately, so the cause is a state
/// whose `Drop` panics or a bug in Abide.
fn panicked(panic: &(dyn Any + Send)) -> Error {
    Error::new(
        ErrorKind::Poisoned,
        format!(
            "an executor panicked, so the hub has stopped; fix the cause and open the hub again: {}",
            panic_text(panic)
        ),
    )
}
