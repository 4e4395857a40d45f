//! Request ids: a retry of a client takes effect once and receives the same answer.

use std::collections::HashMap;

use crate::engine::call_result::{CallResult, Unanswered};
use crate::engine::ctx::Ctx;
use crate::engine::fingerprint::fingerprint;
use crate::engine::message::{Message, Response, Token};
use crate::error::{Error, ErrorKind, Result};
use crate::failure::CallFailure;
use crate::id::{InstanceId, MessageId, PartitionId};
use crate::model::{self, Place, RequestOutcome, RequestRecord};
use crate::schema;

/// The value of a request's age row while its call waits as a row. Otherwise the value is empty.
pub(super) const WAITS: &[u8] = b"w";

/// Settles a message whose request id is known, or is new and cannot be stored for lack of room. Returns `true` if it
/// was settled.
pub(super) fn settle_repeated(message: &Message, ctx: &mut Ctx<'_>) -> Result<bool> {
    if message.stored {
        return Ok(false);
    }
    let (Some(key), Some(client)) = (request_key(message, ctx), message.client()) else {
        return Ok(false);
    };
    let Some(record) = find(&key, ctx)? else {
        let full = refusal_of_new_requests(message, ctx);
        if let (Some(error), Some(token)) = (&full, client.token) {
            ctx.step.settle(token, Response::Failed(Box::new(error.clone().into())));
        }
        return Ok(full.is_some());
    };
    let Some(token) = client.token else {
        return Ok(true);
    };
    if record.fingerprint != fingerprint(&message.action) {
        let request = client.request.as_deref().unwrap_or_default();
        let text = format!(
            "the request id `{request}` was used for `{}` with another operation or other arguments; use a new id",
            message.target
        );
        ctx.step
            .settle(token, Response::runtime(ErrorKind::RequestIdReused, text));
        return Ok(true);
    }
    match settled(record.outcome) {
        Some(settled) => ctx.step.settle(token, settled),
        None => {
            ctx.callers.attach(key, token);
            ctx.step.stored_calls.push(token);
        }
    }
    Ok(true)
}

/// Returns an error if no new request id can be stored, because too many ids are stored and all of them are young.
fn refusal_of_new_requests(message: &Message, ctx: &Ctx<'_>) -> Option<Error> {
    let remembered = ctx
        .partitions
        .get(ctx.settings.partition_of(&message.target))
        .record
        .requests;
    let limits = &ctx.settings.limits;
    (remembered >= limits.requests_at_most).then(|| {
        Error::new(
            ErrorKind::Overloaded,
            format!(
                "the partition of `{}` stores {remembered} request ids and deletes none that is younger than {:?}; \
                 nothing happened, so retry later, or send the request without a request id",
                message.target, limits.request_youth
            ),
        )
    })
}

/// Stores the outcome of a request for the retention time.
pub(super) fn remember(message: &Message, outcome: RequestOutcome, ctx: &mut Ctx<'_>) -> Result<()> {
    let (Some(key), Some(client)) = (request_key(message, ctx), message.client()) else {
        return Ok(());
    };
    let request = client.request.as_deref().unwrap_or_default();
    let known = if message.stored { find(&key, ctx)? } else { None };
    let partition = ctx.settings.partition_of(&message.target);
    let place = match &known {
        Some(record) => record.place,
        None => new_request(partition, ctx),
    };
    let waits = outcome == RequestOutcome::Waiting;
    if known.is_none_or(|known| (known.outcome == RequestOutcome::Waiting) != waits) {
        let age = schema::request::age_key(partition, place, &message.target, request);
        ctx.step.batch.put(&age, if waits { WAITS } else { &[] });
    }
    let record = RequestRecord {
        fingerprint: fingerprint(&message.action),
        place,
        outcome,
    };
    ctx.step.put(&key, &record)?;
    ctx.step.requests.insert(key, Some(record));
    Ok(())
}

/// Counts a new request and returns its place.
fn new_request(partition: PartitionId, ctx: &mut Ctx<'_>) -> Place {
    let place = ctx.step.next_place();
    let expires = place.since.after(ctx.settings.limits.request_retention);
    // A page of surplus ids is collected first, so they are deleted together.
    let many = ctx
        .settings
        .limits
        .requests
        .saturating_add(ctx.settings.limits.page as u64);
    let partition = ctx.partitions.get_mut(partition);
    partition.record.requests += 1;
    partition.record_changed = true;
    let due = if partition.record.requests > many {
        partition.requests.held_until.max(ctx.step.now).min(expires)
    } else {
        expires
    };
    partition.requests.look_at(due);
    ctx.partitions.next_sweep = ctx.partitions.next_sweep.min(due);
    place
}

/// Records that the message of a request became a row.
pub(super) fn remember_waiting(message: &Message, ctx: &mut Ctx<'_>) -> Result<()> {
    let outcome = if message.is_call() {
        RequestOutcome::Waiting
    } else {
        RequestOutcome::Accepted
    };
    remember(message, outcome, ctx)
}

/// Stores the outcome of a call. A refusal is not stored, so a retry is a new attempt.
pub(super) fn remember_outcome(message: &Message, outcome: &CallResult, ctx: &mut Ctx<'_>) -> Result<()> {
    if message.client().is_none_or(|client| client.request.is_none()) {
        return Ok(());
    }
    // The answer is copied only for a message with a request id.
    match request_outcome(outcome) {
        Some(outcome) => remember(message, outcome, ctx),
        None => forget_request(message, ctx),
    }
}

/// Deletes the request of a call that waited as a row.
fn forget_request(message: &Message, ctx: &mut Ctx<'_>) -> Result<()> {
    let Some(key) = request_key(message, ctx) else {
        return Ok(());
    };
    let partition = ctx.settings.partition_of(&message.target);
    if let Some(record) = find(&key, ctx)?.filter(|_| message.stored) {
        let request = message.client().and_then(|client| client.request.as_deref());
        let age = schema::request::age_key(partition, record.place, &message.target, request.unwrap_or_default());
        remove_request(partition, key, &age, ctx);
    }
    Ok(())
}

/// Removes the rows of a request.
pub(super) fn remove_request(partition: PartitionId, key: Vec<u8>, age: &[u8], ctx: &mut Ctx<'_>) {
    ctx.step.batch.delete(&key);
    ctx.step.batch.delete(age);
    // Its call may end in this step and must not rely on the deleted row.
    ctx.step.requests.insert(key, None);
    let partition = ctx.partitions.get_mut(partition);
    partition.record.requests = partition.record.requests.saturating_sub(1);
    partition.record_changed = true;
}

/// Moves a request whose call still waits behind all others. Returns `true` if the call waits.
pub(super) fn keep_waiting_request(
    partition: PartitionId,
    age: &[u8],
    id: &InstanceId,
    request: &str,
    ctx: &mut Ctx<'_>,
) -> Result<bool> {
    let key = schema::request::key(partition, id, request);
    let waits = |record: &RequestRecord| record.outcome == RequestOutcome::Waiting;
    let Some(mut record) = find(&key, ctx)?.filter(waits) else {
        return Ok(false);
    };
    record.place = ctx.step.next_place();
    ctx.step.batch.delete(age);
    let age = schema::request::age_key(partition, record.place, id, request);
    ctx.step.batch.put(&age, WAITS);
    ctx.step.put(&key, &record)?;
    ctx.step.requests.insert(key, Some(record));
    Ok(true)
}

/// Takes the clients that repeated a request while its call waited.
pub(super) fn take_attached(message: &Message, ctx: &mut Ctx<'_>) -> Vec<Token> {
    if ctx.callers.attached.is_empty() {
        return Vec::new();
    }
    let key = request_key(message, ctx);
    key.and_then(|key| ctx.callers.attached.remove(&key))
        .unwrap_or_default()
}

/// The clients that wait for the answers of calls that are rows.
#[derive(Debug, Default)]
pub(super) struct Callers {
    /// The clients and targets of the calls, by message.
    of_rows: HashMap<MessageId, (Token, InstanceId)>,
    /// The clients that repeated a request whose call is a row, by the key of the request.
    attached: HashMap<Vec<u8>, Vec<Token>>,
}

impl Callers {
    /// Adds the client of a call that has become a row.
    pub(super) fn add(&mut self, message: &Message, token: Token) {
        self.of_rows.insert(message.id, (token, message.target.clone()));
    }

    /// Takes the client that waits for the answer of a stored call.
    pub(super) fn take(&mut self, message: MessageId) -> Option<Token> {
        self.of_rows.remove(&message).map(|(token, _)| token)
    }

    /// Returns the calls for an instance that wait as rows, in order.
    pub(super) fn calls_for(&self, target: &InstanceId) -> Vec<MessageId> {
        let calls = self.of_rows.iter().filter(|(_, (_, waits_for))| waits_for == target);
        let mut calls: Vec<MessageId> = calls.map(|(message, _)| *message).collect();
        calls.sort_unstable();
        calls
    }

    fn attach(&mut self, request: Vec<u8>, token: Token) {
        self.attached.entry(request).or_default().push(token);
    }

    /// Removes the clients that no longer wait, and returns their tokens. The core sends nothing to these tokens
    /// afterwards.
    pub(super) fn forget(&mut self, is_gone: impl Fn(Token) -> bool) -> Vec<Token> {
        let mut forgotten = Vec::new();
        let mut stays = |token: Token| {
            let gone = is_gone(token);
            if gone {
                forgotten.push(token);
            }
            !gone
        };
        self.of_rows.retain(|_, (token, _)| stays(*token));
        self.attached.retain(|_, tokens| {
            tokens.retain(|token| stays(*token));
            !tokens.is_empty()
        });
        // In an order that does not depend on the hashes, because the tokens are given out again.
        forgotten.sort_unstable();
        forgotten
    }

    /// Returns the number of clients that wait for the answer of a stored call, and of those that repeated a request.
    #[cfg(test)]
    pub(super) fn len(&self) -> [usize; 2] {
        [self.of_rows.len(), self.attached.values().map(Vec::len).sum()]
    }
}

fn request_key(message: &Message, ctx: &Ctx<'_>) -> Option<Vec<u8>> {
    let request = message.client()?.request.as_deref()?;
    let partition = ctx.settings.partition_of(&message.target);
    Some(schema::request::key(partition, &message.target, request))
}

fn find(key: &[u8], ctx: &Ctx<'_>) -> Result<Option<RequestRecord>> {
    if let Some(record) = ctx.step.requests.get(key) {
        return Ok(record.clone());
    }
    match ctx.reader.get(key)? {
        Some(bytes) => Ok(Some(model::decode(&bytes, "request")?)),
        None => Ok(None),
    }
}

/// Returns the response to a repeated request, or `None` while the first request waits.
fn settled(outcome: RequestOutcome) -> Option<Response> {
    Some(match outcome {
        RequestOutcome::Waiting => return None,
        RequestOutcome::Accepted => Response::Accepted,
        RequestOutcome::Ended(outcome) => match outcome.into() {
            Ok(answer) => Response::Answer(answer),
            Err(failure) => Response::Failed(Box::new(failure)),
        },
    })
}

/// Returns the stored form of an outcome, or `None` for a refusal, because a later attempt may succeed.
fn request_outcome(outcome: &CallResult) -> Option<RequestOutcome> {
    let outcome = match outcome {
        Ok(answer) => Ok(answer.clone()),
        Err(Unanswered(failure)) => match failure.as_ref() {
            CallFailure::Runtime(error) if is_refusal(error.kind()) => return None,
            failure => Err(failure.clone()),
        },
    };
    Some(RequestOutcome::Ended(outcome.into()))
}

/// Returns `true` if an error of this kind means that nothing happened, for a reason that may change. Such reasons are
/// the existing instances, the available room, and the running build.
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
            | ErrorKind::Replaced
            | ErrorKind::Poisoned
    )
}

#[cfg(test)]
mod tests;
