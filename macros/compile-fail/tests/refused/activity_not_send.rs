use std::rc::Rc;

use abide::prelude::*;

#[activity]
async fn keeps_to_its_thread() -> usize {
    let shared = Rc::new(1);
    std::future::ready(()).await;
    *shared
}

fn main() {}
