//! The way of a request from this node to the one that runs the shard.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::sleep;

use super::serve::process;
use super::wire::{Answer, Call, Request, Submit};
use crate::error::{Error, ErrorKind, Result};
use crate::planted::{self, Fault};
use crate::runtime::roles::{OtherNode, PATIENCE, Role, Roles, Target, target, unavailable, unconfirmed};
use crate::runtime::{Envelope, InboxReceiver, Reply, Response, Runtime};
use crate::time::{Deadline, Stopwatch};
use crate::transport::{BoxFuture, Peer, SendError};

/// Pause before a request goes to a node that did not take it a moment ago.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// Time after which a node that refuses a request had accepted it: such as a wait, at a node that ran the hub until now.
const SERVED: Duration = Duration::from_secs(10);

/// Time for the answers of a node that no longer runs the hub.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// A request on its way.
struct Forwarding {
    request: Bytes,
    nature: Nature,
    reply: Reply,
    /// When nobody has to take it any more.
    deadline: Deadline,
}

/// What a request is, if its answer is lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nature {
    /// It changes nothing.
    pub(super) only_reads: bool,
    /// It takes effect once, however often it is sent.
    pub(super) has_id: bool,
    /// It waits for something that may never happen.
    pub(super) is_wait: bool,
}

impl Nature {
    /// A request that changes nothing.
    pub(super) const READ: Self = Self {
        only_reads: true,
        has_id: false,
        is_wait: false,
    };

    /// A request that takes effect once, because the other side recognizes it.
    pub(super) const ONCE: Self = Self {
        only_reads: false,
        has_id: true,
        is_wait: false,
    };

    /// Returns `true` if the request can be sent again after an attempt whose end is not known.
    fn is_repeatable(self) -> bool {
        self.only_reads || self.has_id || planted::is(Fault::RepeatUnconfirmed)
    }
}

/// How an attempt has ended.
pub(super) enum Attempt {
    Answered(Answer),
    /// It has reached no node.
    NotSent,
    /// It has reached a node that does not run the hub, so it had no effect.
    Refused,
    /// It may have had an effect.
    Unknown,
    /// It had no effect, and another attempt would fail as well.
    Failed(Error),
    /// It may have had an effect, and another attempt would fail as well.
    Unanswerable,
}

/// An attempt that has begun.
pub(super) struct Attempting {
    /// The node that was asked, unless it is this one.
    node: Option<Arc<OtherNode>>,
    end: BoxFuture<'static, Attempt>,
}

impl Attempting {
    /// Waits for the end of the attempt. If another node runs the hub meanwhile, the one that was asked acknowledges nothing
    /// any more. What it has acknowledged before may still arrive, for which this waits for `grace`.
    pub(super) async fn end(self, role: &mut watch::Receiver<Role>, grace: Duration) -> Attempt {
        let Self { node, mut end } = self;
        let Some(node) = node else { return end.await };
        tokio::select! {
            ended = &mut end => return ended,
            () = replaced(role, &node) => {}
        }
        tokio::time::timeout(grace, end).await.unwrap_or(Attempt::Unknown)
    }
}

/// Forwards the requests of this process for a shard. They are sent in the order in which they came.
pub(super) async fn forward(inbox: InboxReceiver<Reply>, roles: Arc<Roles>) {
    let (queue, queued) = unbounded_channel();
    tokio::join!(collect(inbox, roles.standby(), &queue), send_all(queued, &roles));
}

/// Takes the requests as they come, so that the time that each of them may wait begins.
async fn collect(inbox: InboxReceiver<Reply>, standby: &Runtime, queue: &UnboundedSender<Forwarding>) {
    let mut envelopes = VecDeque::new();
    loop {
        inbox.arrival().await;
        inbox.take(&mut envelopes, usize::MAX);
        for (mut request, reply) in envelopes.drain(..).filter_map(open) {
            let nature = request.nature(&standby.registry);
            let shard = standby.shard.id;
            match (Call { shard, request }).encode() {
                Ok(bytes) => {
                    standby.totals.forwarded.fetch_add(1, Ordering::Relaxed);
                    let forwarding = Forwarding {
                        nature,
                        request: bytes,
                        reply,
                        deadline: Deadline::after(PATIENCE),
                    };
                    // The other end is there as long as this one.
                    let _ = queue.send(forwarding);
                }
                Err(error) => reply.refuse(&error),
            }
        }
    }
}

async fn send_all(mut queued: UnboundedReceiver<Forwarding>, roles: &Arc<Roles>) {
    let mut role = roles.subscribe();
    while let Some(forwarding) = queued.recv().await {
        send(forwarding, &Arc::downgrade(roles), &mut role).await;
    }
}

/// Returns the request in an envelope, and who waits for its answer.
fn open(envelope: Envelope<Reply>) -> Option<(Request, Reply)> {
    match envelope {
        Envelope::Request {
            target,
            action,
            client,
            reply,
        } => {
            let submit = Submit {
                target: target.to_string(),
                action,
                call: client.call,
                request_id: client.request,
                refuse_when_full: client.refuse_when_full,
                trace: client.trace,
                only_if_read: false,
            };
            Some((Request::Submit(submit), reply))
        }
        Envelope::Operator { request, reply } => Some((Request::Operate(request), reply)),
        Envelope::Wait {
            instance,
            waiter,
            reply,
        } => {
            let instance = instance.to_string();
            let until = waiter.until;
            Some((Request::Wait { instance, until }, reply))
        }
        Envelope::Idle { reply } => Some((Request::Idle, reply)),
        // A client that gives up drops the other end of its reply.
        Envelope::Forget { .. }
        | Envelope::Mail { .. }
        | Envelope::Input(_)
        | Envelope::Wake
        | Envelope::Stop { .. } => None,
    }
}

/// Begins the first attempt, and leaves the rest to a task.
#[expect(clippy::disallowed_methods, reason = "the gateway has a runtime of its own")]
async fn send(forwarding: Forwarding, roles: &Weak<Roles>, role: &mut watch::Receiver<Role>) {
    let Forwarding { mut reply, .. } = forwarding;
    let attempt = tokio::select! {
        attempt = begin(&forwarding.request, forwarding.nature, role, forwarding.deadline) => attempt,
        () = reply.sender.closed() => return,
    };
    let forwarding = Forwarding { reply, ..forwarding };
    match attempt {
        Ok(attempt) => {
            tokio::spawn(finish(forwarding, attempt, Weak::clone(roles), role.clone()));
        }
        Err(error) => forwarding.reply.refuse(&error),
    }
}

/// Waits for the end of an attempt, and makes others until the request is answered.
async fn finish(forwarding: Forwarding, first: Attempting, roles: Weak<Roles>, mut role: watch::Receiver<Role>) {
    let Forwarding {
        request,
        nature,
        mut reply,
        deadline,
    } = forwarding;
    let answer = tokio::select! {
        answer = answer(&request, nature, deadline, first, &roles, &mut role) => answer,
        () = reply.sender.closed() => return,
    };
    let Reply { sender, permit } = reply;
    drop(permit);
    // A receiver that is gone wants nothing any more.
    let _ = sender.send(answer);
}

/// Sends a request to the node that runs a shard, and makes other attempts until it is answered.
///
/// # Errors
/// Returns the error of the answer, of kind [`ErrorKind::Unavailable`] if no node took the request for [`PATIENCE`], or of kind
/// [`ErrorKind::Unconfirmed`] if one did and its end is not known.
pub(super) async fn ask(
    request: &Bytes,
    nature: Nature,
    roles: &Weak<Roles>,
    role: &mut watch::Receiver<Role>,
) -> Result<Response> {
    let deadline = Deadline::after(PATIENCE);
    let first = begin(request, nature, role, deadline).await?;
    answer(request, nature, deadline, first, roles, role).await
}

async fn answer(
    request: &Bytes,
    nature: Nature,
    mut deadline: Deadline,
    first: Attempting,
    roles: &Weak<Roles>,
    role: &mut watch::Receiver<Role>,
) -> Result<Response> {
    // What can be repeated is repeated at once.
    let grace = if nature.is_repeatable() {
        Duration::ZERO
    } else {
        LAST_ANSWERS
    };
    let mut may_have_happened = false;
    let (mut attempt, mut may_renew) = (first, true);
    loop {
        let begun = Stopwatch::start();
        match attempt.end(role, grace).await {
            Attempt::Answered(answer) => return answer.into_response(),
            Attempt::Failed(error) => return Err(error),
            Attempt::Unanswerable => return Err(unconfirmed()),
            Attempt::Unknown if !nature.is_repeatable() => return Err(unconfirmed()),
            Attempt::Unknown => {
                may_have_happened |= !nature.only_reads;
                // A node had it until now.
                deadline = Deadline::after(PATIENCE);
            }
            Attempt::Refused => {
                // The hub moves. It may do so repeatedly, and not run anywhere.
                may_renew |= begun.elapsed() >= SERVED;
                if std::mem::take(&mut may_renew) {
                    deadline = Deadline::after(PATIENCE);
                }
                if let Some(roles) = roles.upgrade() {
                    roles.look_again();
                }
            }
            Attempt::NotSent => {}
        }
        tokio::select! {
            () = sleep(PAUSE) => {}
            _ = role.changed() => {}
        }
        attempt = match begin(request, nature, role, deadline).await {
            Ok(attempt) => attempt,
            Err(_) if may_have_happened => return Err(unconfirmed()),
            Err(error) => return Err(error),
        };
    }
}

/// Begins an attempt: when this returns, the request has its place among the others to the same node.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Unavailable`] at the deadline, or the error with which the node has ended.
pub(super) async fn begin(
    request: &Bytes,
    nature: Nature,
    role: &mut watch::Receiver<Role>,
    deadline: Deadline,
) -> Result<Attempting> {
    loop {
        if deadline.has_passed() {
            return Err(unavailable("asked"));
        }
        let target = target(role, deadline).await;
        match target.unwrap_or_else(|| Err(unavailable("asked")))? {
            Target::Local(runtime) => {
                return Ok(Attempting {
                    node: None,
                    end: begin_here(Arc::downgrade(&runtime), request.clone()),
                });
            }
            Target::Remote(node) => {
                let peer = if nature.is_wait { &node.waits } else { &node.requests };
                // A node that hangs accepts connections, and nothing more.
                let begun = tokio::select! {
                    begun = deadline.limit(begin_there(peer, request.clone())) => begun,
                    () = replaced(role, &node) => continue,
                };
                return Ok(Attempting {
                    end: begun.ok_or_else(|| unavailable("asked"))?,
                    node: Some(node),
                });
            }
        }
    }
}

/// Waits until this is not the node that runs the hub, as far as it is known.
async fn replaced(role: &mut watch::Receiver<Role>, node: &Arc<OtherNode>) {
    while role.borrow_and_update().is_owner(node) && role.changed().await.is_ok() {}
}

fn begin_here(runtime: Weak<Runtime>, request: Bytes) -> BoxFuture<'static, Attempt> {
    Box::pin(async move {
        match Call::decode(&request) {
            Ok(call) => end_of(process(&runtime, call.request).await),
            Err(error) => Attempt::Failed(error),
        }
    })
}

async fn begin_there(peer: &Peer, request: Bytes) -> BoxFuture<'static, Attempt> {
    let begun = peer.begin(request).await;
    Box::pin(async move {
        let answer = match begun {
            Ok(answering) => answering.await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => Answer::decode(&answer).map_or(Attempt::Unanswerable, end_of),
            Err(SendError::NotSent(error)) => {
                tracing::debug!(%error, "a request could not be sent to the node that runs the hub; trying again");
                Attempt::NotSent
            }
            Err(SendError::Unknown(error)) => {
                tracing::debug!(%error, "a request to the node that runs the hub has no answer");
                Attempt::Unknown
            }
            Err(SendError::TooLarge(error)) => {
                Attempt::Failed(Error::new(ErrorKind::TooLarge, error.to_string()).with_source(error))
            }
            Err(SendError::Unanswerable(error)) => {
                tracing::warn!(%error, "the node that runs the hub cannot answer a request");
                Attempt::Unanswerable
            }
        }
    })
}

fn end_of(answer: Answer) -> Attempt {
    match answer {
        Answer::NotOwner => Attempt::Refused,
        Answer::Lost => Attempt::Unknown,
        answer => Attempt::Answered(answer),
    }
}
