//! The history of an orchestration, for people and tools.

use std::collections::HashMap;
use std::time::SystemTime;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::failure::{CallFailure, Failure};
use crate::id::{InstanceId, Sequence};
use crate::model::Outcome;
use crate::model::history::{Command, Incoming, OpenStep, TurnRecord};
use crate::model::orchestration::{EndRecord, OrchestrationStatus};
use crate::views::view::View;
use crate::views::{info, json};
use crate::{model, schema};

/// Number of turns read at once.
const TURNS_AT_ONCE: usize = 1_024;

/// One event of a history: an incoming event, or a request of the code.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct HistoryEvent {
    /// The time at which its turn began.
    #[serde(serialize_with = "json::time")]
    pub time: SystemTime,
    /// The number of that turn, starting at 0.
    pub turn: u32,
    /// The label of its step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The kind of the event and its data.
    #[serde(flatten)]
    pub kind: HistoryEventKind,
}

/// The kind of a [`HistoryEvent`]. Payloads are JSON text.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum HistoryEventKind {
    /// The execution began.
    ExecutionStarted {
        /// The stored name of the type.
        name: String,
        /// The version that it runs. Empty if it has no version.
        version: String,
        /// Its input.
        #[serde(serialize_with = "json::payload")]
        input: String,
        /// The id of the orchestration that waits for it.
        parent: Option<String>,
        /// Its tags.
        tags: Vec<(String, String)>,
    },
    /// The code began a step.
    StepScheduled {
        /// The step's number.
        sequence: u64,
        /// The kind of the step.
        step: HistoryStep,
        /// Its input, if it takes one.
        #[serde(serialize_with = "json::optional_payload")]
        input: Option<String>,
        /// The number of the attempt, starting at 1.
        attempt: u32,
    },
    /// A step completed successfully.
    StepCompleted {
        /// The step's number.
        sequence: u64,
        /// The kind of the step. `None` if the step began before this history does.
        step: Option<HistoryStep>,
        /// The time at which the step, or its last attempt, was scheduled.
        #[serde(serialize_with = "json::optional_time")]
        scheduled: Option<SystemTime>,
        /// Its result. `null` for a step without a result.
        #[serde(serialize_with = "json::payload")]
        result: String,
    },
    /// An attempt of a step failed.
    StepFailed {
        /// The step's number.
        sequence: u64,
        /// The kind of the step. `None` if the step began before this history does.
        step: Option<HistoryStep>,
        /// The time at which the step, or its last attempt, was scheduled.
        #[serde(serialize_with = "json::optional_time")]
        scheduled: Option<SystemTime>,
        /// The error returned by the code of the step.
        failure: Option<Failure>,
        /// The error of the runtime, if the code of the step did not return one.
        error: Option<Error>,
    },
    /// A step was canceled because its result is no longer needed.
    StepCanceled {
        /// The step's number.
        sequence: u64,
        /// The kind of the step.
        step: Option<HistoryStep>,
    },
    /// The code requested something that a limit or a rule of the hub forbids. No part of the request was sent.
    StepRefused {
        /// The step's number. 0 for the end of the execution.
        sequence: u64,
        /// A description of the refused request.
        what: String,
        /// The error that the code received.
        error: Error,
    },
    /// An external event was received.
    EventRaised {
        /// Its name.
        name: String,
        /// Its payload.
        #[serde(serialize_with = "json::payload")]
        payload: String,
    },
    /// The code sent an event to another orchestration.
    EventSent {
        /// The step's number.
        sequence: u64,
        /// The id of the other orchestration.
        instance: String,
        /// The name of the event.
        name: String,
        /// The payload of the event.
        #[serde(serialize_with = "json::payload")]
        payload: String,
    },
    /// The code started another orchestration without waiting for it.
    OrchestrationStarted {
        /// The step's number.
        sequence: u64,
        /// The id of the other orchestration.
        instance: String,
        /// The stored name of its type.
        name: String,
        /// Its input.
        #[serde(serialize_with = "json::payload")]
        input: String,
    },
    /// The code signaled an entity.
    EntitySignaled {
        /// The step's number.
        sequence: u64,
        /// The entity.
        entity: String,
        /// The operation.
        operation: String,
        /// Its arguments.
        #[serde(serialize_with = "json::payload")]
        input: String,
        /// The time at which the signal is due, if it is scheduled.
        #[serde(serialize_with = "json::optional_time")]
        due: Option<SystemTime>,
    },
    /// The code canceled a scheduled signal.
    SignalCanceled {
        /// The step's number.
        sequence: u64,
        /// The entity.
        entity: String,
        /// The id of the timer.
        timer: String,
    },
    /// An operator forcibly released a lock of the execution.
    LockLost {
        /// The number of the step that took the lock.
        sequence: u64,
        /// The entity.
        entity: String,
    },
    /// The execution was suspended.
    ExecutionSuspended {
        /// The reason for the suspension.
        reason: String,
    },
    /// The execution was resumed.
    ExecutionResumed {
        /// The reason for resuming it.
        reason: String,
    },
    /// The execution ended, and the next one began with a new input.
    ContinuedAsNew {
        /// The input of the next execution.
        #[serde(serialize_with = "json::payload")]
        input: String,
        /// The version of the next execution, if it differs.
        version: Option<String>,
    },
    /// The execution returned `Ok`.
    ExecutionCompleted {
        /// Its output.
        #[serde(serialize_with = "json::payload")]
        output: String,
    },
    /// The execution returned `Err`.
    ExecutionFailed {
        /// The error that it returned.
        failure: Failure,
    },
    /// The execution was terminated by a client or canceled by its parent.
    ExecutionTerminated {
        /// The reason for the termination.
        reason: String,
        /// `true` if its parent terminated it, `false` if a client did.
        by_parent: bool,
    },
}

impl HistoryEventKind {
    /// Returns the number of its step, if it is about one.
    fn sequence(&self) -> Option<Sequence> {
        match self {
            Self::StepScheduled { sequence, .. }
            | Self::StepCompleted { sequence, .. }
            | Self::StepFailed { sequence, .. }
            | Self::StepCanceled { sequence, .. }
            | Self::StepRefused { sequence, .. }
            | Self::EventSent { sequence, .. }
            | Self::OrchestrationStarted { sequence, .. }
            | Self::EntitySignaled { sequence, .. }
            | Self::SignalCanceled { sequence, .. }
            | Self::LockLost { sequence, .. } => Some(*sequence),
            Self::ExecutionStarted { .. }
            | Self::EventRaised { .. }
            | Self::ExecutionSuspended { .. }
            | Self::ExecutionResumed { .. }
            | Self::ContinuedAsNew { .. }
            | Self::ExecutionCompleted { .. }
            | Self::ExecutionFailed { .. }
            | Self::ExecutionTerminated { .. } => None,
        }
    }
}

/// The kind of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind")]
#[non_exhaustive]
pub enum HistoryStep {
    /// An activity.
    Activity {
        /// The stored name.
        name: String,
    },
    /// A durable timer.
    Timer {
        /// The time at which it is due.
        #[serde(serialize_with = "json::time")]
        due: SystemTime,
    },
    /// The wait for an external event. The events that were received have their own
    /// [`EventRaised`](HistoryEventKind::EventRaised) entries.
    Event {
        /// The name of the awaited event.
        name: String,
    },
    /// A sub-orchestration.
    SubOrchestration {
        /// The stored name of its type.
        name: String,
        /// Its id.
        instance: String,
    },
    /// A call of an entity.
    EntityCall {
        /// The entity.
        entity: String,
        /// The operation.
        operation: String,
    },
    /// The locks of a critical section.
    Lock {
        /// The entities.
        entities: Vec<String>,
    },
}

/// Reads the history of the newest execution of an orchestration.
pub(crate) fn read(view: View<'_>, id: &InstanceId) -> Result<Vec<HistoryEvent>> {
    let Some(record) = info::record(view, id)? else {
        return Err(Error::no_orchestration(id.as_str()));
    };
    let View { reader, partitions, .. } = view;
    let partition = id.partition(partitions);
    let mut history = History::default();
    let mut next = 0;
    loop {
        let range = schema::orchestration::turns(partition, id, record.execution, next..u32::MAX);
        let rows = reader.scan(range, TURNS_AT_ONCE)?;
        for (_, row) in &rows {
            history.turn(next, model::decode(row, "turn of an orchestration")?);
            next += 1;
        }
        if rows.len() < TURNS_AT_ONCE {
            break;
        }
    }
    if let Some(row) = reader.get(&schema::orchestration::end_key(partition, id))?
        && let EndRecord::Ended(reason) = model::decode(&row, "end of an orchestration")?
    {
        // None of its code ran when it was ended, so no turn contains the end.
        history.events.push(HistoryEvent {
            time: record.changed.into(),
            turn: next,
            label: None,
            kind: HistoryEventKind::ExecutionTerminated {
                reason,
                by_parent: record.status == OrchestrationStatus::Canceled,
            },
        });
    }
    Ok(history.events)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ExecutionId;
    use crate::model::history::{Parent, Started, StepNote};
    use crate::model::orchestration::{OrchestrationRecord, StartRecord};
    use crate::store::{Batch, Model, Store};
    use crate::time::Timestamp;
    use crate::views::info::Payloads;

    const PARTITIONS: u16 = 4;

    fn view(store: &Model) -> View<'_> {
        View {
            reader: store,
            partitions: PARTITIONS,
            live: None,
        }
    }

    /// A store with one orchestration, as the engine writes it.
    struct Stored {
        id: InstanceId,
        record: OrchestrationRecord,
        batch: Batch,
    }

    impl Stored {
        fn new(status: OrchestrationStatus) -> Self {
            Self {
                id: InstanceId::trusted("order-1"),
                record: OrchestrationRecord {
                    name: "ship".into(),
                    version: "2".into(),
                    status,
                    execution: ExecutionId([7; 16]),
                    parent: Some(Parent {
                        instance: "boss".into(),
                        execution: ExecutionId([1; 16]),
                        sequence: 3,
                    }),
                    tags: vec![("k".into(), "v".into())],
                    created: Timestamp(1_000),
                    changed: Timestamp(9_000),
                    ..OrchestrationRecord::default()
                },
                batch: Batch::default(),
            }
        }

        fn put<R: Serialize>(&mut self, key: &[u8], record: &R) {
            self.batch.put(key, &model::encode(record).unwrap());
        }

        fn turn(mut self, time: u64, incoming: Vec<Incoming>, commands: Vec<Command>) -> Self {
            let (execution, turn) = (self.record.execution, self.record.turns);
            let key = schema::orchestration::turn_key(self.id.partition(PARTITIONS), &self.id, execution, turn);
            self.record.turns += 1;
            let time = Timestamp(time);
            self.put(
                &key,
                &TurnRecord {
                    time,
                    incoming,
                    commands,
                    ..TurnRecord::default()
                },
            );
            self
        }

        fn end(mut self, end: &EndRecord) -> Self {
            let key = schema::orchestration::end_key(self.id.partition(PARTITIONS), &self.id);
            self.put(&key, end);
            self
        }

        fn store(mut self) -> (Model, InstanceId) {
            let key = schema::orchestration::key(self.id.partition(PARTITIONS), &self.id);
            let record = self.record.clone();
            self.put(&key, &record);
            let store = Model::new();
            store.write(&self.batch).unwrap();
            (store, self.id)
        }
    }

    fn started() -> Incoming {
        Incoming::Started(Box::new(Started {
            name: "ship".into(),
            version: "2".into(),
            input: b"5".to_vec(),
            ..Started::default()
        }))
    }

    fn answer(sequence: Sequence, answer: &[u8]) -> Incoming {
        let outcome = Outcome::Answer(answer.to_vec());
        Incoming::Completed { sequence, outcome }
    }

    fn call(attempt: u32) -> Command {
        Command::CallActivity {
            sequence: 1,
            name: "charge".into(),
            input: b"{}".to_vec(),
            attempt,
            timeout_ms: None,
        }
    }

    /// Every event of a labeled step has its label, in every turn.
    #[test]
    fn a_label_stands_at_every_event_of_its_step() {
        let note = StepNote {
            label: Some("charge card".into()),
            ..StepNote::default()
        };
        let mut history = History::default();
        history.turn(
            0,
            TurnRecord {
                commands: vec![call(1)],
                notes: vec![(1, note)],
                ..TurnRecord::default()
            },
        );
        history.turn(
            1,
            TurnRecord {
                incoming: vec![answer(2, b"1"), answer(1, b"1")],
                ..TurnRecord::default()
            },
        );
        let labels: Vec<Option<&str>> = history.events.iter().map(|event| event.label.as_deref()).collect();
        assert_eq!(labels, [Some("charge card"), None, Some("charge card")]);
        let shown = serde_json::to_value(&history.events[0]).unwrap();
        assert_eq!(shown["label"], "charge card");
    }

    /// A history shows payloads that are absent or not JSON.
    #[test]
    fn payloads_of_every_kind_are_shown() {
        let shown = |input: &[u8]| {
            let event = History::default().command(
                Command::ContinueAsNew {
                    input: input.to_vec(),
                    version: None,
                    keep_events: false,
                },
                SystemTime::UNIX_EPOCH,
            );
            serde_json::to_value(event).unwrap()["input"].clone()
        };
        assert_eq!(shown(b""), serde_json::Value::Null);
        assert_eq!(shown(b"[1]"), serde_json::json!([1]));
        assert_eq!(shown(b"\0\xff"), serde_json::json!({ "base64": "/w==" }));
    }

    /// Every event has the time of its turn. The end of a step has the kind of the step and the time at which its last
    /// attempt began, also after a retry.
    #[test]
    fn a_completion_names_what_it_completes() {
        let failed = Incoming::Completed {
            sequence: 1,
            outcome: Outcome::Returned(Failure::message("no")),
        };
        let timer = Command::CreateTimer {
            sequence: 2,
            due: Timestamp(3_000),
        };
        let raised = Incoming::Raised {
            name: "go".into(),
            payload: b"true".to_vec(),
        };
        let (store, id) = Stored::new(OrchestrationStatus::Completed)
            .turn(1_000, vec![started()], vec![call(1)])
            .turn(2_000, vec![failed], vec![timer])
            .turn(3_000, vec![answer(2, b"null")], vec![call(2)])
            .turn(
                4_000,
                vec![answer(1, b"[1]"), raised, answer(9, b"0")],
                vec![Command::Complete { output: b"6".to_vec() }],
            )
            .end(&EndRecord::Completed(b"6".to_vec()))
            .store();
        let events = read(view(&store), &id).unwrap();
        let shown: Vec<serde_json::Value> = events
            .iter()
            .map(|event| serde_json::to_value(event).unwrap())
            .collect();
        let second = |second: u32| serde_json::Value::from(format!("1970-01-01T00:00:0{second}Z"));
        let order = [
            ("ExecutionStarted", 1, 0),
            ("StepScheduled", 1, 0),
            ("StepFailed", 2, 1),
            ("StepScheduled", 2, 1),
            ("StepCompleted", 3, 2),
            ("StepScheduled", 3, 2),
            ("StepCompleted", 4, 3),
            ("EventRaised", 4, 3),
            ("StepCompleted", 4, 3),
            ("ExecutionCompleted", 4, 3),
        ];
        assert_eq!(shown.len(), order.len());
        for (event, (name, time, turn)) in shown.iter().zip(order) {
            assert_eq!(event["event"], name);
            assert_eq!(
                (&event["time"], &event["turn"]),
                (&second(time), &turn.into()),
                "{name}"
            );
        }
        let charge = serde_json::json!({ "kind": "Activity", "name": "charge" });
        let about = |at: usize| (shown[at]["step"].clone(), shown[at]["scheduled"].clone());
        assert_eq!(about(2), (charge.clone(), second(1)));
        assert_eq!(shown[2]["failure"]["message"], "no");
        assert_eq!(shown[4]["step"]["due"], second(3));
        assert_eq!(about(6), (charge, second(3)));
        assert_eq!(shown[6]["result"], serde_json::json!([1]));
        assert_eq!(about(8), (serde_json::Value::Null, serde_json::Value::Null));
        assert_eq!(shown[9]["output"], 6);
    }

    /// The termination of an orchestration is the last event of its history, although no turn contains it.
    #[test]
    fn an_end_from_outside_is_the_last_event() {
        for (status, by_parent) in [
            (OrchestrationStatus::Terminated, false),
            (OrchestrationStatus::Canceled, true),
        ] {
            let (store, id) = Stored::new(status)
                .turn(1_000, vec![started()], Vec::new())
                .end(&EndRecord::Ended("why".into()))
                .store();
            let events = read(view(&store), &id).unwrap();
            let last = serde_json::json!({
                "event": "ExecutionTerminated", "reason": "why", "byParent": by_parent,
                "turn": 1, "time": "1970-01-01T00:00:09Z"
            });
            assert_eq!(serde_json::to_value(&events[1]).unwrap(), last);
        }
    }

    /// The input is read from the first turn, or from the row of the start if there is no turn yet.
    #[test]
    fn an_input_is_found_before_and_after_the_start() {
        let all = Payloads {
            input: true,
            others: true,
        };
        let (store, id) = Stored::new(OrchestrationStatus::Running)
            .turn(1_000, vec![started()], Vec::new())
            .store();
        let info = info::read(view(&store), &id, all).unwrap().unwrap();
        assert_eq!(info.input.as_deref(), Some("5"));
        assert_eq!(info.parent.as_deref(), Some("boss"));

        let mut pending = Stored::new(OrchestrationStatus::Pending);
        let start = StartRecord {
            input: b"6".to_vec(),
            ..StartRecord::default()
        };
        let key = schema::orchestration::start_key(pending.id.partition(PARTITIONS), &pending.id);
        pending.put(&key, &start);
        let (store, id) = pending.store();
        let info = info::read(view(&store), &id, all).unwrap().unwrap();
        assert_eq!(info.input.as_deref(), Some("6"));
        let absent = InstanceId::trusted("absent");
        assert!(info::read(view(&store), &absent, all).unwrap().is_none());
    }
}
