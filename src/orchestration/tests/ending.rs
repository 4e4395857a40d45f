//! Continue-as-new, facts of the context, and randomness.

use std::time::Duration;

use super::driver::{Driver, raised, short};
use super::stage::{Account, Double, orchestration};
use crate::model::history::{Command, Incoming, Parent, SEMANTICS, Started};
use crate::prelude::*;

orchestration!(Eternal(ctx, round: u32) -> String, Failure {
    let _kept = ctx.call_activity::<Double>(1);
    let unread = ctx.wait_for_external_event::<u32>("n");
    match ctx.wait_for_external_event::<String>("go").await?.as_str() {
        "on" => ctx.continue_as_new(round + 1).await,
        "discard" => ctx.continue_as_new(round + 1).discard_events().await,
        "version" => ctx.continue_as_new("text").version("2").await,
        "wrong" => {
            ctx.continue_as_new("text").await;
        }
        _ => {
            // It has no effect without an await.
            drop(ctx.continue_as_new(round + 1));
        }
    }
    drop(unread);
    Ok("end".into())
});

/// The next execution receives every unread event in order: those that were kept, those that were given to a wait which
/// never read them, and those that arrived in the same turn after the end.
#[test]
fn unread_events_go_along() {
    let mut driver = Driver::started::<Eternal>("1");
    let events = vec![
        raised("N", "1"),
        raised("other", "2"),
        raised("go", "\"on\""),
        raised("n", "3"),
    ];
    let commands = driver.turn(events);
    assert_eq!(short(&commands), ["cancel 1", "again 2"]);
    let unread: Vec<_> = driver
        .unread
        .iter()
        .map(|(name, payload)| format!("{name}={payload}"))
        .collect();
    assert_eq!(unread, ["N=1", "other=2", "n=3"]);
    driver.replayed(2).unwrap();
}

/// Events can be discarded, and another version can be selected.
#[test]
fn continuing_has_options() {
    let mut driver = Driver::started::<Eternal>("1");
    driver.turn(vec![raised("n", "1"), raised("go", "\"discard\"")]);
    assert!(driver.unread.is_empty());
    let mut driver = Driver::started::<Eternal>("1");
    let commands = driver.raise("go", "\"version\"");
    let Some(Command::ContinueAsNew {
        version,
        keep_events: true,
        ..
    }) = commands.last()
    else {
        panic!("{commands:?}");
    };
    assert_eq!(version.as_deref(), Some("2"));
}

/// An input that the same version cannot decode fails the execution before the next one begins.
#[test]
fn an_input_of_another_type_is_refused() {
    let mut driver = Driver::started::<Eternal>("1");
    driver.raise("go", "\"wrong\"");
    assert!(
        driver.ended().unwrap().starts_with("!InvalidArguments"),
        "{:?}",
        driver.ended()
    );
    let mut driver = Driver::started::<Eternal>("1");
    driver.raise("go", "\"not awaited\"");
    assert_eq!(driver.ended().unwrap(), "\"end\"");
}

orchestration!(Typed(ctx, round: u32) -> (), Failure {
    ctx.create_timer(Duration::from_secs(u64::from(round))).await;
    Ok(())
});

/// An input that does not decode fails the execution with an error that contains its type and position.
#[test]
fn an_input_that_does_not_decode_fails_the_execution() {
    let driver = Driver::started::<Typed>("\"text\"");
    let text = driver.ended().unwrap();
    for part in ["!InvalidArguments", "`Typed`", "`u32`", "line 1 column 6"] {
        assert!(text.contains(part), "{text}");
    }
}

orchestration!(Facts(ctx, _nothing: ()) -> Vec<String>, Failure {
    let parent = ctx.parent().unwrap();
    let mut facts = vec![
        ctx.name().to_owned(),
        ctx.version().to_owned(),
        ctx.instance_id().to_owned(),
        ctx.execution_id(),
        parent.instance_id,
        parent.execution_id,
        format!("{:?}", ctx.tags()),
        format!("{:?}", ctx.current_utc_time().duration_since(std::time::UNIX_EPOCH)?),
        ctx.new_guid().to_string(),
        ctx.new_guid().to_string(),
    ];
    let random = ctx.random();
    facts.push(format!("{} {} {:?}", random.next_u64(), random.range(5..=5), random.next_f64() < 1.0));
    ctx.set_custom_status("waiting");
    ctx.create_timer(Duration::from_millis(500)).await;
    ctx.set_custom_status(2);
    let mut list: Vec<u64> = (0..5).collect();
    random.shuffle(&mut list);
    facts.push(format!("{list:?} {} {}", random.range(..10), random.chance(1.0)));
    facts.push(format!("{:?}", ctx.current_utc_time().duration_since(std::time::UNIX_EPOCH)?));
    Ok(facts)
});

/// The context returns the facts with which the execution began, and the same random numbers in every replay.
#[test]
fn the_context_returns_facts_and_reproduces_randomness() {
    let run = |unload: bool, byte: u8| {
        let mut driver = Driver::new::<Facts>();
        driver.begin.execution = crate::id::ExecutionId([byte; 16]);
        driver.turn(vec![Incoming::Started(Box::new(Started {
            semantics: SEMANTICS,
            name: "Facts".into(),
            version: "7".into(),
            parent: Some(Parent {
                instance: "mother".into(),
                ..Parent {
                    instance: "".into(),
                    execution: Default::default(),
                    sequence: 1,
                }
            }),
            tags: vec![("k".into(), "v".into())],
            seed: driver.begin.execution,
            ..Started::default()
        }))]);
        assert_eq!(driver.status.as_deref(), Some("\"waiting\""));
        if unload {
            driver.unload();
        }
        driver.fire(1);
        assert_eq!(driver.status.as_deref(), Some("2"));
        let facts: Vec<String> = serde_json::from_str(&driver.ended().unwrap()).unwrap();
        facts
    };
    let facts = run(false, 7);
    assert_eq!(facts, run(true, 7));
    assert_eq!(facts[..3], ["Facts", "7", "order-1"]);
    assert_eq!(facts[4], "mother");
    assert_eq!((facts[7].as_str(), facts[12].as_str()), ("1000s", "1000.5s"));
    assert_ne!(facts[8], facts[9]);
    let other = run(false, 8);
    assert!(
        facts[8] != other[8] && facts[10] != other[10],
        "another execution draws other numbers"
    );
}

orchestration!(Scheduling(ctx, _nothing: ()) -> Vec<String>, Failure {
    let account = ctx.entity::<Account>("a");
    let drawn = account.deposit(1).signal_after(Duration::from_secs(1));
    let named = account.deposit(2).timer_id("mine").signal_at(std::time::UNIX_EPOCH);
    account.cancel_signal(&drawn);
    let started = ctx.start_orchestration::<Typed>(1).tag("k", "v");
    let id = started.id().to_owned();
    let other = ctx.start_orchestration::<Typed>(1).instance_id("other").id().to_owned();
    Ok(vec![drawn, named, id, other])
});

/// Scheduled signals and started orchestrations have ids that a replay reproduces.
#[test]
fn sent_messages_have_reproducible_ids() {
    let driver = Driver::started::<Scheduling>("null");
    let commands = &driver.history[0].commands;
    assert_eq!(
        short(commands)[..5],
        ["signal 1", "signal 2", "cancel signal 3", "start 4", "start 5"]
    );
    let ids: Vec<String> = serde_json::from_str(&driver.ended().unwrap()).unwrap();
    let seed = "07".repeat(16);
    assert_eq!(
        ids,
        [format!("{seed}:1"), "mine".into(), format!("{seed}:4"), "other".into()]
    );
    let Command::SignalEntity {
        at: Some((timer, due)), ..
    } = &commands[0]
    else {
        panic!("{commands:?}");
    };
    assert_eq!((timer, due.0), (&ids[0], 1_001_000));
    driver.replayed(1).unwrap();
}

orchestration!(BadSignal(ctx, _nothing: ()) -> (), Failure {
    ctx.entity::<Account>("a/b").deposit(1).signal();
    Ok(())
});

/// A signal that cannot be sent fails the orchestration, even if it is about to succeed.
#[test]
fn a_signal_that_cannot_be_sent_fails() {
    let driver = Driver::started::<BadSignal>("null");
    assert!(driver.ended().unwrap().starts_with("!InvalidId"));
}

orchestration!(Talker(ctx, _nothing: ()) -> (), Failure {
    tracing::info!(replaying = ctx.is_replaying(), "begun");
    ctx.create_timer(Duration::from_secs(1)).await;
    tracing::info!(replaying = ctx.is_replaying(), "done");
    Ok(())
});

/// Events that the code logs appear once, with the orchestration's name, however often the code is replayed.
#[test]
fn a_replay_is_silent() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let writer = std::sync::Arc::new(log.reopen().unwrap());
    let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
    tracing::subscriber::with_default(subscriber, || {
        let mut driver = Driver::started::<Talker>("null");
        driver.unload();
        driver.fire(1);
        driver.replayed(2).unwrap();
    });
    let log = std::fs::read_to_string(log.path()).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    for (line, text) in lines.iter().zip(["begun", "done"]) {
        assert!(line.contains(text) && line.contains("replaying=false"), "{line}");
        assert!(
            line.contains("instance=order-1") && line.contains("name=\"Talker\""),
            "{line}"
        );
    }
}
