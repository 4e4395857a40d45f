use abide::prelude::*;

mod charge {}

#[activity]
async fn charge() {}

fn main() {}
