//! Entities: their states, operations, references and call errors.

pub(crate) mod answer;
pub(crate) mod argument;
pub(crate) mod caller;
pub(crate) mod context;
pub(crate) mod conversion;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod entity_caller;
pub(crate) mod error;
pub(crate) mod key;
pub(crate) mod kind;
pub(crate) mod object;
pub(crate) mod operation;
pub(crate) mod operation_error;
pub(crate) mod operations;
pub(crate) mod read_state;
pub(crate) mod reference;
pub(crate) mod sent;
pub(crate) mod state;

pub use answer::Answer;
pub use argument::Argument;
pub use caller::{Caller, CanCall, ClientCaller};
pub use context::{EntityContext, ReadContext};
pub use entity_caller::EntityCaller;
pub(crate) use error::CallFailure;
pub use error::{CallError, NoError};
pub use key::Key;
pub use kind::Entity;
pub(crate) use object::entity_code;
pub use operation::{NamedTimer, Operation};
pub use operation_error::OperationError;
pub use operations::Operations;
pub use read_state::ReadState;
pub use reference::EntityRef;
pub(crate) use reference::reference;
pub use sent::SentMessage;

#[cfg(test)]
mod tests;
