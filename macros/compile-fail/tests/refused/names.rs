use abide::prelude::*;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Account;

#[operations]
impl Account {
    pub fn id(&self) {}

    pub fn key(&self) {}

    pub fn state(&self) {}

    pub fn cancel_signal(&mut self) {}

    pub fn close(&mut self) {}

    #[operation(name = "close")]
    pub fn close_again(&mut self) {}

    #[operation(name = "")]
    pub fn unnamed(&mut self) {}

    #[operation(rename = "a")]
    pub fn misspelled(&mut self) {}

    #[operation]
    pub fn without_a_name(&mut self) {}
}

#[derive(Entity, Default, Serialize, Deserialize)]
#[entity(name = "a@b")]
struct WithAt;

#[derive(Entity, Default, Serialize, Deserialize)]
#[entity(name = "")]
struct Unnamed;

#[derive(Entity, Default, Serialize, Deserialize)]
#[entity(rename = "a")]
struct Misspelled;

#[derive(Entity, Default, Serialize, Deserialize)]
#[entity(audit = 0)]
struct KeepsNothing;

#[derive(Entity, Default, Serialize, Deserialize)]
#[entity(audit = 2000)]
struct KeepsTooMuch;

fn main() {}
