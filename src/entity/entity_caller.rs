//! The entity as a caller. Its messages wait in the outbox until the operation succeeds.

use std::future::{Ready, ready};

use crate::engine::outbox::{Action, Outgoing};
use crate::entity::caller::sealed::{Due, Prepared, Sealed};
use crate::entity::caller::{Caller, When};
use crate::entity::context::EntityContext;
use crate::entity::error::CallFailure;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{EntityId, check_name};

/// The caller inside an operation. It can signal but cannot wait: two entities that wait for each other would deadlock.
#[derive(Clone, Copy, Debug)]
pub struct EntityCaller<'a> {
    context: &'a EntityContext,
}

impl<'a> EntityCaller<'a> {
    pub(crate) fn new(context: &'a EntityContext) -> Self {
        Self { context }
    }

    /// Adds a message to the outbox. An invalid message fails the operation, with the first such error.
    fn send(self, message: Result<Outgoing>) {
        let mut outbox = self.context.outbox();
        match message {
            Ok(message) => outbox.messages.push(message),
            Err(error) => {
                outbox.error.get_or_insert(error);
            }
        }
    }
}

impl Sealed for EntityCaller<'_> {}

impl Caller for EntityCaller<'_> {
    type Signaled = ();
    /// The id of the timer, with which the signal can be canceled.
    type Scheduled = String;
    type Canceled = ();
    type Answer = Ready<Result<Vec<u8>, CallFailure>>;

    fn call(self, _: Prepared) -> Self::Answer {
        // Unreachable: an operation of this caller is not a future.
        let error = Error::new(ErrorKind::Configuration, "an entity cannot wait for another entity");
        ready(Err(CallFailure::Runtime(error)))
    }

    fn signal(self, request: Prepared) {
        self.send(request.0.map(|request| Outgoing {
            target: request.target.into_instance(),
            action: Action::Operation {
                operation: request.operation,
                arguments: request.arguments,
            },
        }));
    }

    fn schedule(self, request: Prepared, due: Due, timer: Option<String>) -> String {
        let scope = self.context.scope();
        let due = match due.0 {
            When::At(time) => time,
            When::After(duration) => scope.now.after(duration),
        };
        let timer = match timer {
            Some(timer) => timer,
            None => self.context.outbox().draw_timer_name(scope.message),
        };
        let named = check_name("timer id", &timer);
        self.send(named.and(request.0).map(|request| Outgoing {
            target: request.target.into_instance(),
            action: Action::Schedule {
                timer: timer.clone(),
                due,
                operation: request.operation,
                arguments: request.arguments,
            },
        }));
        timer
    }

    fn cancel(self, target: Result<EntityId>, timer: String) {
        let named = check_name("timer id", &timer);
        self.send(named.and(target).map(|target| Outgoing {
            target: target.into_instance(),
            action: Action::Cancel { timer },
        }));
    }
}
