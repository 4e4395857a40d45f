//! Activities: work that is done outside of the hub on behalf of an orchestration.

mod code;
pub(crate) mod context;
mod kind;
mod options;
#[cfg(test)]
mod tests;

pub(crate) use code::activity_code;
#[cfg(feature = "testing")]
pub(crate) use code::{activity_code_of, decode as decode_input};
pub use context::ActivityContext;
pub use kind::{Activity, BoxFuture};
pub use options::ActivityOptions;
