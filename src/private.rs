//! Support code for the expansions of the macros. Not part of the public API: it can change with any version.

pub use crate::activity::context::activity_resources;
pub use crate::engine::code::{OperationFailure, OperationMode, OperationOutcome, OperationSpec};
pub use crate::entity::answer::{IsNoResult, IsResult, ResultType, answered, returned};
pub use crate::entity::argument::{Parameter, argument};
pub use crate::entity::context::{ContextParameter, ReadContextParameter, operation_resources};
pub use crate::entity::conversion::PassedOn;
pub use crate::entity::decode::{ArgumentReader, Slot};
pub use crate::entity::encode::ArgumentWriter;
pub use crate::entity::kind::is_entity;
pub use crate::entity::operations::{Finished, ReadTurn, Running, Turn, not_in_table};
pub use crate::entity::reference::{Reference, ReferenceCode};
pub use crate::entity::state::{Cloner, FirstState, NotClone, State, StateCode};
pub use crate::orchestration::continue_as_new::{NextInput, next_input};
pub use crate::orchestration::question_mark::{activity_question_mark, orchestration_question_mark};
pub use crate::resource::{ResourceNeed, ResourceParameter};
