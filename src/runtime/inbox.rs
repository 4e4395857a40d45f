//! The inbox of an executor.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::engine::message::{ClientOrigin, Input, Message, OperatorRequest, Token, Waiter};
use crate::error::Error;
use crate::id::{InstanceId, ShardId};
use crate::model::{Action, MailRecord};
use crate::runtime::backpressure::Response;
use crate::runtime::callers::Client;
use crate::runtime::contained::contained;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// Maximum number of waiting envelopes. Beyond it, messages between executors are left to their rows, for which a
/// delivery in memory is only a hint.
pub(crate) const DELIVERY_LIMIT: usize = 64 * 1024;

/// An input of an executor.
pub(crate) enum Envelope<C> {
    /// A request of a client.
    Request {
        target: InstanceId,
        action: Action,
        client: ClientOrigin,
        reply: C,
    },
    /// A request of an operator. The executor assigns the token.
    Operator { request: OperatorRequest, reply: C },
    /// A client waits for the end of an orchestration, under a token of its own.
    Wait {
        instance: InstanceId,
        waiter: Waiter,
        reply: C,
    },
    /// The client of this token no longer waits.
    Forget { instance: InstanceId, token: Token },
    /// Messages of another shard, of which the first one has this number.
    Mail {
        from: ShardId,
        first: u64,
        messages: Vec<MailRecord>,
        reply: C,
    },
    /// An input of the core.
    Input(Box<Input>),
    /// A client waits until the executor has nothing to do.
    Idle { reply: C },
    /// A wake-up without input, for example because messages were left to their rows.
    Wake,
    /// A request to end when no work is left or when `patience` has expired.
    Stop { patience: Duration },
}

/// The channel to a waiting client, with its share of the hub's room.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) sender: oneshot::Sender<Result<Response, Error>>,
    /// Held until the client receives its reply or its message waits as a row.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

impl Reply {
    /// Fails the request of the client.
    pub(crate) fn refuse(self, error: &Error) {
        let Self { sender, permit } = self;
        contained(|| drop(sender.send(Err(error.clone()))));
        // The drop wakes a client that waits for room.
        contained(|| drop(permit));
    }
}

impl Client for Reply {
    fn is_gone(&self) -> bool {
        self.sender.is_closed()
    }

    fn give_back_room(&mut self) {
        let permit = self.permit.take();
        // The drop wakes a client that waits for room.
        contained(|| drop(permit));
    }
}

/// Maximum capacity of an empty inbox, in envelopes.
const KEPT: usize = 4 * 1024;

/// The sending side of an executor's inbox.
///
/// The executor receives all envelopes by swapping its empty queue for the full one. So many envelopes need only one
/// lock, and no memory is allocated by one thread and freed by another.
#[derive(Debug)]
pub(crate) struct Inbox<C> {
    queue: Mutex<Queue<C>>,
    /// Wakes the executor.
    wake: Condvar,
    /// Wakes a receiver that is a task.
    #[cfg(any(feature = "cluster", feature = "testing"))]
    arrived: tokio::sync::Notify,
    spilled: AtomicBool,
    /// Number of clients that have given up since the executor last searched for them.
    gave_up: AtomicUsize,
    /// Number of waiting envelopes beyond which messages between executors are left to their rows.
    delivery_limit: usize,
}

#[derive(Debug)]
struct Queue<C> {
    envelopes: VecDeque<Envelope<C>>,
    /// True while the executor waits to be woken.
    idle: bool,
    /// True if the executor has ended.
    closed: bool,
}

/// The receiving side, which belongs to one executor.
#[derive(Debug)]
pub(crate) struct InboxReceiver<C> {
    inbox: Arc<Inbox<C>>,
}

impl<C> Inbox<C> {
    /// Makes an inbox in which at most `delivery_limit` envelopes wait before messages between executors are left to
    /// their rows.
    pub(crate) fn new(delivery_limit: usize) -> (Arc<Self>, InboxReceiver<C>) {
        let inbox = Arc::new(Self {
            queue: Mutex::new(Queue {
                envelopes: VecDeque::new(),
                idle: false,
                closed: false,
            }),
            wake: Condvar::new(),
            #[cfg(any(feature = "cluster", feature = "testing"))]
            arrived: tokio::sync::Notify::new(),
            spilled: AtomicBool::new(false),
            gave_up: AtomicUsize::new(0),
            delivery_limit,
        });
        let receiver = InboxReceiver {
            inbox: Arc::clone(&inbox),
        };
        (inbox, receiver)
    }

    /// Sends an envelope. Returns `false` if the executor has ended.
    pub(crate) fn send(&self, envelope: Envelope<C>) -> bool {
        let mut queue = self.queue();
        if queue.closed {
            return false;
        }
        queue.envelopes.push_back(envelope);
        let idle = std::mem::take(&mut queue.idle);
        drop(queue);
        if idle {
            self.wake.notify_one();
            #[cfg(any(feature = "cluster", feature = "testing"))]
            self.arrived.notify_one();
        }
        true
    }

    /// Delivers a message that has a row, or leaves it to its row if the inbox is full. Called while no other commit
    /// can be written, so deliveries are in commit order.
    pub(crate) fn deliver(&self, message: Message, commit: u64) {
        if self.spilled.load(Ordering::Relaxed) {
            return;
        }
        if self.len() >= self.delivery_limit {
            self.spilled.store(true, Ordering::Relaxed);
            self.send(Envelope::Wake);
            return;
        }
        // If the executor has ended, the row remains for the next open.
        self.send(Envelope::Input(Box::new(Input::Delivery { message, commit })));
    }

    /// Records that a client no longer waits for its result. Does not wake the executor, because such a client only
    /// takes memory.
    pub(crate) fn note_given_up(&self) {
        self.gave_up.fetch_add(1, Ordering::Relaxed);
    }

    /// Closes the inbox of an executor that should end, and does not come back from an operation. Dropping what waits here
    /// fails the requests, because the hub has ended.
    pub(crate) fn give_up(&self) {
        let mut queue = self.queue();
        queue.closed = true;
        let waiting = std::mem::take(&mut queue.envelopes);
        let (stop, dropped) = waiting
            .into_iter()
            .partition(|envelope| matches!(envelope, Envelope::Stop { .. }));
        queue.envelopes = stop;
        drop(queue);
        drop::<VecDeque<_>>(dropped);
    }

    /// Returns the number of waiting envelopes.
    pub(crate) fn len(&self) -> usize {
        self.queue().envelopes.len()
    }

    /// Ignores poisoning, because a panic cannot leave a partial change.
    fn queue(&self) -> MutexGuard<'_, Queue<C>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> InboxReceiver<C> {
    /// Waits for an envelope, for at most `timeout`.
    pub(crate) fn wait(&self, timeout: Option<Duration>) {
        let mut queue = self.inbox.queue();
        queue.idle = true;
        let empty = |queue: &mut Queue<C>| queue.envelopes.is_empty();
        let mut queue = match timeout {
            Some(timeout) => {
                let waited = self.inbox.wake.wait_timeout_while(queue, timeout, empty);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let waited = self.inbox.wake.wait_while(queue, empty);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
        };
        queue.idle = false;
    }

    /// Waits for an envelope, in a task.
    #[cfg(any(feature = "cluster", feature = "testing"))]
    pub(crate) async fn arrival(&self) {
        loop {
            {
                let mut queue = self.inbox.queue();
                queue.idle = queue.envelopes.is_empty();
                if !queue.idle {
                    return;
                }
            }
            self.inbox.arrived.notified().await;
        }
    }

    /// Moves the envelopes that were sent before the call, up to `at_most`, to `envelopes`, which must be empty.
    pub(crate) fn take(&self, envelopes: &mut VecDeque<Envelope<C>>, at_most: usize) {
        debug_assert!(envelopes.is_empty());
        envelopes.shrink_to(KEPT);
        let mut queue = self.inbox.queue();
        if at_most < queue.envelopes.len() {
            envelopes.extend(queue.envelopes.drain(..at_most));
        } else {
            std::mem::swap(&mut queue.envelopes, envelopes);
        }
    }

    /// Closes the inbox, and returns the envelopes that nobody has received.
    pub(crate) fn close(&self) -> VecDeque<Envelope<C>> {
        let mut queue = self.inbox.queue();
        queue.closed = true;
        std::mem::take(&mut queue.envelopes)
    }

    /// Returns the number of waiting envelopes.
    pub(crate) fn len(&self) -> usize {
        self.inbox.len()
    }

    /// Returns the number of envelopes up to the last delivery of a commit up to `seen`.
    #[cfg(test)]
    pub(crate) fn owed(&self, seen: u64) -> usize {
        let is_seen = |envelope: &Envelope<C>| match envelope {
            Envelope::Input(input) => matches!(**input, Input::Delivery { commit, .. } if commit <= seen),
            _ => false,
        };
        let queue = self.inbox.queue();
        queue.envelopes.iter().rposition(is_seen).map_or(0, |last| last + 1)
    }

    /// Returns `true` if deliveries were left to their rows since the last call. Called while no commit can be written.
    pub(super) fn take_spilled(&self) -> bool {
        self.inbox.spilled.swap(false, Ordering::Relaxed)
    }

    /// Returns `true` if deliveries were left to their rows. The envelope that wakes the executor is sent after the
    /// flag is set.
    pub(crate) fn has_spilled(&self) -> bool {
        self.inbox.spilled.load(Ordering::Relaxed)
    }

    /// Returns the number of clients that have given up since [`forget_given_up`](Self::forget_given_up).
    pub(super) fn given_up(&self) -> usize {
        self.inbox.gave_up.load(Ordering::Relaxed)
    }

    pub(super) fn forget_given_up(&self) {
        self.inbox.gave_up.store(0, Ordering::Relaxed);
    }
}

impl<C> Drop for InboxReceiver<C> {
    /// Closes the inbox. Dropping the envelopes fails their requests, because the hub has ended.
    fn drop(&mut self) {
        drop(self.close());
    }
}

impl<C> fmt::Debug for Envelope<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request { .. } => "Request",
            Self::Operator { .. } => "Operator",
            Self::Wait { .. } => "Wait",
            Self::Forget { .. } => "Forget",
            Self::Mail { .. } => "Mail",
            Self::Input(_) => "Input",
            Self::Idle { .. } => "Idle",
            Self::Wake => "Wake",
            Self::Stop { .. } => "Stop",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(receiver: &InboxReceiver<Reply>) -> Vec<String> {
        let mut envelopes = VecDeque::new();
        receiver.take(&mut envelopes, usize::MAX);
        envelopes.iter().map(|envelope| format!("{envelope:?}")).collect()
    }

    /// Envelopes are received once and in order. A wait ends with an envelope or after its timeout.
    #[test]
    fn envelopes_come_once_and_in_order() {
        let (inbox, receiver) = Inbox::new(DELIVERY_LIMIT);
        receiver.wait(Some(Duration::from_millis(1)));
        assert!(kinds(&receiver).is_empty());
        let patience = Duration::ZERO;
        assert!(inbox.send(Envelope::Wake) && inbox.send(Envelope::Stop { patience }));
        assert_eq!(inbox.len(), 2);
        receiver.wait(None);
        assert_eq!(kinds(&receiver), ["Wake", "Stop"]);
        assert!(kinds(&receiver).is_empty());
        #[expect(clippy::disallowed_methods, reason = "a second thread sends")]
        let sender = crate::sync::thread::spawn(move || inbox.send(Envelope::Wake));
        receiver.wait(None);
        assert!(sender.join().unwrap());
    }

    /// When an executor ends, pending requests fail and no more envelopes are accepted.
    #[test]
    fn what_an_executor_leaves_behind_is_dropped() {
        let (inbox, receiver) = Inbox::new(DELIVERY_LIMIT);
        let (sender, mut answer) = oneshot::channel();
        let reply = Reply { sender, permit: None };
        let request = OperatorRequest::Resume(InstanceId::trusted("@counter@a"));
        assert!(inbox.send(Envelope::Operator { request, reply }));
        drop(receiver);
        assert!(matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        assert!(!inbox.send(Envelope::Wake));
    }

    /// Requests do not wait for an executor that will not process them, which still learns that it should end.
    #[test]
    fn what_waits_for_a_stuck_executor_is_dropped() {
        let (inbox, receiver) = Inbox::new(DELIVERY_LIMIT);
        let (sender, mut answer) = oneshot::channel();
        let reply = Reply { sender, permit: None };
        let request = OperatorRequest::Resume(InstanceId::trusted("@counter@a"));
        assert!(inbox.send(Envelope::Operator { request, reply }));
        let patience = Duration::ZERO;
        assert!(inbox.send(Envelope::Stop { patience }));
        inbox.give_up();
        assert!(matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        assert!(!inbox.send(Envelope::Wake));
        assert_eq!(kinds(&receiver), ["Stop"]);
    }
}
