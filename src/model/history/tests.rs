//! The bytes of a history are part of the stored format and may never change.

use super::*;
use crate::error::{Error, ErrorKind};
use crate::failure::Cause;
use crate::model::tests::{TRACE, pinned, trace};

const EXECUTION: ExecutionId = ExecutionId(*b"0123456789abcdef");

/// A history keeps the version of the rules with which it began, and every build supports all versions.
#[test]
fn the_rules_of_replay_are_of_this_version() {
    assert_eq!(SEMANTICS, 1);
}

#[test]
fn turns_are_pinned() {
    let turn = TurnRecord {
        time: Timestamp(130),
        incoming: vec![Incoming::Suspended { reason: "r".into() }],
        commands: vec![Command::CreateTimer {
            sequence: 1,
            due: Timestamp(2),
        }],
        notes: Vec::new(),
    };
    pinned(&turn, b"\x01\x82\x01\x01\x04\x01r\x01\x01\x01\x02\x00");
    let noted = TurnRecord {
        notes: vec![
            (1, StepNote::default()),
            (
                130,
                StepNote {
                    label: Some("l".into()),
                    outside_id: Some("o".into()),
                    event: Some(EventNote::Dropped),
                    retry_of: Some(3),
                    trace: Some(trace()),
                },
            ),
        ],
        ..TurnRecord::default()
    };
    let bytes = [
        b"\x01\x00\x00\x00\x02\x01\x00\x00\x00\x00\x00\x82\x01\x01\x01l\x01\x01o\x01\x01\x01\x03\x01",
        TRACE,
    ]
    .concat();
    pinned(&noted, bytes.leak());
}

#[test]
fn incoming_messages_are_pinned() {
    let started = Started {
        semantics: 1,
        name: "n".into(),
        version: "v".into(),
        input: b"1".to_vec(),
        parent: Some(Parent {
            instance: "p".into(),
            execution: EXECUTION,
            sequence: 3,
        }),
        tags: vec![("k".into(), "t".into())],
        seed: EXECUTION,
        trace: None,
    };
    let bytes = b"\x01\x00\x01\x01n\x01v\x011\x01\x01p0123456789abcdef\x03\x01\x01k\x01t0123456789abcdef";
    let in_trace = Started {
        trace: Some(trace()),
        ..started.clone()
    };
    pinned(
        &Incoming::Started(Box::new(started)),
        [&bytes[..], b"\x00"].concat().leak(),
    );
    pinned(
        &Incoming::Started(Box::new(in_trace)),
        [&bytes[..], b"\x01", TRACE].concat().leak(),
    );
    let completed = |outcome| Incoming::Completed { sequence: 130, outcome };
    pinned(&completed(Outcome::Answer(b"5".to_vec())), b"\x01\x01\x82\x01\x00\x015");
    pinned(
        &completed(Outcome::Returned(Failure::message("m"))),
        b"\x01\x01\x82\x01\x01\x07Failure\x01m\x00\x00\x00\x00",
    );
    let error = Error::new(ErrorKind::LockLost, "m");
    pinned(
        &completed(Outcome::Runtime(error)),
        b"\x01\x01\x82\x01\x02\x19\x01m\x00",
    );
    let raised = Incoming::Raised {
        name: "n".into(),
        payload: b"1".to_vec(),
    };
    pinned(&raised, b"\x01\x02\x01n\x011");
    let lost = Incoming::LockLost {
        lock: 2,
        entity: "@a@b".into(),
    };
    pinned(&lost, b"\x01\x03\x02\x04@a@b");
    pinned(&Incoming::Suspended { reason: "r".into() }, b"\x01\x04\x01r");
    pinned(&Incoming::Resumed { reason: "r".into() }, b"\x01\x05\x01r");
}

#[test]
fn steps_that_begin_are_pinned() {
    let activity = Command::CallActivity {
        sequence: 1,
        name: "n".into(),
        input: b"1".to_vec(),
        attempt: 2,
        timeout_ms: Some(3),
    };
    pinned(&activity, b"\x01\x00\x01\x01n\x011\x02\x01\x03");
    let timer = Command::CreateTimer {
        sequence: 1,
        due: Timestamp(2),
    };
    pinned(&timer, b"\x01\x01\x01\x02");
    let wait = Command::WaitForEvent {
        sequence: 1,
        name: "n".into(),
    };
    pinned(&wait, b"\x01\x02\x01\x01n");
    let start = Command::StartOrchestration {
        sequence: 1,
        instance: "i".into(),
        name: "n".into(),
        version: Some("v".into()),
        input: b"1".to_vec(),
        tags: vec![("k".into(), "t".into())],
        wait: true,
        attempt: 2,
    };
    pinned(&start, b"\x01\x03\x01\x01i\x01n\x01\x01v\x011\x01\x01k\x01t\x01\x02");
    let call = Command::CallEntity {
        sequence: 1,
        target: "@a@b".into(),
        operation: "o".into(),
        arguments: b"{}".to_vec(),
        lock: Some(2),
    };
    pinned(&call, b"\x01\x04\x01\x04@a@b\x01o\x02{}\x01\x02");
    let lock = Command::Lock {
        sequence: 1,
        entities: vec!["@a@b".into()],
    };
    pinned(&lock, b"\x01\x08\x01\x01\x04@a@b");
}

#[test]
fn one_way_commands_are_pinned() {
    let signal = Command::SignalEntity {
        sequence: 1,
        target: "@a@b".into(),
        operation: "o".into(),
        arguments: b"{}".to_vec(),
        at: Some(("t".into(), Timestamp(2))),
    };
    pinned(&signal, b"\x01\x05\x01\x04@a@b\x01o\x02{}\x01\x01t\x02");
    let cancel = Command::CancelSignal {
        sequence: 1,
        target: "@a@b".into(),
        timer: "t".into(),
    };
    pinned(&cancel, b"\x01\x06\x01\x04@a@b\x01t");
    let event = Command::SendEvent {
        sequence: 1,
        instance: "i".into(),
        name: "n".into(),
        payload: b"1".to_vec(),
    };
    pinned(&event, b"\x01\x07\x01\x01i\x01n\x011");
}

#[test]
fn ends_of_steps_and_executions_are_pinned() {
    let cancel = |step| Command::Cancel { sequence: 1, step };
    pinned(&cancel(OpenStep::Activity), b"\x01\t\x01\x00");
    pinned(&cancel(OpenStep::Timer { due: Timestamp(2) }), b"\x01\t\x01\x01\x02");
    pinned(&cancel(OpenStep::Event), b"\x01\t\x01\x02");
    pinned(
        &cancel(OpenStep::Child { instance: "i".into() }),
        b"\x01\t\x01\x03\x01i",
    );
    pinned(
        &cancel(OpenStep::Call { target: "@a@b".into() }),
        b"\x01\t\x01\x04\x04@a@b",
    );
    let lock = OpenStep::Lock {
        entities: vec!["@a@b".into()],
        granted: true,
    };
    pinned(&cancel(lock), b"\x01\t\x01\x05\x01\x04@a@b\x01");
    let again = Command::ContinueAsNew {
        input: b"1".to_vec(),
        version: Some("v".into()),
        keep_events: true,
    };
    pinned(&again, b"\x01\n\x011\x01\x01v\x01");
    pinned(&Command::Complete { output: b"1".to_vec() }, b"\x01\x0b\x011");
    let failure = Failure::message("m");
    pinned(&Command::Fail { failure }, b"\x01\x0c\x07Failure\x01m\x00\x00\x00\x00");
    let refusal = Command::Refuse {
        sequence: 1,
        what: "w".into(),
        error: Error::new(ErrorKind::TooLarge, "m"),
    };
    pinned(&refusal, b"\x01\r\x01\x01w\x02\x01m\x00");
}

/// The bytes that a turn receives are limited. Errors count toward the limit, like answers and events.
#[test]
fn errors_count_among_the_incoming_bytes() {
    let bytes = |outcome| Incoming::Completed { sequence: 1, outcome }.bytes();
    assert_eq!(bytes(Outcome::Answer(vec![b'1'; 1_000])), 1_000);
    let failure = Failure {
        details: Some("d".repeat(300)),
        causes: vec![Cause::message("s".repeat(150))],
        stack: Some("t".repeat(50).into()),
        ..Failure::message("m".repeat(493))
    };
    assert_eq!(bytes(Outcome::Returned(failure)), 1_000);
    let error = Error::new(ErrorKind::Panicked, "m".repeat(800)).with_recorded_sources(vec!["s".repeat(200)]);
    assert_eq!(bytes(Outcome::Runtime(error)), 1_000);
    let raised = Incoming::Raised {
        name: "n".repeat(100),
        payload: vec![b'1'; 900],
    };
    assert_eq!(raised.bytes(), 1_000);
}
