use abide::prelude::*;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Account;

fn register<E: abide::Operations>() {}

fn main() {
    register::<Account>();
    register::<String>();
}
