//! The messages that an operation has sent, for its unit test.

use std::time::SystemTime;

use crate::engine::outbox::{Action, Outgoing};
use crate::entity::context::EntityContext;
use crate::model::orchestration::Order;
use crate::payload::Payload;

/// A message that an operation has sent. Returned by [`EntityContext::sent`]. Payloads are JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SentMessage {
    /// A signal to an entity.
    Signal {
        /// The id of the entity.
        entity: String,
        /// The operation.
        operation: String,
        /// Its arguments: an object with their names, or `null` if it has none.
        arguments: String,
        /// The time at which it is due, if it is scheduled.
        due: Option<SystemTime>,
    },
    /// The cancellation of a scheduled signal.
    Cancel {
        /// The id of the entity.
        entity: String,
        /// The id of the timer.
        timer: String,
    },
    /// The start of an orchestration.
    Start {
        /// The id of the orchestration.
        instance: String,
        /// The stored name of its type.
        name: String,
        /// Its input.
        input: String,
    },
}

impl EntityContext {
    /// Returns the messages that the operation has sent so far, in order. For unit tests with
    /// [`for_test`](Self::for_test): a hub sends them when the operation succeeds.
    ///
    /// ```
    /// use std::time::SystemTime;
    ///
    /// use abide::entity::SentMessage;
    /// use abide::prelude::*;
    ///
    /// #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    /// struct Account {
    ///     cents: i64,
    /// }
    ///
    /// #[operations]
    /// impl Account {
    ///     pub fn give(&mut self, ctx: &mut EntityContext, to: &str, cents: i64) {
    ///         self.cents -= cents;
    ///         ctx.entity::<Account>(to).receive(cents).signal();
    ///     }
    ///
    ///     pub fn receive(&mut self, cents: i64) {
    ///         self.cents += cents;
    ///     }
    /// }
    ///
    /// let mut ctx = EntityContext::for_test::<Account>("alice", SystemTime::UNIX_EPOCH);
    /// Account::default().give(&mut ctx, "bob", 5);
    /// let SentMessage::Signal { entity, operation, arguments, .. } = &ctx.sent()[0] else {
    ///     panic!("a signal was sent");
    /// };
    /// assert_eq!((entity.as_str(), operation.as_str()), ("@account@bob", "receive"));
    /// assert_eq!(arguments, r#"{"cents":5}"#);
    /// ```
    pub fn sent(&self) -> Vec<SentMessage> {
        self.outbox().messages.iter().filter_map(sent).collect()
    }
}

fn sent(message: &Outgoing) -> Option<SentMessage> {
    let target = message.target.to_string();
    let shown = |payload: &[u8]| Payload::of(payload).shown().into_owned();
    Some(match &message.action {
        Action::Operation { operation, arguments } => SentMessage::Signal {
            entity: target,
            operation: operation.to_string(),
            arguments: shown(arguments),
            due: None,
        },
        Action::Schedule {
            operation,
            arguments,
            due,
            ..
        } => SentMessage::Signal {
            entity: target,
            operation: operation.to_string(),
            arguments: shown(arguments),
            due: Some((*due).into()),
        },
        Action::Cancel { timer } => SentMessage::Cancel {
            entity: target,
            timer: timer.clone(),
        },
        Action::Order(order) => match &**order {
            Order::Start(start) => SentMessage::Start {
                instance: target,
                name: start.name.to_string(),
                input: shown(&start.input),
            },
            // An operation gives no other orders.
            _ => return None,
        },
        Action::Lock(_) => return None,
    })
}
