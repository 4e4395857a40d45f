//! Rewind: a failed orchestration resumes from before its first failure and keeps its completed steps.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::ctx::Ctx;
use crate::engine::orchestration::children::order_child;
use crate::engine::orchestration::effects::{begin_step, to_start};
use crate::engine::orchestration::end::send;
use crate::engine::orchestration::open_steps::{OpenSteps, opened_by};
use crate::engine::orchestration::state::{PRESENT, erase_execution};
use crate::engine::orchestration::turn::OrchestrationTurn;
use crate::engine::orchestration::unregistered::unregistered_of;
use crate::error::{ErrorKind, Result};
use crate::id::{ExecutionId, Sequence};
use crate::model::Outcome;
use crate::model::history::{Command, Incoming, TurnRecord};
use crate::model::orchestration::{OrchestrationStatus, Order};

/// A history cut before a failure: the kept part, and the steps to repeat.
#[derive(Debug)]
pub(super) struct Cut {
    /// The turns before the delivery of the first failure.
    turns: Vec<TurnRecord>,
    /// Later messages that remain valid: events, and the results of steps that had begun before the cut and succeeded.
    kept: Vec<Incoming>,
    /// The last command of each step that had begun before the cut and did not succeed, by sequence.
    again: BTreeMap<Sequence, Command>,
    /// Those of these steps that are sub-orchestrations and never began, because their ids were in use.
    refused: BTreeSet<Sequence>,
}

impl Cut {
    /// Cuts a history before the first failure that was delivered to its code and that no retry resolved.
    ///
    /// # Errors
    /// Returns the reason why the history cannot be cut.
    pub(super) fn find(turns: Vec<TurnRecord>) -> std::result::Result<Self, &'static str> {
        let failed = final_failures(&turns);
        let is_failure =
            |incoming: &Incoming| matches!(incoming, Incoming::Completed { sequence, .. } if failed.contains(sequence));
        let is_bad = |incoming: &Incoming| is_failure(incoming) && !is_answer(incoming);
        let Some(at) = turns.iter().position(|turn| turn.incoming.iter().any(is_bad)) else {
            return Err("none of its steps failed, so there is nothing to repeat; restart it");
        };
        let mut turns = turns;
        let later = turns.split_off(at);
        let mut open = OpenSteps::default();
        let mut commands: BTreeMap<Sequence, Command> = BTreeMap::new();
        for turn in &turns {
            open.follow(turn);
            for command in &turn.commands {
                if let Some((sequence, _)) = opened_by(command) {
                    commands.insert(sequence, command.clone());
                }
            }
        }
        if open.has_lock() {
            return Err("its first failure was inside a critical section, whose locks were released; restart it");
        }
        let later_answers: BTreeSet<Sequence> = later
            .iter()
            .flat_map(|turn| &turn.incoming)
            .filter(|incoming| is_answer(incoming))
            .filter_map(|incoming| match incoming {
                Incoming::Completed { sequence, .. } => Some(*sequence),
                _ => None,
            })
            .collect();
        let mut done = BTreeSet::new();
        let mut refused = BTreeSet::new();
        let mut kept = Vec::new();
        for incoming in later.into_iter().flat_map(|turn| turn.incoming) {
            match &incoming {
                Incoming::Completed { sequence, .. }
                    if open.contains(*sequence) && is_answer(&incoming) && done.insert(*sequence) =>
                {
                    kept.push(incoming);
                }
                Incoming::Completed {
                    sequence,
                    outcome: Outcome::Runtime(error),
                } if error.kind() == ErrorKind::AlreadyExists => {
                    refused.insert(*sequence);
                }
                Incoming::Raised { .. } => kept.push(incoming),
                _ => {}
            }
        }
        if commands.iter().any(|(sequence, command)| {
            matches!(command, Command::CallEntity { .. })
                && open.contains(*sequence)
                && !done.contains(sequence)
                && !failed.contains(sequence)
        }) {
            return Err(
                "it called an entity and never received the answer, so the operation might run twice; restart it",
            );
        }
        if commands
            .keys()
            .any(|sequence| !open.contains(*sequence) && later_answers.contains(sequence))
        {
            return Err("a step that waited for a retry succeeded after the failure, and would run twice; restart it");
        }
        commands.retain(|sequence, _| open.contains(*sequence) && !done.contains(sequence));
        Ok(Self {
            turns,
            kept,
            again: commands,
            refused,
        })
    }
}

impl Cut {
    /// Returns the sequence number below which all activities requested before the cut lie.
    fn asked_below(&self) -> Sequence {
        let commands = self.turns.iter().flat_map(|turn| &turn.commands);
        let activities = commands.filter_map(|command| match command {
            Command::CallActivity { sequence, .. } => Some(*sequence),
            _ => None,
        });
        activities.max().map_or(0, |last| last + 1)
    }
}

fn is_answer(incoming: &Incoming) -> bool {
    matches!(
        incoming,
        Incoming::Completed {
            outcome: Outcome::Answer(_),
            ..
        }
    )
}

/// Returns the steps whose last outcome was a failure.
fn final_failures(turns: &[TurnRecord]) -> BTreeSet<Sequence> {
    let mut failed = BTreeSet::new();
    for turn in turns {
        for incoming in &turn.incoming {
            if let Incoming::Completed { sequence, .. } = incoming {
                if is_answer(incoming) {
                    failed.remove(sequence);
                } else {
                    failed.insert(*sequence);
                }
            }
        }
    }
    failed
}

impl OrchestrationTurn<'_> {
    /// Creates the execution that continues from a cut.
    pub(super) fn go_on_from(&mut self, cut: Cut, reason: &str, ctx: &mut Ctx<'_>) -> Result<()> {
        let execution = ExecutionId::derive(&ctx.settings.hub, self.id, ctx.step.next_id());
        let mut state = self.state.take().expect(PRESENT);
        // The custom status may come from a kept turn. It remains until the code sets another one.
        let has_custom_status = std::mem::take(&mut state.record.has_custom_status);
        erase_execution(self.id, &state, ctx);
        let record = &mut state.record;
        record.rewind(execution, cut.asked_below());
        record.status = OrchestrationStatus::Running;
        record.has_custom_status = has_custom_status;
        (record.turns, record.events, record.bytes) = (0, 0, 0);
        record.unregistered.clear();
        state.end = None;
        state.run = None;
        ctx.step.trace = ctx.trace_of(&state.record);
        self.state = Some(state);
        self.changed = true;
        tracing::info!(orchestration = %self.id, %execution, reason, "an orchestration is rewound");
        for turn in &cut.turns {
            self.write_turn(turn, ctx)?;
        }
        for (sequence, command) in cut.again {
            let is_child = matches!(command, Command::StartOrchestration { .. }) && !cut.refused.contains(&sequence);
            if !is_child {
                let unregistered = unregistered_of(&command, ctx);
                if let Some(state) = self.state.as_mut() {
                    begin_step(self.id, state, command, ctx)?;
                }
                if let Some((sequence, on)) = unregistered {
                    self.note_unregistered(sequence, Some(on), ctx);
                }
            } else if let Some(state) = self.state.as_mut()
                && let step = ctx.trace_of_step(self.id, execution, &command)
                && let trace = step.or_else(|| ctx.step.trace.clone())
                && let Some((child, start)) = to_start(self.id, &state.record, command, trace)
            {
                // The orchestration with that id, if there is one, decides how to continue.
                let order = |start| Order::Rewind {
                    reason: reason.to_owned(),
                    start: Some(start),
                };
                order_child(self.id, state, child, start, order, ctx);
            }
        }
        for incoming in cut.kept {
            let order = match incoming {
                Incoming::Completed { sequence, outcome } => Order::Completed {
                    execution,
                    sequence,
                    outcome,
                },
                Incoming::Raised { name, payload } => Order::Raise {
                    name,
                    payload,
                    keep_until: None,
                },
                _ => continue,
            };
            send(self.id, self.id.clone(), order, ctx);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::time::Timestamp;

    fn call(sequence: Sequence, attempt: u32) -> Command {
        Command::CallActivity {
            sequence,
            name: "mail".into(),
            input: Vec::new(),
            attempt,
            timeout_ms: None,
        }
    }

    fn answer(sequence: Sequence) -> Incoming {
        Incoming::Completed {
            sequence,
            outcome: Outcome::Answer(b"null".to_vec()),
        }
    }

    fn failure(sequence: Sequence) -> Incoming {
        Incoming::Completed {
            sequence,
            outcome: Outcome::Runtime(Error::new(ErrorKind::Panicked, "oh")),
        }
    }

    fn turns(turns: impl IntoIterator<Item = (Vec<Incoming>, Vec<Command>)>) -> Vec<TurnRecord> {
        let turns = turns.into_iter().map(|(incoming, commands)| TurnRecord {
            incoming,
            commands,
            ..TurnRecord::default()
        });
        turns.collect()
    }

    /// A step that had begun before the failure and succeeded after it keeps its result.
    #[test]
    fn a_result_after_the_failure_is_kept() {
        let cut = Cut::find(turns([
            (vec![], vec![call(1, 1), call(2, 1)]),
            (vec![failure(2)], vec![]),
            (vec![answer(1)], vec![]),
        ]))
        .unwrap();
        assert_eq!((cut.turns.len(), cut.kept), (1, vec![answer(1)]));
        assert_eq!(cut.again, BTreeMap::from([(2, call(2, 1))]));
    }

    /// An attempt that began after the failure and succeeded would run again, so the history cannot be cut.
    #[test]
    fn an_attempt_after_the_failure_is_in_the_way() {
        let delay = Command::CreateTimer {
            sequence: 3,
            due: Timestamp(1),
        };
        let cut = Cut::find(turns([
            (vec![], vec![call(1, 1), call(2, 1)]),
            (vec![failure(1)], vec![delay]),
            (vec![failure(2)], vec![]),
            (vec![answer(3)], vec![call(1, 2)]),
            (vec![answer(1)], vec![]),
        ]));
        assert!(cut.unwrap_err().contains("would run twice"));
    }
}
