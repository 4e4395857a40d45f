//! What an orchestration waits for that no code of this build provides: noted in its row, at its parents, and once in the log.

use crate::engine::core::Core;
use crate::engine::message::{ActivityKey, Message, Origin};
use crate::engine::orchestration::turn::Stage;
use crate::engine::step::Step;
use crate::error::Result;
use crate::id::{ExecutionId, InstanceId, MessageId, Sequence};
use crate::store::records::Action;
use crate::store::records::history::Command;
use crate::store::records::instance::{Order, Unregistered, UnregisteredKind};
use crate::store::{Reader, keys};

/// How many steps are noted in the row of one orchestration. More of them tell nothing new.
const NOTED: usize = 16;

impl Core {
    /// What a command asks for, if nobody registered it.
    pub(super) fn unregistered_of(&self, command: &Command) -> Option<(Sequence, Unregistered)> {
        let (sequence, kind, name) = match command {
            Command::CallActivity { sequence, name, .. } if self.registry.activity(name).is_none() => {
                (sequence, UnregisteredKind::Activity, name.clone())
            }
            Command::CallEntity { sequence, target, .. } => {
                let name = InstanceId::name_in(target);
                if self.registry.entity(name).is_some() {
                    return None;
                }
                (sequence, UnregisteredKind::Entity, name.to_owned())
            }
            _ => return None,
        };
        Some((*sequence, self.unregistered(kind, name)))
    }

    fn unregistered(&self, kind: UnregisteredKind, name: String) -> Unregistered {
        if self.registry.note_missing(&name) {
            tracing::warn!(
                ?kind,
                name,
                "nobody registered this; what asks for it waits for a build that has it"
            );
        }
        Unregistered {
            kind,
            name,
            instance: None,
        }
    }

    /// Notes what a step waits for, or that it waits for nothing of the kind any more.
    pub(super) fn note_unregistered(
        &mut self,
        stage: &mut Stage<'_>,
        sequence: Sequence,
        on: Option<Unregistered>,
        step: &mut Step,
    ) {
        self.change_unregistered(stage, step, |noted| {
            let before = noted.iter().position(|(known, _)| *known == sequence);
            match (before, on) {
                (Some(at), Some(on)) => noted[at].1 = on,
                (Some(at), None) => drop(noted.remove(at)),
                (None, Some(on)) if noted.len() < NOTED => noted.push((sequence, on)),
                (None, _) => {}
            }
        });
    }

    /// Forgets the steps that nobody waits for any more.
    pub(super) fn forget_unregistered(&mut self, stage: &mut Stage<'_>, step: &mut Step) {
        let Some(instance) = stage.instance.as_mut() else {
            return;
        };
        if instance.record.unregistered.is_empty() {
            return;
        }
        let Some(run) = instance.run.take() else { return };
        self.change_unregistered(stage, step, |noted| noted.retain(|(sequence, _)| run.wants(*sequence)));
        if let Some(instance) = stage.instance.as_mut() {
            instance.run = Some(run);
        }
    }

    fn change_unregistered(
        &mut self,
        stage: &mut Stage<'_>,
        step: &mut Step,
        change: impl FnOnce(&mut Vec<(Sequence, Unregistered)>),
    ) {
        let Some(instance) = stage.instance.as_mut() else {
            return;
        };
        let noted = &mut instance.record.unregistered;
        let before = noted.clone();
        change(noted);
        let now = noted.first().map(|(_, on)| on.clone());
        stage.changed |= *noted != before;
        if now.as_ref() != before.first().map(|(_, on)| on) {
            self.tell_parent_of_unregistered(stage, now, step);
        }
    }

    /// Tells the parent what a sub-orchestration waits for, which is what the parent waits for, too.
    fn tell_parent_of_unregistered(&mut self, stage: &Stage<'_>, on: Option<Unregistered>, step: &mut Step) {
        let Some(parent) = stage.instance.as_ref().and_then(|instance| instance.parent()) else {
            return;
        };
        let order = Order::Awaits {
            execution: parent.execution,
            sequence: parent.sequence,
            on: on.map(|on| Unregistered {
                instance: on.instance.or_else(|| Some(stage.id.as_str().to_owned())),
                ..on
            }),
        };
        self.send(stage.id, InstanceId::trusted(parent.instance.as_str()), order, step);
    }

    /// Notes that an orchestration is stopped because nobody registered it, or goes on.
    pub(super) fn note_unregistered_stop(&mut self, stage: &Stage<'_>, stopped: bool, step: &mut Step) {
        let Some(instance) = stage.instance.as_ref() else {
            return;
        };
        let record = &instance.record;
        let own = stopped.then(|| {
            let name = match record.version.as_str() {
                "" => record.name.clone(),
                version => format!("{} {version}", record.name),
            };
            self.unregistered(UnregisteredKind::Orchestration, name)
        });
        let on = own.or_else(|| record.unregistered.first().map(|(_, on)| on.clone()));
        self.tell_parent_of_unregistered(stage, on, step);
    }

    /// Takes in what a step waits for: another partition, or a row of the life before, told it.
    pub(super) fn take_in_unregistered(
        &mut self,
        stage: &mut Stage<'_>,
        execution: ExecutionId,
        sequence: Sequence,
        on: Option<Unregistered>,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        // One that cannot be brought to life waits for all that its history says.
        if self.wants(stage, execution, Some(sequence), reader)?.unwrap_or(true) {
            self.note_unregistered(stage, sequence, on, step);
        }
        Ok(())
    }

    /// Tells an orchestration that an activity of the life before waits for a build that knows it.
    pub(in crate::engine) fn tell_of_unregistered_activity(
        &mut self,
        activity: ActivityKey,
        name: String,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let on = self.unregistered(UnregisteredKind::Activity, name);
        let message = Message::new(
            step.next_id(),
            activity.instance,
            awaits(activity.execution, activity.sequence, on),
            Origin::of_stored(None),
        );
        self.route(message, step, reader)
    }

    /// Tells the orchestrations whose calls wait as rows for an entity that its type is not registered.
    pub(in crate::engine) fn tell_of_unregistered_entity(
        &mut self,
        id: &InstanceId,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let on = self.unregistered(UnregisteredKind::Entity, id.entity_name().to_owned());
        let mut range = keys::messages_of(self.partition_of(id), id, MessageId::MIN);
        loop {
            let page = reader.page(range.clone(), self.limits.page())?;
            for (key, value) in &page.rows {
                let message = Message::from_row(id, key, value)?;
                if let Origin::Step(caller, asked) = message.origin {
                    step.send(id, caller, awaits(asked.execution, asked.sequence, on.clone()));
                }
            }
            match page.rows.last() {
                Some((last, _)) if page.full => range.start = keys::behind(last.clone()),
                _ => return Ok(()),
            }
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
