//! The way of a request from this node to the one that runs the hub.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::sleep;

use super::serve::process;
use super::wire::{Answer, Request, Submit};
use crate::error::Result;
use crate::runtime::roles::{PATIENCE, Role, Roles, Target, target, unavailable, unconfirmed};
use crate::runtime::{Envelope, InboxReceiver, Reply, Runtime};
use crate::time::Deadline;
use crate::transport::{BoxFuture, Peer, SendError};

/// Pause before a request goes to a node that did not take it a moment ago.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// A request on its way.
struct Forwarding {
    request: Bytes,
    /// It can be sent again after an attempt whose end is not known.
    is_idempotent: bool,
    reply: Reply,
    /// When nobody has to take it any more.
    deadline: Deadline,
}

/// How an attempt has ended.
pub(super) enum Attempt {
    Answered(Answer),
    /// It certainly had no effect.
    Refused,
    /// It may have had an effect.
    Unknown,
}

pub(super) type Attempting = BoxFuture<'static, Attempt>;

/// Forwards the requests of this process until its node ends. The requests are sent in the order in which they came.
pub(super) async fn forward(inbox: InboxReceiver<Reply>, roles: Arc<Roles>) {
    let mut role = roles.subscribe();
    let (standby, roles) = (Arc::downgrade(roles.standby()), Arc::downgrade(&roles));
    let mut envelopes = VecDeque::new();
    loop {
        inbox.arrival().await;
        inbox.take(&mut envelopes, usize::MAX);
        for envelope in envelopes.drain(..) {
            let Some((request, reply)) = open(envelope) else {
                continue;
            };
            match request.encode() {
                Ok(bytes) => {
                    let forwarding = Forwarding {
                        is_idempotent: request.is_idempotent(),
                        request: bytes,
                        reply,
                        deadline: Deadline::after(PATIENCE),
                    };
                    send(forwarding, &roles, &mut role).await;
                }
                Err(error) => reply.refuse(&error),
            }
        }
        if standby.upgrade().is_none() {
            return;
        }
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
        Envelope::Forget { .. } | Envelope::Input(_) | Envelope::Wake | Envelope::Stop { .. } => None,
    }
}

/// Begins the first attempt, and leaves the rest to a task.
#[expect(clippy::disallowed_methods, reason = "the gateway has a runtime of its own")]
async fn send(forwarding: Forwarding, roles: &Weak<Roles>, role: &mut watch::Receiver<Role>) {
    let Forwarding { mut reply, .. } = forwarding;
    let attempt = tokio::select! {
        attempt = begin(&forwarding.request, role, forwarding.deadline) => attempt,
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
        is_idempotent,
        mut reply,
        mut deadline,
    } = forwarding;
    let answering = async {
        let mut attempt = first;
        loop {
            match attempt.await {
                Attempt::Answered(answer) => return answer.into_response(),
                Attempt::Unknown if !is_idempotent => return Err(unconfirmed()),
                // It was on its way until now.
                Attempt::Unknown => deadline = Deadline::after(PATIENCE),
                Attempt::Refused => {}
            }
            if let Some(roles) = roles.upgrade() {
                roles.look_again();
            }
            tokio::select! {
                () = sleep(PAUSE) => {}
                _ = role.changed() => {}
            }
            if deadline.has_passed() {
                return Err(unavailable(NOT_ASKED));
            }
            attempt = begin(&request, &mut role, deadline).await?;
        }
    };
    let answer = tokio::select! {
        answer = answering => answer,
        () = reply.sender.closed() => return,
    };
    let Reply { sender, permit } = reply;
    drop(permit);
    // A receiver that is gone wants nothing any more.
    let _ = sender.send(answer);
}

const NOT_ASKED: &str = "asked";

/// Begins an attempt: when this returns, the request has its place among the others to the same node.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Unavailable`] at the deadline, or the error with which the node has ended.
pub(super) async fn begin(request: &Bytes, role: &mut watch::Receiver<Role>, deadline: Deadline) -> Result<Attempting> {
    match target(role, deadline).await {
        None => Err(unavailable(NOT_ASKED)),
        Some(Err(error)) => Err(error),
        Some(Ok(Target::Local(runtime))) => Ok(begin_here(Arc::downgrade(&runtime), request.clone())),
        Some(Ok(Target::Remote(peer))) => Ok(begin_there(&peer, request.clone()).await),
    }
}

fn begin_here(runtime: Weak<Runtime>, request: Bytes) -> Attempting {
    Box::pin(async move {
        match Request::decode(&request) {
            Ok(request) => end_of(process(&runtime, request).await),
            Err(error) => Attempt::Answered(Answer::Refused(error)),
        }
    })
}

async fn begin_there(peer: &Peer, request: Bytes) -> Attempting {
    let begun = peer.begin(request).await;
    Box::pin(async move {
        let answer = match begun {
            Ok(answering) => answering.await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => match Answer::decode(&answer) {
                Ok(answer) => end_of(answer),
                Err(error) => Attempt::Answered(Answer::Refused(error)),
            },
            Err(SendError::NotSent(error)) => {
                tracing::debug!(%error, "a request could not be sent to the node that runs the hub; trying again");
                Attempt::Refused
            }
            Err(SendError::Unknown(error)) => {
                tracing::debug!(%error, "a request to the node that runs the hub has no answer");
                Attempt::Unknown
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
