//! What a program that writes entities uses: `use abide::prelude::*;`.

pub use crate::{
    CallError, Entity, EntityContext, EntityId, EntityRef, Failure, FromCallError, Key, NoError, ReadContext,
    operations,
};
pub use serde::{Deserialize, Serialize};
