//! Limits of the hub: each is enforced, and a history that was written under other limits replays.

use std::time::Duration;

use super::driver::{Driver, short, text};
use super::stage::{Account, Double, Text, orchestration};
use crate::id::InstanceId;
use crate::model::Outcome;
use crate::model::history::{Command, Incoming};
use crate::model::orchestration::StopKind;
use crate::prelude::*;

orchestration!(Greedy(ctx, count: u64) -> (), Failure {
    for n in 0..count {
        ctx.send_event("other", "n", n);
    }
    Ok(())
});

/// A turn may issue a limited number of commands, so an endless loop is stopped.
#[test]
fn a_turn_has_a_limit() {
    let mut driver = Driver::new::<Greedy>();
    driver.begin.actions = 100;
    let stopped = driver.try_start(&u64::MAX.to_string()).unwrap_err();
    assert_eq!(stopped.kind, StopKind::TurnLimit);
    assert!(
        stopped.message.contains("more than 100 commands"),
        "{}",
        stopped.message
    );
    let mut driver = Driver::new::<Greedy>();
    driver.begin.actions = 100;
    driver.start("100");
    // A limit that is lowered later does not affect earlier turns.
    driver.begin.actions = 10;
    driver.replayed(1).unwrap();
}

orchestration!(HugeOutput(ctx, _nothing: ()) -> String, Failure {
    Ok(ctx.instance_id().repeat(1_000))
});

/// An output over the limit fails the execution.
#[test]
fn an_output_has_a_limit() {
    let driver = Driver::started::<HugeOutput>("null");
    assert!(driver.ended().unwrap().starts_with("!TooLarge"));
}

orchestration!(Large(ctx, bytes: usize) -> String, Failure {
    let call = ctx.call_activity::<Text>("x".repeat(bytes));
    let result = match call.await {
        Ok(answer) => answer,
        Err(error) => error.into_returned().unwrap_err().to_string(),
    };
    ctx.call_activity::<Text>("then".into()).await?;
    Ok(result)
});

/// Replays a history under other limits, and runs it to its end.
fn continued(mut driver: Driver, limit: usize) -> String {
    driver.begin.payload_bytes = limit;
    driver.unload();
    driver.answer(2, "\"ok\"");
    driver.ended().unwrap()
}

/// A payload over the limit fails its call and is not sent. The refusal is part of the history: the limit may be raised
/// or lowered afterwards, and the code receives exactly the same error.
#[test]
fn a_payload_has_the_limit_of_its_day() {
    for later in [100, 500, 1_000, 10_000] {
        let driver = Driver::started::<Large>("1000");
        assert_eq!(short(&driver.history[0].commands), ["refuse 1: TooLarge", "activity 2"]);
        let result = continued(driver, later);
        assert!(
            result.contains("has 1002 bytes, but the limit is 1000"),
            "{later}: {result}"
        );
        let mut driver = Driver::started::<Large>("900");
        driver.answer(1, "\"done\"");
        assert_eq!(continued(driver, later), "\"done\"", "{later}");
    }
}

orchestration!(Races(ctx, bytes: usize) -> String, Failure {
    // Created, polled and dropped in one turn, so it leaves no trace in the history.
    let call = ctx.call_activity::<Text>("x".repeat(bytes));
    let other = std::pin::pin!(async { "other".to_owned() });
    let winner = match futures::future::select(call, other).await {
        futures::future::Either::Left(_) => "call".to_owned(),
        futures::future::Either::Right((other, _)) => other,
    };
    ctx.call_activity::<Text>(winner.clone()).await?;
    Ok(winner)
});

/// A call that left no trace is accepted or refused as before, whatever the limit is now.
#[test]
fn a_call_that_lost_its_race_at_once_has_the_limit_of_its_day() {
    for later in [10, 10_000] {
        assert_eq!(
            continued(Driver::started::<Races>("900"), later),
            "\"other\"",
            "{later}"
        );
        assert_eq!(
            continued(Driver::started::<Races>("1000"), later),
            "\"call\"",
            "{later}"
        );
    }
}

orchestration!(Everything(ctx, bytes: usize) -> u32, Failure {
    let text = "x".repeat(bytes);
    let mut refused = 0;
    refused += u32::from(ctx.call_sub_orchestration::<Large>(0).instance_id("i".repeat(bytes)).await.is_err());
    refused += u32::from(ctx.call_activity::<Text>(text.clone()).await.is_err());
    ctx.call_activity::<Double>(1).await?;
    Ok(refused)
});

/// The same applies to the id of a child, whose rules may change with a build.
#[test]
fn ids_have_the_rules_of_their_day() {
    let mut driver = Driver::started::<Everything>("1000");
    assert_eq!(
        short(&driver.history[0].commands),
        ["refuse 1: InvalidId", "refuse 2: TooLarge", "activity 3"]
    );
    // A build that allowed ids of this length accepted it.
    let Command::Refuse { .. } = driver.history[0].commands.remove(0) else {
        panic!()
    };
    let child = Command::StartOrchestration {
        sequence: 1,
        instance: InstanceId::trusted("i".repeat(1_000)),
        name: "Large".into(),
        version: None,
        input: b"0".to_vec(),
        tags: Vec::new(),
        wait: true,
        attempt: 1,
    };
    driver.history[0].commands = vec![child];
    driver.replayed(1).unwrap();
}

orchestration!(OneWay(ctx, what: String) -> (), Failure {
    let text = "x".repeat(1_000);
    match what.as_str() {
        "event" => ctx.send_event("other", "n", text),
        "start" => drop(ctx.start_orchestration::<Texts>(text)),
        "signal" => ctx.entity::<Account>("x".repeat(600)).deposit(1).signal(),
        _ => (),
    }
    Ok(())
});

orchestration!(Texts(_ctx, text: String) -> String, Failure { Ok(text) });

/// A refused request without an answer fails the execution, and the history names the request.
#[test]
fn a_refusal_without_an_answer_fails_the_execution() {
    for what in ["event", "start"] {
        let driver = Driver::started::<OneWay>(&format!("\"{what}\""));
        assert_eq!(short(&driver.history[0].commands)[0], "refuse 1: TooLarge");
        assert!(driver.ended().unwrap().starts_with("!TooLarge"), "{what}");
        let mut later = Driver::new::<OneWay>();
        later.history = driver.history.clone();
        later.begin.payload_bytes = 10_000;
        later.replayed(1).unwrap();
    }
    assert!(
        Driver::started::<OneWay>("\"signal\"")
            .ended()
            .unwrap()
            .starts_with("!InvalidId")
    );
}

orchestration!(Wasteful(ctx, count: u64) -> (), Failure {
    let asked: Vec<_> = (0..count as i64).map(|n| ctx.call_activity::<Double>(n)).collect();
    drop(asked);
    for _ in 0..5 * count {
        drop(ctx.create_timer(Duration::from_secs(1)));
    }
    ctx.call_activity::<Double>(1).await?;
    Ok(())
});

/// Commands that a turn issued and withdrew are not in its record, and are still accepted.
#[test]
fn a_turn_that_withdrew_many_commands_replays_under_a_lower_limit() {
    let mut driver = Driver::new::<Wasteful>();
    driver.begin.actions = 100;
    driver.start("100");
    driver.begin.actions = 10;
    driver.replayed(1).unwrap();
}

orchestration!(Loud(ctx, bytes: usize) -> (), Failure {
    ctx.call_activity::<Double>(1).await?;
    Err(Failure::message("x".repeat(bytes)))
});

/// A returned error has the payload limit, as an output has.
#[test]
fn an_error_has_a_limit() {
    let ended = |bytes: &str| {
        let mut driver = Driver::started::<Loud>(bytes);
        driver.answer(1, "1");
        driver.ended().unwrap()
    };
    assert_eq!(ended("900"), format!("!Failure: {}", "x".repeat(900)));
    let text = ended("3000000");
    assert!(
        text.starts_with("!TooLarge: the error `Failure` of the orchestration `order-1` has 3000007 bytes"),
        "{text}"
    );
    assert!(text.len() < 1_000, "{}", text.len());
}

orchestration!(Screams(ctx, bytes: usize) -> (), Failure {
    ctx.call_activity::<Double>(1).await?;
    panic!("{}", "x".repeat(bytes))
});

/// The text of a panic is shortened, since it is stored and shown.
#[test]
fn a_panic_is_shortened() {
    let mut driver = Driver::started::<Screams>("3000000");
    let end = Incoming::Completed {
        sequence: 1,
        outcome: Outcome::Answer(b"1".to_vec()),
    };
    let stopped = driver.try_turn(vec![end]).unwrap_err();
    assert_eq!(stopped.kind, StopKind::Panicked);
    assert!(stopped.message.len() < 10_000, "{}", stopped.message.len());
    assert!(
        stopped.message.contains("… (3000000 bytes in all)"),
        "{}",
        stopped.message
    );
}

orchestration!(Secret(ctx, secret: String) -> (), Failure {
    ctx.call_activity::<Text>(format!("{}{secret}{}", "a".repeat(300), "z".repeat(300))).await?;
    Ok(())
});

/// A difference shows its surroundings and not the whole payload, because the text appears in logs and lists.
#[test]
fn a_divergence_does_not_show_whole_payloads() {
    let mut driver = Driver::started::<Secret>("\"open sesame\"");
    let Command::CallActivity { input, .. } = &mut driver.history[0].commands[0] else {
        panic!()
    };
    *input = text(input).replace("open", "shut").into_bytes();
    let stopped = driver.replayed(1).map(drop).unwrap_err();
    for part in ["aashut sesamezz", "aaopen sesamezz", "(from byte 253 of 613, hash "] {
        assert!(stopped.message.contains(part), "{part}: {}", stopped.message);
    }
    assert!(stopped.message.len() < 700, "{}", stopped.message);
}
