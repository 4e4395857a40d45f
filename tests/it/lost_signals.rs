//! An entity that signals an operation which the registered counter does not have. Its signals become dead letters.

use abide::prelude::*;

/// The counter as the sender knows it.
mod believed {
    use abide::prelude::*;

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    pub(super) struct Counter;

    #[operations]
    impl Counter {
        pub fn lose(&mut self, n: u32) {
            let _ = n;
        }
    }
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Sender;

#[operations]
impl Sender {
    pub fn send(&mut self, ctx: &mut EntityContext, numbers: Vec<u32>) {
        for n in numbers {
            ctx.entity::<believed::Counter>("lost").lose(n).signal();
        }
    }
}
