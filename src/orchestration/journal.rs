//! What an execution of an orchestration knows of its steps.

/// What an execution of an orchestration knows of its steps.
#[derive(Debug, Default)]
pub(crate) struct Journal {}
