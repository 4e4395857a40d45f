use abide::prelude::*;

#[derive(Debug, thiserror::Error, FromCallError)]
enum FromFailure {
    #[error("{0}")]
    Failed(#[from] Failure),
    #[error(transparent)]
    Runtime(#[from] CallError),
}

#[derive(Debug, thiserror::Error, FromCallError)]
enum Marked {
    #[error("{0}")]
    Failed(#[from_call_error] Failure),
    #[error("{0}")]
    Again(#[from_call_error] Failure),
    #[error("{0}")]
    Other(#[from_call_error] String),
    #[error(transparent)]
    Runtime(#[from] CallError),
}

fn main() {}
