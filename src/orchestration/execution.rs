//! The state of an execution's steps, which its context, its futures and its run share.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{Location, resume_unwind};
use std::task::{Context, Poll, Waker};

use crate::engine::code::Begin;
use crate::entity::caller::Claim;
use crate::error::{Error, ErrorKind, Result};
use crate::failure::{CallFailure, Failure};
use crate::id::Sequence;
use crate::model::history::EventNote;
use crate::model::history::{Command, Started};
use crate::orchestration::commands::{Commands, Emitted};
use crate::orchestration::end::Ending;
use crate::orchestration::events::Events;
use crate::orchestration::payload::Normalize;
use crate::orchestration::program::Program;
use crate::orchestration::random::Stream;
use crate::orchestration::section::Section;
use crate::orchestration::step::{Emission, Step, What};
use crate::time::Timestamp;

/// The state of an execution's steps.
///
/// User code runs inside wakers, destructors and conditions, and calls back into the `ExecutionState`. Therefore no
/// borrow of the state outlives the function that took it, and no value of the user is called, woken or dropped under a
/// borrow.
pub(crate) struct ExecutionState {
    pub(super) program: Program,
    pub(super) begin: Begin,
    pub(super) state: RefCell<State>,
    /// The start of the execution, which its first event sets.
    pub(super) started: OnceCell<Box<Started>>,
}

/// The mutable part of an [`ExecutionState`].
#[derive(Default)]
pub(super) struct State {
    /// `true` while a turn runs.
    pub(super) awake: bool,
    /// `true` once the execution has ended, or its code is about to be unloaded. Nothing is recorded from then on.
    pub(super) closed: bool,
    /// The record of the turn, if it is being replayed.
    pub(super) replayed: Option<Replayed>,
    pub(super) now: Timestamp,
    /// Number of times that the root was polled.
    pub(super) polls: u64,
    /// The number that was claimed last.
    pub(super) sequence: Sequence,
    /// The number that was claimed last before this turn.
    pub(super) first_claim: Sequence,
    pub(super) steps: BTreeMap<Sequence, Step>,
    /// Size of the payloads that the steps hold, in bytes.
    pub(super) held_bytes: usize,
    pub(super) commands: Commands,
    /// The labels of the steps that this turn began.
    pub(super) labels: BTreeMap<Sequence, String>,
    /// The timers that this turn began to delay the next attempt of a step, each with that step.
    pub(super) retries: BTreeMap<Sequence, Sequence>,
    /// What happened to the events of waits in this turn.
    pub(super) event_notes: BTreeMap<Sequence, EventNote>,
    pub(super) events: Events,
    pub(super) section: Option<Section>,
    pub(super) custom_status: Option<Vec<u8>>,
    /// The continue-as-new that the code requested, if any.
    pub(super) ending: Option<Ending>,
    /// The failure of an execution that issued a request which was refused and has no answer to hold the error.
    pub(super) refused: Option<Failure>,
    /// `true` if this turn exceeded its limit.
    pub(super) overflown: bool,
    pub(super) guids: u64,
    pub(super) random: Stream,
    /// The position of the last durable call.
    pub(super) last_call: Option<&'static Location<'static>>,
}

/// The record of the turn that is being replayed.
///
/// Limits may have changed since the live turn, so a replay follows the record instead. A request that was accepted
/// then is accepted now, and a request that was refused fails again with the same error.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) commands: usize,
    /// The refused requests, by step. [`END`] stands for the end of an execution.
    pub(super) refused: Vec<(Sequence, Error)>,
}

/// The step number of the end of an execution, which has no number of its own.
pub(super) const END: Sequence = 0;

/// The payload with which a turn that exceeds its limits unwinds, so that an endless loop ends.
pub(super) struct Overflow;

impl ExecutionState {
    pub(super) fn new(program: Program, begin: Begin) -> Self {
        Self {
            program,
            begin,
            state: RefCell::default(),
            started: OnceCell::new(),
        }
    }

    /// Begins a turn.
    pub(super) fn begin_turn(&self, now: Timestamp, replayed: Option<Replayed>) {
        let mut state = self.state.borrow_mut();
        state.awake = true;
        state.first_claim = state.sequence;
        state.now = now;
        state.replayed = replayed;
        state.commands.begin_turn();
        state.labels.clear();
        state.retries.clear();
        state.event_notes.clear();
    }

    /// Ends a turn.
    pub(super) fn end_turn(&self) {
        self.state.borrow_mut().awake = false;
    }

    /// Stops recording.
    pub(super) fn close(&self) {
        self.state.borrow_mut().closed = true;
    }

    /// Takes the steps, which hold values of the user: wakers and conditions.
    pub(super) fn take_steps(&self) -> BTreeMap<Sequence, Step> {
        std::mem::take(&mut self.state.borrow_mut().steps)
    }

    /// Claims the number of a step when its call is made.
    ///
    /// # Panics
    /// Panics if no turn of this execution is running.
    #[track_caller]
    pub(super) fn claim(&self) -> Claim {
        let place = Location::caller();
        let mut state = self.state.borrow_mut();
        if !state.awake && !state.closed {
            drop(state);
            panic!(
                "the context of the orchestration `{}` was used while its code is not running; a context can be used \
                 only within its own orchestration",
                self.begin.instance
            );
        }
        state.sequence += 1;
        state.last_call = Some(place);
        // Futures that are created and dropped at once issue no commands, so only this limit stops a loop of them.
        if state.sequence - state.first_claim > CLAIMS_PER_ACTION * self.most_actions(&state) as u64 {
            state.overflown = true;
            drop(state);
            overflow();
            return Claim { sequence: 0, place };
        }
        Claim {
            sequence: state.sequence,
            place,
        }
    }

    /// Opens a step and issues its command.
    pub(super) fn open(&self, claim: Claim, what: What, command: Command, normalize: Option<Normalize>) {
        let mut state = self.state.borrow_mut();
        if state.closed {
            return;
        }
        let step = Step {
            what,
            place: claim.place,
            emitted: state.commands.push(Emitted {
                command,
                place: Some(claim.place),
                normalize,
            }),
            outcome: None,
            waker: None,
            polled_in: 0,
        };
        state.steps.insert(claim.sequence, step);
        drop(state);
        self.check_actions();
    }

    /// Issues a command that has no answer. Returns its position.
    pub(super) fn send(&self, claim: Claim, command: Command, normalize: Option<Normalize>) -> Option<Emission> {
        let mut state = self.state.borrow_mut();
        if state.closed {
            return None;
        }
        let emission = state.commands.push(Emitted {
            command,
            place: Some(claim.place),
            normalize,
        });
        drop(state);
        self.check_actions();
        Some(emission)
    }

    /// Enforces the limit on the commands of a turn.
    pub(super) fn check_actions(&self) {
        let mut state = self.state.borrow_mut();
        if state.commands.asked() > self.most_actions(&state) {
            state.overflown = true;
            drop(state);
            overflow();
        }
    }

    /// Returns the maximum number of commands of this turn. A replayed turn was within the limit that applied to the
    /// live turn, and its record does not contain what it withdrew. The limit of a replay therefore only stops endless
    /// loops.
    fn most_actions(&self, state: &State) -> usize {
        let most = self.begin.actions;
        match &state.replayed {
            Some(replayed) => most.max(replayed.commands).max(REPLAYED_ACTIONS),
            None => most,
        }
    }

    /// Enforces the limit on payloads.
    pub(super) fn check_size(&self, sequence: Sequence, what: impl Fn() -> String, bytes: usize) -> Result<()> {
        let limit = self.begin.payload_bytes;
        self.permit(sequence, &what, || match bytes <= limit {
            true => Ok(()),
            false => Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "{} has {bytes} bytes, but the limit is {limit}; nothing was sent",
                    what()
                ),
            )),
        })
    }

    /// Applies a check whose result may differ when the turn is replayed. A refusal becomes part of the history.
    pub(super) fn permit(
        &self,
        sequence: Sequence,
        what: impl Fn() -> String,
        check: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let recorded = self.state.borrow().replayed.as_ref().map(|replayed| {
            let refused = replayed.refused.iter().find(|(refused, _)| *refused == sequence);
            refused.map_or(Ok(()), |(_, error)| Err(error.clone()))
        });
        let permitted = recorded.unwrap_or_else(check);
        if let Err(error) = &permitted {
            let mut state = self.state.borrow_mut();
            let place = state.last_call;
            if !state.closed {
                state.commands.push(Emitted {
                    command: Command::Refuse {
                        sequence,
                        what: what(),
                        error: error.clone(),
                    },
                    place,
                    normalize: None,
                });
            }
        }
        permitted
    }

    /// Fails the execution, because a request that has no answer was refused. The first error counts.
    pub(super) fn refuse(&self, error: &Error) {
        let failure = super::end::failure_of(error);
        self.state.borrow_mut().refused.get_or_insert(failure);
    }

    /// Returns the outcome of a step, once. A lock stays open.
    pub(super) fn poll(&self, sequence: Sequence, cx: &Context<'_>) -> Poll<std::result::Result<Vec<u8>, CallFailure>> {
        let mut state = self.state.borrow_mut();
        let polls = state.polls;
        // A missing step was created after recording had stopped, so it will never have an outcome.
        let Some(step) = state.steps.get_mut(&sequence) else {
            return Poll::Pending;
        };
        step.polled_in = polls;
        let held = step.held_bytes();
        let outcome = match &mut step.what {
            What::Event { given, .. } => given.take().map(|event| Ok(event.payload)),
            _ => step.outcome.take(),
        };
        let old = match outcome {
            Some(outcome) => {
                let left = step.held_bytes();
                let (done, freed) = match step.what {
                    What::Lock { .. } => (None, held - left),
                    _ => (state.steps.remove(&sequence), held),
                };
                state.held_bytes = state.held_bytes.saturating_sub(freed);
                drop(state);
                drop(done);
                return Poll::Ready(outcome);
            }
            None if step.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) => None,
            None => {
                // Cloning a waker is user code, too.
                drop(state);
                let waker = cx.waker().clone();
                let mut state = self.state.borrow_mut();
                let step = state.steps.get_mut(&sequence);
                step.and_then(|step| step.waker.replace(waker))
            }
        };
        drop(old);
        Poll::Pending
    }

    /// Withdraws a step whose outcome is no longer needed.
    pub(super) fn abandon(&self, sequence: Sequence) {
        // A panic inside this crate would leave the state borrowed. Nothing is recorded after that.
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return;
        };
        if state.closed || !state.awake {
            return;
        }
        let Some(step) = state.take_back(sequence) else {
            return;
        };
        let given = match step.what {
            What::Event { given, .. } => given,
            _ => None,
        };
        let woken = given.and_then(|event| state.hand_out(event));
        drop(state);
        drop(step.waker);
        if let Some(waker) = woken {
            waker.wake();
        }
    }

    /// Returns whether the code waits for something durable, now that the root is idle.
    ///
    /// The root polls everything that it waits for again. Of the steps that were polled with the root's own waker, only
    /// those that the last poll reached count, because the code has moved on from the others. Combinators such as
    /// `FuturesUnordered` have wakers of their own and poll only what was woken, so all steps that they hold count.
    pub(super) fn is_waited_for(&self, root: &Waker) -> bool {
        let state = self.state.borrow();
        let counts = |step: &Step| match &step.waker {
            Some(waker) => !waker.will_wake(root) || step.polled_in == state.polls,
            None => false,
        };
        state.steps.values().any(counts)
    }

    /// Returns how far the code has come: the number of the current poll of the root, and the last step number.
    pub(super) fn progress(&self) -> (u64, Sequence) {
        let state = self.state.borrow();
        (state.polls, state.sequence)
    }

    /// Returns whether the code is running, as opposed to its variables being dropped at its end.
    pub(super) fn is_awake(&self) -> bool {
        self.state.try_borrow().is_ok_and(|state| state.awake && !state.closed)
    }

    /// Returns the time at which this turn began.
    pub(super) fn now(&self) -> Timestamp {
        self.state.borrow().now
    }

    /// Returns an id that no other step of any execution has, and that every replay reproduces.
    pub(super) fn derived_id(&self, sequence: Sequence) -> String {
        let seed = self.started.get().map_or(self.begin.execution, |started| started.seed);
        format!("{seed}:{sequence}")
    }

    /// Returns the id of a sub-orchestration whose step has this number. It is placed with this orchestration.
    pub(super) fn child_id(&self, sequence: Sequence) -> String {
        self.begin.instance.place(self.derived_id(sequence))
    }

    /// Returns the approximate memory that the execution takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let state = self.state.borrow();
        // The input is held as JSON, and usually also as the value with which the code began.
        let started = self.started.get().map_or(0, |started| {
            let tags = started.tags.iter().map(|(name, value)| name.len() + value.len());
            2 * started.input.len() + tags.sum::<usize>()
        });
        // A step, with its entry in the map and the future that waits for it.
        let step = 2 * size_of::<Step>();
        1_024 + started + state.steps.len() * step + state.held_bytes + state.events.bytes()
    }

    /// Draws a number from the execution's own stream.
    pub(super) fn draw(&self) -> u64 {
        self.state.borrow_mut().random.next()
    }
}

/// Maximum number of steps that a turn may create for each command that it may issue.
const CLAIMS_PER_ACTION: u64 = 10;

/// Minimum limit on the commands of a replayed turn, whatever the current limit is.
const REPLAYED_ACTIONS: usize = 100_000;

/// Unwinds a turn that exceeds its limits. Values that are dropped meanwhile may issue more commands, and a second
/// panic would abort the process.
fn overflow() {
    if !std::thread::panicking() {
        resume_unwind(Box::new(Overflow));
    }
}

impl State {
    /// Removes a step and withdraws its command. A command of this turn is removed from the list; an earlier one is
    /// canceled.
    pub(super) fn take_back(&mut self, sequence: Sequence) -> Option<Step> {
        let mut step = self.steps.remove(&sequence)?;
        self.held_bytes = self.held_bytes.saturating_sub(step.held_bytes());
        if let What::Event { name, given: None } = &step.what {
            self.events.forget(name, sequence);
        }
        if let Some(section) = &mut self.section {
            if section.sequence == sequence {
                self.section = None;
            } else {
                section.forget_call(sequence);
            }
        }
        if let Some(waiting) = step.what.attempts().and_then(|attempts| attempts.backoff) {
            self.take_back(waiting);
        }
        let unread = matches!(step.what, What::Event { given: Some(_), .. });
        if unread {
            let note = match self.event_notes.get(&sequence) {
                Some(EventNote::Given) => EventNote::Dropped,
                _ => EventNote::Returned,
            };
            self.event_notes.insert(sequence, note);
            self.commands.remove(step.emitted);
        }
        if let Some(open) = step.to_take_back()
            && !self.commands.remove(step.emitted)
        {
            self.commands.push(Emitted {
                command: Command::Cancel { sequence, step: open },
                place: Some(step.place),
                normalize: None,
            });
        }
        Some(step)
    }
}

impl fmt::Debug for ExecutionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExecutionState of {}", self.begin.instance)
    }
}
