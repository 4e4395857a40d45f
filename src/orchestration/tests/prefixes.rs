//! Replays of programs and deliveries that are drawn from seeds.

use super::driver::{Driver, raised, text};
use super::script::{Dice, Node, Script};
use crate::ErrorKind;
use crate::failure::Failure;
use crate::model::Outcome;
use crate::model::history::{Command, Incoming, TurnRecord};
use crate::time::Timestamp;

const PROGRAMS: u64 = 1_500;
const TURNS: usize = 60;

/// Runs the program of a seed, with random deliveries, to its end or for a number of turns.
fn play(seed: u64, strict: bool) -> Driver {
    let mut dice = Dice(seed);
    let program = Node::Series((0..6).map(|_| dice.node(4)).collect());
    let program = serde_json::to_string(&program).unwrap();
    let mut driver = Driver::new::<Script>();
    driver.strict = strict;
    driver.start(&program);
    for _ in 0..TURNS {
        if driver.ended().is_some() {
            break;
        }
        let incoming = (0..1 + dice.below(3))
            .filter_map(|_| happening(&mut driver, &mut dice))
            .collect();
        driver.now = Timestamp(driver.now.0 + dice.below(5_000) as u64);
        driver.turn(incoming);
    }
    driver
}

/// Returns a random delivery: the completion of an open step, an event, or a lost lock.
fn happening(driver: &mut Driver, dice: &mut Dice) -> Option<Incoming> {
    if dice.below(4) == 0 {
        return Some(raised(&dice.below(3).to_string(), &dice.below(9).to_string()));
    }
    let open: Vec<u64> = driver.open.keys().copied().collect();
    let sequence = open.get(dice.below(open.len().max(1))).copied()?;
    let answer = || Outcome::Answer(b"4".to_vec());
    let outcome = match &driver.open[&sequence] {
        Command::CreateTimer { due, .. } => {
            driver.now = driver.now.max(*due);
            Outcome::Answer(b"null".to_vec())
        }
        Command::Lock { entities, .. } if driver.granted.contains(&sequence) => {
            let entity = entities[dice.below(entities.len())].clone();
            return Some(Incoming::LockLost { lock: sequence, entity });
        }
        Command::WaitForEvent { .. } => return None,
        _ => match dice.below(6) {
            0 => Outcome::Returned(Failure::message("busy")),
            1 => Outcome::Runtime(crate::Error::new(ErrorKind::TimedOut, "slow")),
            2 => Outcome::Returned(Failure::message("broken").non_retriable()),
            _ => answer(),
        },
    };
    let outcome = match (&driver.open[&sequence], outcome) {
        // Locks are requested for entities that exist.
        (Command::Lock { .. }, _) => answer(),
        (_, outcome) => outcome,
    };
    Some(Incoming::Completed { sequence, outcome })
}

/// Every prefix of every history leads to exactly the commands that are recorded next.
#[test]
fn every_prefix_leads_to_the_recorded_commands() {
    let (mut ended, mut turns) = (0, 0);
    for seed in 0..PROGRAMS {
        let driver = play(seed, false);
        ended += usize::from(driver.ended().is_some());
        turns += driver.history.len();
        for (number, turn) in driver.history.iter().enumerate() {
            let mut run = driver
                .replayed(number)
                .unwrap_or_else(|stopped| panic!("seed {seed}: {stopped:?}"));
            let end = run.turn(turn.time, &turn.incoming).unwrap();
            assert_eq!(end.commands, turn.commands, "seed {seed}, turn {number}");
        }
    }
    assert!(
        ended * 3 > PROGRAMS as usize && turns > 6 * PROGRAMS as usize,
        "{ended} ended, {turns} turns"
    );
}

/// Code that is kept alive and code that is replayed before every turn produce the same history.
#[test]
fn strict_and_live_runs_make_one_history() {
    for seed in 0..PROGRAMS {
        let histories = [false, true].map(|strict| {
            let driver = play(seed, strict);
            (driver.history, driver.status, driver.unread)
        });
        assert_eq!(histories[0], histories[1], "seed {seed}");
    }
}

/// A history with a single change diverges at that change.
#[test]
fn a_changed_history_is_noticed() {
    let mut changed = 0;
    for seed in 0..PROGRAMS / 5 {
        let mut driver = play(seed, false);
        let mut dice = Dice(seed ^ 0xdead);
        let number = dice.below(driver.history.len());
        let turn = &mut driver.history[number];
        if turn.commands.is_empty() {
            continue;
        }
        let index = dice.below(turn.commands.len());
        change(turn, index);
        let stopped = driver.replayed(driver.history.len()).map(drop).unwrap_err();
        let place = format!("in turn {number}, command {} of", index + 1);
        assert!(stopped.message.contains(&place), "seed {seed}: {}", stopped.message);
        changed += 1;
    }
    assert!(changed > 100);
}

fn change(turn: &mut TurnRecord, index: usize) {
    match &mut turn.commands[index] {
        Command::CallActivity { input, .. } | Command::StartOrchestration { input, .. } => *input = b"99".to_vec(),
        Command::CreateTimer { due, .. } => due.0 += 1,
        Command::CallEntity { arguments, .. } | Command::SignalEntity { arguments, .. } => {
            *arguments = br#"{"x":1}"#.to_vec()
        }
        Command::Lock { entities, .. } => entities.push("@z@z".into()),
        Command::Complete { output } => *output = text(output).replace(char::is_numeric, "88").into_bytes(),
        Command::Cancel { sequence, .. } | Command::WaitForEvent { sequence, .. } => *sequence += 1_000,
        other => *other = Command::Complete { output: b"-8".to_vec() },
    }
}
