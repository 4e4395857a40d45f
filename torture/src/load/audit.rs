//! The comparison of a hub at rest with the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use abide::history::{HistoryEventKind, HistoryStep};
use abide::prelude::*;

use super::entities::{Account, BURST, Journal, OPENING_CENTS, Ticker};
use super::ledger::{Attempt, World, is_same_life};
use super::orchestrations::{order, pack_of, pause_of};
use super::plan::{ACCOUNTS, CALL, JOURNALS, LATER, ORDER, RELAY, Request, SIGNAL, SLOW, journal, request_id};
use super::{Ledger, Plan, Visits};

/// The effects that the acknowledged requests must have had.
#[derive(Default)]
struct Expected {
    /// By journal, the stamp of each number, if it was acknowledged with one.
    journals: BTreeMap<String, Vec<Option<u64>>>,
    /// By account, the transfers that withdrew and those that deposited.
    sent: BTreeMap<u64, BTreeSet<String>>,
    received: BTreeMap<u64, BTreeSet<String>>,
    cents: BTreeMap<u64, i64>,
    /// By the id of an order, its number and the runs that it returned.
    orders: BTreeMap<String, (u64, String)>,
}

impl Expected {
    fn of(plan: &Plan, ledger: &Ledger) -> Self {
        let mut expected = Self::default();
        for (&client, answers) in &ledger.answers {
            for (request, (&n, answer)) in plan.requests(client).zip(answers) {
                expected.add(client, n, request, answer);
            }
        }
        expected
    }

    fn add(&mut self, client: u64, n: u64, request: Request, answer: &str) {
        let kind = match request {
            Request::Call { .. } => CALL,
            Request::Signal { .. } => SIGNAL,
            Request::Slow { .. } => SLOW,
            Request::Relay { .. } => RELAY,
            Request::Later { .. } => LATER,
            Request::Order { n: number, .. } => {
                self.orders.insert(request_id(client, n), (number, answer.to_owned()));
                ORDER
            }
            Request::Transfer { from, to, cents } => {
                if answer == "true" {
                    let id = request_id(client, n);
                    self.sent.entry(from).or_default().insert(id.clone());
                    self.received.entry(to).or_default().insert(id);
                    *self.cents.entry(from).or_default() -= cents;
                    *self.cents.entry(to).or_default() += cents;
                }
                return;
            }
        };
        // A relay answers with its own stamp, not with that of the journal.
        let stamp = if kind == CALL || kind == SLOW {
            answer.parse().ok()
        } else {
            None
        };
        let notes = if kind == RELAY { BURST as usize } else { 1 };
        let journal = self.journals.entry(journal(client, kind)).or_default();
        journal.extend(std::iter::repeat_n(stamp, notes));
    }
}

/// Returns `true` if a signal that was acknowledged has not been processed yet.
pub(super) async fn waits_for_signals(client: &Client, plan: &Plan, before: &Ledger) -> abide::Result<bool> {
    for number in 0..plan.clients {
        let asked = plan.requests(number).take(before.acknowledged(number) as usize + 1);
        let (mut signals, mut relays, mut later) = (0, 0, 0);
        for request in asked {
            match request {
                Request::Signal { .. } => signals += 1,
                Request::Relay { .. } => relays += BURST as usize,
                Request::Later { .. } => later += 1,
                _ => {}
            }
        }
        for (kind, count) in [(SIGNAL, signals), (RELAY, relays), (LATER, later)] {
            let state = client.entity::<Journal>(journal(number, kind)).state().await?;
            if state.unwrap_or_default().stamps.len() < count {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Compares everything in the hub with everything that was acknowledged. Returns the differences.
pub(super) async fn audit(client: &Client, plan: &Plan, place: &Path, ledger: &Ledger) -> abide::Result<Vec<String>> {
    let expected = Expected::of(plan, ledger);
    let mut violations = ledger.faults.clone();
    let mut journals = BTreeMap::new();
    for number in 0..plan.clients {
        for kind in JOURNALS {
            let key = journal(number, kind);
            let state = client.entity::<Journal>(&key).state().await?.unwrap_or_default();
            let notes = expected.journals.get(&key).map_or(&[][..], Vec::as_slice);
            violations.extend(compare_journal(&key, &state, notes));
            journals.insert(key, state);
        }
    }
    for (key, length, stamp) in &ledger.reads {
        let state = journals.get(key);
        let last = length.checked_sub(1);
        let there = last.and_then(|last| state?.stamps.get(&last));
        if *length > 0 && there != Some(stamp) {
            violations.push(format!(
                "a client has read {length} notes of {key}, the last one stamped {stamp}, but now it is {there:?}"
            ));
        }
    }
    violations.extend(accounts(client, &expected).await?);
    violations.extend(orders(client, place, ledger, &expected).await?);
    violations.extend(ticks(client).await?);
    violations.extend(Visits::read(place).audit(client).await?);
    let admin = client.admin();
    violations.extend(
        admin
            .dead_letters()
            .await?
            .iter()
            .map(|letter| format!("dead letter: {letter:?}")),
    );
    violations.extend(
        admin
            .locks()
            .await?
            .iter()
            .map(|lock| format!("still locked: {lock:?}")),
    );
    Ok(violations)
}

fn compare_journal(key: &str, state: &Journal, expected: &[Option<u64>]) -> Vec<String> {
    let mut violations: Vec<String> = state.faults.iter().map(|fault| format!("{key}: {fault}")).collect();
    if state.stamps.len() != expected.len() {
        violations.push(format!(
            "{key} has {} notes, but {} were acknowledged",
            state.stamps.len(),
            expected.len()
        ));
    }
    for (n, stamp) in expected.iter().enumerate() {
        let there = state.stamps.get(&(n as u64));
        if stamp.is_some() && there != stamp.as_ref() {
            violations.push(format!(
                "{key}: note {n} was acknowledged with the stamp {stamp:?}, but has {there:?}"
            ));
        }
    }
    violations
}

async fn accounts(client: &Client, expected: &Expected) -> abide::Result<Vec<String>> {
    let mut violations = Vec::new();
    for key in 0..ACCOUNTS {
        let account = client.entity::<Account>(key).state().await?.unwrap_or_default();
        let cents = OPENING_CENTS + expected.cents.get(&key).copied().unwrap_or_default();
        if account.cents != cents {
            violations.push(format!("account {key} has {} cents instead of {cents}", account.cents));
        }
        for (what, there, wanted) in [
            ("sent", &account.sent, expected.sent.get(&key)),
            ("received", &account.received, expected.received.get(&key)),
        ] {
            let mut there = there.clone();
            there.sort_unstable();
            let wanted: Vec<String> = wanted.into_iter().flatten().cloned().collect();
            if there != wanted {
                violations.push(format!("account {key} has {what} {there:?} instead of {wanted:?}"));
            }
        }
    }
    Ok(violations)
}

/// Compares the results and histories of orders with the acknowledged results, and with what happened outside.
async fn orders(client: &Client, place: &Path, ledger: &Ledger, expected: &Expected) -> abide::Result<Vec<String>> {
    let mut violations = Vec::new();
    // The keys of all activities in histories, and the keys of those whose results a history has.
    let mut scheduled = BTreeSet::new();
    let began = World::read(place);
    for (id, (number, answer)) in &expected.orders {
        let result = client.orchestration::<order>(id).result().await?;
        let result = result.join(",").replace(' ', "_");
        if result != *answer {
            violations.push(format!("order {id} has returned {answer}, but now returns {result}"));
        }
        violations.extend(early_timer(id, *number, answer, &began));
        for instance in [id.clone(), pack_of(id)] {
            scheduled.extend(activities(client, &instance).await?);
        }
    }
    for ((number, n), execution) in &ledger.started {
        let id = request_id(*number, *n);
        let info = client.untyped_orchestration(&id).status().await?;
        let there = info.map(|info| info.execution_id.to_string());
        if there.as_ref() != Some(execution) {
            violations.push(format!(
                "the start of {id} was acknowledged as execution {execution}, but now it is {there:?}"
            ));
        }
    }
    for (run, Attempt { key, .. }) in &began {
        if !scheduled.contains(key) {
            violations.push(format!(
                "the activity {key} ran as {run}, but no history has called it: it left the hub before it was durable"
            ));
        }
    }
    let keys: BTreeSet<&String> = began.values().map(|attempt| &attempt.key).collect();
    let missing = scheduled.iter().filter(|key| !keys.contains(key));
    violations.extend(missing.map(|key| format!("the activity {key} was called, but never ran")));
    Ok(violations)
}

/// Compares the time between the activities of an order with the pause between them, unless a process has ended in the
/// meantime. The hub counts in milliseconds.
fn early_timer(id: &str, number: u64, answer: &str, began: &BTreeMap<String, Attempt>) -> Option<String> {
    let mut runs = answer.split(',');
    let (before, after) = (runs.next()?, runs.next()?);
    let paused = began.get(before)?.until(began.get(after)?);
    let is_early = is_same_life(before, after) && paused + Duration::from_millis(1) < pause_of(number);
    is_early.then(|| {
        format!(
            "the timer of {id} was set for {:?}, and fired after {paused:?}",
            pause_of(number)
        )
    })
}

/// Returns the idempotency keys of all activities that an orchestration has called.
async fn activities(client: &Client, id: &str) -> abide::Result<BTreeSet<String>> {
    let run = client.untyped_orchestration(id);
    let Some(info) = run.status().await? else {
        return Ok(BTreeSet::new());
    };
    let key = |sequence| format!("{id}/{}/{sequence}", info.execution_id);
    let events = run.history().await?.into_iter();
    let keys = events.filter_map(|event| match event.kind {
        HistoryEventKind::StepScheduled {
            sequence,
            step: HistoryStep::Activity { .. },
            ..
        } => Some(key(sequence)),
        _ => None,
    });
    Ok(keys.collect())
}

/// Compares the runs of the schedule with what they did.
async fn ticks(client: &Client) -> abide::Result<Vec<String>> {
    let ticker = client.entity::<Ticker>("ticker").state().await?.unwrap_or_default();
    let mut violations = ticker.faults;
    let runs = client.orchestrations().name("tick").count().await?;
    if runs != ticker.runs.len() as u64 {
        violations.push(format!(
            "the schedule has started {runs} runs, but {} have ticked",
            ticker.runs.len()
        ));
    }
    Ok(violations)
}
