//! The open steps of an execution, derived from its history alone.

use std::collections::BTreeMap;

use crate::engine::ctx::Ctx;
use crate::engine::orchestration::state::present;
use crate::engine::orchestration::turn::OrchestrationTurn;
use crate::error::Result;
use crate::id::Sequence;
use crate::model::history::{Command, Incoming, OpenStep, TurnRecord};
use crate::views::turns::read_turns;

/// The steps that a history began and did not end, by sequence.
#[derive(Debug, Default)]
pub(super) struct OpenSteps(BTreeMap<Sequence, OpenStep>);

impl OpenSteps {
    /// Processes the next turn.
    pub(super) fn follow(&mut self, turn: &TurnRecord) {
        for incoming in &turn.incoming {
            if let Incoming::Completed { sequence, .. } = incoming {
                self.complete(*sequence);
            }
        }
        for command in &turn.commands {
            match command {
                Command::Cancel { sequence, .. } => {
                    self.0.remove(sequence);
                }
                _ => {
                    if let Some((sequence, step)) = opened_by(command) {
                        self.0.insert(sequence, step);
                    }
                }
            }
        }
    }

    /// Completes a step. A granted lock stays open until its release. Any other step ends.
    fn complete(&mut self, sequence: Sequence) {
        match self.0.get_mut(&sequence) {
            Some(OpenStep::Lock { granted, .. }) => *granted = true,
            _ => {
                self.0.remove(&sequence);
            }
        }
    }

    pub(super) fn contains(&self, sequence: Sequence) -> bool {
        self.0.contains_key(&sequence)
    }

    /// Returns `true` if a lock is held or requested.
    pub(super) fn has_lock(&self) -> bool {
        self.0.values().any(|step| matches!(step, OpenStep::Lock { .. }))
    }

    pub(super) fn into_steps(self) -> BTreeMap<Sequence, OpenStep> {
        self.0
    }
}

impl OrchestrationTurn<'_> {
    /// Reads the open steps of the execution from its history.
    pub(super) fn open_steps(&mut self, ctx: &Ctx<'_>) -> Result<OpenSteps> {
        let record = &present(&mut self.state).record;
        let mut open = OpenSteps::default();
        let partition = ctx.settings.partition_of(self.id);
        read_turns(ctx.reader, partition, self.id, record, 0..record.turns, |_, turn| {
            open.follow(&turn);
            true
        })?;
        Ok(open)
    }
}

/// Returns the step that a command begins, if it begins one that can be open.
pub(super) fn opened_by(command: &Command) -> Option<(Sequence, OpenStep)> {
    Some(match command {
        Command::CallActivity { sequence, .. } => (*sequence, OpenStep::Activity),
        Command::CreateTimer { sequence, due } => (*sequence, OpenStep::Timer { due: *due }),
        Command::WaitForEvent { sequence, .. } => (*sequence, OpenStep::Event),
        Command::StartOrchestration {
            sequence,
            instance,
            wait: true,
            ..
        } => (
            *sequence,
            OpenStep::Child {
                instance: instance.clone(),
            },
        ),
        Command::CallEntity { sequence, target, .. } => (*sequence, OpenStep::Call { target: target.clone() }),
        Command::Lock { sequence, entities } => (
            *sequence,
            OpenStep::Lock {
                entities: entities.clone(),
                granted: false,
            },
        ),
        _ => return None,
    })
}
