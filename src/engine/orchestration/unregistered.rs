//! The unregistered dependencies that orchestrations wait for. Each is recorded in the row of the orchestration and at
//! its parents, and logged once.

use crate::engine::ctx::Ctx;
use crate::engine::message::{Message, Origin};
use crate::engine::orchestration::end::send;
use crate::engine::orchestration::state::{PRESENT, present};
use crate::engine::orchestration::turn::OrchestrationTurn;
use crate::error::Result;
use crate::id::{ActivityKey, ExecutionId, InstanceId, MessageId, Sequence};
use crate::model::Action;
use crate::model::history::Command;
use crate::model::orchestration::{Order, Unregistered, UnregisteredKind};
use crate::schema;

/// Maximum number of steps recorded in the row of one orchestration. More of them add no information.
const NOTED: usize = 16;

impl OrchestrationTurn<'_> {
    /// Records the dependency that a step waits for, or that it no longer waits for one.
    pub(super) fn note_unregistered(&mut self, sequence: Sequence, on: Option<Unregistered>, ctx: &mut Ctx<'_>) {
        self.change_unregistered(
            |noted| {
                let before = noted.iter().position(|(known, _)| *known == sequence);
                match (before, on) {
                    (Some(at), Some(on)) => noted[at].1 = on,
                    (Some(at), None) => drop(noted.remove(at)),
                    (None, Some(on)) if noted.len() < NOTED => noted.push((sequence, on)),
                    (None, _) => {}
                }
            },
            ctx,
        );
    }

    /// Removes the steps that the code no longer waits for.
    pub(super) fn forget_unregistered(&mut self, ctx: &mut Ctx<'_>) {
        let state = present(&mut self.state);
        if state.record.unregistered.is_empty() {
            return;
        }
        let Some(run) = state.run.take() else { return };
        self.change_unregistered(|noted| noted.retain(|(sequence, _)| run.wants(*sequence)), ctx);
        if let Some(state) = self.state.as_mut() {
            state.run = Some(run);
        }
    }

    fn change_unregistered(&mut self, change: impl FnOnce(&mut Vec<(Sequence, Unregistered)>), ctx: &mut Ctx<'_>) {
        let state = present(&mut self.state);
        let noted = &mut state.record.unregistered;
        let before = noted.clone();
        change(noted);
        let now = noted.first().map(|(_, on)| on.clone());
        self.changed |= *noted != before;
        if now.as_ref() != before.first().map(|(_, on)| on) {
            self.tell_parent_of_unregistered(now, ctx);
        }
    }

    /// Notifies the parent of the dependency that a sub-orchestration waits for, because the parent waits for it, too.
    fn tell_parent_of_unregistered(&self, on: Option<Unregistered>, ctx: &mut Ctx<'_>) {
        let Some(parent) = self.state.as_ref().and_then(|state| state.parent()) else {
            return;
        };
        let order = Order::Awaits {
            execution: parent.execution,
            sequence: parent.sequence,
            on: on.map(|on| Unregistered {
                instance: on.instance.or_else(|| Some(self.id.as_str().to_owned())),
                ..on
            }),
        };
        send(self.id, parent.instance.clone(), order, ctx);
    }

    /// Notifies the parent that an orchestration is stopped because it is not registered, or that it continues.
    pub(super) fn note_unregistered_stop(&self, stopped: bool, ctx: &mut Ctx<'_>) {
        let state = self.state.as_ref().expect(PRESENT);
        let record = &state.record;
        let own = stopped.then(|| {
            let name = match record.version.as_str() {
                "" => record.name.clone(),
                version => format!("{} {version}", record.name),
            };
            unregistered(UnregisteredKind::Orchestration, name, ctx)
        });
        let on = own.or_else(|| record.unregistered.first().map(|(_, on)| on.clone()));
        self.tell_parent_of_unregistered(on, ctx);
    }

    /// Returns whether a report about a step can change the recorded dependencies. It spares a read of the history for
    /// each report of an orchestration that waits for many.
    fn can_note(&self, execution: ExecutionId, sequence: Sequence, is_missing: bool) -> bool {
        let Some(state) = self.state.as_deref() else {
            return false;
        };
        let noted = &state.record.unregistered;
        let is_known = noted.iter().any(|(known, _)| *known == sequence);
        state.record.execution == execution && (is_known || is_missing && noted.len() < NOTED)
    }

    /// Records the dependency of a step, as reported by another partition or by a row of an earlier life.
    pub(super) fn take_in_unregistered(
        &mut self,
        execution: ExecutionId,
        sequence: Sequence,
        on: Option<Unregistered>,
        ctx: &mut Ctx<'_>,
    ) -> Result<()> {
        if !self.can_note(execution, sequence, on.is_some()) {
            return Ok(());
        }
        let is_wanted = match self.wants(execution, Some(sequence), ctx)? {
            Ok(is_wanted) => is_wanted,
            // Its code cannot be loaded. It waits for every open step of its history, and a child that was restarted
            // may belong to a step that has ended.
            Err(_) => self.open_steps(ctx)?.contains(sequence),
        };
        if is_wanted {
            self.note_unregistered(sequence, on, ctx);
        }
        Ok(())
    }
}

/// Returns the dependency that a command requests, if it is not registered.
pub(super) fn unregistered_of(command: &Command, ctx: &Ctx<'_>) -> Option<(Sequence, Unregistered)> {
    let (sequence, kind, name) = match command {
        Command::CallActivity { sequence, name, .. } if ctx.settings.registry.activity(name).is_none() => {
            (sequence, UnregisteredKind::Activity, name.clone())
        }
        Command::CallEntity { sequence, target, .. } => {
            let name = target.entity_name();
            if ctx.settings.registry.entity(name).is_some() {
                return None;
            }
            (sequence, UnregisteredKind::Entity, name.to_owned())
        }
        _ => return None,
    };
    Some((*sequence, unregistered(kind, name, ctx)))
}

fn unregistered(kind: UnregisteredKind, name: String, ctx: &Ctx<'_>) -> Unregistered {
    if ctx.settings.registry.note_missing(&name) {
        tracing::warn!(
            ?kind,
            name,
            "not registered; its callers wait for a build that registers it"
        );
    }
    Unregistered {
        kind,
        name,
        instance: None,
    }
}

/// Notifies an orchestration that an activity of an earlier life waits for a build that registers it.
pub(in crate::engine) fn tell_of_unregistered_activity(
    activity: ActivityKey,
    name: String,
    ctx: &mut Ctx<'_>,
) -> Result<()> {
    let on = unregistered(UnregisteredKind::Activity, name, ctx);
    let message = Message::new(
        ctx.step.next_id(),
        activity.instance,
        awaits(activity.execution, activity.sequence, on),
        Origin::of_stored(None),
    );
    ctx.step.outbound.push(message);
    Ok(())
}

/// Notifies the orchestrations whose calls wait as rows for an entity that its type is not registered.
pub(in crate::engine) fn tell_of_unregistered_entity(id: &InstanceId, ctx: &mut Ctx<'_>) -> Result<()> {
    let on = unregistered(UnregisteredKind::Entity, id.entity_name().to_owned(), ctx);
    let mut range = schema::message::of(ctx.settings.partition_of(id), id, MessageId::MIN);
    loop {
        let page = ctx.reader.page(range.clone(), ctx.settings.limits.page())?;
        for (key, value) in &page.rows {
            let message = Message::from_row(id, key, value)?;
            if let Origin::Step(caller, asked) = message.origin {
                ctx.step
                    .send(id, caller, awaits(asked.execution, asked.sequence, on.clone()));
            }
        }
        match page.rows.last() {
            Some((last, _)) if page.full => range.start = schema::behind(last.clone()),
            _ => return Ok(()),
        }
    }
}

fn awaits(execution: ExecutionId, sequence: Sequence, on: Unregistered) -> Action {
    Action::Order(Box::new(Order::Awaits {
        execution,
        sequence,
        on: Some(on),
    }))
}
