//! The room of each executor for messages from clients and operators.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Maximum number of accepted operator requests that are not settled, over all executors. A purge by filter has up to
/// 256 in flight.
const OPERATORS: usize = 1_024;

/// The room of one executor for accepted messages that are neither settled nor stored.
///
/// Each executor has its own share, so a hanging executor takes no room from the others. A message takes room only
/// while it is in memory. Messages that wait as rows are limited by the queue of their instance.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) clients: Arc<Semaphore>,
    /// Separate room for operator requests, so an operator can repair a hub whose room for clients is exhausted.
    pub(crate) operators: Arc<Semaphore>,
}

impl Share {
    /// Divides the room for `messages` client messages among `executors` executors. Each share has room for at least
    /// one.
    pub(super) fn divide(messages: usize, executors: usize) -> Vec<Self> {
        let share = |room: usize| Arc::new(Semaphore::new(room.div_ceil(executors)));
        let shares = (0..executors).map(|_| Self {
            clients: share(messages),
            operators: share(OPERATORS),
        });
        shares.collect()
    }

    /// Closes the share, so no more messages are accepted.
    pub(super) fn close(&self) {
        self.clients.close();
        self.operators.close();
    }
}
