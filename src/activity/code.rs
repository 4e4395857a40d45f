//! Adapter from a user's activity to the code that the engine runs.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::activity::context::ActivityContext;
use crate::activity::kind::{Activity, BoxFuture};
use crate::engine::code::{ActivityCode, ActivityFuture, Attempt};
use crate::entity::{Answer, Argument, OperationError};
use crate::error::{Error, ErrorKind};
use crate::model::Outcome;
use crate::resource::ResourceNeed;

/// Returns the code of the activity `A` in the form that the engine runs.
pub(crate) fn activity_code<A: Activity>() -> Arc<dyn ActivityCode> {
    activity_code_of::<A, _>(A::run)
}

/// Like [`activity_code`], with another function in place of the user's.
pub(crate) fn activity_code_of<A: Activity, F: RunActivity<A>>(run: F) -> Arc<dyn ActivityCode> {
    let of = PhantomData;
    Arc::new(TypedCode::<A, F> { run, of })
}

/// The function of an activity.
pub(crate) trait RunActivity<A: Activity>:
    Fn(ActivityContext, A::Input) -> BoxFuture<Result<A::Output, A::Error>> + Clone + Send + Sync + 'static
{
}

impl<A: Activity, F> RunActivity<A> for F where
    F: Fn(ActivityContext, A::Input) -> BoxFuture<Result<A::Output, A::Error>> + Clone + Send + Sync + 'static
{
}

struct TypedCode<A, F> {
    run: F,
    of: PhantomData<fn() -> A>,
}

impl<A: Activity, F: RunActivity<A>> ActivityCode for TypedCode<A, F> {
    fn name(&self) -> &str {
        A::NAME
    }

    fn limit(&self) -> Option<usize> {
        A::OPTIONS.at_once()
    }

    fn timeout(&self) -> Option<Duration> {
        A::OPTIONS.attempt_timeout()
    }

    fn is_blocking(&self) -> bool {
        A::OPTIONS.is_blocking()
    }

    fn resources(&self) -> &'static [ResourceNeed] {
        A::RESOURCES
    }

    fn check_input(&self, input: &[u8]) -> Result<(), String> {
        decode::<A::Input>(input).map(|_| ())
    }

    fn run(&self, input: Vec<u8>, attempt: Attempt) -> ActivityFuture {
        let run = self.run.clone();
        // All user code runs when the future is polled, so that one `catch_unwind` covers every panic.
        Box::pin(async move {
            let input = match decode::<A::Input>(&input) {
                Ok(input) => input,
                Err(reason) => {
                    let message = format!("the activity `{}` ({}): {reason}", A::NAME, attempt.activity);
                    return Outcome::Runtime(Error::new(ErrorKind::InvalidArguments, message));
                }
            };
            let activity = attempt.activity.clone();
            let context = ActivityContext::new(A::NAME, attempt);
            match run(context, input).await {
                Err(error) => {
                    let mut failure = error.to_failure();
                    failure.non_retriable |= !A::is_retriable(&error);
                    Outcome::Returned(failure)
                }
                Ok(answer) => {
                    let mut json = Vec::with_capacity(32);
                    match answer.to_json(&mut json) {
                        Ok(()) => Outcome::Answer(json),
                        Err(reason) => Outcome::Runtime(Error::new(
                            ErrorKind::Serialization,
                            format!(
                                "the output of the activity `{}` ({activity}) does not serialize: {reason}",
                                A::NAME
                            ),
                        )),
                    }
                }
            }
        })
    }
}

/// Decodes an input. An empty input counts as `null`, so that a caller without input need not write one.
pub(crate) fn decode<I: Argument>(input: &[u8]) -> Result<I, String> {
    let input = if input.is_empty() { b"null" } else { input };
    let refused = |reason: &dyn std::fmt::Display| {
        let wanted = std::any::type_name::<I>();
        format!("its input does not decode into `{wanted}`: {reason}")
    };
    let (value, end) = (I::CODE.read)(input).map_err(|reason| refused(&reason))?;
    match input[end..].iter().position(|byte| !byte.is_ascii_whitespace()) {
        None => Ok(value),
        Some(at) => Err(refused(&format_args!(
            "trailing data after the value, from byte {} on",
            end + at
        ))),
    }
}
