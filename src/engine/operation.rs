//! One operation of one entity. It either succeeds or leaves no effects.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tracing::{Instrument, Span};

use crate::engine::call_result::{
    CallResult, Unanswered, described, init_panicked, over_limit, panicked, unanswered, unknown_operation,
};
use crate::engine::code::{AsyncOperation, EntityObject, OperationMode, OperationSpec};
use crate::engine::core_step::CoreStep;
use crate::engine::ctx::Ctx;
use crate::engine::message::Message;
use crate::engine::outbox::Outbox;
use crate::engine::quarantine::quarantine;
use crate::engine::requests::settle_repeated;
use crate::engine::scope::Scope;
use crate::engine::turn::EntityTurn;
use crate::error::{ErrorKind, Result};
use crate::failure::{CallFailure, TEXT_BYTES, shortened};
use crate::id::{EntityId, InstanceId};
use crate::model::orchestration::Order;
use crate::model::{self, Action, StateRecord};
use crate::planted::{self, Fault};
use crate::resource::Resources;
use crate::{panic, schema};

/// Name of the built-in operation, for entities that do not define their own.
const DELETE: &str = "delete";

/// The answer of an operation without a result.
const NULL: &[u8] = b"null";

/// Runs user code and returns the text of a panic as an error.
pub(crate) fn caught<T>(code: impl FnOnce() -> T) -> std::result::Result<T, String> {
    if planted::is(Fault::LetPanicsThrough) {
        return Ok(code());
    }
    catch_unwind(AssertUnwindSafe(code)).map_err(|panic| panic_text(panic.as_ref()))
}

/// Returns the text of a panic. It is shortened, because it is stored and listed.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    // The limit leaves room for error texts that contain it.
    shortened(panic::text(panic), TEXT_BYTES / 2).into_owned()
}

impl EntityTurn<'_> {
    /// Processes a message that requests an operation.
    pub(super) fn operate(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<()> {
        if settle_repeated(&message, ctx)? {
            return Ok(());
        }
        let Action::Operation { operation, arguments } = &message.action else {
            unreachable!("only messages that ask for an operation come here");
        };
        ctx.step.counts.operations += 1;
        ctx.step.counts.process(&message.id);
        if let Err(failure) = ctx.locks.check(&message) {
            return self.settle(message, Err(failure), ctx);
        }
        let Some(spec) = self.code.find(operation) else {
            if operation.eq_ignore_ascii_case(DELETE) {
                let existed = self.entity.object.is_some() || self.entity.stored;
                self.delete_state(ctx.step);
                if existed {
                    self.note_audit(DELETE, &message, ctx)?;
                }
                return self.settle(message, Ok(NULL.to_vec()), ctx);
            }
            let error = unknown_operation(self.id, operation);
            return self.settle(message, Err(error.into()), ctx);
        };
        let scope = scope(self.id, &message, ctx);
        let outcome = match spec.mode {
            OperationMode::Read => {
                let outcome = self.read(spec, arguments, &scope);
                outcome.and_then(|answer| check_payload(answer.len(), &scope, ctx).map(|()| answer))
            }
            OperationMode::Write => {
                let outcome = self.write(spec, arguments, &scope, ctx)?;
                if outcome.is_ok() {
                    self.note_audit(operation, &message, ctx)?;
                }
                outcome
            }
            OperationMode::Async => match self.start(spec, arguments, &scope, &ctx.settings.registry.resources) {
                Ok(future) => return self.begin_async(message, future, ctx),
                Err(failure) => Err(failure),
            },
        };
        self.settle(message, outcome, ctx)
    }

    /// Runs a `&mut self` operation. On success, its effects are in the step. Otherwise, none of them is.
    fn write(&mut self, spec: OperationSpec, arguments: &[u8], scope: &Scope, ctx: &mut Ctx<'_>) -> Result<CallResult> {
        let created = self.entity.object.is_none();
        let object = match self.prepare(scope) {
            Ok(object) => object,
            Err(failure) => return Ok(Err(failure)),
        };
        let mut outbox = Outbox::default();
        let result = caught(|| span(scope).in_scope(|| object.write(spec.index, arguments, scope, &mut outbox)));
        let outcome = described(result, scope).and_then(|answer| self.keep(outbox, answer, scope, ctx));
        if outcome.is_err() {
            self.roll_back(created, scope, ctx)?;
        }
        Ok(outcome)
    }

    /// Adds the effects of a completed operation to the step, if they are within the limits.
    pub(super) fn keep(&mut self, outbox: Outbox, answer: Vec<u8>, scope: &Scope, ctx: &mut Ctx<'_>) -> CallResult {
        if let Some(error) = outbox.error {
            return Err(CallFailure::Runtime(error).into());
        }
        let state_bytes = if outbox.is_accepted {
            usize::MAX
        } else {
            check_limits(&outbox, &answer, scope, ctx)?;
            ctx.settings.limits.state_bytes
        };
        if outbox.delete_state {
            self.delete_state(ctx.step);
        } else {
            self.encode(state_bytes, scope, ctx.step)?;
        }
        for outgoing in outbox.messages {
            ctx.step.send(self.id, outgoing.target, outgoing.action);
        }
        Ok(answer)
    }

    /// Restores the state from before the operation.
    fn roll_back(&mut self, created: bool, scope: &Scope, ctx: &mut Ctx<'_>) -> Result<()> {
        if created {
            self.entity.object = None;
            return Ok(());
        }
        let Some(object) = self.entity.object.as_mut() else {
            return Ok(());
        };
        if let Ok(Ok(())) = caught(|| object.roll_back()) {
            return Ok(());
        }
        // The copy and its decoder are no longer reliable, but the last encoding is.
        let last = if self.entity.dirty {
            Some(ctx.step.encodings[self.entity.encoding.clone()].to_vec())
        } else {
            let row = ctx
                .reader
                .get(&schema::state::key(ctx.settings.partition_of(self.id), self.id))?;
            let record = row.as_deref().map(|row| model::decode::<StateRecord>(row, "state"));
            record.transpose()?.map(|record| record.state.to_vec())
        };
        let decoded = match &last {
            Some(state) => caught(|| self.code.decode(state)).unwrap_or_else(Err),
            None => Err("no state is stored".to_owned()),
        };
        match decoded {
            Ok(object) => self.entity.object = Some(object),
            Err(reason) => {
                let reason = format!("the state before `{}` cannot be restored: {reason}", scope.operation);
                quarantine(self.id, &mut self.mailbox, &reason, ctx)?;
            }
        }
        Ok(())
    }
}

fn check_limits(outbox: &Outbox, answer: &[u8], scope: &Scope, ctx: &Ctx<'_>) -> std::result::Result<(), Unanswered> {
    let actions = outbox.messages.len();
    if actions > ctx.settings.limits.actions {
        let what = format!(
            "sent {actions} messages, but the limit is {}",
            ctx.settings.limits.actions
        );
        return Err(over_limit(scope, &what));
    }
    let largest = outbox.messages.iter().map(|outgoing| match &outgoing.action {
        Action::Operation { arguments, .. } | Action::Schedule { arguments, .. } => arguments.len(),
        Action::Order(order) => match &**order {
            Order::Start(start) => start.input.len(),
            _ => 0,
        },
        Action::Cancel { .. } | Action::Lock(_) => 0,
    });
    check_payload(largest.chain([answer.len()]).max().unwrap_or(0), scope, ctx)
}

fn check_payload(bytes: usize, scope: &Scope, ctx: &Ctx<'_>) -> std::result::Result<(), Unanswered> {
    let limit = ctx.settings.limits.payload_bytes;
    if bytes > limit {
        let what = format!("produced a payload of {bytes} bytes, but the limit is {limit}");
        return Err(over_limit(scope, &what));
    }
    Ok(())
}

/// Returns the metadata for the operation that `message` requests.
pub(super) fn scope(id: &InstanceId, message: &Message, ctx: &Ctx<'_>) -> Scope {
    let operation = match &message.action {
        Action::Operation { operation, .. } | Action::Schedule { operation, .. } => operation.clone(),
        Action::Cancel { .. } | Action::Lock(_) | Action::Order(_) => "".into(),
    };
    Scope {
        hub: Arc::clone(&ctx.settings.hub),
        entity: EntityId::from_instance(id.clone()),
        operation,
        message: message.id,
        now: ctx.step.now,
    }
}

impl EntityTurn<'_> {
    /// Returns the object with a restore point. Creates the object if there is none.
    fn prepare(&mut self, scope: &Scope) -> std::result::Result<&mut Box<dyn EntityObject>, Unanswered> {
        let id = &scope.entity;
        if self.entity.object.is_none() {
            let object = caught(|| self.code.create(id.key())).map_err(|text| init_panicked(id, &text))?;
            return Ok(self.entity.object.insert(object));
        }
        let Some(object) = self.entity.object.as_mut() else {
            unreachable!("the object exists, as checked above");
        };
        match caught(|| object.save_restore_point()) {
            Ok(Ok(())) => Ok(object),
            Ok(Err(text)) | Err(text) => Err(unanswered(
                ErrorKind::Serialization,
                format!("the state of `{id}` cannot be copied before an operation: {text}"),
            )),
        }
    }

    /// Runs a `&self` operation. An entity without state uses its initial state.
    pub(super) fn read(&self, spec: OperationSpec, arguments: &[u8], scope: &Scope) -> CallResult {
        let run = || match &self.entity.object {
            Some(object) => object.read(spec.index, arguments, scope),
            None => self.code.create(scope.entity.key()).read(spec.index, arguments, scope),
        };
        let result = caught(|| span(scope).in_scope(run));
        described(result, scope)
    }

    /// Creates the future of an `async` operation.
    fn start(
        &self,
        spec: OperationSpec,
        arguments: &[u8],
        scope: &Scope,
        resources: &Resources,
    ) -> std::result::Result<AsyncOperation, Unanswered> {
        let start =
            |object: &dyn EntityObject| object.start(spec.index, arguments.to_vec(), scope.clone(), resources.clone());
        let started = caught(|| match &self.entity.object {
            Some(object) => start(object.as_ref()),
            None => start(self.code.create(scope.entity.key()).as_ref()),
        });
        match started {
            Ok(Ok(future)) => Ok(spanned(future, scope)),
            Ok(Err(text)) => Err(unanswered(
                ErrorKind::Serialization,
                format!(
                    "the state of `{}` cannot be copied for `{}`: {text}",
                    scope.entity, scope.operation
                ),
            )),
            Err(text) => Err(panicked(scope, &text)),
        }
    }

    /// Encodes the current state. This step writes it.
    fn encode(&mut self, limit: usize, scope: &Scope, step: &mut CoreStep) -> std::result::Result<(), Unanswered> {
        let Some(object) = &self.entity.object else {
            return Ok(());
        };
        let start = step.encodings.len();
        let encoded = caught(|| object.encode(&mut step.encodings));
        let bytes = step.encodings.len() - start;
        let failed = match encoded {
            Ok(Ok(())) if bytes <= limit => {
                self.entity.encoding = start..step.encodings.len();
                self.mark_dirty(step);
                return Ok(());
            }
            Ok(Ok(())) => over_limit(
                scope,
                &format!("left a state of {bytes} bytes, but the limit is {limit}"),
            ),
            Ok(Err(text)) | Err(text) => unanswered(
                ErrorKind::Serialization,
                format!(
                    "the state of `{}` after `{}` cannot be serialized: {text}",
                    scope.entity, scope.operation
                ),
            ),
        };
        step.encodings.truncate(start);
        Err(failed)
    }

    /// Deletes the state. This step removes its row.
    fn delete_state(&mut self, step: &mut CoreStep) {
        self.entity.object = None;
        self.mark_dirty(step);
    }

    fn mark_dirty(&mut self, step: &mut CoreStep) {
        self.entity.has_changed = true;
        if !std::mem::replace(&mut self.entity.dirty, true) {
            step.dirty.push(self.id.clone());
        }
    }
}

/// Returns the span in which an operation runs, so its log events name their origin.
fn span(scope: &Scope) -> Span {
    tracing::info_span!(
        "operation",
        entity = %scope.entity,
        operation = %scope.operation,
        message_id = %scope.message,
    )
}

fn spanned(operation: AsyncOperation, scope: &Scope) -> AsyncOperation {
    let span = span(scope);
    if span.is_disabled() {
        return operation;
    }
    Box::pin(operation.instrument(span))
}
