use abide::prelude::*;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Account;

struct NotStored;

#[operations]
impl Account {
    pub fn takes(&mut self, given: NotStored) {
        let _ = given;
    }

    pub fn takes_reference(&mut self, given: &NotStored) {
        let _ = given;
    }

    pub fn takes_slice(&mut self, given: &[NotStored]) {
        let _ = given;
    }

    pub fn answers(&self) -> NotStored {
        NotStored
    }

    pub fn answers_or_fails(&self) -> Result<NotStored, Failure> {
        Ok(NotStored)
    }
}

fn main() {}
