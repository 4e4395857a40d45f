//! A type of orchestrations.

use crate::entity::{Answer, Argument, OperationError};

/// A type of orchestrations.
pub trait Orchestration: Sized + 'static {
    /// The stored name.
    const NAME: &'static str;
    /// The stored version; empty if there is none.
    const VERSION: &'static str;
    /// What it begins with.
    type Input: Argument;
    /// What it ends with.
    type Output: Answer;
    /// How it fails.
    type Error: OperationError;
}
