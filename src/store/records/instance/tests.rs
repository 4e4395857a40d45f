//! The bytes of the rows and orders of orchestrations are part of the stored format and may never change.

use super::*;
use crate::store::records::tests::pinned;

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
        entities: vec!["@a@b".into(), "@c@".into()],
    };
    pinned(&lock, b"\x01\x01i0123456789abcdef\x82\x01\x02\x02\x04@a@b\x03@c@");
    let entities = || vec!["@a@b".to_owned()];
    let (owner, at) = (owner(), 1);
    let take = LockOrder::Take {
        owner: owner.clone(),
        entities: entities(),
        at,
    };
    pinned(&take, b"\x01\x00\x01i0123456789abcdef\x82\x01\x01\x04@a@b\x01");
    let release = LockOrder::Release {
        owner,
        entities: entities(),
        at,
    };
    pinned(&release, b"\x01\x01\x01i0123456789abcdef\x82\x01\x01\x04@a@b\x01");
    pinned(&LockOrder::Force, b"\x01\x02");
}

#[test]
fn orchestrations_and_their_ends_are_pinned() {
    let instance = InstanceRecord {
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
    };
    pinned(&instance, b"\x01\x01n\x01v\x070123456789abcdef\x01\x01p0123456789abcdef\x03\x01\x01k\x01t\x01\x02\x01\x05\x01m\x03\x04\x05\x01");
    pinned(&EndRecord::Completed(b"5".to_vec()), b"\x01\x00\x015");
    pinned(
        &EndRecord::Failed(Failure::message("m")),
        b"\x01\x01\x07Failure\x01m\x00\x00\x00",
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
        started: true,
        crashes: vec![Timestamp(4)],
    };
    pinned(&activity, b"\x01\x01n\x011\x02\x01\x03\x01\x01\x04");
    let event = EarlyEventRecord {
        name: "n".into(),
        payload: b"1".to_vec(),
        expires: Timestamp(2),
    };
    pinned(&event, b"\x01\x01n\x011\x02");
}

#[test]
fn orders_of_every_kind_are_pinned() {
    let start = StartRecord {
        name: "n".into(),
        version: Some("v".into()),
        input: b"1".to_vec(),
        tags: vec![("k".into(), "t".into())],
        parent: Some(parent()),
        at: Some(Timestamp(2)),
        reuse: ReusePolicy::Terminate,
        execution: Some(EXECUTION),
        events: vec![("e".into(), serde_bytes::ByteBuf::from(b"2".to_vec()))],
    };
    pinned(&Order::Start(Box::new(start)), b"\x01\x00\x01n\x01\x01v\x011\x01\x01k\x01t\x01\x01p0123456789abcdef\x03\x01\x02\x02\x010123456789abcdef\x01\x01e\x012");
    let completed = Order::Completed {
        execution: EXECUTION,
        sequence: 1,
        outcome: StepOutcome::Answer(b"2".to_vec()),
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
        },
        b"\x01\x04\x01p0123456789abcdef\x03\x00",
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
            parent: Some(parent()),
        },
        b"\x01\x08\x01r\x01\x01p0123456789abcdef\x03",
    );
    pinned(&Order::Restart, b"\x01\t");
    pinned(&Order::Purge { children: true }, b"\x01\n\x01");
}

/// What is stored as its place in a list gets no other place: a new one goes to the end.
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
    // The place in keys, which is the number, and the one in records are the same.
    assert_eq!(statuses.map(|status| status as u8), [0, 1, 2, 3, 4, 5, 6, 7]);
    let place = |bytes: Vec<u8>| bytes[1];
    let encoded = statuses.map(|status| place(crate::store::records::encode(&status).unwrap()));
    assert_eq!(encoded, [0, 1, 2, 3, 4, 5, 6, 7]);
    let stops = [
        StopKind::Panicked,
        StopKind::NonDeterministic,
        StopKind::ForeignWait,
        StopKind::TurnLimit,
        StopKind::HistoryLimit,
        StopKind::Unregistered,
    ];
    let encoded = stops.map(|stop| place(crate::store::records::encode(&stop).unwrap()));
    assert_eq!(encoded, [0, 1, 2, 3, 4, 5]);
    let policies = [ReusePolicy::Error, ReusePolicy::Ignore, ReusePolicy::Terminate];
    let encoded = policies.map(|policy| place(crate::store::records::encode(&policy).unwrap()));
    assert_eq!(encoded, [0, 1, 2]);
}
