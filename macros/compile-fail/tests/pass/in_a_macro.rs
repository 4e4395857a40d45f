//! Entities written by `macro_rules`, whose types come in invisible groups.

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

fn main() {
    fn is_operated<E: abide::Operations>() {}
    is_operated::<Texts>();
    is_operated::<Numbers>();
}
