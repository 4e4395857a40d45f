//! The inbox before each executor.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::engine::message::{ClientOrigin, Input, Message, Token};
use crate::error::Error;
use crate::id::InstanceId;
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
        token: Token,
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
    /// Held until the client hears.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

/// The sending side of an executor's inbox.
#[derive(Debug)]
pub(crate) struct Inbox {
    sender: Sender<Envelope>,
    waiting: AtomicUsize,
    spilled: AtomicBool,
}

/// The receiving side. One executor has it.
#[derive(Debug)]
pub(crate) struct InboxReceiver {
    receiver: Receiver<Envelope>,
}

impl Inbox {
    pub(crate) fn new() -> (Self, InboxReceiver) {
        let (sender, receiver) = channel();
        let inbox = Self {
            sender,
            waiting: AtomicUsize::new(0),
            spilled: AtomicBool::new(false),
        };
        (inbox, InboxReceiver { receiver })
    }

    /// Puts an envelope in; says whether the executor is still there.
    pub(crate) fn send(&self, envelope: Envelope) -> bool {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.sender.send(envelope).is_ok()
    }

    /// Brings a message that has a row, or leaves it to its row if there is no room. Called while the commit order is
    /// locked, so that deliveries come in the order of their commits.
    pub(crate) fn deliver(&self, message: Message, commit: u64) {
        if self.spilled.load(Ordering::Relaxed) {
            return;
        }
        if self.waiting.load(Ordering::Relaxed) >= DELIVERY_LIMIT {
            self.spilled.store(true, Ordering::Relaxed);
            self.send(Envelope::Wake);
            return;
        }
        // An executor that is gone leaves the row for the next open.
        self.send(Envelope::Input(Box::new(Input::Delivery { message, commit })));
    }

    /// Whether deliveries were left to their rows since the last call. Called while the commit order is locked.
    pub(crate) fn take_spilled(&self) -> bool {
        self.spilled.swap(false, Ordering::Relaxed)
    }

    /// Whether deliveries were left to their rows. The envelope that wakes the executor comes after it is set.
    pub(crate) fn has_spilled(&self) -> bool {
        self.spilled.load(Ordering::Relaxed)
    }

    /// Notes that the executor has taken `count` envelopes with [`InboxReceiver::poll`]. The clients count on the same
    /// word of memory, so this is said once for many.
    pub(crate) fn taken(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::Relaxed);
    }

    /// How many envelopes wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl InboxReceiver {
    /// Waits for an envelope, for at most `timeout`.
    pub(crate) fn receive(&self, inbox: &Inbox, timeout: Option<Duration>) -> Option<Envelope> {
        let received = match timeout {
            Some(timeout) => self.receiver.recv_timeout(timeout).ok(),
            None => self.receiver.recv().ok(),
        };
        received.inspect(|_| {
            inbox.waiting.fetch_sub(1, Ordering::Relaxed);
        })
    }

    /// The next envelope if one is there. It counts as waiting until [`Inbox::taken`] says otherwise.
    pub(crate) fn poll(&self) -> Option<Envelope> {
        self.receiver.try_recv().ok()
    }
}
