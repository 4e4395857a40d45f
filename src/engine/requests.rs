//! Request ids: a client's retry takes effect once and gets the same answer.

use crate::engine::core::Core;
use crate::engine::fingerprint::fingerprint;
use crate::engine::message::{Message, Settled, Token};
use crate::engine::outcome::{Outcome, Unanswered};
use crate::engine::step::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::failure::CallFailure;
use crate::id::{InstanceId, PartitionId};
use crate::store::records::{self, Place, RequestOutcome, RequestRecord};
use crate::store::{Reader, keys};

/// The value of a request's age while its call waits as a row. Otherwise the value is empty.
pub(super) const WAITS: &[u8] = b"w";

impl Core {
    /// Settles a message whose request id is known, or has no room. Says whether it did.
    pub(super) fn settle_repeated(&mut self, message: &Message, step: &mut Step, reader: &dyn Reader) -> Result<bool> {
        if message.stored {
            return Ok(false);
        }
        let (Some(key), Some(client)) = (self.request_key(message), message.client()) else {
            return Ok(false);
        };
        let Some(record) = find(&key, step, reader)? else {
            let full = self.refusal_of_new_requests(message);
            if let (Some(error), Some(token)) = (&full, client.token) {
                step.settle(token, Settled::Failed(Box::new(error.clone().into())));
            }
            return Ok(full.is_some());
        };
        let Some(token) = client.token else {
            return Ok(true);
        };
        if record.fingerprint != fingerprint(&message.action) {
            let request = client.request.as_deref().unwrap_or_default();
            let text = format!(
                "the request id `{request}` was used for `{}` with another operation or other arguments; draw a new id",
                message.target
            );
            step.settle(token, Settled::runtime(ErrorKind::RequestIdReused, text));
            return Ok(true);
        }
        match settled(record.outcome) {
            Some(settled) => step.settle(token, settled),
            None => {
                self.attached.entry(key).or_default().push(token);
                step.stored_calls.push(token);
            }
        }
        Ok(true)
    }

    /// Why no new request id is taken in, if none is: those that are remembered are many, and too young to be forgotten.
    fn refusal_of_new_requests(&self, message: &Message) -> Option<Error> {
        let remembered = self.partition(self.partition_of(&message.target)).record.requests;
        let limits = &self.limits;
        (remembered >= limits.requests_at_most).then(|| {
            Error::new(
                ErrorKind::Overloaded,
                format!(
                    "the partition of `{}` remembers {remembered} request ids and forgets none that is younger than {:?}; \
                     nothing happened, so try again later, or ask without a request id",
                    message.target, limits.request_youth
                ),
            )
        })
    }

    /// Remembers what a request led to, for as long as the limits say.
    pub(super) fn remember(
        &mut self,
        message: &Message,
        outcome: RequestOutcome,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let (Some(key), Some(client)) = (self.request_key(message), message.client()) else {
            return Ok(());
        };
        let request = client.request.as_deref().unwrap_or_default();
        let known = if message.stored {
            find(&key, step, reader)?
        } else {
            None
        };
        let partition = self.partition_of(&message.target);
        let place = match &known {
            Some(record) => record.place,
            None => self.new_request(partition, step),
        };
        let waits = outcome == RequestOutcome::Waiting;
        if known.is_none_or(|known| (known.outcome == RequestOutcome::Waiting) != waits) {
            let age = keys::request_age(partition, place, &message.target, request);
            step.batch.put(&age, if waits { WAITS } else { &[] });
        }
        let record = RequestRecord {
            fingerprint: fingerprint(&message.action),
            place,
            outcome,
        };
        step.put(&key, &record)?;
        step.requests.insert(key, Some(record));
        Ok(())
    }

    /// The place of a request that was not known, which is counted.
    fn new_request(&mut self, partition: PartitionId, step: &mut Step) -> Place {
        let place = step.next_place();
        let expires = place.since.after(self.limits.request_retention);
        // Some more than have to go are waited for, so that they go in one piece.
        let many = self.limits.requests.saturating_add(self.limits.page as u64);
        let partition = self.partition_mut(partition);
        partition.record.requests += 1;
        partition.record_changed = true;
        let due = if partition.record.requests > many {
            partition.requests.held_until.max(step.now).min(expires)
        } else {
            expires
        };
        partition.requests.look_at(due);
        self.next_sweep = self.next_sweep.min(due);
        place
    }

    /// Remembers that a request's message became a row.
    pub(super) fn remember_waiting(&mut self, message: &Message, step: &mut Step, reader: &dyn Reader) -> Result<()> {
        let outcome = if message.is_call() {
            RequestOutcome::Waiting
        } else {
            RequestOutcome::Accepted
        };
        self.remember(message, outcome, step, reader)
    }

    /// Remembers how a call ended. What nothing came of is not remembered, so that a retry is a new try.
    pub(super) fn remember_outcome(
        &mut self,
        message: &Message,
        outcome: &Outcome,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        if message.client().is_none_or(|client| client.request.is_none()) {
            return Ok(());
        }
        // The answer is copied only for a request that has to give it again.
        match request_outcome(outcome) {
            Some(outcome) => self.remember(message, outcome, step, reader),
            None => self.forget_request(message, step, reader),
        }
    }

    /// Forgets the request of a call that waited as a row.
    fn forget_request(&mut self, message: &Message, step: &mut Step, reader: &dyn Reader) -> Result<()> {
        let Some(key) = self.request_key(message) else {
            return Ok(());
        };
        let partition = self.partition_of(&message.target);
        if let Some(record) = find(&key, step, reader)?.filter(|_| message.stored) {
            let request = message.client().and_then(|client| client.request.as_deref());
            let age = keys::request_age(partition, record.place, &message.target, request.unwrap_or_default());
            self.remove_request(partition, key, &age, step);
        }
        Ok(())
    }

    /// Removes the rows of a request.
    pub(super) fn remove_request(&mut self, partition: PartitionId, key: Vec<u8>, age: &[u8], step: &mut Step) {
        step.batch.delete(&key);
        step.batch.delete(age);
        // Its call may end in this very step and must not count on the row that goes.
        step.requests.insert(key, None);
        let partition = self.partition_mut(partition);
        partition.record.requests = partition.record.requests.saturating_sub(1);
        partition.record_changed = true;
    }

    /// Gives a request whose call still waits a new place behind all others. Says whether it waits.
    pub(super) fn keep_waiting_request(
        &mut self,
        partition: PartitionId,
        age: &[u8],
        id: &InstanceId,
        request: &str,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<bool> {
        let key = keys::request(partition, id, request);
        let waits = |record: &RequestRecord| record.outcome == RequestOutcome::Waiting;
        let Some(mut record) = find(&key, step, reader)?.filter(waits) else {
            return Ok(false);
        };
        record.place = step.next_place();
        step.batch.delete(age);
        let age = keys::request_age(partition, record.place, id, request);
        step.batch.put(&age, WAITS);
        step.put(&key, &record)?;
        step.requests.insert(key, Some(record));
        Ok(true)
    }

    /// The clients that repeated a request while its call waited.
    pub(super) fn take_attached(&mut self, message: &Message) -> Vec<Token> {
        if self.attached.is_empty() {
            return Vec::new();
        }
        self.request_key(message)
            .and_then(|key| self.attached.remove(&key))
            .unwrap_or_default()
    }

    /// Forgets the calls of clients that do not wait any more, as far as they wait as rows or for one that does, and names
    /// their tokens: these receive nothing from here on.
    pub(crate) fn forget_callers(&mut self, is_gone: impl Fn(Token) -> bool) -> Vec<Token> {
        let mut forgotten = Vec::new();
        let mut stays = |token: Token| {
            let gone = is_gone(token);
            if gone {
                forgotten.push(token);
            }
            !gone
        };
        self.callers.retain(|_, (token, _)| stays(*token));
        self.attached.retain(|_, tokens| {
            tokens.retain(|token| stays(*token));
            !tokens.is_empty()
        });
        forgotten
    }

    fn request_key(&self, message: &Message) -> Option<Vec<u8>> {
        let request = message.client()?.request.as_deref()?;
        let partition = self.partition_of(&message.target);
        Some(keys::request(partition, &message.target, request))
    }
}

fn find(key: &[u8], step: &Step, reader: &dyn Reader) -> Result<Option<RequestRecord>> {
    if let Some(record) = step.requests.get(key) {
        return Ok(record.clone());
    }
    match reader.get(key)? {
        Some(bytes) => Ok(Some(records::decode(&bytes, "request")?)),
        None => Ok(None),
    }
}

/// What a repeated request is told; nothing while the first one waits.
fn settled(outcome: RequestOutcome) -> Option<Settled> {
    Some(match outcome {
        RequestOutcome::Waiting => return None,
        RequestOutcome::Accepted => Settled::Accepted,
        RequestOutcome::Answer(answer) => Settled::Answer(answer),
        RequestOutcome::Returned(failure) => Settled::Failed(Box::new(CallFailure::Returned(failure))),
        RequestOutcome::Runtime { kind, message } => Settled::Failed(Box::new(Error::new(kind, message).into())),
    })
}

/// What is remembered of an outcome; nothing of a refusal, which may not be one at another time.
fn request_outcome(outcome: &Outcome) -> Option<RequestOutcome> {
    Some(match outcome {
        Ok(answer) => RequestOutcome::Answer(answer.clone()),
        Err(Unanswered(failure)) => match failure.as_ref() {
            CallFailure::Returned(failure) => RequestOutcome::Returned(failure.clone()),
            CallFailure::Runtime(error) if is_refusal(error.kind()) => return None,
            CallFailure::Runtime(error) => RequestOutcome::Runtime {
                kind: error.kind(),
                message: error.message().to_owned(),
            },
        },
    })
}

/// Whether an error of this kind says that nothing happened, because of something that may change: what is there, what has
/// room, which build runs.
fn is_refusal(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Overloaded
            | ErrorKind::Quarantined
            | ErrorKind::Unregistered
            | ErrorKind::UnknownOperation
            | ErrorKind::InvalidArguments
            | ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::Ended
            | ErrorKind::WrongState
            | ErrorKind::Closed
            | ErrorKind::Poisoned
    )
}

#[cfg(test)]
mod tests;
