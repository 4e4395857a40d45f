//! Errors of the transport.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// A failure of the transport, as one sentence with the address, the reason and the way out.
#[derive(Clone, Debug)]
pub(crate) struct TransportError {
    message: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl TransportError {
    pub(super) fn new(message: String) -> Self {
        Self { message, source: None }
    }

    pub(super) fn with_source(message: String, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = Some(Arc::from(source.into()));
        Self { message, source }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// A request without an answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The service of the other node has not received the request and never will.
    #[error(transparent)]
    NotSent(TransportError),
    /// The service of the other node may or may not have processed the request, and may still be processing it.
    #[error(transparent)]
    Unknown(TransportError),
    /// The request is larger than [`MAX_BODY_BYTES`](super::MAX_BODY_BYTES). It was not sent, and never will be.
    #[error(transparent)]
    TooLarge(TransportError),
    /// The other node has answered with a failure of HTTP, or with more than [`MAX_BODY_BYTES`](super::MAX_BODY_BYTES).
    /// Its service may have processed the request, and the answer to another one would fail as well.
    #[error(transparent)]
    Unanswerable(TransportError),
}

/// Returns the innermost cause of an error as a lower-case fragment.
pub(super) fn reason(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = cause.to_string();
    // The sentences of rustls and tokio-rustls for a connection that ended early. h2 hides the error but not its text.
    if text.contains("close_notify") || text == "tls handshake eof" {
        return "the other side closed the connection".to_owned();
    }
    // The operating system's errors end in a number, as in "Connection refused (os error 111)".
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}
