//! Reads histories from their turns.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::Range;
use std::time::SystemTime;

use crate::error::{Error, Result};
use crate::failure::CallFailure;
use crate::id::{InstanceId, Sequence};
use crate::model::Outcome;
use crate::model::history::{Command, Incoming, OpenStep, TurnRecord};
use crate::model::orchestration::{EndRecord, OrchestrationStatus};
use crate::views::history::{HistoryEvent, HistoryEventKind, HistoryPart, HistoryStep};
use crate::views::turns::read_turns;
use crate::views::view::View;
use crate::views::{info, json, orchestrations};
use crate::{model, schema};

/// Reads the history of the newest execution of an orchestration.
pub(crate) fn read(view: View<'_>, id: &InstanceId) -> Result<Vec<HistoryEvent>> {
    Ok(read_part(view, id, 0..u32::MAX)?.events)
}

/// Reads some turns of the history of the newest execution of an orchestration. The end of an orchestration that was
/// ended from outside follows its last turn.
pub(crate) fn read_part(view: View<'_>, id: &InstanceId, turns: Range<u32>) -> Result<HistoryPart> {
    let Some(mut record) = info::record(view, id)? else {
        return Err(Error::no_orchestration(id.as_str()));
    };
    let View { reader, partitions, .. } = view;
    let partition = id.partition(partitions);
    orchestrations::catch_up(reader, partition, id, &mut record)?;
    let mut history = History::default();
    // The steps that complete in this part may have begun in any turn before it.
    read_turns(reader, partition, id, &record, 0..turns.end, |number, turn| {
        history.turn(number, turn);
        if number < turns.start {
            history.events.clear();
        }
        true
    })?;
    // It is also there for a reader that continues after the last turn.
    let last = record.turns.saturating_sub(1);
    if (turns.contains(&last) || turns.contains(&record.turns))
        && let Some(row) = reader.get(&schema::orchestration::end_key(partition, id))?
        && let EndRecord::Ended(reason) = model::decode(&row, "end of an orchestration")?
    {
        // None of its code ran when it was ended, so no turn contains the end.
        history.events.push(HistoryEvent {
            time: record.changed.into(),
            turn: record.turns,
            label: None,
            kind: HistoryEventKind::ExecutionTerminated {
                reason,
                by_parent: record.status == OrchestrationStatus::Canceled,
            },
        });
    }
    Ok(HistoryPart {
        events: history.events,
        turns: record.turns,
    })
}

/// A history under construction from turns.
#[derive(Default)]
struct History {
    events: Vec<HistoryEvent>,
    /// The steps that have not ended, and the time at which each was last scheduled.
    steps: HashMap<Sequence, (HistoryStep, SystemTime)>,
    /// The labels of the steps.
    labels: HashMap<Sequence, String>,
}

impl History {
    fn turn(&mut self, number: u32, turn: TurnRecord) {
        let time = turn.time.into();
        for (sequence, note) in turn.notes {
            self.labels.extend(note.label.map(|label| (sequence, label)));
        }
        for incoming in turn.incoming {
            let kind = self.incoming(incoming);
            self.push(time, number, kind);
        }
        for command in turn.commands {
            let kind = self.command(command, time);
            self.push(time, number, kind);
        }
    }

    fn push(&mut self, time: SystemTime, turn: u32, kind: HistoryEventKind) {
        let label = kind.sequence().and_then(|sequence| self.labels.get(&sequence)).cloned();
        self.events.push(HistoryEvent {
            time,
            turn,
            label,
            kind,
        });
    }

    fn incoming(&mut self, incoming: Incoming) -> HistoryEventKind {
        match incoming {
            Incoming::Started(started) => HistoryEventKind::ExecutionStarted {
                name: started.name,
                version: started.version,
                input: json::text(started.input),
                parent: started.parent.map(|parent| parent.instance.to_string()),
                tags: started.tags,
            },
            Incoming::Completed { sequence, outcome } => self.completed(sequence, outcome),
            Incoming::Raised { name, payload } => HistoryEventKind::EventRaised {
                name,
                payload: json::text(payload),
            },
            Incoming::LockLost { lock, entity } => HistoryEventKind::LockLost {
                sequence: lock,
                entity: entity.to_string(),
            },
            Incoming::Suspended { reason } => HistoryEventKind::ExecutionSuspended { reason },
            Incoming::Resumed { reason } => HistoryEventKind::ExecutionResumed { reason },
        }
    }

    fn completed(&mut self, sequence: Sequence, outcome: Outcome) -> HistoryEventKind {
        // The entry is kept: a failed step may be retried, and the step of a granted lock is released later.
        let (step, scheduled) = self.steps.get(&sequence).cloned().unzip();
        match Result::from(outcome) {
            Ok(answer) => HistoryEventKind::StepCompleted {
                sequence,
                step,
                scheduled,
                result: json::text(answer),
            },
            Err(failure) => {
                let (failure, error) = match failure {
                    CallFailure::Returned(failure) => (Some(failure), None),
                    CallFailure::Runtime(error) => (None, Some(error)),
                };
                HistoryEventKind::StepFailed {
                    sequence,
                    step,
                    scheduled,
                    failure,
                    error,
                }
            }
        }
    }

    fn scheduled(
        &mut self,
        sequence: Sequence,
        step: HistoryStep,
        input: Option<Vec<u8>>,
        attempt: u32,
        time: SystemTime,
    ) -> HistoryEventKind {
        self.steps.insert(sequence, (step.clone(), time));
        HistoryEventKind::StepScheduled {
            sequence,
            step,
            input: input.map(json::text),
            attempt,
        }
    }

    fn command(&mut self, command: Command, time: SystemTime) -> HistoryEventKind {
        match command {
            Command::CallActivity {
                sequence,
                name,
                input,
                attempt,
                ..
            } => self.scheduled(sequence, HistoryStep::Activity { name }, Some(input), attempt, time),
            Command::CreateTimer { sequence, due } => {
                let step = HistoryStep::Timer { due: due.into() };
                self.scheduled(sequence, step, None, 1, time)
            }
            Command::WaitForEvent { sequence, name } => {
                self.scheduled(sequence, HistoryStep::Event { name }, None, 1, time)
            }
            Command::StartOrchestration {
                sequence,
                instance,
                name,
                input,
                wait,
                attempt,
                ..
            } => {
                if wait {
                    let step = HistoryStep::SubOrchestration {
                        name,
                        instance: instance.to_string(),
                    };
                    return self.scheduled(sequence, step, Some(input), attempt, time);
                }
                HistoryEventKind::OrchestrationStarted {
                    sequence,
                    instance: instance.to_string(),
                    name,
                    input: json::text(input),
                }
            }
            Command::CallEntity {
                sequence,
                target,
                operation,
                arguments,
                ..
            } => {
                let step = HistoryStep::EntityCall {
                    entity: target.to_string(),
                    operation,
                };
                self.scheduled(sequence, step, Some(arguments), 1, time)
            }
            Command::Lock { sequence, entities } => self.scheduled(
                sequence,
                HistoryStep::Lock {
                    entities: texts(&entities),
                },
                None,
                1,
                time,
            ),
            Command::Cancel { sequence, step } => self.canceled(sequence, step),
            Command::SignalEntity {
                sequence,
                target,
                operation,
                arguments,
                at,
            } => HistoryEventKind::EntitySignaled {
                sequence,
                entity: target.to_string(),
                operation,
                input: json::text(arguments),
                due: at.map(|(_, due)| due.into()),
            },
            Command::CancelSignal {
                sequence,
                target,
                timer,
            } => HistoryEventKind::SignalCanceled {
                sequence,
                entity: target.to_string(),
                timer,
            },
            Command::SendEvent {
                sequence,
                instance,
                name,
                payload,
            } => HistoryEventKind::EventSent {
                sequence,
                instance: instance.to_string(),
                name,
                payload: json::text(payload),
            },
            Command::ContinueAsNew { input, version, .. } => HistoryEventKind::ContinuedAsNew {
                input: json::text(input),
                version,
            },
            Command::Complete { output } => HistoryEventKind::ExecutionCompleted {
                output: json::text(output),
            },
            Command::Fail { failure } => HistoryEventKind::ExecutionFailed { failure },
            Command::Refuse { sequence, what, error } => HistoryEventKind::StepRefused { sequence, what, error },
        }
    }

    fn canceled(&mut self, sequence: Sequence, open: OpenStep) -> HistoryEventKind {
        let known = self.steps.remove(&sequence).map(|(step, _)| step);
        if let OpenStep::Lock {
            entities,
            granted: true,
        } = open
        {
            let entities = texts(&entities);
            let step = HistoryStep::Lock { entities };
            return HistoryEventKind::LockReleased { sequence, step };
        }
        // The data of the command replaces the start of the step if that is not known.
        let step = known.or(match open {
            OpenStep::Timer { due } => Some(HistoryStep::Timer { due: due.into() }),
            OpenStep::Lock { entities, .. } => Some(HistoryStep::Lock {
                entities: texts(&entities),
            }),
            OpenStep::Activity | OpenStep::Event | OpenStep::Child { .. } | OpenStep::Call { .. } => None,
        });
        HistoryEventKind::StepCanceled { sequence, step }
    }
}

fn texts(ids: &[InstanceId]) -> Vec<String> {
    ids.iter().map(InstanceId::to_string).collect()
}
