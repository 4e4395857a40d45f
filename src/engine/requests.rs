//! Request ids: a client's retry takes effect once and gets the same answer.

use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::fingerprint::fingerprint;
use crate::engine::message::{Message, Settled, Token};
use crate::engine::step::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::failure::CallFailure;
use crate::store::records::{self, RequestOutcome, RequestRecord};
use crate::store::{Reader, keys};
use crate::time::Timestamp;

/// Requests expire in whole hours, so that their expiry rows lie together.
const BUCKET: Duration = Duration::from_secs(60 * 60);

impl Core {
    /// Settles a message whose request id is known. Says whether it was.
    pub(super) fn settle_repeated(&mut self, message: &Message, step: &mut Step, reader: &dyn Reader) -> Result<bool> {
        if message.stored {
            return Ok(false);
        }
        let (Some(key), Some(client)) = (self.request_key(message), message.client()) else {
            return Ok(false);
        };
        let Some(record) = find(&key, step, reader)? else {
            return Ok(false);
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
        let partition = self.partition_of(&message.target);
        let known = if message.stored {
            find(&key, step, reader)?
        } else {
            None
        };
        let expires = match known {
            Some(record) => record.expires,
            None => {
                let expires = end_of_bucket(step.now.after(self.limits.request_retention));
                let expiry = keys::request_expiry(partition, expires, &message.target, request);
                step.batch.put(&expiry, &[]);
                let partition = self.partition_mut(partition);
                partition.record.requests += 1;
                partition.record_changed = true;
                if partition.record.requests > self.limits.requests {
                    self.next_sweep = step.now;
                }
                expires
            }
        };
        let record = RequestRecord {
            fingerprint: fingerprint(&message.action),
            expires,
            outcome,
        };
        step.put(&key, &record)?;
        step.requests.insert(key, Some(record));
        Ok(())
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
    /// their tokens: nothing is told to these from here on.
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

fn end_of_bucket(time: Timestamp) -> Timestamp {
    let bucket = BUCKET.as_millis() as u64;
    Timestamp(time.0.div_ceil(bucket).saturating_mul(bucket))
}
