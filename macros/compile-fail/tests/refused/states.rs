use abide::prelude::*;

#[derive(Entity, Default)]
struct NotStored {
    cents: i64,
}

#[derive(Entity, Serialize, Deserialize)]
struct NoBeginning {
    cents: i64,
}

#[derive(Entity, Serialize, Deserialize)]
#[entity(init = opened)]
struct WrongBeginning {
    cents: i64,
}

fn opened(cents: i64) -> WrongBeginning {
    WrongBeginning { cents }
}

fn main() {}
