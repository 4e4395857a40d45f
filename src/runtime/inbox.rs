//! The inbox before each executor.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::engine::message::{ClientOrigin, Input, Message, Token, Waiter};
use crate::error::Error;
use crate::id::InstanceId;
use crate::runtime::contained::contained;
use crate::runtime::room::Told;
use crate::store::records::Action;

/// How many envelopes may wait before messages between executors are left to their rows. Memory is only a hint there.
const DELIVERY_LIMIT: usize = 64 * 1024;

/// What an executor receives.
pub(crate) enum Envelope {
    /// A client asks something.
    Request {
        target: InstanceId,
        action: Action,
        client: ClientOrigin,
        reply: Reply,
    },
    /// An operator asks something; the token is drawn by the executor.
    Operator {
        input: Box<dyn FnOnce(Token) -> Input + Send>,
        reply: Reply,
    },
    /// A client waits for the end of an orchestration, under a token of its own.
    Wait {
        instance: InstanceId,
        waiter: Waiter,
        reply: Reply,
    },
    /// The client of this token does not wait any more.
    Forget { instance: InstanceId, token: Token },
    /// Something for the core.
    Input(Box<Input>),
    /// Look again: messages were left to their rows.
    Wake,
    /// End when there is nothing left to do, or when the time is over.
    Stop { patience: Duration },
}

/// Where a client waits, with its share of the hub's room.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) sender: oneshot::Sender<Result<Told, Error>>,
    /// Held until the client gets its reply, or its message waits as a row.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

impl Reply {
    /// Tells the client why there will be no answer.
    pub(super) fn refuse(self, error: &Error) {
        contained(|| drop(self.sender.send(Err(error.clone()))));
    }
}

/// For how many envelopes an inbox keeps memory when it is empty.
const KEPT: usize = 4 * 1024;

/// The sending side of an executor's inbox.
///
/// The executor takes all that is there by changing its own empty queue for the full one: one lock for many envelopes,
/// and no memory that one thread takes and another gives back.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    /// Wakes the executor.
    wake: Condvar,
    spilled: AtomicBool,
    /// How many clients have given up since the executor looked for them.
    gave_up: AtomicUsize,
}

#[derive(Debug, Default)]
struct Queue {
    envelopes: VecDeque<Envelope>,
    /// Whether the executor waits to be woken.
    idle: bool,
    /// Whether the executor is gone.
    closed: bool,
}

/// The receiving side. One executor has it.
#[derive(Debug)]
pub(crate) struct InboxReceiver {
    inbox: Arc<Inbox>,
}

impl Inbox {
    pub(crate) fn new() -> (Arc<Self>, InboxReceiver) {
        let inbox = Arc::new(Self {
            queue: Mutex::default(),
            wake: Condvar::new(),
            spilled: AtomicBool::new(false),
            gave_up: AtomicUsize::new(0),
        });
        let receiver = InboxReceiver {
            inbox: Arc::clone(&inbox),
        };
        (inbox, receiver)
    }

    /// Puts an envelope in; says whether the executor is still there.
    pub(crate) fn send(&self, envelope: Envelope) -> bool {
        let mut queue = self.queue();
        if queue.closed {
            return false;
        }
        queue.envelopes.push_back(envelope);
        let idle = std::mem::take(&mut queue.idle);
        drop(queue);
        if idle {
            self.wake.notify_one();
        }
        true
    }

    /// Brings a message that has a row, or leaves it to its row if there is no room. Called while no other commit can be
    /// written, so that deliveries come in the order of their commits.
    pub(crate) fn deliver(&self, message: Message, commit: u64) {
        if self.spilled.load(Ordering::Relaxed) {
            return;
        }
        if self.len() >= DELIVERY_LIMIT {
            self.spilled.store(true, Ordering::Relaxed);
            self.send(Envelope::Wake);
            return;
        }
        // An executor that is gone leaves the row for the next open.
        self.send(Envelope::Input(Box::new(Input::Delivery { message, commit })));
    }

    /// Whether deliveries were left to their rows since the last call. Called while no commit can be written.
    pub(crate) fn take_spilled(&self) -> bool {
        self.spilled.swap(false, Ordering::Relaxed)
    }

    /// Whether deliveries were left to their rows. The envelope that wakes the executor comes after it is set.
    pub(crate) fn has_spilled(&self) -> bool {
        self.spilled.load(Ordering::Relaxed)
    }

    /// Notes that a client no longer waits for what it has sent. It wakes no one: such a client takes only memory.
    pub(crate) fn note_given_up(&self) {
        self.gave_up.fetch_add(1, Ordering::Relaxed);
    }

    /// How many clients have given up since [`forget_given_up`](Self::forget_given_up).
    pub(super) fn given_up(&self) -> usize {
        self.gave_up.load(Ordering::Relaxed)
    }

    pub(super) fn forget_given_up(&self) {
        self.gave_up.store(0, Ordering::Relaxed);
    }

    /// How many envelopes wait.
    pub(crate) fn len(&self) -> usize {
        self.queue().envelopes.len()
    }

    /// A panic while the lock was held cannot have left the queue half-changed.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InboxReceiver {
    /// Waits until there is an envelope, for at most `timeout`.
    pub(crate) fn wait(&self, timeout: Option<Duration>) {
        let mut queue = self.inbox.queue();
        queue.idle = true;
        let empty = |queue: &mut Queue| queue.envelopes.is_empty();
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

    /// Takes everything that was sent before the call into `envelopes`, which is empty.
    pub(crate) fn take(&self, envelopes: &mut VecDeque<Envelope>) {
        debug_assert!(envelopes.is_empty());
        envelopes.shrink_to(KEPT);
        std::mem::swap(&mut self.inbox.queue().envelopes, envelopes);
    }
}

impl Drop for InboxReceiver {
    /// Whoever asked and is not answered by now hears that the hub has ended, when its envelope is dropped.
    fn drop(&mut self) {
        let mut queue = self.inbox.queue();
        queue.closed = true;
        let envelopes = std::mem::take(&mut queue.envelopes);
        drop(queue);
        drop(envelopes);
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request { .. } => "Request",
            Self::Operator { .. } => "Operator",
            Self::Wait { .. } => "Wait",
            Self::Forget { .. } => "Forget",
            Self::Input(_) => "Input",
            Self::Wake => "Wake",
            Self::Stop { .. } => "Stop",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(receiver: &InboxReceiver) -> Vec<String> {
        let mut envelopes = VecDeque::new();
        receiver.take(&mut envelopes);
        envelopes.iter().map(|envelope| format!("{envelope:?}")).collect()
    }

    /// What was sent comes once and in order, and a wait ends when there is something or when its time is over.
    #[test]
    fn envelopes_come_once_and_in_order() {
        let (inbox, receiver) = Inbox::new();
        receiver.wait(Some(Duration::from_millis(1)));
        assert!(kinds(&receiver).is_empty());
        let patience = Duration::ZERO;
        assert!(inbox.send(Envelope::Wake) && inbox.send(Envelope::Stop { patience }));
        assert_eq!(inbox.len(), 2);
        receiver.wait(None);
        assert_eq!(kinds(&receiver), ["Wake", "Stop"]);
        assert!(kinds(&receiver).is_empty());
        #[expect(clippy::disallowed_methods, reason = "a second thread sends")]
        let sender = std::thread::spawn(move || inbox.send(Envelope::Wake));
        receiver.wait(None);
        assert!(sender.join().unwrap());
    }

    /// Who asked an executor that is gone hears of it, and nothing more is taken in.
    #[test]
    fn what_an_executor_leaves_behind_is_dropped() {
        let (inbox, receiver) = Inbox::new();
        let (sender, mut answer) = oneshot::channel();
        let reply = Reply { sender, permit: None };
        let input = Box::new(|_| Input::Spilled);
        assert!(inbox.send(Envelope::Operator { input, reply }));
        drop(receiver);
        assert!(matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        assert!(!inbox.send(Envelope::Wake));
    }
}
