use std::rc::Rc;

use abide::prelude::*;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Account {
    cents: i64,
}

#[operations]
impl Account {
    pub async fn collect(&mut self) {
        let shared = Rc::new(1);
        std::future::ready(()).await;
        self.cents += *shared;
    }
}

fn main() {}
