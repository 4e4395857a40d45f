//! The hub of a test that runs.

use std::any::Any;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::activity::Activity;
use crate::client::Client;
use crate::runtime::Runtime;
use crate::runtime::local::LocalProgress;
use crate::testing::calls::Calls;

/// A moment of virtual time that is long enough for everything that can happen now.
const MOMENT: Duration = Duration::from_millis(1);

/// The hub of a test that runs. Created by [`TestHub::run`](crate::testing::TestHub::run).
pub struct RunningHub {
    pub(super) client: Client,
    pub(super) runtime: Arc<Runtime>,
    pub(super) progress: Rc<LocalProgress>,
    pub(super) calls: Calls,
    pub(super) outside: Option<Rc<dyn Any>>,
}

impl RunningHub {
    /// Returns a client of the hub.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Returns the current time of the hub.
    pub fn now(&self) -> SystemTime {
        self.runtime.clock.now().into()
    }

    /// Lets this much time pass, and then waits until nothing can happen at this time. Timers that are due meanwhile fire
    /// at their times. About a millisecond more passes. Activities that take longer go on.
    pub async fn advance(&self, time: Duration) {
        tokio::time::sleep(time).await;
        self.settle().await;
    }

    /// Waits until nothing can happen before a durable timer is due or a client sends another request: all messages are
    /// processed, and no activity and no `async` operation runs. About a millisecond passes, or as much time as the
    /// activities take.
    ///
    /// # Panics
    /// Panics if the hub fails.
    pub async fn run_until_idle(&self) {
        self.settle().await;
        while self.progress.is_running() {
            self.progress.waiting().await;
            self.settle().await;
        }
    }

    /// Waits until nothing can happen at this time.
    async fn settle(&self) {
        loop {
            // It ends only when no task can run.
            tokio::time::sleep(MOMENT).await;
            if let Some(error) = self.runtime.failure() {
                panic!("the hub of the test has failed: {error}");
            }
            if self.progress.is_waiting() && self.runtime.inboxes.iter().all(|inbox| inbox.len() == 0) {
                return;
            }
            self.progress.waiting().await;
        }
    }

    /// Lets time pass until the next durable timer is due, and then waits until nothing can happen at this time. Returns
    /// the time of the timer, or `None` if there is none. Waits [until the hub is idle](Self::run_until_idle) before.
    /// Delays between retries, scheduled signals and the times of schedules are timers as well.
    ///
    /// # Panics
    /// Panics if the hub fails.
    pub async fn jump_to_next_timer(&self) -> Option<SystemTime> {
        self.run_until_idle().await;
        let due = self.progress.next_timer()?;
        self.advance(self.runtime.clock.now().until(due)).await;
        Some(due.into())
    }

    /// Returns the world outside of the hub, which [`TestHub::outside`](crate::testing::TestHub::outside) has set.
    ///
    /// # Panics
    /// Panics if there is no such world, or if it has another type.
    #[track_caller]
    pub fn outside<T: 'static>(&self) -> &T {
        let world = self.outside.as_deref().and_then(|world| world.downcast_ref());
        world.unwrap_or_else(|| {
            let wanted = std::any::type_name::<T>();
            panic!("the world outside of the hub is not a `{wanted}`; set it with `TestHub::outside`")
        })
    }

    /// Returns the inputs of all attempts of the activity `A`, replaced or not, in the order in which they began. In
    /// [`crash_everywhere`](crate::testing::crash_everywhere), it includes those before the crash.
    ///
    /// # Panics
    /// Panics if a recorded input does not decode.
    pub fn calls<A: Activity>(&self) -> Vec<A::Input> {
        self.calls.of::<A>()
    }
}

impl fmt::Debug for RunningHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningHub")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}
