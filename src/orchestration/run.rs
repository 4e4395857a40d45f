//! The run of one execution, which polls the user's future.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use metrics::Histogram;

use crate::engine::code::{Begin, OrchestrationRun, TurnEnd};
use crate::engine::panic_text;
use crate::id::Sequence;
use crate::model::history::{Command, Incoming, Started, StepNote, TurnRecord};
use crate::model::orchestration::{StopKind, Stopped};
use crate::orchestration::commands::Emitted;
use crate::orchestration::context::OrchestrationContext;
use crate::orchestration::describe::sequence;
use crate::orchestration::determinism::{compare, replayed};
use crate::orchestration::end::{Ending, failure_of};
use crate::orchestration::execution::{ExecutionState, Overflow, Replayed, State};
use crate::orchestration::kind::LocalBoxFuture;
use crate::orchestration::program::Program;
use crate::orchestration::random::Stream;
use crate::orchestration::waker::RootWaker;
use crate::time::{Stopwatch, Timestamp};

/// Maximum number of times that a future may wake itself before something new is delivered. Combinators such as
/// `FuturesUnordered` do so once for every few dozen children.
const POLLS: usize = 10_000;

/// The run of one execution, with its live future.
pub(super) struct Run {
    execution: Rc<ExecutionState>,
    future: Option<LocalBoxFuture<Ending>>,
    root: Arc<RootWaker>,
    waker: Waker,
    ended: bool,
    span: tracing::Span,
    /// The duration of the code in a turn, as a metric.
    turn_seconds: Histogram,
}

impl Run {
    pub(super) fn new(program: Program, begin: Begin, turn_seconds: Histogram) -> Self {
        let root = RootWaker::new();
        Self {
            waker: Waker::from(Arc::clone(&root)),
            root,
            span: tracing::info_span!(
                "orchestration",
                instance = %begin.instance,
                name = program.name,
                traceparent = tracing::field::Empty
            ),
            execution: Rc::new(ExecutionState::new(program, begin)),
            future: None,
            ended: false,
            turn_seconds,
        }
    }

    /// Runs one turn, live or as a replay, and takes the commands that it issued.
    fn run(
        &mut self,
        time: Timestamp,
        incoming: &[Incoming],
        replayed: Option<Replayed>,
    ) -> Result<Vec<Emitted>, Stopped> {
        self.check_foreign()?;
        let replays = replayed.is_some();
        self.execution.begin_turn(time, replayed);
        self.root.set_awake(true);
        // A run whose turn unwinds is discarded, so its inconsistent state is never observed.
        let caught = if replays {
            // The live turn has already logged these events.
            let silence = tracing::Dispatch::none();
            tracing::dispatcher::with_default(&silence, || catch_unwind(AssertUnwindSafe(|| self.deliver(incoming))))
        } else {
            let span = self.span.clone();
            span.in_scope(|| catch_unwind(AssertUnwindSafe(|| self.deliver(incoming))))
        };
        self.root.set_awake(false);
        self.execution.end_turn();
        let rested = match caught {
            Ok(rested) => rested,
            Err(panic) => Err(self.panicked(panic.as_ref())),
        };
        if let Err(stopped) = rested.and_then(|()| self.check_rest()) {
            // The code does not cause any of the following drops.
            self.execution.close();
            return Err(stopped);
        }
        Ok(self.execution.state.borrow_mut().commands.take())
    }

    /// Delivers messages one by one, and polls until the root is idle after each. A final poll then reaches exactly
    /// what the code waits for now, and not what it only looked at on its way.
    fn deliver(&mut self, incoming: &[Incoming]) -> Result<(), Stopped> {
        for incoming in incoming {
            match incoming {
                Incoming::Started(started) => self.start(started),
                incoming => self.execution.deliver(incoming),
            }
            self.poll_to_rest()?;
        }
        self.root.set_woken();
        self.poll_to_rest()
    }

    fn start(&mut self, started: &Started) {
        if self.execution.started.set(Box::new(started.clone())).is_err() {
            return;
        }
        // A subscriber that supports W3C Trace Context can then continue the caller's trace.
        if let Some(trace) = &started.trace {
            self.span.record("traceparent", trace.to_string());
        }
        self.execution.state.borrow_mut().random = Stream::new(&self.execution.begin.instance, started.seed);
        let context = OrchestrationContext::new(Rc::clone(&self.execution));
        match (self.execution.program.start)(context, &started.input) {
            Ok(future) => {
                self.future = Some(future);
                self.root.set_woken();
            }
            Err(error) => self.end(Ending::failed(failure_of(&error))),
        }
    }

    /// Polls the root until nothing wakes it.
    fn poll_to_rest(&mut self) -> Result<(), Stopped> {
        let mut polls = 0;
        while self.root.take_woken() {
            let Some(future) = &mut self.future else { break };
            if polls == POLLS {
                return Err(self.stopped(
                    StopKind::TurnLimit,
                    format!("the code woke itself {POLLS} times in a row without waiting for anything"),
                ));
            }
            polls += 1;
            self.execution.state.borrow_mut().polls += 1;
            let polled = future.as_mut().poll(&mut Context::from_waker(&self.waker));
            let mut state = self.execution.state.borrow_mut();
            // Most polls end nothing.
            if polled.is_pending() && state.refused.is_none() && state.ending.is_none() {
                continue;
            }
            let (refused, asked_for) = (state.refused.take(), state.ending.take());
            drop(state);
            let ending = match (refused, polled) {
                (Some(failure), _) => Some(Ending::failed(failure)),
                (None, Poll::Ready(ending)) => Some(ending),
                (None, Poll::Pending) => asked_for,
            };
            if let Some(ending) = ending {
                self.end(ending);
            }
        }
        Ok(())
    }

    fn end(&mut self, ending: Ending) {
        self.execution.finish(ending);
        self.ended = true;
        // Dropped only now, so that the drops of its variables are not recorded.
        self.future = None;
    }

    /// Checks that the turn is within its limits and that the code waits only for what is durable.
    fn check_rest(&self) -> Result<(), Stopped> {
        if self.execution.state.borrow().overflown {
            return Err(self.too_much());
        }
        self.check_foreign()?;
        if self.future.is_some() && !self.execution.is_waited_for(&self.waker) {
            return Err(self.stopped(
                StopKind::ForeignWait,
                format!("the code waits for nothing durable, so nothing would ever wake it; {ADVICE}"),
            ));
        }
        Ok(())
    }

    fn check_foreign(&self) -> Result<(), Stopped> {
        if self.future.is_some() && self.root.is_foreign() {
            return Err(self.stopped(
                StopKind::ForeignWait,
                format!("the code was woken by something that is not durable, such as another thread; {ADVICE}"),
            ));
        }
        Ok(())
    }

    fn panicked(&self, panic: &(dyn Any + Send)) -> Stopped {
        if panic.is::<Overflow>() {
            return self.too_much();
        }
        let text = panic_text(panic);
        // The panic messages of tokio's types outside of its runtime.
        if text.contains("no reactor running") || text.contains("context of a Tokio") {
            return self.stopped(
                StopKind::ForeignWait,
                format!("the code uses tokio, whose runtime is not available here (\"{text}\"); {ADVICE}"),
            );
        }
        self.stopped(StopKind::Panicked, format!("the code panicked: {text}"))
    }

    fn too_much(&self) -> Stopped {
        let most = self.execution.begin.actions;
        self.stopped(
            StopKind::TurnLimit,
            format!("the code issued more than {most} commands in one turn; await some of them before it issues more"),
        )
    }

    /// Returns the reason why the run cannot continue, with the position of the last durable call.
    fn stopped(&self, kind: StopKind, mut message: String) -> Stopped {
        if let Some(place) = self.execution.state.borrow().last_call {
            message.push_str(&format!(" (the last durable call was made at {place})"));
        }
        Stopped { kind, message }
    }
}

/// Takes the notes of a turn. Labels and retries of a step that was dropped at once are left out.
fn take_notes(commands: &[Command], state: &mut State) -> Vec<(Sequence, StepNote)> {
    let mut notes: BTreeMap<Sequence, StepNote> = BTreeMap::new();
    for (sequence, event) in std::mem::take(&mut state.event_notes) {
        notes.entry(sequence).or_default().event = Some(event);
    }
    if !state.labels.is_empty() || !state.retries.is_empty() {
        let begun = commands
            .iter()
            .filter(|command| !matches!(command, Command::Cancel { .. }));
        for sequence in begun.filter_map(sequence) {
            if let Some(label) = state.labels.remove(&sequence) {
                notes.entry(sequence).or_default().label = Some(label);
            }
            if let Some(of) = state.retries.remove(&sequence) {
                notes.entry(sequence).or_default().retry_of = Some(of);
            }
        }
    }
    notes.into_iter().collect()
}

/// The way out of a wait for something that is not durable.
const ADVICE: &str = "an orchestration may await only the futures of its context (activities, timers, events, \
                      entities) and combinations of them; do anything else in an activity";

impl OrchestrationRun for Run {
    fn turn(&mut self, time: Timestamp, incoming: &[Incoming]) -> Result<TurnEnd, Stopped> {
        let watch = Stopwatch::start();
        let asked = self.run(time, incoming, None)?;
        self.turn_seconds.record(watch.elapsed().as_secs_f64());
        let commands: Vec<Command> = asked.into_iter().map(|emitted| emitted.command).collect();
        let mut state = self.execution.state.borrow_mut();
        let notes = take_notes(&commands, &mut state);
        let unread = match commands.last() {
            Some(Command::ContinueAsNew { keep_events: true, .. }) => state.events.take_unread(),
            _ => Vec::new(),
        };
        Ok(TurnEnd {
            commands,
            notes,
            custom_status: state.custom_status.take(),
            unread,
            spans: Vec::new(),
        })
    }

    fn replay(&mut self, number: u32, turn: &TurnRecord) -> Result<Option<Vec<u8>>, Stopped> {
        let replayed = replayed(&turn.commands);
        let asked = self.run(turn.time, &turn.incoming, Some(replayed))?;
        let custom_status = self.execution.state.borrow_mut().custom_status.take();
        // Payloads that differ are decoded and encoded by the user's types.
        let compared = catch_unwind(AssertUnwindSafe(|| compare(number, &turn.commands, &asked)))
            .unwrap_or_else(|panic| Err(self.panicked(panic.as_ref())));
        compared.inspect_err(|_| self.execution.close())?;
        Ok(custom_status)
    }

    fn wants(&self, sequence: Sequence) -> bool {
        let state = self.execution.state.borrow();
        state.steps.get(&sequence).is_some_and(|step| step.is_wanted())
    }

    fn bytes(&self) -> usize {
        self.execution.bytes() + self.future.as_deref().map_or(0, size_of_val)
    }

    fn places(&self) -> Vec<(Sequence, &'static Location<'static>)> {
        let state = self.execution.state.borrow();
        let steps = state.steps.iter();
        steps.map(|(sequence, step)| (*sequence, step.place)).collect()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.execution.close();
        // A user's destructor may panic, which must not affect the owner of the run.
        let future = self.future.take();
        let steps = self.execution.take_steps();
        let drop_both = || {
            drop(future);
            drop(steps);
        };
        if catch_unwind(AssertUnwindSafe(drop_both)).is_err() {
            tracing::error!(
                instance = %self.execution.begin.instance,
                "the code of an orchestration panicked while it was being unloaded"
            );
        }
    }
}
