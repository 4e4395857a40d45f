//! Combinators of futures that are independent of Abide.

use std::time::Duration;

use futures::future::{Either, join_all, select};
use futures::stream::{FuturesUnordered, StreamExt};
use futures::{FutureExt, select_biased};

use super::driver::{Driver, answered, short};
use super::stage::{Account, Double, orchestration};
use crate::prelude::*;

orchestration!(Fan(ctx, width: i64) -> i64, Failure {
    let calls = (0..width).map(|n| ctx.call_activity::<Double>(n));
    let answers = join_all(calls).await;
    Ok(answers.into_iter().sum::<Result<i64, _>>()?)
});

/// `join_all` polls only children whose own waker fired. Ten thousand of them complete, in whatever order.
#[test]
fn ten_thousand_activities_are_joined() {
    const WIDTH: u64 = 10_000;
    let mut driver = Driver::started::<Fan>("10000");
    assert_eq!(driver.history[0].commands.len(), WIDTH as usize);
    assert!(driver.bytes() > 1_000_000 && driver.bytes() < 100_000_000);
    // 7919 is a prime, so every step occurs once.
    let order = (0..WIDTH).map(|n| n * 7_919 % WIDTH + 1);
    let incoming: Vec<_> = order
        .map(|sequence| answered(sequence, &(2 * (sequence - 1)).to_string()))
        .collect();
    for chunk in incoming.chunks(1_000) {
        driver.turn(chunk.to_vec());
    }
    assert_eq!(driver.ended().unwrap(), (WIDTH * (WIDTH - 1)).to_string());
    driver.replayed(driver.history.len()).unwrap();
}

orchestration!(Unordered(ctx, width: i64) -> Vec<i64>, Failure {
    let mut calls: FuturesUnordered<_> = (0..width).map(|n| ctx.call_activity::<Double>(n)).collect();
    let mut answers = Vec::new();
    while let Some(answer) = calls.next().await {
        answers.push(answer?);
    }
    Ok(answers)
});

/// `FuturesUnordered` wakes its own task from time to time, and yields answers in the order of delivery.
#[test]
fn unordered_futures_are_read_in_the_order_of_delivery() {
    let mut driver = Driver::started::<Unordered>("200");
    let order: Vec<u64> = (0..200).map(|n| n * 37 % 200 + 1).collect();
    driver.turn(order.iter().map(|&n| answered(n, &n.to_string())).collect());
    let answers: Vec<String> = order.iter().map(u64::to_string).collect();
    assert_eq!(driver.ended().unwrap(), format!("[{}]", answers.join(",")));
}

orchestration!(Race(ctx, seconds: u64) -> String, Failure {
    let work = ctx.call_activity::<Double>(1);
    let timer = ctx.create_timer(Duration::from_secs(seconds));
    match select(work, timer).await {
        Either::Left((answer, _)) => Ok(format!("answer {}", answer?)),
        Either::Right(((), _)) => Ok("late".into()),
    }
});

/// The completion that is delivered first wins, even if both are delivered in one turn. The loser is canceled.
#[test]
fn the_first_delivered_wins_a_race() {
    let mut driver = Driver::started::<Race>("5");
    assert_eq!(short(&driver.history[0].commands), ["activity 1", "timer 2"]);
    let both = vec![answered(2, "null"), answered(1, "2")];
    assert_eq!(short(&driver.turn(both)), ["cancel 1", "complete \"late\""]);
    let mut driver = Driver::started::<Race>("5");
    let both = vec![answered(1, "2"), answered(2, "null")];
    assert_eq!(short(&driver.turn(both)), ["cancel 2", "complete \"answer 2\""]);
}

orchestration!(Biased(ctx, _nothing: ()) -> Vec<String>, Failure {
    let mut work = ctx.call_activity::<Double>(1).fuse();
    let mut event = ctx.wait_for_external_event::<String>("stop").fuse();
    let mut seen = Vec::new();
    loop {
        select_biased! {
            answer = work => seen.push(answer?.to_string()),
            stop = event => {
                seen.push(stop?);
                return Ok(seen);
            }
        }
    }
});

/// A biased `select!` in a loop reads its branches in the order of delivery.
#[test]
fn a_biased_select_reads_its_branches_as_they_come() {
    let mut driver = Driver::started::<Biased>("null");
    driver.answer(1, "2");
    driver.raise("STOP", "\"now\"");
    assert_eq!(driver.ended().unwrap(), r#"["2","now"]"#);
}

orchestration!(Calls(ctx, _nothing: ()) -> i64, Failure {
    let account = ctx.entity::<Account>("a");
    let answers = join_all((0..40).map(|cents| account.deposit(cents))).await;
    Ok(answers.into_iter().sum::<Result<i64, _>>()?)
});

/// Operations of entities claim their numbers when they are created, and are sent when they are polled.
#[test]
fn operations_are_joined() {
    let mut driver = Driver::started::<Calls>("null");
    assert_eq!(driver.open.len(), 40);
    driver.turn((1..=40).rev().map(|n| answered(n, "1")).collect());
    assert_eq!(driver.ended().unwrap(), "40");
}
