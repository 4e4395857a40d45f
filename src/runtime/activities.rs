//! Runs activities: tasks that begin when their request is durable, and that can be canceled.

use std::collections::hash_map::Entry;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::coop::unconstrained;

use crate::engine::code::{ActivityFuture, Attempt, CancelSignal};
use crate::engine::message::{ActivityEnd, Input, StartActivity};
use crate::engine::panic_text;
use crate::engine::spans::{self, FinishedSpan};
use crate::error::{Error, ErrorKind};
use crate::id::ActivityKey;
use crate::maps::ActivityMap;
use crate::model::Outcome;
#[cfg(feature = "otel")]
use crate::otel;
use crate::runtime::attempt::{AttemptCode, Code, CodeEnd};
use crate::runtime::contained::contained;
use crate::runtime::inbox::Envelope;
use crate::runtime::meters::{ActivityMeters, Counted};
use crate::runtime::release::FailOnDrop;
use crate::runtime::shared::Runtime;
use crate::runtime::tasks::Running;
use crate::time::{Clock, Stopwatch};
use crate::trace::TraceContext;

/// The cancellation of an attempt, because its result is no longer needed or because the hub closes.
#[derive(Default)]
pub(crate) struct AttemptCancellation {
    canceled: AtomicBool,
    /// True if the attempt is canceled because the hub closes.
    closing: AtomicBool,
    /// True if the attempt has observed the cancellation.
    seen: AtomicBool,
    notify: Notify,
}

/// The requested attempts that have not ended.
#[derive(Debug, Default)]
pub(crate) struct RunningActivities {
    attempts: Mutex<ActivityMap<Arc<AttemptCancellation>>>,
    /// True if the hub closes.
    closing: AtomicBool,
}

impl RunningActivities {
    /// Adds an attempt that is to begin once it is durable. This happens before the gate, so that a cancellation that
    /// overtakes the start on its way out is not lost.
    pub(crate) fn add(&self, activity: &ActivityKey) {
        let canceled = Arc::new(AttemptCancellation::default());
        let mut attempts = self.attempts();
        if self.closing.load(Ordering::Acquire) {
            canceled.close();
        }
        attempts.insert(activity.clone(), canceled);
    }

    /// Returns `true` if an attempt of the activity was requested and has not ended.
    pub(crate) fn is_requested(&self, activity: &ActivityKey) -> bool {
        self.attempts().contains_key(activity)
    }

    fn get(&self, activity: &ActivityKey) -> Option<Arc<AttemptCancellation>> {
        self.attempts().get(activity).cloned()
    }

    /// Cancels all attempts because the hub closes. The next open runs the ended attempts again.
    pub(super) fn close(&self) {
        let attempts = self.attempts();
        self.closing.store(true, Ordering::Release);
        for canceled in attempts.values() {
            canceled.close();
        }
    }

    /// Cancels an attempt whose result is no longer needed.
    fn cancel(&self, activity: &ActivityKey) {
        if let Some(canceled) = self.attempts().get(activity) {
            canceled.cancel();
        }
    }

    /// Removes an attempt, unless a later attempt of the same activity has replaced it.
    fn remove(&self, activity: &ActivityKey, canceled: &Arc<AttemptCancellation>) {
        if let Entry::Occupied(newest) = self.attempts().entry(activity.clone())
            && Arc::ptr_eq(newest.get(), canceled)
        {
            newest.remove();
        }
    }

    fn attempts(&self) -> MutexGuard<'_, ActivityMap<Arc<AttemptCancellation>>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cancels the attempts that still run when no receiver of their results remains.
impl Drop for RunningActivities {
    fn drop(&mut self) {
        for canceled in self.attempts().values() {
            canceled.cancel();
        }
    }
}

impl AttemptCancellation {
    fn cancel(&self) {
        self.canceled.store(true, Ordering::Release);
        // The wakers are user code.
        contained(|| self.notify.notify_waiters());
    }

    fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.cancel();
    }

    fn is_set(&self) -> bool {
        self.canceled.load(Ordering::Acquire)
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Returns `true` if the attempt has observed that the hub closes. Its return value may then be incomplete.
    fn has_cut_short(&self) -> bool {
        self.is_closing() && self.seen.load(Ordering::Acquire)
    }

    /// Waits for the cancellation without marking it as observed, on behalf of the hub.
    async fn set(&self) {
        let notified = self.notify.notified();
        if !self.is_set() {
            notified.await;
        }
    }
}

impl CancelSignal for AttemptCancellation {
    fn is_canceled(&self) -> bool {
        let canceled = self.is_set();
        if canceled {
            self.seen.store(true, Ordering::Release);
        }
        canceled
    }

    fn canceled(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        // Created before the check, so a notification between the check and the wait is not missed.
        let notified = self.notify.notified();
        Box::pin(async move {
            if !self.is_set() {
                notified.await;
            }
            self.seen.store(true, Ordering::Release);
        })
    }
}

impl fmt::Debug for AttemptCancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AttemptCancellation").field(&self.is_set()).finish()
    }
}

impl Runtime {
    /// Starts an attempt of an activity on the tokio runtime in which the hub was opened.
    #[expect(clippy::disallowed_methods, reason = "tasks are spawned here")]
    pub(super) fn start_activity(self: &Arc<Self>, start: StartActivity) {
        // The core requests only registered activities.
        let Some(code) = self.registry.activity(&start.name) else {
            return;
        };
        let Some(running) = self.attempts.enter(&start.activity.instance) else {
            // The hub is closed. The row remains for the next open.
            return;
        };
        let Some(canceled) = self.activities.get(&start.activity) else {
            let text = format!("the activity {} was not announced before its start", start.activity);
            return self.fail(&Error::new(ErrorKind::Poisoned, text));
        };
        let is_recorded = |trace: &TraceContext| self.limits.spans.is_some() && trace.is_sampled();
        let span = start.trace.as_deref().filter(|trace| is_recorded(trace)).map(|trace| {
            let now = self.clock.now();
            Box::new(spans::attempt(trace, &start.activity, &start.name, start.attempt, now))
        });
        let trace = match &span {
            Some(span) => Some(Box::new(span.context.clone())),
            None => start.trace,
        };
        let attempt = Attempt {
            trace: trace.clone(),
            activity: start.activity.clone(),
            number: start.attempt,
            asked_by: start.asked_by,
            payload_bytes: self.limits.payload_bytes,
            canceled: Arc::clone(&canceled) as _,
            resources: self.registry.resources.clone(),
        };
        let future = code.run(start.input, attempt);
        let watched = Watched {
            runtime: Arc::downgrade(self),
            blocking: code.is_blocking(),
            timeout: start.timeout.or(code.timeout()),
            grace: self.limits.cancel_grace,
            activity: start.activity,
            attempt: start.attempt,
            waited: start.since.until(self.clock.now()),
            meters: self.meters.of(&start.name).cloned(),
            name: start.name,
            clock: self.clock,
            span: Mutex::new(span),
            #[cfg(feature = "otel")]
            trace,
            canceled,
        };
        let (tokio, lost) = (self.tokio.clone(), FailOnDrop::of_attempt(self));
        let number = running.number();
        let task = self.tokio.spawn(async move {
            if watched.run(future, running, &tokio).await {
                lost.call_off();
            }
        });
        self.attempts.note(number, task.abort_handle());
    }

    /// Cancels a running activity whose result is no longer needed.
    pub(super) fn cancel_activity(&self, activity: &ActivityKey) {
        self.activities.cancel(activity);
    }
}

/// An attempt, and what is needed to report its end.
struct Watched {
    runtime: Weak<Runtime>,
    activity: ActivityKey,
    name: String,
    attempt: u32,
    /// Time from the request of the attempt until its start.
    waited: Duration,
    meters: Option<Arc<ActivityMeters>>,
    clock: Clock,
    /// The span of the attempt, until its end is reported.
    span: Mutex<Option<Box<FinishedSpan>>>,
    /// The trace in which the attempt runs.
    #[cfg(feature = "otel")]
    trace: Option<Box<TraceContext>>,
    blocking: bool,
    timeout: Option<Duration>,
    /// Time that the attempt may continue after it was canceled.
    grace: Duration,
    canceled: Arc<AttemptCancellation>,
}

impl Watched {
    /// Runs the attempt in this task and reports its end to the core. Returns `false` if the tokio runtime has dropped the
    /// code.
    async fn run(self, future: ActivityFuture, running: Running, tokio: &Handle) -> bool {
        if self.canceled.is_set() {
            contained(|| drop(future));
            self.tell(self.called_off());
            return true;
        }
        let counted = self.meters.as_ref().map(|meters| {
            meters.started.increment(1);
            meters.wait_seconds.record(self.waited.as_secs_f64());
            Counted::one(meters.running.clone())
        });
        let begun = Stopwatch::start();
        let mut code = self.code(future, running, counted, tokio);
        let ended = tokio::select! {
            biased;
            ended = &mut code => {
                drop(code);
                ended
            }
            // Code that uses up the budget of the task must not stop the clock.
            () = unconstrained(self.time_is_over()) => {
                // The orchestration receives the timeout immediately. The slot becomes free when the attempt has really
                // ended, because a blocking attempt continues.
                self.canceled.cancel();
                self.tell(ActivityEnd::Lingers(self.timed_out()));
                code.stop().await
            }
            () = unconstrained(self.grace_is_over()) => {
                if self.canceled.is_closing() {
                    // A blocking attempt may continue for a long time, and the hub does not wait for it.
                    self.tell(ActivityEnd::Abandoned);
                }
                code.stop().await
            }
        };
        if let Some(meters) = &self.meters {
            meters.seconds.record(begun.elapsed().as_secs_f64());
        }
        let Some(ended) = self.end_of(ended) else {
            return false;
        };
        let outcome = if self.canceled.is_set() {
            "canceled"
        } else {
            name_of(&ended)
        };
        self.count_end(outcome);
        self.tell(ended);
        true
    }

    /// Returns the user code, ready to run.
    fn code(&self, future: ActivityFuture, running: Running, counted: Option<Counted>, tokio: &Handle) -> AttemptCode {
        let span = tracing::info_span!("activity", name = self.name, key = %self.activity, attempt = self.attempt);
        let code = Code::new(
            future,
            span,
            // Spans of the user's code become children of the attempt.
            #[cfg(feature = "otel")]
            self.trace.as_deref().map(otel::remote).unwrap_or_default(),
            running,
            counted,
        );
        if !self.blocking || self.runtime.upgrade().is_some_and(|runtime| runtime.is_local()) {
            return AttemptCode::Here(code);
        }
        AttemptCode::on_a_thread(code, tokio)
    }

    /// Waits for the end of the time limit, which begins with this call.
    fn time_is_over(&self) -> impl Future<Output = ()> + use<> {
        let limit = self.timeout.map(tokio::time::sleep);
        async move {
            match limit {
                Some(limit) => limit.await,
                None => std::future::pending().await,
            }
        }
    }

    async fn grace_is_over(&self) {
        self.canceled.set().await;
        tokio::time::sleep(self.grace).await;
    }

    /// Returns the end to report, or `None` if the tokio runtime has shut down.
    fn end_of(&self, code: CodeEnd) -> Option<ActivityEnd> {
        Some(match code {
            CodeEnd::Returned(_) | CodeEnd::Panicked(_) if self.canceled.has_cut_short() => ActivityEnd::Abandoned,
            CodeEnd::Returned(outcome) => ActivityEnd::Ended(outcome),
            CodeEnd::Panicked(panic) => {
                let text = panic_text(panic.as_ref());
                let message = format!("the activity `{}` ({}) panicked: {text}", self.name, self.activity);
                tracing::error!(activity = self.name, key = %self.activity, attempt = self.attempt, panic = text, "an activity panicked");
                contained(|| drop(panic));
                ActivityEnd::Ended(Outcome::Runtime(Error::new(ErrorKind::Panicked, message)))
            }
            CodeEnd::Stopped => self.called_off(),
            CodeEnd::Lost => return None,
        })
    }

    /// Returns the end of a canceled attempt. A core handles it only if the hub closes.
    fn called_off(&self) -> ActivityEnd {
        if self.canceled.is_closing() {
            return ActivityEnd::Abandoned;
        }
        let message = format!("the activity `{}` ({}) was canceled", self.name, self.activity);
        ActivityEnd::Ended(Outcome::Runtime(Error::new(ErrorKind::Ended, message)))
    }

    fn timed_out(&self) -> Error {
        let message = format!(
            "the activity `{}` ({}) exceeded its timeout of {:?}",
            self.name,
            self.activity,
            self.timeout.unwrap_or_default()
        );
        tracing::warn!(activity = self.name, key = %self.activity, attempt = self.attempt, timeout = ?self.timeout.unwrap_or_default(), "an activity exceeded its timeout");
        self.count_end("timed_out");
        Error::new(ErrorKind::TimedOut, message)
    }

    fn count_end(&self, outcome: &str) {
        if let Some(meters) = &self.meters {
            meters.ended(outcome);
        }
    }

    fn tell(&self, ended: ActivityEnd) {
        let Some(runtime) = self.runtime.upgrade() else {
            return;
        };
        if !matches!(ended, ActivityEnd::Lingers(_)) {
            runtime.activities.remove(&self.activity, &self.canceled);
        }
        let mut span = self.span.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(span) = &mut span {
            span.end = self.clock.now();
            span.error = match &ended {
                ActivityEnd::Ended(outcome) => spans::error_of(outcome),
                ActivityEnd::Lingers(error) => Some(error.to_string()),
                ActivityEnd::Abandoned => None,
            };
        }
        let input = Input::ActivityEnded {
            span,
            activity: self.activity.clone(),
            attempt: self.attempt,
            ended,
        };
        runtime
            .inbox_of(&self.activity.instance)
            .send(Envelope::Input(Box::new(input)));
    }
}

/// Returns the name of an end in the metrics.
fn name_of(ended: &ActivityEnd) -> &'static str {
    match ended {
        ActivityEnd::Ended(outcome) => match outcome {
            Outcome::Answer(_) => "answered",
            Outcome::Returned(_) => "returned",
            Outcome::Runtime(error) if error.kind() == ErrorKind::Panicked => "panicked",
            Outcome::Runtime(_) => "refused",
        },
        ActivityEnd::Lingers(_) => "timed_out",
        ActivityEnd::Abandoned => "abandoned",
    }
}
