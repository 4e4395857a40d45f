//! A test stage for one entity: the steps of the engine around an operation, without an engine.

use std::borrow::Cow;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::engine::code::{EntityCode, EntityObject, OperationFailure, OperationMode, OperationOutcome};
use crate::engine::outbox::Outbox;
use crate::engine::scope::Scope;
use crate::entity::object::entity_code;
use crate::id::MessageId;
use crate::resource::Resources;
use crate::time::Timestamp;
use crate::{Entity, EntityId, Operations};

/// One entity, its code, and the messages of its last operation.
pub(crate) struct Stage {
    pub(crate) code: Arc<dyn EntityCode>,
    pub(crate) object: Box<dyn EntityObject>,
    pub(crate) outbox: Outbox,
}

impl Stage {
    pub(crate) fn new<E: Entity + Operations>(key: &str) -> Self {
        let code = entity_code::<E>();
        let object = code.create(key);
        Self {
            code,
            object,
            outbox: Outbox::default(),
        }
    }

    /// Runs an operation and rolls it back if it fails.
    pub(crate) fn run(&mut self, operation: &str, arguments: &str) -> OperationOutcome {
        let spec = self.code.find(operation).expect("the operation is registered");
        let scope = scope(self.code.name(), operation);
        self.outbox = Outbox::default();
        let outcome = match spec.mode {
            OperationMode::Read => return self.object.read(spec.index, arguments.as_bytes(), &scope),
            OperationMode::Write => {
                self.object.save_restore_point().unwrap();
                self.object
                    .write(spec.index, arguments.as_bytes(), &scope, &mut self.outbox)
            }
            OperationMode::Async => {
                let running = self
                    .object
                    .start(spec.index, arguments.into(), scope, Resources::default())
                    .unwrap();
                let finished = block_on(running);
                if finished.outcome.is_ok() {
                    self.object = finished.object;
                    self.outbox = finished.outbox;
                }
                return finished.outcome;
            }
        };
        if outcome.is_err() {
            self.object.roll_back().unwrap();
            self.outbox = Outbox::default();
        }
        outcome
    }

    /// Returns the result of a successful operation as text.
    pub(crate) fn answer(&mut self, operation: &str, arguments: &str) -> String {
        match self.run(operation, arguments) {
            Ok(json) => String::from_utf8(json).unwrap(),
            Err(failure) => panic!("`{operation}` failed: {failure:?}"),
        }
    }

    /// Returns the reason why the arguments do not decode.
    pub(crate) fn refusal(&mut self, operation: &str, arguments: &str) -> String {
        match self.run(operation, arguments) {
            Err(OperationFailure::Arguments(reason)) => reason,
            other => panic!("`{operation}` was not refused: {other:?}"),
        }
    }

    pub(crate) fn state(&self) -> String {
        let mut json = Vec::new();
        self.object.encode(&mut json).unwrap();
        String::from_utf8(json).unwrap()
    }
}

pub(crate) fn scope(name: &str, operation: &str) -> Scope {
    Scope {
        hub: "hub-1".into(),
        entity: EntityId::new(name, "alice").unwrap(),
        operation: Cow::Owned(operation.to_owned()),
        message: MessageId { batch: 7, index: 2 },
        now: Timestamp(1_000),
    }
}

/// Polls a future that never waits for an external event.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
}
