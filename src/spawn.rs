//! The only place where threads are started.

use crate::error::{Error, ErrorKind, Result};
use crate::sync::thread::{self, JoinHandle};

/// Starts a thread with a name that debuggers and profilers display.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Io`] if the operating system cannot start a thread.
#[expect(clippy::disallowed_methods, reason = "threads start here")]
pub(crate) fn spawn<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| {
            Error::new(ErrorKind::Io, format!("cannot start the thread `{name}`: {error}")).with_source(error)
        })
}
