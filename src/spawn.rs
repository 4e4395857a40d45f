//! The one place where threads start.

use std::thread::{self, JoinHandle};

use crate::error::{Error, ErrorKind, Result};

/// Starts a thread with a name that debuggers and profilers show.
///
/// # Errors
/// [`ErrorKind::Io`] if the operating system gives no thread.
#[expect(clippy::disallowed_methods, reason = "threads start here")]
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| {
            Error::new(ErrorKind::Io, format!("the thread `{name}` did not start: {error}")).with_source(error)
        })
}
