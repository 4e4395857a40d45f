//! The run of one execution: the user's future, alive, and who polls it.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::engine::code::{Begin, OrchestrationRun, TurnEnd};
use crate::engine::panic_text;
use crate::id::Sequence;
use crate::orchestration::chance::Stream;
use crate::orchestration::commands::Emitted;
use crate::orchestration::compare::{compare, replayed};
use crate::orchestration::context::OrchestrationContext;
use crate::orchestration::describe::sequence;
use crate::orchestration::end::{Ending, failure_of};
use crate::orchestration::journal::{Journal, Overflow, Replayed};
use crate::orchestration::kind::LocalBoxFuture;
use crate::orchestration::program::Program;
use crate::orchestration::waker::RootWaker;
use crate::store::records::history::{Command, Incoming, Started, StepNote, TurnRecord};
use crate::store::records::instance::{StopKind, Stopped};
use crate::time::Timestamp;

/// How often a future may wake itself and be polled again before something new is delivered. Combinators such as
/// `FuturesUnordered` do so once for every few dozens of their children.
const POLLS: usize = 10_000;

/// The run of one execution.
pub(super) struct Run {
    journal: Rc<Journal>,
    future: Option<LocalBoxFuture<Ending>>,
    root: Arc<RootWaker>,
    waker: Waker,
    ended: bool,
    span: tracing::Span,
}

impl Run {
    pub(super) fn new(program: Program, begin: Begin) -> Self {
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
            journal: Rc::new(Journal::new(program, begin)),
            future: None,
            ended: false,
        }
    }

    /// Runs one turn, live or again, and takes what it asked for.
    fn run(
        &mut self,
        time: Timestamp,
        incoming: &[Incoming],
        replayed: Option<Replayed>,
    ) -> Result<Vec<Emitted>, Stopped> {
        self.check_foreign()?;
        let replays = replayed.is_some();
        self.journal.begin_turn(time, replayed);
        self.root.set_awake(true);
        // A turn that unwinds leaves a run that is of no use any more, so nobody sees what it left half done.
        let caught = if replays {
            // What the code says in a replay it has said before.
            let silence = tracing::Dispatch::none();
            tracing::dispatcher::with_default(&silence, || catch_unwind(AssertUnwindSafe(|| self.deliver(incoming))))
        } else {
            let span = self.span.clone();
            span.in_scope(|| catch_unwind(AssertUnwindSafe(|| self.deliver(incoming))))
        };
        self.root.set_awake(false);
        self.journal.end_turn();
        let rested = match caught {
            Ok(rested) => rested,
            Err(panic) => Err(self.panicked(panic.as_ref())),
        };
        if let Err(stopped) = rested.and_then(|()| self.check_rest()) {
            // Whatever is dropped from here on was not dropped by the code.
            self.journal.close();
            return Err(stopped);
        }
        Ok(self.journal.state.borrow_mut().commands.take())
    }

    /// Delivers one after the other, and polls to rest after each. Then it polls once more: what that poll reaches is what the
    /// code waits for now, and not only what it has looked at on its way.
    fn deliver(&mut self, incoming: &[Incoming]) -> Result<(), Stopped> {
        for incoming in incoming {
            match incoming {
                Incoming::Started(started) => self.start(started),
                incoming => self.journal.deliver(incoming),
            }
            self.poll_to_rest()?;
        }
        self.root.set_woken();
        self.poll_to_rest()
    }

    fn start(&mut self, started: &Started) {
        if self.journal.started.set(Box::new(started.clone())).is_err() {
            return;
        }
        // So that a subscriber which knows W3C Trace Context can go on with its caller's trace.
        if let Some(trace) = &started.trace {
            self.span.record("traceparent", trace.to_string());
        }
        self.journal.state.borrow_mut().random = Stream::new(&self.journal.begin.instance, started.seed);
        let context = OrchestrationContext::new(Rc::clone(&self.journal));
        match (self.journal.program.start)(context, &started.input) {
            Ok(future) => {
                self.future = Some(future);
                self.root.set_woken();
            }
            Err(error) => self.end(Ending::failed(failure_of(&error))),
        }
    }

    /// Polls the root until nothing wakes it any more.
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
            self.journal.state.borrow_mut().polls += 1;
            let polled = future.as_mut().poll(&mut Context::from_waker(&self.waker));
            let mut state = self.journal.state.borrow_mut();
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
        self.journal.finish(ending);
        self.ended = true;
        // Only now, so that what its variables drop is not recorded once more.
        self.future = None;
    }

    /// Whether the code waits for what is durable, and for nothing else.
    fn check_rest(&self) -> Result<(), Stopped> {
        if self.journal.state.borrow().overflown {
            return Err(self.too_much());
        }
        self.check_foreign()?;
        if self.future.is_some() && !self.journal.is_waited_for(&self.waker) {
            return Err(self.stopped(
                StopKind::ForeignWait,
                format!("the code waits for nothing durable, so that nothing would ever wake it; {ADVICE}"),
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
        // What tokio's types say outside of its runtime.
        if text.contains("no reactor running") || text.contains("context of a Tokio") {
            return self.stopped(
                StopKind::ForeignWait,
                format!("the code uses tokio, which does not run here (\"{text}\"); {ADVICE}"),
            );
        }
        self.stopped(StopKind::Panicked, format!("the code panicked: {text}"))
    }

    fn too_much(&self) -> Stopped {
        let most = self.journal.begin.actions;
        self.stopped(
            StopKind::TurnLimit,
            format!(
                "the code asked for more than {most} things in one turn; await some of them before it asks for more"
            ),
        )
    }

    /// Why the run cannot go on, with the place where it was last seen.
    fn stopped(&self, kind: StopKind, mut message: String) -> Stopped {
        if let Some(place) = self.journal.state.borrow().last_call {
            message.push_str(&format!(" (the last durable call before stands at {place})"));
        }
        Stopped { kind, message }
    }
}

/// What is noted about the steps that were asked for. A step that was dropped at once leaves its label behind.
fn notes(commands: &[Command], mut labels: BTreeMap<Sequence, String>) -> Vec<(Sequence, StepNote)> {
    if labels.is_empty() {
        return Vec::new();
    }
    let labeled = commands
        .iter()
        .filter(|command| !matches!(command, Command::Cancel { .. }));
    labeled
        .filter_map(|command| {
            let sequence = sequence(command)?;
            let label = Some(labels.remove(&sequence)?);
            let note = StepNote {
                label,
                ..StepNote::default()
            };
            Some((sequence, note))
        })
        .collect()
}

/// The way out of a wait for what is not durable.
const ADVICE: &str = "an orchestration awaits what its context gives (activities, timers, events, entities) and \
                      combinations of that; do anything else in an activity";

impl OrchestrationRun for Run {
    fn turn(&mut self, time: Timestamp, incoming: &[Incoming]) -> Result<TurnEnd, Stopped> {
        let asked = self.run(time, incoming, None)?;
        let commands: Vec<Command> = asked.into_iter().map(|emitted| emitted.command).collect();
        let mut state = self.journal.state.borrow_mut();
        let notes = notes(&commands, std::mem::take(&mut state.labels));
        let unread = match commands.last() {
            Some(Command::ContinueAsNew { keep_events: true, .. }) => state.events.take_unread(),
            _ => Vec::new(),
        };
        Ok(TurnEnd {
            commands,
            notes,
            custom_status: state.custom_status.take(),
            unread,
        })
    }

    fn replay(&mut self, number: u32, turn: &TurnRecord) -> Result<(), Stopped> {
        let replayed = replayed(&turn.commands);
        let asked = self.run(turn.time, &turn.incoming, Some(replayed))?;
        self.journal.state.borrow_mut().custom_status = None;
        // Payloads that differ are read and written by the user's types.
        let compared = catch_unwind(AssertUnwindSafe(|| compare(number, &turn.commands, &asked)))
            .unwrap_or_else(|panic| Err(self.panicked(panic.as_ref())));
        compared.inspect_err(|_| self.journal.close())
    }

    fn wants(&self, sequence: Sequence) -> bool {
        let state = self.journal.state.borrow();
        state.steps.get(&sequence).is_some_and(|step| step.is_wanted())
    }

    fn bytes(&self) -> usize {
        self.journal.bytes() + self.future.as_deref().map_or(0, size_of_val)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.journal.close();
        // A destructor of the user's may panic; that is nothing to whoever drops the run.
        let future = self.future.take();
        let steps = self.journal.take_steps();
        let drop_both = || {
            drop(future);
            drop(steps);
        };
        if catch_unwind(AssertUnwindSafe(drop_both)).is_err() {
            tracing::error!(
                instance = %self.journal.begin.instance,
                "the code of an orchestration panicked while it was unloaded"
            );
        }
    }
}
