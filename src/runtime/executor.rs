//! The thread that runs one core.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::commit::Gated;
use crate::engine::message::{Effect, Message};
use crate::engine::{CoreConfig, CoreStep, panic_text};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::backpressure::{CapacityWaiter, Response};
use crate::runtime::contained::contained;
use crate::runtime::driver::{Committed, Driver};
use crate::runtime::inbox::{Envelope, InboxReceiver, Reply};
use crate::runtime::meters::ExecutorMeters;
use crate::runtime::portion::Portion;
use crate::runtime::release::Release;
use crate::runtime::shared::Runtime;
use crate::runtime::totals::Held;
use crate::sync::atomic::Ordering;
use crate::sync::mpsc::Sender;
use crate::time::{Stopwatch, Timestamp};

/// Time for which a stopping hub continues work that no client waits for.
const ENCORE: Duration = Duration::from_secs(1);

/// Maximum duration of one wait for a known time. The clock of a wait may stop while the computer sleeps, unlike the
/// clock of the hub.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The thread that runs one core: it receives envelopes, runs steps, commits them and delivers messages.
pub(crate) struct Executor {
    index: usize,
    driver: Driver<Reply>,
    runtime: Arc<Runtime>,
    meters: ExecutorMeters,
    portion: Portion,
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
        inbox: InboxReceiver<Reply>,
        runtime: Arc<Runtime>,
        opened: &Sender<Result<()>>,
    ) {
        match Self::open(index, core, inbox, Arc::clone(&runtime)) {
            Ok(executor) => {
                let _ = opened.send(Ok(()));
                executor.execute();
            }
            Err(error) => {
                runtime.fail(&error);
                runtime.executor_ended();
                let _ = opened.send(Err(error));
            }
        }
    }

    pub(super) fn open(
        index: usize,
        core: CoreConfig,
        inbox: InboxReceiver<Reply>,
        runtime: Arc<Runtime>,
    ) -> Result<Self> {
        let is_alone = runtime.inboxes.len() == 1;
        let driver = Driver::open(core, inbox, is_alone, runtime.order.store().as_ref())?;
        Ok(Self {
            index,
            driver,
            runtime,
            meters: ExecutorMeters::new(index),
            portion: Portion::default(),
            held: Held::default(),
            stop_at: None,
            settled_since: None,
        })
    }

    fn execute(mut self) {
        let _ended = Ended::new(&self.runtime);
        if let Err(error) = caught(|| self.work()) {
            self.runtime.fail(&error);
            contained(|| {
                tracing::error!(%error, executor = self.index, "an executor has stopped; open the hub again");
            });
            self.refuse_until_stopped(&error);
        }
        self.give_back();
        // Clients that the last steps refused because of a full queue wait for room that no further step will make.
        self.runtime.room.open_all();
        // The core holds user states, and one of them may panic again when it is dropped.
        contained(|| drop(self));
    }

    fn work(&mut self) -> Result<()> {
        loop {
            match self.advance()? {
                Next::Again => {}
                Next::Wait(timeout) => {
                    let timeout = timeout.map(|timeout| timeout.min(LONGEST_WAIT));
                    self.driver.inbox().wait(timeout);
                    self.drain();
                }
                Next::End => return Ok(()),
            }
        }
    }

    /// Runs one step if there is work. Work precedes the wait, because work stored by the last process exists before any
    /// envelope arrives.
    pub(super) fn advance(&mut self) -> Result<Next> {
        if self.driver.has_work(self.runtime.clock.now()) && !self.has_to_end() {
            self.check()?;
            self.step()?;
            self.drain();
            return Ok(Next::Again);
        }
        self.check()?;
        if self.may_end() {
            self.leave()?;
            return Ok(Next::End);
        }
        for waiter in self.driver.take_idle_waiters() {
            // A receiver that is gone wants nothing any more.
            contained(|| drop(waiter.sender.send(Ok(Response::Accepted))));
        }
        Ok(Next::Wait(self.timeout()))
    }

    /// Fails if the hub has failed, because of a sync or another executor.
    fn check(&self) -> Result<()> {
        self.runtime.failed().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Returns the time until the core has to run, if it has to run without another envelope.
    fn timeout(&self) -> Option<Duration> {
        let now = self.runtime.clock.now();
        let wake = self.driver.core().next_wake().into_iter().chain(self.stop_at).min();
        // The clock rounds down, so a wait would end up to a millisecond early. One more millisecond prevents spinning.
        wake.map(|wake| now.until(wake) + Duration::from_millis(1))
    }

    /// Receives all envelopes that were sent before the call.
    pub(super) fn drain(&mut self) {
        self.driver.receive(usize::MAX);
        self.look_for_stop();
        if self.driver.should_forget_callers() {
            self.driver.forget_callers();
        }
    }

    fn look_for_stop(&mut self) {
        if let Some(patience) = self.driver.take_stop() {
            self.stop_at = Some(self.runtime.clock.now().after(patience));
        }
    }

    /// Runs one step of the core and commits it.
    fn step(&mut self) -> Result<()> {
        let runtime = Arc::clone(&self.runtime);
        let view = self.driver.view(&runtime.order);
        let at_most = if self.driver.is_alone() {
            let waiting = self.driver.core().inputs();
            self.portion.next(waiting, || runtime.order.idle_sync_time())
        } else {
            // After the snapshot, so that all deliveries of the commits that it shows are accepted.
            self.drain();
            usize::MAX
        };
        let inputs = self.driver.core().inputs().min(at_most);
        let watch = Stopwatch::start();
        let step = self.driver.step(view, &runtime.order, runtime.clock.now(), at_most)?;
        let took = watch.elapsed();
        self.portion.learn(inputs, took);
        for core in runtime.slots.take_wakeups() {
            runtime.inboxes[core].send(Envelope::Wake);
        }
        self.commit(step, took)
    }

    /// Records the unfinished work.
    fn leave(&mut self) -> Result<()> {
        let now = self.runtime.clock.now();
        let watch = Stopwatch::start();
        match self.driver.leave(&self.runtime.order, now)? {
            Some(step) => self.commit(step, watch.elapsed()),
            None => Ok(()),
        }
    }

    /// Writes the changes of a step, delivers its messages and brings its outputs to the gate.
    fn commit(&mut self, step: CoreStep, took: Duration) -> Result<()> {
        let runtime = Arc::clone(&self.runtime);
        let changes = step.batch.len();
        self.count(&step, took);
        let span = (changes > 0).then(|| tracing::debug_span!("commit", executor = self.index, changes));
        let _entered = span.as_ref().map(tracing::Span::enter);
        let wrap = |release| {
            if let Release::Effect(Effect::StartActivity(start)) = &release {
                runtime.activities.add(&start.activity);
            }
            release
        };
        let deliver = |message: Message, commit| runtime.inbox_of(&message.target).deliver(message, commit);
        let (now, counts, unnoted) = (step.now, step.counts, step.unnoted_changes());
        let watch = Stopwatch::start();
        match self.driver.commit(step, &runtime.order, &runtime.room, wrap, deliver) {
            Ok(Committed::Written) => {
                runtime.timeline.add(now, &counts);
                // A watcher that began during the step may have read the state from before the commit.
                let missed = unnoted.and(runtime.feed.watched().get());
                if !missed.is_empty() {
                    runtime.feed.miss(missed);
                }
                self.meters.committed(watch.elapsed());
                Ok(())
            }
            Ok(Committed::Read(Gated::Waiting)) => Ok(()),
            Ok(Committed::Read(Gated::Open(releases))) => {
                runtime.release(releases, None);
                Ok(())
            }
            Err((error, releases)) => {
                runtime.release(releases, Some(&error));
                Err(error)
            }
        }
    }

    /// Adds a step, which took this long, to the totals and the metrics of the hub.
    fn count(&mut self, step: &CoreStep, took: Duration) {
        let runtime = &self.runtime;
        runtime.totals.add(&step.counts);
        self.meters.step(step, took, &runtime.registry);
        let sizes = self.driver.core().sizes();
        let inputs = self.driver.core().inputs();
        self.meters.load(self.driver.inbox().len() + inputs, sizes);
        let held = Held {
            inputs: inputs as u64,
            mailboxes: sizes.mailboxes as u64,
            entities: sizes.entities as u64,
            callers: self.driver.callers() as u64,
        };
        runtime.totals.hold(&mut self.held, held);
        if !step.batch.is_empty() {
            runtime.totals.commits.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns `true` if all work that a stop waits for is done.
    fn may_end(&mut self) -> bool {
        self.stop_at.is_some() && self.driver.core().running() == 0 || self.has_to_end()
    }

    /// Returns `true` if the patience of a stop has expired, or if there was nothing to wait for during the last
    /// second. Messages between instances and endless orchestrations may never end, and all of their work is stored.
    fn has_to_end(&mut self) -> bool {
        let Some(stop_at) = self.stop_at else {
            return false;
        };
        let now = self.runtime.clock.now();
        if self.driver.core().running() > 0 || self.driver.has_caller() {
            self.settled_since = None;
            return now >= stop_at;
        }
        let since = *self.settled_since.get_or_insert(now);
        now >= stop_at.min(since.after(ENCORE))
    }

    /// Fails all waiting requests with `error`.
    pub(super) fn refuse_clients(&mut self, error: &Error) {
        // Clients that wait because of a full queue must retry and receive the error, too.
        self.runtime.room.open_all();
        for client in self.driver.take_clients() {
            client.refuse(error);
        }
    }

    #[cfg(feature = "testing")]
    pub(super) fn core(&self) -> &crate::engine::Core {
        self.driver.core()
    }

    #[cfg(feature = "testing")]
    pub(super) fn inbox(&self) -> &InboxReceiver<Reply> {
        self.driver.inbox()
    }

    /// Returns the requests that no step has taken to their clients, which learn when they send them again that the hub is
    /// closed. So they know that these requests had no effect.
    fn give_back(&mut self) {
        for (message, reply) in self.driver.close() {
            let full = Response::Full {
                message: Box::new(message),
                door: CapacityWaiter::open(),
            };
            let Reply { sender, permit } = reply;
            contained(|| drop(permit));
            // A receiver that is gone wants nothing any more.
            contained(|| drop(sender.send(Ok(full))));
        }
    }

    /// Fails all waiting and new requests with `error` until the hub is stopped.
    fn refuse_until_stopped(&mut self, error: &Error) {
        self.refuse_clients(error);
        // It may have come before whatever has failed.
        self.look_for_stop();
        while self.stop_at.is_none() {
            self.driver.inbox().wait(None);
            let mut envelopes = VecDeque::new();
            self.driver.inbox().take(&mut envelopes, usize::MAX);
            for envelope in envelopes {
                match envelope {
                    Envelope::Request { reply, .. }
                    | Envelope::Operator { reply, .. }
                    | Envelope::Mail { reply, .. }
                    | Envelope::Wait { reply, .. }
                    | Envelope::Idle { reply } => reply.refuse(error),
                    Envelope::Stop { patience } => self.stop_at = Some(self.runtime.clock.now().after(patience)),
                    Envelope::Forget { .. } | Envelope::Input(_) | Envelope::Wake => {}
                }
            }
        }
    }
}

/// The next action of an executor.
pub(super) enum Next {
    /// Look for more work.
    Again,
    /// Wait for an envelope, for at most this long if there is a limit.
    Wait(Option<Duration>),
    /// End, because the hub was stopped and its work is done.
    End,
}

/// Runs a part of an executor, and returns a panic as an error. No changes of a step that panicked are written, and the
/// core must not be used afterwards.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

/// Reports the end of an executor to the hub when it is dropped.
pub(super) struct Ended(Arc<Runtime>);

impl Ended {
    pub(super) fn new(runtime: &Arc<Runtime>) -> Self {
        Self(Arc::clone(runtime))
    }
}

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
