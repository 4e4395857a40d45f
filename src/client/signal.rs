//! Futures that resolve when a one-way message of a client is durable.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::client::reply::accepted;
use crate::client::submit::Sending;
use crate::error::Result;

type Boxed<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

macro_rules! acknowledgment {
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

/// A future that sends a signal and resolves when the signal is durable.
///
/// The signal is sent when the future is first polled. If the future is dropped before it resolves, the signal may or
/// may not have been accepted.
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

acknowledgment! {
    /// A future that schedules a signal and resolves to its timer id when the signal is durable.
    ScheduledSignal -> String, "a signal is scheduled when this is awaited"
}

acknowledgment! {
    /// A future that cancels a scheduled signal and resolves when the decision is durable.
    Cancel -> Cancellation, "a signal is canceled when this is awaited"
}

/// The outcome of canceling a scheduled signal.
///
/// ```
/// use std::time::Duration;
///
/// use abide::client::Cancellation;
/// use abide::prelude::*;
/// # #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// # struct Counter {
/// #     total: i64,
/// # }
/// # #[operations]
/// # impl Counter {
/// #     pub fn add(&mut self, n: i64) -> i64 {
/// #         self.total += n;
/// #         self.total
/// #     }
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().entity::<Counter>().open().await?;
/// let visits = hub.client().entity::<Counter>("visits");
/// visits.add(1).timer_id("later").signal_after(Duration::from_secs(3600)).await?;
/// assert_eq!(visits.cancel_signal("later").await?, Cancellation::Canceled);
/// assert_eq!(visits.cancel_signal("later").await?, Cancellation::TooLate);
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// The signal will not fire.
    Canceled,
    /// The signal has fired, was canceled before, or never existed.
    TooLate,
}
