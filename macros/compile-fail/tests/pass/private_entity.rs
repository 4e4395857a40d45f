//! A private entity that is hardly used. The expansion adds no warnings.
#![deny(warnings, unreachable_pub, dead_code, unused)]

use abide::prelude::*;

#[derive(Default, Deserialize, Entity, Serialize)]
struct Lamp {
    on: bool,
}

#[operations]
impl Lamp {
    pub fn switch(&mut self, on: bool) {
        self.on = on;
    }

    pub fn is_on(&self) -> bool {
        self.on
    }

    pub async fn warm_up(&mut self) {}

    #[deprecated]
    pub fn old(&mut self) {}
}

fn main() {}
