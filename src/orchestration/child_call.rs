//! Orchestrations that are started by an orchestration.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::entity::CallError;
use crate::entity::caller::Claim;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, Sequence, check_tags, check_version, set_tag};
use crate::model::history::Command;
use crate::orchestration::activity_call::read;
use crate::orchestration::execution::ExecutionState;
use crate::orchestration::kind::Orchestration;
use crate::orchestration::options;
use crate::orchestration::payload::{Normalize, encode_argument};
use crate::orchestration::step::{Attempts, Emission, What};
use crate::orchestration::step_future::StepFuture;
use crate::retry::RetryPolicy;

/// A call of a sub-orchestration, created by
/// [`OrchestrationContext::call_sub_orchestration`](crate::OrchestrationContext::call_sub_orchestration).
///
/// The sub-orchestration starts at the end of the turn, whether or not the call is awaited. Dropping the call cancels
/// the sub-orchestration and everything that it has started.
///
/// # Errors
/// Returns [`CallError::Returned`] with the sub-orchestration's own error, or [`CallError::Runtime`] with an error of
/// kind [`AlreadyExists`](ErrorKind::AlreadyExists), [`Terminated`](ErrorKind::Terminated),
/// [`ChildInLock`](ErrorKind::ChildInLock) inside a critical section, [`InvalidId`](ErrorKind::InvalidId),
/// [`Serialization`](ErrorKind::Serialization) or [`TooLarge`](ErrorKind::TooLarge).
#[must_use = "a dropped sub-orchestration is canceled; await it, or use `start_orchestration`"]
pub struct ChildCall<O> {
    awaited: StepFuture,
    orchestration: PhantomData<fn() -> O>,
}

impl<O: Orchestration> ChildCall<O> {
    pub(super) fn new(execution: &Rc<ExecutionState>, claim: Claim, input: &O::Input) -> Self {
        let awaited = match Self::ask(execution, claim, input) {
            Ok(()) => StepFuture::open(Rc::clone(execution), claim),
            Err(error) => StepFuture::refused(Rc::clone(execution), error),
        };
        Self {
            awaited,
            orchestration: PhantomData,
        }
    }

    fn ask(execution: &ExecutionState, claim: Claim, input: &O::Input) -> Result<()> {
        execution.check_child(O::NAME)?;
        let command = start::<O>(execution, claim, input, Wait::ForEnd)?;
        let what = What::Child {
            instance: InstanceId::trusted(execution.child_id(claim.sequence)),
            attempts: Attempts::default(),
        };
        execution.open(claim, what, command, Some(Normalize::argument::<O::Input>()));
        Ok(())
    }

    /// Sets the id of the sub-orchestration (default: a unique id, [placed](crate::Placed) with this orchestration).
    ///
    /// An id contains no `/`, `\`, `#`, `?` or control characters, does not begin with `@`, is not a dot segment of a
    /// URL (`.`, `..`), and has at most [`MAX_ID_BYTES`](crate::MAX_ID_BYTES) bytes.
    ///
    /// # Panics
    /// Panics if called after an await. Set options where the call is made.
    #[track_caller]
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        let id = id.into();
        match self.awaited.execution().check_id(self.awaited.sequence(), &id) {
            Err(error) => self.awaited.refuse(error),
            Ok(()) => self.configure(|what, command| {
                let id = InstanceId::trusted(id);
                set_instance(command, id.clone());
                if let What::Child { instance, .. } = what {
                    *instance = id;
                }
            }),
        }
        self
    }

    /// Selects the version of the sub-orchestration (default: the newest).
    ///
    /// # Panics
    /// Panics if called after an await. Set options where the call is made.
    #[track_caller]
    pub fn version(self, version: impl Into<String>) -> Self {
        let mut checked = Ok(());
        self.configure(|_, command| checked = set_version(command, version.into()));
        self.check(checked)
    }

    /// Adds a tag, by which the sub-orchestration can be found. It replaces a tag with the same name.
    ///
    /// A sub-orchestration has at most 64 tags, with 16 KiB of names and values in total.
    ///
    /// # Panics
    /// Panics if called after an await. Set options where the call is made.
    #[track_caller]
    pub fn tag(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let mut checked = Ok(());
        self.configure(|_, command| checked = add_tag(command, name.into(), value.into()));
        self.check(checked)
    }

    /// Sets the policy for starting the sub-orchestration again after a failure, under the same id (default: no
    /// retries).
    ///
    /// # Panics
    /// Panics if called after an await. Set options where the call is made.
    #[track_caller]
    pub fn retry(self, policy: RetryPolicy) -> Self {
        if self.awaited.is_open() {
            let execution = self.awaited.execution();
            execution.set_retry(self.awaited.sequence(), policy, Some(Normalize::argument::<O::Input>()));
        }
        self
    }

    /// Retries only after failures that satisfy a condition, like
    /// [`ActivityCall::retry_if`](crate::orchestration::ActivityCall::retry_if).
    ///
    /// # Panics
    /// Panics if the call has no retry policy, or if called after an await.
    #[track_caller]
    pub fn retry_if(self, condition: impl Fn(&O::Error) -> bool + 'static) -> Self {
        if self.awaited.is_open() {
            let execution = self.awaited.execution();
            execution.set_condition(self.awaited.sequence(), options::condition(condition));
        }
        self
    }

    /// Sets a label, like [`ActivityCall::label`](crate::orchestration::ActivityCall::label).
    ///
    /// # Panics
    /// Panics if called after an await. Set options where the call is made.
    #[track_caller]
    pub fn label(self, label: impl AsRef<str>) -> Self {
        self.awaited.label(label.as_ref());
        self
    }

    /// Withdraws the call if an option is invalid.
    fn check(mut self, checked: Result<()>) -> Self {
        if let Err(error) = checked {
            self.awaited.refuse(error);
        }
        self
    }

    #[track_caller]
    fn configure(&self, change: impl FnOnce(&mut What, &mut Command)) {
        if self.awaited.is_open() {
            self.awaited.execution().configure(self.awaited.sequence(), change);
        }
    }
}

impl<O: Orchestration> Future for ChildCall<O> {
    type Output = Result<O::Output, CallError<O::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.awaited).poll(cx));
        Poll::Ready(read("sub-orchestration", O::NAME, outcome))
    }
}

impl<O: Orchestration> fmt::Debug for ChildCall<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChildCall of `{}`, {:?}", O::NAME, self.awaited)
    }
}

/// An orchestration that was started and runs independently, created by
/// [`OrchestrationContext::start_orchestration`](crate::OrchestrationContext::start_orchestration). Dropping this value
/// has no effect.
///
/// There is no answer that could hold an error. An id or a payload that violates the rules fails the orchestration that
/// starts it. If an orchestration with the id has not ended, nothing is started, and the start becomes a
/// [dead letter](crate::admin::Admin::dead_letters), from which it can be repeated.
pub struct ChildStart<O> {
    execution: Rc<ExecutionState>,
    sequence: Sequence,
    instance: String,
    emission: Option<Emission>,
    orchestration: PhantomData<fn() -> O>,
}

impl<O: Orchestration> ChildStart<O> {
    pub(super) fn new(execution: &Rc<ExecutionState>, claim: Claim, input: &O::Input) -> Self {
        let emission = match start::<O>(execution, claim, input, Wait::No) {
            Ok(command) => execution.send(claim, command, Some(Normalize::argument::<O::Input>())),
            Err(error) => {
                execution.refuse(&error);
                None
            }
        };
        Self {
            execution: Rc::clone(execution),
            sequence: claim.sequence,
            instance: execution.child_id(claim.sequence),
            emission,
            orchestration: PhantomData,
        }
    }

    /// Returns the id of the orchestration.
    pub fn id(&self) -> &str {
        &self.instance
    }

    /// Sets the id of the orchestration (default: a unique id, [placed](crate::Placed) with this orchestration).
    ///
    /// An id contains no `/`, `\`, `#`, `?` or control characters, does not begin with `@`, is not a dot segment of a
    /// URL (`.`, `..`), and has at most [`MAX_ID_BYTES`](crate::MAX_ID_BYTES) bytes.
    ///
    /// # Panics
    /// Panics if called after an await. Set options where the orchestration is started.
    #[track_caller]
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.instance = id.into();
        if let Err(error) = self.execution.check_id(self.sequence, &self.instance) {
            self.execution.refuse(&error);
        }
        self.configure(|command| {
            set_instance(command, InstanceId::trusted(self.instance.as_str()));
            Ok(())
        });
        self
    }

    /// Selects the version of the orchestration (default: the newest).
    ///
    /// # Panics
    /// Panics if called after an await. Set options where the orchestration is started.
    #[track_caller]
    pub fn version(self, version: impl Into<String>) -> Self {
        self.configure(|command| set_version(command, version.into()));
        self
    }

    /// Adds a tag, by which the orchestration can be found. It replaces a tag with the same name.
    ///
    /// An orchestration has at most 64 tags, with 16 KiB of names and values in total.
    ///
    /// # Panics
    /// Panics if called after an await. Set options where the orchestration is started.
    #[track_caller]
    pub fn tag(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configure(|command| add_tag(command, name.into(), value.into()));
        self
    }

    /// Changes the command. An invalid option fails the orchestration.
    #[track_caller]
    fn configure(&self, change: impl FnOnce(&mut Command) -> Result<()>) {
        let mut checked = Ok(());
        if let Some(emission) = self.emission {
            self.execution
                .configure_sent(emission, |command| checked = change(command));
        }
        if let Err(error) = checked {
            self.execution.refuse(&error);
        }
    }
}

impl<O: Orchestration> fmt::Debug for ChildStart<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChildStart of `{}` as `{}`", O::NAME, self.instance)
    }
}

/// The wait of the starting orchestration for the end of the other one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    ForEnd,
    No,
}

fn start<O: Orchestration>(execution: &ExecutionState, claim: Claim, input: &O::Input, wait: Wait) -> Result<Command> {
    let input = encode_argument("orchestration", O::NAME, input)?;
    execution.check_size(
        claim.sequence,
        || format!("the input of the orchestration `{}`", O::NAME),
        input.len(),
    )?;
    Ok(Command::StartOrchestration {
        sequence: claim.sequence,
        instance: InstanceId::trusted(execution.child_id(claim.sequence)),
        name: O::NAME.to_owned(),
        version: None,
        input,
        tags: Vec::new(),
        wait: wait == Wait::ForEnd,
        attempt: 1,
    })
}

fn set_instance(command: &mut Command, id: InstanceId) {
    if let Command::StartOrchestration { instance, .. } = command {
        *instance = id;
    }
}

fn set_version(command: &mut Command, newest: String) -> Result<()> {
    check_version(&newest)?;
    if let Command::StartOrchestration { version, .. } = command {
        *version = Some(newest);
    }
    Ok(())
}

fn add_tag(command: &mut Command, key: String, value: String) -> Result<()> {
    let Command::StartOrchestration { tags, .. } = command else {
        return Ok(());
    };
    set_tag(tags, key, value);
    check_tags(tags)
}

impl ExecutionState {
    /// Checks the id of another orchestration against the rules for ids.
    fn check_id(&self, sequence: Sequence, id: &str) -> Result<()> {
        let what = || format!("the id `{id}`");
        self.permit(sequence, what, || InstanceId::orchestration(id).map(drop))
    }

    /// Refuses a sub-orchestration inside a critical section.
    fn check_child(&self, name: &str) -> Result<()> {
        match self.state.borrow().section {
            None => Ok(()),
            Some(_) => Err(Error::new(
                ErrorKind::ChildInLock,
                format!(
                    "the sub-orchestration `{name}` was called inside a critical section, where it could wait forever \
                     for the locks of its parent; call it outside of the section, or start it with \
                     `start_orchestration`"
                ),
            )),
        }
    }
}
