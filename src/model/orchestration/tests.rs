//! The bytes of the rows and orders of orchestrations are part of the stored format and may never change.

use super::*;
use crate::model::tests::{TRACE, pinned, trace};

const EXECUTION: ExecutionId = ExecutionId(*b"0123456789abcdef");

fn owner() -> LockId {
    LockId {
        instance: "i".into(),
        execution: EXECUTION,
        sequence: 130,
    }
}

fn parent() -> Parent {
    Parent {
        instance: "p".into(),
        execution: EXECUTION,
        sequence: 3,
    }
}

#[test]
fn locks_are_pinned() {
    let lock = LockRecord {
        owner: owner(),
        since: Timestamp(2),
    };
    pinned(&lock, b"\x01\x01i0123456789abcdef\x82\x01\x02");
    let rest = || VecDeque::from(["@a@b".into(), "@c@".into()]);
    let take = LockOrder::Take {
        owner: owner(),
        rest: rest(),
    };
    pinned(&take, b"\x01\x00\x01i0123456789abcdef\x82\x01\x02\x04@a@b\x03@c@");
    let release = LockOrder::Release {
        owner: owner(),
        rest: rest(),
    };
    pinned(&release, b"\x01\x01\x01i0123456789abcdef\x82\x01\x02\x04@a@b\x03@c@");
    pinned(&LockOrder::Force, b"\x01\x02");
}

#[test]
fn orchestrations_and_their_ends_are_pinned() {
    let instance = OrchestrationRecord {
        name: "n".into(),
        version: "v".into(),
        status: OrchestrationStatus::Suspended,
        execution: EXECUTION,
        parent: Some(parent()),
        tags: vec![("k".into(), "t".into())],
        created: Timestamp(1),
        changed: Timestamp(2),
        stopped: Some(Stopped {
            kind: StopKind::Unregistered,
            message: "m".into(),
        }),
        turns: 3,
        events: 4,
        bytes: 5,
        has_custom_status: true,
        since: MessageId { batch: 6, index: 7 },
        rewound: vec![(8, EXECUTION)],
        unregistered: vec![(
            9,
            Unregistered {
                kind: UnregisteredKind::Entity,
                name: "u".into(),
                instance: Some("c".into()),
            },
        )],
        start_order: Some(MessageId { batch: 10, index: 11 }),
        trace: Some(trace()),
    };
    let bytes = [&b"\x01\x01n\x01v\x070123456789abcdef\x01\x01p0123456789abcdef\x03\x01\x01k\x01t\x01\x02\x01\x05\x01m\x03\x04\x05\x01\x06\x07\x01\x080123456789abcdef\x01\t\x01\x01u\x01\x01c\x01\n\x0b\x01"[..], TRACE].concat();
    pinned(&instance, bytes.leak());
    pinned(&EndRecord::Completed(b"5".to_vec()), b"\x01\x00\x015");
    pinned(
        &EndRecord::Failed(Failure::message("m")),
        b"\x01\x01\x07Failure\x01m\x00\x00\x00\x00",
    );
    pinned(&EndRecord::Ended("r".into()), b"\x01\x02\x01r");
}

#[test]
fn activities_and_early_events_are_pinned() {
    let activity = ActivityRecord {
        name: "n".into(),
        input: b"1".to_vec(),
        attempt: 2,
        timeout_ms: Some(3),
        asked_by: EXECUTION,
        started: Some(300),
        crashes: vec![Timestamp(4)],
        trace: None,
    };
    pinned(
        &activity,
        b"\x01\x01n\x011\x02\x01\x030123456789abcdef\x01\xac\x02\x01\x04\x00",
    );
    let event = EarlyEventRecord {
        name: "n".into(),
        payload: b"1".to_vec(),
    };
    pinned(&event, b"\x01\x01n\x011");
    let place = EarlyPlaceRecord {
        expires: Timestamp(2),
        bytes: 130,
    };
    pinned(&place, b"\x01\x02\x82\x01");
    pinned(&EarlyCountRecord { events: 1, bytes: 2 }, b"\x01\x01\x02");
}

#[test]
fn orders_of_every_kind_are_pinned() {
    let start = StartRecord {
        name: "n".into(),
        version: Some("v".into()),
        input: b"1".to_vec(),
        tags: vec![("k".into(), "t".into())],
        parent: Some(parent()),
        order: Some(MessageId { batch: 4, index: 5 }),
        at: Some(Timestamp(2)),
        reuse: ReusePolicy::Terminate,
        events: vec![("e".into(), serde_bytes::ByteBuf::from(b"2".to_vec()))],
        trace: Some(trace()),
    };
    let bytes = b"\x01\x00\x01n\x01\x01v\x011\x01\x01k\x01t\x01\x01p0123456789abcdef\x03\x01\x04\x05\x01\x02\x02\x01\x01e\x012\x01";
    pinned(&Order::Start(Box::new(start)), [&bytes[..], TRACE].concat().leak());
    let completed = Order::Completed {
        execution: EXECUTION,
        sequence: 1,
        outcome: Outcome::Answer(b"2".to_vec()),
    };
    pinned(&completed, b"\x01\x010123456789abcdef\x01\x00\x012");
    let raise = Order::Raise {
        name: "n".into(),
        payload: b"1".to_vec(),
        keep_until: Some(Timestamp(2)),
    };
    pinned(&raise, b"\x01\x02\x01n\x011\x01\x02");
    let lost = Order::LockLost {
        execution: EXECUTION,
        lock: 1,
        entity: "@a@b".into(),
    };
    pinned(&lost, b"\x01\x030123456789abcdef\x01\x04@a@b");
    let reason = || "r".to_owned();
    pinned(
        &Order::CancelChild {
            parent: parent(),
            reason: None,
            terminated: true,
        },
        b"\x01\x04\x01p0123456789abcdef\x03\x00\x01",
    );
    pinned(
        &Order::Terminate {
            reason: reason(),
            children: true,
        },
        b"\x01\x05\x01r\x01",
    );
    pinned(&Order::Suspend { reason: reason() }, b"\x01\x06\x01r");
    pinned(&Order::Resume { reason: reason() }, b"\x01\x07\x01r");
    pinned(
        &Order::Rewind {
            reason: reason(),
            start: Some(Box::new(StartRecord {
                parent: Some(parent()),
                ..StartRecord::default()
            })),
        },
        b"\x01\x08\x01r\x01\x00\x00\x00\x00\x01\x01p0123456789abcdef\x03\x00\x00\x00\x00\x00",
    );
    pinned(&Order::Restart, b"\x01\t");
    let purge = Order::Purge {
        children: true,
        seen: Some((EXECUTION, Timestamp(2))),
    };
    pinned(&purge, b"\x01\n\x01\x010123456789abcdef\x02");
    pinned(&Order::Begin { execution: EXECUTION }, b"\x01\x0b0123456789abcdef");
    let awaits = Order::Awaits {
        execution: EXECUTION,
        sequence: 1,
        on: Some(Unregistered {
            kind: UnregisteredKind::Orchestration,
            name: "u".into(),
            instance: None,
        }),
    };
    pinned(&awaits, b"\x01\x0c0123456789abcdef\x01\x01\x02\x01u\x00");
    let start = MessageId { batch: 2, index: 3 };
    pinned(&Order::PurgeChild { start }, b"\x01\r\x02\x03");
    pinned(&Order::ChildGone { start }, b"\x01\x0e\x02\x03");
}

/// A variant that is stored as its position in an enum keeps that position. New variants must be appended.
#[test]
fn the_places_in_lists_are_pinned() {
    use OrchestrationStatus::*;
    let statuses = [
        Pending,
        Running,
        Completed,
        Failed,
        Terminated,
        Canceled,
        ContinuedAsNew,
        Suspended,
    ];
    // The number in keys and the position in records are equal.
    assert_eq!(statuses.map(|status| status as u8), [0, 1, 2, 3, 4, 5, 6, 7]);
    let place = |bytes: Vec<u8>| bytes[1];
    let encoded = statuses.map(|status| place(crate::model::encode(&status).unwrap()));
    assert_eq!(encoded, [0, 1, 2, 3, 4, 5, 6, 7]);
    let stops = [
        StopKind::Panicked,
        StopKind::NonDeterministic,
        StopKind::ForeignWait,
        StopKind::TurnLimit,
        StopKind::HistoryLimit,
        StopKind::Unregistered,
    ];
    let encoded = stops.map(|stop| place(crate::model::encode(&stop).unwrap()));
    assert_eq!(encoded, [0, 1, 2, 3, 4, 5]);
    let policies = [
        ReusePolicy::Error,
        ReusePolicy::Ignore,
        ReusePolicy::Terminate,
        ReusePolicy::RejectDuplicate,
    ];
    let encoded = policies.map(|policy| place(crate::model::encode(&policy).unwrap()));
    assert_eq!(encoded, [0, 1, 2, 3]);
}

/// Steps that a rewind keeps belong to the execution that first requested them, regardless of the number of rewinds.
/// Steps after the cut belong to the new execution.
#[test]
fn a_rewound_execution_knows_who_asked_first() {
    let execution = |number| ExecutionId([number; 16]);
    let mut record = OrchestrationRecord {
        execution: execution(1),
        ..OrchestrationRecord::default()
    };
    let asked = |record: &OrchestrationRecord| [1, 2, 3, 4, 5].map(|sequence| record.asked_by(sequence).0[0]);
    assert_eq!(asked(&record), [1, 1, 1, 1, 1]);
    record.rewind(execution(2), 3);
    assert_eq!(asked(&record), [1, 1, 2, 2, 2]);
    record.rewind(execution(3), 5);
    assert_eq!(asked(&record), [1, 1, 2, 2, 3]);
    record.rewind(execution(4), 5);
    assert_eq!(asked(&record), [1, 1, 2, 2, 4]);
    record.rewind(execution(5), 2);
    assert_eq!(asked(&record), [1, 5, 5, 5, 5]);
    assert_eq!(record.rewound, [(2, execution(1))]);
}
