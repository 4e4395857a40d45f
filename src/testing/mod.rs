//! Tests of entities and orchestrations: a hub on one thread with virtual time, activities that are replaced, and a
//! crash at every sync.
//!
//! A [`TestHub`] runs the engine of every other hub. Only its store, its clock and its threads differ: the store is in
//! memory, time is virtual, and everything runs on the thread of the test. Nothing depends on the speed of the machine,
//! and the same seed gives the same run.
//!
//! ```
//! use std::time::Duration;
//!
//! use abide::prelude::*;
//! use abide::testing::TestHub;
//!
//! #[activity]
//! async fn charge(cents: u64) -> Result<String, Failure> {
//!     Err(Failure::message(format!("no provider takes {cents} cents in a test")))
//! }
//!
//! #[orchestration]
//! async fn subscription(ctx: OrchestrationContext, cents: u64) -> Result<String, Failure> {
//!     ctx.create_timer(Duration::from_secs(30 * 24 * 60 * 60)).await;
//!     Ok(ctx.call_activity::<charge>(cents).await?)
//! }
//!
//! let hub = TestHub::new(|| Hub::in_memory().orchestration::<subscription>())
//!     .mock::<charge>(|cents| Ok(format!("charged {cents}")));
//! hub.run(async |hub| {
//!     let run = hub.client().start::<subscription>(900).await?;
//!     hub.run_until_idle().await;
//!     assert!(hub.calls::<charge>().is_empty(), "nothing is charged before the month is over");
//!     // Thirty days pass at once.
//!     assert_eq!(run.result().await?, "charged 900");
//!     assert_eq!(hub.calls::<charge>(), [900]);
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`crash_everywhere`] runs a scenario repeatedly, and crashes it at a different sync each time.

mod calls;
mod crash;
mod diff;
mod life;
mod linearizable;
mod mock;
mod open_steps;
mod outline;
mod replay;
mod running;
mod sender_order;
mod test_hub;
mod wakes;

pub use crash::{CrashReport, crash_everywhere};
pub use linearizable::{Began, NotLinearizable, Recorder};
pub use mock::Mock;
pub use outline::{assert_history, outline};
#[cfg(feature = "fuzzing")]
pub(crate) use replay::parse;
pub use replay::{Mismatch, assert_replays, replay};
pub use running::RunningHub;
pub use sender_order::{OrderFault, SenderOrder, WrongOrder};
pub use test_hub::TestHub;
