//! What a program that writes entities uses: `use abide::prelude::*;`.

pub use crate::{
    CallError, Client, Entity, EntityContext, EntityId, EntityRef, Failure, FromCallError, Hub, Key, NoError,
    ReadContext, operations,
};
pub use serde::{Deserialize, Serialize};
