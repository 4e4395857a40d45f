//! Types that the tests share: an entity, activities, and a macro for orchestrations.

use crate::activity::{Activity, ActivityContext, ActivityOptions, BoxFuture};
use crate::prelude::*;
use crate::retry::RetryPolicy;

/// Defines an orchestration without the attribute: `orchestration!(Name(ctx, input: Input) -> Output, Error { body })`.
macro_rules! orchestration {
    ($name:ident($ctx:ident, $input:ident: $in:ty) -> $out:ty, $err:ty $body:block) => {
        pub(super) struct $name;

        impl $crate::Orchestration for $name {
            const NAME: &'static str = stringify!($name);
            const VERSION: &'static str = "";
            type Input = $in;
            type Output = $out;
            type Error = $err;

            fn run(
                $ctx: $crate::OrchestrationContext,
                $input: $in,
            ) -> $crate::orchestration::LocalBoxFuture<std::result::Result<$out, $err>> {
                Box::pin(async move { $body })
            }
        }
    };
}
pub(super) use orchestration;

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
pub(super) struct Account {
    cents: i64,
}

#[operations]
impl Account {
    pub fn deposit(&mut self, cents: i64) -> i64 {
        self.cents += cents;
        self.cents
    }
}

macro_rules! activity {
    ($name:ident($in:ty) -> $out:ty, $options:expr) => {
        pub(super) struct $name;

        impl Activity for $name {
            const NAME: &'static str = stringify!($name);
            const OPTIONS: ActivityOptions = $options;
            type Input = $in;
            type Output = $out;
            type Error = Failure;

            fn run(_: ActivityContext, _: $in) -> BoxFuture<Result<$out, Failure>> {
                Box::pin(async { Err(Failure::message("the driver completes the activities")) })
            }
        }
    };
}

activity!(Double(i64) -> i64, ActivityOptions::new());
activity!(Text(String) -> String, ActivityOptions::new());
activity!(Stubborn(i64) -> i64, ActivityOptions::new().retry(RetryPolicy::new(3).backoff(2.0)));
