use abide::prelude::*;

type Outcome<T> = std::result::Result<T, Failure>;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Account;

#[operations]
impl Account {
    pub fn hidden(&self) -> Outcome<i64> {
        Ok(1)
    }
}

mod other {
    use abide::prelude::*;

    type Result<T> = Option<T>;

    #[derive(Entity, Default, Serialize, Deserialize)]
    struct Account;

    #[operations]
    impl Account {
        pub fn no_result(&self) -> Result<i64> {
            Some(1)
        }
    }
}

fn main() {}
