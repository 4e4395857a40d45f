//! Bodies of requests and answers.

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};

use super::limits::MAX_BODY_BYTES;

/// The reason why a body could not be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The body is larger than [`MAX_BODY_BYTES`].
    TooLarge,
    /// The stream ended before the body.
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

/// Reads a body up to its end. The size is checked before the first byte is read, if the sender has announced it.
///
/// # Errors
///
/// If the body exceeds the limit, or if it is incomplete.
pub(super) async fn read(body: Incoming) -> Result<Bytes, ReadError> {
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(ReadError::TooLarge);
    }
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ReadError::TooLarge),
        Err(error) => Err(ReadError::Broken(error)),
    }
}
