//! Histories in the format of Azure's API, where the event that ends a step also describes the event that began it.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::failure::Failure;
use crate::history::{HistoryEvent, HistoryEventKind, HistoryStep};
use crate::http::documents::{FailureDocument, Raw, time};

/// Event of a history. Fields that its kind lacks are omitted.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(in crate::http) struct HistoryEventDocument {
    /// Kind of the event, such as `ExecutionStarted`, `TaskCompleted` or `EventRaised`.
    event_type: &'static str,
    /// Time of the event.
    #[schema(format = DateTime)]
    timestamp: String,
    /// Orchestration, activity or operation that began or has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    function_name: Option<String>,
    /// Name of the activity, orchestration or operation that has not ended, or of the event that was raised or sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Label of the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// Target orchestration or entity.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
    /// Entities of a critical section.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entities: Vec<String>,
    /// Number of the attempt, from the second attempt on.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    /// Input of the execution or step, or payload of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Raw>,
    /// Time at which an ended step was scheduled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    scheduled_time: Option<String>,
    /// Due time of a timer or a scheduled signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    fire_at: Option<String>,
    /// Status with which the orchestration ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    orchestration_status: Option<&'static str>,
    /// Result of the step or the orchestration.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Raw>,
    /// Reason of a failure, suspension, resumption or end.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The full error.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_details: Option<FailureDocument>,
}

/// Payloads of a history to show.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Shown {
    pub(in crate::http) inputs: bool,
    pub(in crate::http) outputs: bool,
}

/// Converts events into the format of Azure's API, in the same order.
pub(in crate::http) fn history(events: Vec<HistoryEvent>, shown: Shown) -> Vec<HistoryEventDocument> {
    let mut history = History {
        shown,
        events: Vec::with_capacity(events.len()),
        open: HashMap::new(),
    };
    for event in events {
        history.add(event);
    }
    history.events.into_iter().flatten().collect()
}

/// A history under construction.
struct History {
    shown: Shown,
    /// The events; `None` where one was merged into another.
    events: Vec<Option<HistoryEventDocument>>,
    /// Positions in `events` of the steps that have not ended.
    open: HashMap<u64, usize>,
}

impl History {
    fn add(&mut self, event: HistoryEvent) {
        let timestamp = time(event.time);
        if let Some(document) = self.document(event.kind) {
            self.events.push(Some(HistoryEventDocument {
                timestamp,
                label: event.label,
                ..document
            }));
        }
    }

    /// Returns the event without its time, or `None` if Azure's API has no such event.
    fn document(&mut self, kind: HistoryEventKind) -> Option<HistoryEventDocument> {
        let document = match kind {
            HistoryEventKind::ExecutionStarted { name, input, .. } => HistoryEventDocument {
                event_type: "ExecutionStarted",
                function_name: Some(name),
                input: self.input(input),
                ..HistoryEventDocument::default()
            },
            HistoryEventKind::StepScheduled {
                sequence,
                step,
                input,
                attempt,
            } => {
                let document = self.scheduled(step, input, attempt)?;
                self.open.insert(sequence, self.events.len());
                document
            }
            HistoryEventKind::StepCompleted { sequence, result, .. } => {
                let ended = self.end(sequence, "Completed")?;
                HistoryEventDocument {
                    result: ended.answers().then(|| self.output(result)).flatten(),
                    ..ended
                }
            }
            HistoryEventKind::StepFailed {
                sequence,
                failure,
                error,
                ..
            } => {
                let (reason, details) = match (failure, error) {
                    (Some(failure), _) => failed(failure),
                    (None, Some(error)) => (error.to_string(), FailureDocument::from(error)),
                    (None, None) => failed(Failure::message("")),
                };
                HistoryEventDocument {
                    reason: Some(reason),
                    failure_details: Some(details),
                    ..self.end(sequence, "Failed")?
                }
            }
            HistoryEventKind::LockReleased { step, .. } => HistoryEventDocument {
                event_type: "EntityLockReleased",
                entities: match step {
                    HistoryStep::Lock { entities } => entities,
                    _ => Vec::new(),
                },
                ..HistoryEventDocument::default()
            },
            HistoryEventKind::StepCanceled { sequence, .. } => self.end(sequence, "Canceled")?,
            HistoryEventKind::StepRefused { what, error, .. } => HistoryEventDocument {
                event_type: "TaskRefused",
                name: Some(what),
                reason: Some(error.to_string()),
                failure_details: Some(FailureDocument::from(error)),
                ..HistoryEventDocument::default()
            },
            HistoryEventKind::EventRaised { name, payload } => HistoryEventDocument {
                event_type: "EventRaised",
                name: Some(name),
                input: self.input(payload),
                ..HistoryEventDocument::default()
            },
            HistoryEventKind::EventSent {
                instance,
                name,
                payload,
                ..
            } => self.sent("EventSent", instance, name, payload),
            HistoryEventKind::OrchestrationStarted {
                instance, name, input, ..
            } => self.sent("SubOrchestrationInstanceCreated", instance, name, input),
            HistoryEventKind::EntitySignaled {
                entity,
                operation,
                input,
                due,
                ..
            } => HistoryEventDocument {
                fire_at: due.map(time),
                ..self.sent("EntityOperationSignaled", entity, operation, input)
            },
            HistoryEventKind::SignalCanceled { entity, timer, .. } => HistoryEventDocument {
                event_type: "EntityOperationSignalCanceled",
                instance_id: Some(entity),
                name: Some(timer),
                ..HistoryEventDocument::default()
            },
            HistoryEventKind::LockLost { entity, .. } => HistoryEventDocument {
                event_type: "EntityLockLost",
                instance_id: Some(entity),
                ..HistoryEventDocument::default()
            },
            HistoryEventKind::ExecutionSuspended { reason } => because("ExecutionSuspended", reason),
            HistoryEventKind::ExecutionResumed { reason } => because("ExecutionResumed", reason),
            HistoryEventKind::ContinuedAsNew { input, .. } => HistoryEventDocument {
                event_type: "ContinueAsNew",
                orchestration_status: Some("ContinuedAsNew"),
                result: self.output(input),
                ..HistoryEventDocument::default()
            },
            HistoryEventKind::ExecutionCompleted { output } => HistoryEventDocument {
                event_type: "ExecutionCompleted",
                orchestration_status: Some("Completed"),
                result: self.output(output),
                ..HistoryEventDocument::default()
            },
            HistoryEventKind::ExecutionFailed { failure } => {
                let (text, details) = failed(failure);
                HistoryEventDocument {
                    event_type: "ExecutionCompleted",
                    orchestration_status: Some("Failed"),
                    result: Some(Raw::text(&text)),
                    failure_details: Some(details),
                    ..HistoryEventDocument::default()
                }
            }
            HistoryEventKind::ExecutionTerminated { reason, by_parent } => HistoryEventDocument {
                orchestration_status: Some(if by_parent { "Canceled" } else { "Terminated" }),
                ..because("ExecutionTerminated", reason)
            },
        };
        Some(document)
    }

    /// Returns the event of a scheduled step. The wait for an event has none, because the event itself is shown.
    fn scheduled(&self, step: HistoryStep, input: Option<String>, attempt: u32) -> Option<HistoryEventDocument> {
        let document = HistoryEventDocument {
            attempt: (attempt > 1).then_some(attempt),
            input: input.and_then(|input| self.input(input)),
            ..HistoryEventDocument::default()
        };
        Some(match step {
            HistoryStep::Activity { name } => HistoryEventDocument {
                event_type: "TaskScheduled",
                name: Some(name),
                ..document
            },
            HistoryStep::Timer { due } => HistoryEventDocument {
                event_type: "TimerCreated",
                fire_at: Some(time(due)),
                ..document
            },
            HistoryStep::SubOrchestration { name, instance } => HistoryEventDocument {
                event_type: "SubOrchestrationInstanceCreated",
                name: Some(name),
                instance_id: Some(instance),
                ..document
            },
            HistoryStep::EntityCall { entity, operation } => HistoryEventDocument {
                event_type: "EntityOperationCalled",
                name: Some(operation),
                instance_id: Some(entity),
                ..document
            },
            HistoryStep::Lock { entities } => HistoryEventDocument {
                event_type: "EntityLockRequested",
                entities,
                ..document
            },
            HistoryStep::Event { .. } => return None,
        })
    }

    /// Returns the end of a step, merged with the event that began it. That event is removed from the history.
    fn end(&mut self, sequence: u64, how: &'static str) -> Option<HistoryEventDocument> {
        let begun = self.events[self.open.remove(&sequence)?].take()?;
        let event_type = match (begun.event_type, how) {
            ("TaskScheduled", "Completed") => "TaskCompleted",
            ("TaskScheduled", "Failed") => "TaskFailed",
            ("TaskScheduled", _) => "TaskCanceled",
            ("TimerCreated", "Completed") => "TimerFired",
            ("TimerCreated", _) => "TimerCanceled",
            ("SubOrchestrationInstanceCreated", "Completed") => "SubOrchestrationInstanceCompleted",
            ("SubOrchestrationInstanceCreated", "Failed") => "SubOrchestrationInstanceFailed",
            ("SubOrchestrationInstanceCreated", _) => "SubOrchestrationInstanceCanceled",
            ("EntityOperationCalled", "Completed") => "EntityOperationCompleted",
            ("EntityOperationCalled", "Failed") => "EntityOperationFailed",
            ("EntityOperationCalled", _) => "EntityOperationCanceled",
            (_, "Completed") => "EntityLockGranted",
            (_, _) => "EntityLockReleased",
        };
        Some(HistoryEventDocument {
            event_type,
            timestamp: String::new(),
            function_name: begun.name.clone(),
            name: None,
            scheduled_time: Some(begun.timestamp),
            ..begun
        })
    }

    fn sent(&self, event_type: &'static str, instance: String, name: String, input: String) -> HistoryEventDocument {
        HistoryEventDocument {
            event_type,
            instance_id: Some(instance),
            name: Some(name),
            input: self.input(input),
            ..HistoryEventDocument::default()
        }
    }

    fn input(&self, json: String) -> Option<Raw> {
        self.shown.inputs.then(|| Raw::new(json))
    }

    fn output(&self, json: String) -> Option<Raw> {
        self.shown.outputs.then(|| Raw::new(json))
    }
}

impl HistoryEventDocument {
    /// Returns `true` if the end of the step has a result.
    fn answers(&self) -> bool {
        !matches!(self.event_type, "TimerFired" | "EntityLockGranted")
    }
}

fn because(event_type: &'static str, reason: String) -> HistoryEventDocument {
    HistoryEventDocument {
        event_type,
        reason: Some(reason),
        ..HistoryEventDocument::default()
    }
}

fn failed(failure: Failure) -> (String, FailureDocument) {
    (failure.to_string(), failure.into())
}
