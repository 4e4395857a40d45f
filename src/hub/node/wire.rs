//! The requests that a node sends to the node that runs the hub, and the answers.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::forward::Nature;
use crate::client::submit::Submission;
use crate::client::{ChangeKind, InstanceChange};
use crate::engine::Registry;
use crate::engine::code::OperationMode;
use crate::engine::message::{OperatorRequest, WaitUntil};
use crate::error::{Error, ErrorKind, Result};
use crate::failure::{CallFailure, Failure};
use crate::id::{EntityId, InstanceId, ShardId};
use crate::model::orchestration::{LockOrder, OrchestrationStatus, Order};
use crate::model::{self, Action, MailRecord};
use crate::runtime::Response;
use crate::time::Timestamp;
use crate::trace::TraceContext;

/// A request to the node that runs a shard.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Call {
    pub(super) shard: ShardId,
    pub(super) request: Request,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    Submit(Submit),
    Operate(OperatorRequest),
    /// Waits for the end of an orchestration.
    Wait {
        instance: String,
        until: WaitUntil,
    },
    /// Waits until the shard has nothing to do.
    Idle,
    /// Waits for changes of these kinds, after a position that an earlier answer had.
    Changes {
        kinds: Vec<String>,
        after: Option<String>,
    },
    /// Messages of another shard, of which the first one has the number `first`.
    Mail {
        from: ShardId,
        first: u64,
        messages: Vec<MailRecord>,
    },
}

/// A message to an instance.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Submit {
    pub(super) target: String,
    pub(super) action: Action,
    pub(super) call: bool,
    pub(super) request_id: Option<String>,
    pub(super) refuse_when_full: bool,
    pub(super) trace: Option<Box<TraceContext>>,
    /// The sender repeats the message, because its build only reads for it.
    pub(super) only_if_read: bool,
}

impl Submit {
    /// Returns `true` if this build only reads the state of an entity for the message.
    fn only_reads(&self, registry: &Registry) -> bool {
        let Action::Operation { operation, .. } = &self.action else {
            return false;
        };
        let name = self.target.strip_prefix('@').and_then(|id| id.split('@').next());
        let code = name.and_then(|name| registry.entity(name));
        let spec = code.and_then(|code| code.find(operation));
        spec.is_some_and(|spec| spec.mode == OperationMode::Read)
    }
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Accepted,
    Value(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The user's code returned an error.
    Returned(Failure),
    Refused(Error),
    /// The node does not run the shard. Nothing happened.
    NotOwner,
    /// The node has lost the shard. The request may or may not have been accepted.
    Lost,
    Changes {
        changes: Vec<Change>,
        has_gap: bool,
        position: String,
    },
}

/// A change of an instance.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Change {
    kind: String,
    id: String,
    name: String,
    status: Option<OrchestrationStatus>,
    time: Timestamp,
}

impl Request {
    /// Returns what the request is, by the operations of this process, and notes it for the node that runs the hub.
    pub(super) fn nature(&mut self, registry: &Registry) -> Nature {
        match self {
            Self::Submit(submit) => {
                submit.only_if_read = submit.only_reads(registry);
                Nature {
                    only_reads: submit.only_if_read,
                    has_id: submit.request_id.is_some(),
                    is_wait: false,
                }
            }
            Self::Operate(_) => Nature {
                only_reads: false,
                has_id: false,
                is_wait: false,
            },
            Self::Wait { .. } => Nature {
                is_wait: true,
                ..Nature::READ
            },
            Self::Idle | Self::Changes { .. } => Nature::READ,
            Self::Mail { .. } => Nature::ONCE,
        }
    }
}

impl Call {
    pub(super) fn encode(&self) -> Result<Bytes> {
        model::encode(self).map(Bytes::from)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        model::decode(bytes, "request of a node")
    }
}

impl Submit {
    /// Returns the submission, after the checks that the client of the other node has passed. `registry` has the operations
    /// of this process.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidId`] if the target is invalid, or of kind
    /// [`ErrorKind::InvalidArguments`] if no client may send this action.
    pub(super) fn into_submission(self, registry: &Registry) -> Result<Submission> {
        if self.only_if_read && !self.only_reads(registry) {
            let text = format!(
                "an operation of `{}` only reads in the build of the node that sent it, and not in the one that runs the hub; \
                 send it again when all nodes have the same build",
                self.target
            );
            return Err(Error::new(ErrorKind::InvalidArguments, text));
        }
        if !is_of_client(&self.action) {
            let text = "a node may send only what a client may send; use the same build of the program on all nodes";
            return Err(Error::new(ErrorKind::InvalidArguments, text));
        }
        Ok(Submission {
            target: parse(&self.target)?,
            action: self.action,
            call: self.call,
            request_id: self.request_id,
            refuse_when_full: self.refuse_when_full,
            trace: self.trace,
        })
    }
}

/// Reads the id of an instance.
pub(super) fn parse(id: &str) -> Result<InstanceId> {
    if id.starts_with('@') {
        id.parse::<EntityId>().map(EntityId::into_instance)
    } else {
        InstanceId::orchestration(id)
    }
}

/// Returns `true` if a client can send this action. The others belong to messages between instances.
fn is_of_client(action: &Action) -> bool {
    match action {
        Action::Operation { .. } | Action::Schedule { .. } | Action::Cancel { .. } => true,
        Action::Lock(order) => matches!(**order, LockOrder::Force),
        Action::Order(order) => match &**order {
            Order::Start(start) => start.parent.is_none(),
            order => matches!(
                order,
                Order::Raise { .. }
                    | Order::Terminate { .. }
                    | Order::Suspend { .. }
                    | Order::Resume { .. }
                    | Order::Rewind { .. }
                    | Order::Restart
                    | Order::Purge { .. }
            ),
        },
    }
}

impl Answer {
    /// Returns the answer for the result of a request. `was_sent` tells whether it may have been accepted.
    pub(super) fn of(told: Result<Response, CallFailure>, was_sent: bool) -> Self {
        match told {
            Ok(Response::Accepted) => Self::Accepted,
            Ok(Response::Answer(answer)) => Self::Value(answer),
            Ok(Response::Failed(failure)) => Self::of(Err(*failure), was_sent),
            Ok(Response::Full { .. }) => unreachable!("a submission waits until there is room"),
            Err(CallFailure::Returned(failure)) => Self::Returned(failure),
            Err(CallFailure::Runtime(error)) if error.kind().ends_hub() && was_sent => Self::Lost,
            Err(CallFailure::Runtime(error)) if error.kind().ends_hub() => Self::NotOwner,
            Err(CallFailure::Runtime(error)) => Self::Refused(error),
        }
    }

    /// Returns the result for the client.
    ///
    /// # Errors
    /// Returns the error with which the request was refused, or one of kind [`ErrorKind::InvalidArguments`] if this is no
    /// answer to the request of a client.
    pub(super) fn into_response(self) -> Result<Response> {
        match self {
            Self::Accepted => Ok(Response::Accepted),
            Self::Value(answer) => Ok(Response::Answer(answer)),
            Self::Returned(failure) => Ok(Response::Failed(Box::new(CallFailure::Returned(failure)))),
            Self::Refused(error) => Err(error),
            Self::NotOwner | Self::Lost | Self::Changes { .. } => {
                let text = "the node that runs the hub has answered something else; use the same build of the program on \
                            all nodes";
                Err(Error::new(ErrorKind::InvalidArguments, text))
            }
        }
    }

    pub(super) fn encode(&self) -> Bytes {
        let encoded = model::encode(self).or_else(|error| model::encode(&Self::Refused(error)));
        encoded.map(Bytes::from).unwrap_or_default()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        model::decode(bytes, "answer of a node")
    }
}

impl Change {
    pub(super) fn of(change: InstanceChange) -> Self {
        Self {
            kind: change.kind.as_str().to_owned(),
            id: change.id,
            name: change.name,
            status: change.status,
            time: Timestamp::from(change.time),
        }
    }

    /// Returns the change, unless this build does not know its kind.
    pub(super) fn into_change(self) -> Option<InstanceChange> {
        Some(InstanceChange {
            kind: kind_of(&self.kind)?,
            id: self.id,
            name: self.name,
            status: self.status,
            time: self.time.into(),
        })
    }
}

/// Returns the kind of changes with a name.
pub(super) fn kind_of(name: &str) -> Option<ChangeKind> {
    ChangeKind::ALL.into_iter().find(|kind| kind.as_str() == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::MessageId;

    fn submit(target: &str, action: Action) -> Result<Submission> {
        let request = Request::Submit(Submit {
            target: target.to_owned(),
            action,
            call: true,
            request_id: None,
            refuse_when_full: false,
            trace: None,
            only_if_read: false,
        });
        let call = Call {
            shard: ShardId(3),
            request,
        };
        let sent = Call::decode(&call.encode().unwrap()).unwrap();
        assert_eq!(sent.shard, call.shard);
        match sent.request {
            Request::Submit(submit) => submit.into_submission(&Registry::default()),
            other => panic!("{other:?}"),
        }
    }

    fn deposit() -> Action {
        Action::Operation {
            operation: "deposit".into(),
            arguments: b"[1]".to_vec(),
        }
    }

    #[test]
    fn a_node_may_send_only_what_a_client_may_send() {
        assert!(submit("@account@alice", deposit()).is_ok());
        assert!(submit("@account@alice", Action::Lock(Box::new(LockOrder::Force))).is_ok());
        let inner = Order::PurgeChild {
            start: MessageId::default(),
        };
        for (target, action, kind) in [
            ("@account@al/ice", deposit(), ErrorKind::InvalidId),
            ("", deposit(), ErrorKind::InvalidId),
            ("order-1", Action::Order(Box::new(inner)), ErrorKind::InvalidArguments),
        ] {
            assert_eq!(submit(target, action).unwrap_err().kind(), kind, "{target}");
        }
    }

    #[test]
    fn rubbish_is_refused() {
        for bytes in [&b""[..], b"\0", b"\x01\xff\xff\xff", &[0xff; 64]] {
            assert!(Call::decode(bytes).is_err());
            assert!(Answer::decode(bytes).is_err());
        }
    }
}
