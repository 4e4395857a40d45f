//! Entities, activities and orchestrations from `macro_rules`, which wraps their types in invisible groups.

use abide::prelude::*;

macro_rules! entity {
    ($name:ident, $argument:ty, $answer:ty, $context:ty) => {
        #[derive(Default, Deserialize, Entity, Serialize)]
        struct $name {
            last: Option<$answer>,
        }

        #[operations]
        impl $name {
            pub fn take(&mut self, ctx: $context, argument: $argument) -> Option<$answer> {
                let _ = (argument, ctx.now());
                self.last.take()
            }
        }
    };
}

entity!(Texts, &str, String, &mut EntityContext);
entity!(Numbers, &[u8], (u8, u8), &mut EntityContext);

macro_rules! functions {
    ($activity:ident, $orchestration:ident, $input:ty, $output:ty, $name:literal, $value:expr, $context:ident) => {
        #[activity(name = $name)]
        async fn $activity($context: ActivityContext, input: $input) -> $output {
            let _ = ($context, input);
            $value
        }

        #[orchestration]
        async fn $orchestration(context: OrchestrationContext, input: $input) -> Result<$output, Failure> {
            Ok(context.call_activity::<$activity>(input).await?)
        }
    };
}

functions!(measure, measured, (String, Vec<u8>), Option<usize>, "length", None, context);

fn main() {
    fn is_run<A: abide::Activity, O: abide::Orchestration>() -> &'static str {
        A::NAME
    }
    assert_eq!(is_run::<measure, measured>(), "length");
    fn is_operated<E: abide::Operations>() {}
    is_operated::<Texts>();
    is_operated::<Numbers>();
}
