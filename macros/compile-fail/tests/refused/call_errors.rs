use abide::prelude::*;

#[derive(Debug, thiserror::Error, FromCallError)]
#[error("a struct")]
struct Struct;

#[derive(Debug, thiserror::Error, FromCallError)]
enum NoPlace {
    #[error("other")]
    Other,
}

#[derive(Debug, thiserror::Error, FromCallError)]
enum NoFrom {
    #[error("runtime")]
    Runtime(#[source] CallError),
}

#[derive(Debug, thiserror::Error, FromCallError)]
#[from_call_error(name = "x")]
enum Misplaced {
    #[error("runtime")]
    #[from_call_error(crate = abide)]
    Runtime(#[from] CallError),
}

#[derive(Debug, FromCallError)]
enum Generic<T> {
    Runtime(CallError),
    Again(CallError<NoError>),
    Other(T),
}

fn main() {}
