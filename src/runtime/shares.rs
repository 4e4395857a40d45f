//! The room of each executor for what clients and operators send to it.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// How many orders of operators are taken in and not settled, over all executors. A purge by filter has 256 on their way.
const OPERATORS: usize = 1_024;

/// The room that one executor has for messages that are taken in and neither settled nor stored.
///
/// Each executor has its own share, so that one that hangs takes no room from the others. A message takes a part of it
/// while it is in memory only: what waits as a row is bounded by the queue of its instance.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) clients: Arc<Semaphore>,
    /// The room for orders of operators, so that a hub that is full of clients can still be put in order.
    pub(crate) operators: Arc<Semaphore>,
}

impl Share {
    /// The shares of so many executors in the room for `messages` of clients. Each has room for one at least.
    pub(super) fn divide(messages: usize, executors: usize) -> Vec<Self> {
        let share = |room: usize| Arc::new(Semaphore::new(room.div_ceil(executors)));
        let shares = (0..executors).map(|_| Self {
            clients: share(messages),
            operators: share(OPERATORS),
        });
        shares.collect()
    }

    /// Takes in nothing more.
    pub(super) fn close(&self) {
        self.clients.close();
        self.operators.close();
    }
}
