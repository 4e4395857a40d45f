use abide::prelude::*;

struct NotStored;

#[derive(Debug, thiserror::Error)]
#[error("not stored")]
struct ErrorNotStored;

type Outcome<T> = Result<T, Failure>;

#[activity]
async fn takes(input: NotStored) {
    let _ = input;
}

#[activity]
async fn answers() -> NotStored {
    NotStored
}

#[activity]
async fn answers_or_fails() -> Result<NotStored, Failure> {
    Ok(NotStored)
}

#[activity]
async fn fails_with_text() -> Result<i64, String> {
    Ok(1)
}

#[activity]
async fn fails_with_an_error() -> Result<i64, ErrorNotStored> {
    Ok(1)
}

#[activity]
async fn fails_with_io() -> std::io::Result<i64> {
    Ok(1)
}

#[activity]
async fn hidden() -> Outcome<i64> {
    Ok(1)
}

fn main() {}
