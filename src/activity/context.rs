//! What an attempt of an activity may know about itself.

use std::sync::Arc;

use crate::engine::code::Attempt;
use crate::engine::message::ActivityKey;

/// What an attempt of an activity may know about itself. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ActivityContext {
    name: &'static str,
    attempt: Attempt,
    idempotency_key: Arc<str>,
}

impl ActivityContext {
    pub(crate) fn new(name: &'static str, attempt: Attempt) -> Self {
        let first = ActivityKey {
            execution: attempt.asked_by,
            ..attempt.activity.clone()
        };
        Self {
            name,
            idempotency_key: first.to_string().into(),
            attempt,
        }
    }

    /// The name of the activity.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The id of the orchestration that asked for it.
    pub fn instance_id(&self) -> &str {
        self.attempt.activity.instance.as_str()
    }

    /// Names what was asked for: `instance/execution/sequence`, with the execution that first asked for it. It is the same in
    /// every attempt, after every open of the hub, and when a rewind asks for the activity again; no other call has it. Pass
    /// it to the external service, so that what is done twice counts once.
    pub fn idempotency_key(&self) -> &str {
        &self.idempotency_key
    }

    /// Which attempt of the retry policy this is, from 1 on. One that a crash cut off is repeated under its number.
    pub fn attempt(&self) -> u32 {
        self.attempt.number
    }

    /// The most bytes that the answer may have as JSON. A larger one fails the attempt with
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge).
    pub fn payload_limit(&self) -> usize {
        self.attempt.payload_bytes
    }

    /// Whether nobody wants the result any more: the orchestration dropped the call or ended, the attempt ran out of time, or
    /// the hub has closed without waiting any longer. Blocking code asks from time to time.
    pub fn is_canceled(&self) -> bool {
        self.attempt.canceled.is_canceled()
    }

    /// Waits until nobody wants the result any more. From then on the attempt has five seconds to clean up; after them its
    /// future is dropped. One that runs out of time is dropped at once, unless it [blocks](crate::ActivityOptions::blocking).
    pub async fn canceled(&self) {
        self.attempt.canceled.canceled().await;
    }
}
