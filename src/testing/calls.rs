//! The calls of activities, recorded for a test.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::activity::{Activity, decode_input};
use crate::engine::code::{ActivityCode, ActivityFuture, Attempt};
use crate::resource::ResourceNeed;

/// The attempts of activities, in the order in which they began.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(Arc<Mutex<Vec<Call>>>);

/// An attempt of an activity.
#[derive(Debug)]
struct Call {
    name: String,
    input: Vec<u8>,
}

impl Calls {
    /// Returns the inputs of the attempts of one activity.
    pub(super) fn of<A: Activity>(&self) -> Vec<A::Input> {
        let calls = self.all();
        let inputs = calls.iter().filter(|call| call.name == A::NAME);
        inputs
            .map(|call| match decode_input(&call.input) {
                Ok(input) => input,
                Err(reason) => panic!("a call of the activity `{}` was recorded, but {reason}", A::NAME),
            })
            .collect()
    }

    /// Returns the code of an activity, which records its attempts.
    pub(super) fn record(&self, code: Arc<dyn ActivityCode>) -> Arc<dyn ActivityCode> {
        let calls = self.clone();
        Arc::new(Recorded { code, calls })
    }

    fn all(&self) -> MutexGuard<'_, Vec<Call>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The code of an activity whose attempts are recorded.
struct Recorded {
    code: Arc<dyn ActivityCode>,
    calls: Calls,
}

impl ActivityCode for Recorded {
    fn name(&self) -> &str {
        self.code.name()
    }

    fn limit(&self) -> Option<usize> {
        self.code.limit()
    }

    fn timeout(&self) -> Option<Duration> {
        self.code.timeout()
    }

    fn is_blocking(&self) -> bool {
        self.code.is_blocking()
    }

    fn resources(&self) -> &'static [ResourceNeed] {
        self.code.resources()
    }

    fn check_input(&self, input: &[u8]) -> Result<(), String> {
        self.code.check_input(input)
    }

    fn run(&self, input: Vec<u8>, attempt: Attempt) -> ActivityFuture {
        let call = Call {
            name: self.name().to_owned(),
            input: input.clone(),
        };
        let (calls, future) = (self.calls.clone(), self.code.run(input, attempt));
        // An attempt that is canceled before it begins is never polled.
        Box::pin(async move {
            calls.all().push(call);
            future.await
        })
    }
}
