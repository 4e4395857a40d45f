//! What an execution knows of its steps: the one thing that its context, its futures and its run share.

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
use crate::orchestration::chance::Stream;
use crate::orchestration::commands::{Commands, Emitted};
use crate::orchestration::end::Ending;
use crate::orchestration::events::Events;
use crate::orchestration::payload::Normalize;
use crate::orchestration::program::Program;
use crate::orchestration::section::Section;
use crate::orchestration::step::{Emission, Step, What};
use crate::store::records::history::{Command, Started};
use crate::time::Timestamp;

/// What an execution knows of its steps.
///
/// User code runs inside of wakers, drops and conditions, and comes back here. So no borrow of the state outlives the
/// function that took it, and nothing of the user's is called, woken or dropped under one.
pub(crate) struct Journal {
    pub(super) program: Program,
    pub(super) begin: Begin,
    pub(super) state: RefCell<State>,
    /// How the execution began, from its first event on.
    pub(super) started: OnceCell<Box<Started>>,
}

/// What changes in a [`Journal`].
#[derive(Default)]
pub(super) struct State {
    /// Whether a turn runs.
    pub(super) awake: bool,
    /// Whether the execution has ended, or its code is about to be forgotten: nothing is recorded any more.
    pub(super) closed: bool,
    /// The turn of the history that runs again, if it is one.
    pub(super) replayed: Option<Replayed>,
    pub(super) now: Timestamp,
    /// How often the root was polled.
    pub(super) polls: u64,
    /// The number that was claimed last.
    pub(super) sequence: Sequence,
    /// The one before the first that this turn claimed.
    pub(super) first_claim: Sequence,
    pub(super) steps: BTreeMap<Sequence, Step>,
    /// How many bytes of payloads the steps hold.
    pub(super) held_bytes: usize,
    pub(super) commands: Commands,
    /// The labels of the steps that this turn began.
    pub(super) labels: BTreeMap<Sequence, String>,
    pub(super) events: Events,
    pub(super) section: Option<Section>,
    pub(super) custom_status: Option<Vec<u8>>,
    /// How the code wants the execution to go on as new.
    pub(super) ending: Option<Ending>,
    /// What the execution fails with, because it asked for something that has no answer to hold the error.
    pub(super) refused: Option<Failure>,
    /// Whether it asked for too much in this turn.
    pub(super) overflown: bool,
    pub(super) guids: u64,
    pub(super) random: Stream,
    /// The last durable call.
    pub(super) last_call: Option<&'static Location<'static>>,
}

/// What the live turn was that runs again. Limits may have changed since, so that a replay asks the record and not them: what
/// was let through then is let through now, and what was refused is refused again, with the same words.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) commands: usize,
    /// What was refused, by step; [`END`] for what ends an execution.
    pub(super) refused: Vec<(Sequence, Error)>,
}

/// Stands for the number of what ends an execution, which has none.
pub(super) const END: Sequence = 0;

/// Unwinds the code of a turn that asks for too much, so that a loop without an end has one.
pub(super) struct Overflow;

impl Journal {
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
    }

    /// Ends a turn.
    pub(super) fn end_turn(&self) {
        self.state.borrow_mut().awake = false;
    }

    /// From here on nothing is recorded.
    pub(super) fn close(&self) {
        self.state.borrow_mut().closed = true;
    }

    /// Takes out what holds values of the user's: wakers and conditions.
    pub(super) fn take_steps(&self) -> BTreeMap<Sequence, Step> {
        std::mem::take(&mut self.state.borrow_mut().steps)
    }

    /// Claims the number of a step, at the moment of its call.
    ///
    /// # Panics
    /// If no turn of this execution runs.
    #[track_caller]
    pub(super) fn claim(&self) -> Claim {
        let place = Location::caller();
        let mut state = self.state.borrow_mut();
        if !state.awake && !state.closed {
            drop(state);
            panic!(
                "the context of the orchestration `{}` was used while its code does not run; a context stays within its own \
                 orchestration",
                self.begin.instance
            );
        }
        state.sequence += 1;
        state.last_call = Some(place);
        // Of what is made and dropped at once nothing is ever asked for, so a loop of that meets this limit only.
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

    /// Opens a step, and asks for it.
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

    /// Asks for something that has no answer. Where it stands comes back.
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

    /// Holds the turn to its limit.
    pub(super) fn check_actions(&self) {
        let mut state = self.state.borrow_mut();
        if state.commands.asked() > self.most_actions(&state) {
            state.overflown = true;
            drop(state);
            overflow();
        }
    }

    /// How many things this turn may ask for. A turn that is replayed has kept the limit of its day, and what it took back
    /// is not in its record. So the limit of a replay only keeps it from running without end.
    fn most_actions(&self, state: &State) -> usize {
        let most = self.begin.actions;
        match &state.replayed {
            Some(replayed) => most.max(replayed.commands).max(REPLAYED_ACTIONS),
            None => most,
        }
    }

    /// Holds a payload to its limit.
    pub(super) fn check_size(&self, sequence: Sequence, what: impl Fn() -> String, bytes: usize) -> Result<()> {
        let limit = self.begin.payload_bytes;
        self.permit(sequence, &what, || match bytes <= limit {
            true => Ok(()),
            false => Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "{} has {bytes} bytes and {limit} is the limit; nothing was sent",
                    what()
                ),
            )),
        })
    }

    /// Holds a step to a limit that may be another one when the turn runs again. A refusal becomes a part of the history.
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

    /// Fails the execution, because what it asked for is refused and has no answer that could say so. The first reason
    /// counts.
    pub(super) fn refuse(&self, error: &Error) {
        let failure = super::end::failure_of(error);
        self.state.borrow_mut().refused.get_or_insert(failure);
    }

    /// The outcome of a step, once. A lock stays open.
    pub(super) fn poll(&self, sequence: Sequence, cx: &Context<'_>) -> Poll<std::result::Result<Vec<u8>, CallFailure>> {
        let mut state = self.state.borrow_mut();
        let polls = state.polls;
        // What is not there was made when nothing counted any more: nobody will ever answer.
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
                // Cloning a waker is the user's code, too.
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

    /// Nobody wants the outcome of a step any more.
    pub(super) fn abandon(&self, sequence: Sequence) {
        // A panic inside of this crate would leave it borrowed; then nothing counts any more.
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

    /// Whether the code waits for something durable, now that the root rests.
    ///
    /// The root polls again all that it waits for. So of what was polled with its own waker, only what the last poll reached
    /// counts: the code has moved on from the rest. Combinators such as `FuturesUnordered` have wakers of their own and
    /// poll only what was woken; whatever they hold counts.
    pub(super) fn is_waited_for(&self, root: &Waker) -> bool {
        let state = self.state.borrow();
        let counts = |step: &Step| match &step.waker {
            Some(waker) => !waker.will_wake(root) || step.polled_in == state.polls,
            None => false,
        };
        state.steps.values().any(counts)
    }

    /// What the code has done so far: in which poll of the root it runs, and what it asked for last.
    pub(super) fn progress(&self) -> (u64, Sequence) {
        let state = self.state.borrow();
        (state.polls, state.sequence)
    }

    /// Whether the code itself runs, and its variables are not only dropped because it ends.
    pub(super) fn is_awake(&self) -> bool {
        self.state.try_borrow().is_ok_and(|state| state.awake && !state.closed)
    }

    /// When this turn began.
    pub(super) fn now(&self) -> Timestamp {
        self.state.borrow().now
    }

    /// An id that no other step of any execution has, and that every replay makes again.
    pub(super) fn derived_id(&self, sequence: Sequence) -> String {
        let seed = self.started.get().map_or(self.begin.execution, |started| started.seed);
        format!("{seed}:{sequence}")
    }

    /// The memory that it takes, in bytes, about.
    pub(super) fn bytes(&self) -> usize {
        let state = self.state.borrow();
        // The input is there as JSON and, most often, as the value that the code began with.
        let started = self.started.get().map_or(0, |started| {
            let tags = started.tags.iter().map(|(name, value)| name.len() + value.len());
            2 * started.input.len() + tags.sum::<usize>()
        });
        // A step with its place in the map and the future that waits for it.
        let step = 2 * size_of::<Step>();
        1_024 + started + state.steps.len() * step + state.held_bytes + state.events.bytes()
    }

    /// A number of the execution's own stream.
    pub(super) fn draw(&self) -> u64 {
        self.state.borrow_mut().random.next()
    }
}

/// So many steps may a turn make for each that it may ask for.
const CLAIMS_PER_ACTION: u64 = 10;

/// So many things may a turn that runs again ask for at least, whatever today's limit is.
const REPLAYED_ACTIONS: usize = 100_000;

/// Ends a turn that asks for too much. What is dropped while its code unwinds may ask for more, and a second unwinding would
/// end the process.
fn overflow() {
    if !std::thread::panicking() {
        resume_unwind(Box::new(Overflow));
    }
}

impl State {
    /// Removes a step, and takes back what it asked for: from the list if that is of this turn, with a command otherwise.
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

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Journal of {}", self.begin.instance)
    }
}
