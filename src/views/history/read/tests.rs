//! Tests of the histories that readers see.

use serde::Serialize;

use super::*;
use crate::failure::Failure;
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
