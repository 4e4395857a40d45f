//! Continuing as a new execution.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use serde::Serialize;

use crate::error::{Error, ErrorKind};
use crate::id::check_version;
use crate::model::history::Command;
use crate::orchestration::end::Ending;
use crate::orchestration::execution::{END, ExecutionState};

/// Ends this execution and begins the next one, created by
/// [`OrchestrationContext::continue_as_new`](crate::OrchestrationContext::continue_as_new).
///
/// It has no effect until it is awaited, and no code after it runs. It has the type `!`, which coerces to any other.
#[must_use = "the execution continues until this is awaited"]
pub struct ContinueAsNew {
    execution: Rc<ExecutionState>,
    place: &'static Location<'static>,
    /// `None` if the input was refused, which fails the execution.
    input: Option<Vec<u8>>,
    /// The type of the input, for messages.
    given: &'static str,
    version: Option<String>,
    keep_events: bool,
}

impl ContinueAsNew {
    pub(super) fn new(
        execution: Rc<ExecutionState>,
        place: &'static Location<'static>,
        input: Option<Vec<u8>>,
        given: &'static str,
    ) -> Self {
        Self {
            execution,
            place,
            input,
            given,
            version: None,
            keep_events: true,
        }
    }

    /// Selects the version of the code for the next execution, which may take another input (default: the current
    /// version).
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Discards unread events (default: the next execution receives them).
    pub fn discard_events(mut self) -> Self {
        self.keep_events = false;
        self
    }
}

impl Future for ContinueAsNew {
    type Output = <fn() -> ! as Returns>::Type;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(input) = self.input.take() {
            self.execution.continue_as_new(&self, input);
        }
        Poll::Pending
    }
}

impl fmt::Debug for ContinueAsNew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContinueAsNew of {}", self.execution.begin.instance)
    }
}

/// Names the return type of a function, because `!` has no stable name elsewhere.
pub trait Returns {
    /// The return type.
    type Type;
}

impl<T> Returns for fn() -> T {
    type Type = T;
}

/// An input with which an orchestration of input type `T` can continue as new.
///
/// `#[orchestration]` passes the argument of `ctx.continue_as_new(…).await` through it, so that a wrong type does not
/// compile.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "this orchestration cannot continue as new with `{Self}`",
    label = "this orchestration takes `{T}`",
    note = "to continue with a version that takes another input, select it in the same expression: `ctx.continue_as_new(input).version(\"2\").await`"
)]
pub trait NextInput<T>: Serialize {}

impl<T: Serialize> NextInput<T> for T {}
impl<T: Serialize> NextInput<T> for &T {}
impl<T: Serialize> NextInput<Option<T>> for T {}
impl<T: Serialize> NextInput<Vec<T>> for &[T] {}
impl NextInput<String> for &str {}

/// Returns its argument, if an orchestration of input type `T` can continue with it.
#[doc(hidden)]
pub fn next_input<T, I: NextInput<T>>(input: I) -> I {
    input
}

impl ExecutionState {
    fn continue_as_new(&self, next: &ContinueAsNew, input: Vec<u8>) {
        let what = || format!("the input with which `{}` is to continue as new", self.begin.instance);
        if let Err(error) = self.check_size(END, what, input.len()) {
            return self.refuse(&error);
        }
        let version = next.version.clone();
        if let Err(error) = check_version(version.as_deref().unwrap_or_default()) {
            return self.refuse(&error);
        }
        if version.is_none()
            && let Err(reason) = (self.program.check_input)(&input)
        {
            let message = format!("{}, which is of the type `{}`: {reason}", what(), next.given);
            return self.refuse(&Error::new(ErrorKind::InvalidArguments, message));
        }
        let ending = Ending {
            normalize: version.is_none().then_some(self.program.normalize_input),
            command: Command::ContinueAsNew {
                input,
                version,
                keep_events: next.keep_events,
            },
            place: Some(next.place),
        };
        self.state.borrow_mut().ending.get_or_insert(ending);
    }
}
