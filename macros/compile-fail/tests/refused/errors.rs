use abide::prelude::*;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Account;

#[derive(Debug, thiserror::Error)]
#[error("not stored")]
struct NotStored;

#[operations]
impl Account {
    pub fn text(&self) -> Result<i64, String> {
        Ok(1)
    }

    pub fn boxed(&self) -> Result<i64, Box<dyn std::error::Error + Send + Sync>> {
        Ok(1)
    }

    pub fn not_stored(&self) -> Result<i64, NotStored> {
        Ok(1)
    }

    pub fn io(&self) -> std::io::Result<i64> {
        Ok(1)
    }
}

fn main() {}
