//! One-way messages of a client: futures of their durable acknowledgement.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::client::caller::accepted;
use crate::client::submit::Sending;
use crate::error::Result;

type Boxed<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

macro_rules! acknowledgement {
    ($(#[$doc:meta])* $name:ident -> $output:ty, $must_use:literal) => {
        $(#[$doc])*
        #[must_use = $must_use]
        pub struct $name(pub(super) Boxed<$output>);

        impl Future for $name {
            type Output = Result<$output>;

            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
                self.0.as_mut().poll(cx)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

/// A signal on its way: resolves when it is durable.
///
/// It is sent when it is first polled. Dropped before it resolved, the signal may or may not have been taken in.
#[must_use = "a signal is sent when this is awaited"]
pub struct Signal(pub(super) Sending);

impl Future for Signal {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(accepted)
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signal")
    }
}

acknowledgement! {
    /// A scheduled signal on its way: resolves to its timer id when it is durable.
    Schedule -> String, "a signal is scheduled when this is awaited"
}

acknowledgement! {
    /// The cancelling of a scheduled signal: resolves when the decision is durable.
    Cancel -> Cancellation, "a signal is cancelled when this is awaited"
}

/// What became of the wish to cancel a scheduled signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// It will not fire.
    Canceled,
    /// It fired, was cancelled before, or never was.
    TooLate,
}
