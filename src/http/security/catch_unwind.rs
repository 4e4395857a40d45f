//! Isolation of panics in handlers: a panic ends only its own request.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use crate::panic;

/// Runs a future to completion. Returns the message of the panic as the error if the future panics.
///
/// The state of the future is dropped with it. It shares only the hub with other requests, and the hub protects itself.
pub(super) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Err(panic) => Poll::Ready(Err(panic::text(&*panic).to_owned())),
    })
    .await
}
