//! Invariants of every step and every reply, after every crash, when idle and at rest.

use std::collections::{BTreeMap, BTreeSet};

use super::builds::AUDITED;
use super::clients::{Effect, Heard, Request, What, Wish};
use super::effects::{effect_at_last, effect_of, effect_so_far};
use super::orchestration::{is_of_orchestration, repeated};
use super::plan::{End, How, Node};
use super::process::Asked;
use super::profile::MOST_SENT_MAIL;
use super::survey::Survey;
use super::workload::{self, Entry, Peek, Receipt};
use super::world::World;
use crate::engine::CoreStep;
use crate::error::ErrorKind;
use crate::id::{InstanceId, PartitionId};
use crate::model::{self, AuditRecord, StateRecord};
use crate::schema::{self, Table};
use crate::store::{Change, Model, Reader};

/// Checks that a step consumes only existing messages, each once, and writes no row that it consumes itself. With
/// `may_resume`, instances may resume within the step that made them wait, so their messages may briefly have rows.
pub(super) fn step(step: &CoreStep, store: &Model, may_resume: bool) {
    let messages = [
        schema::message::all(PartitionId(0)).start[2],
        schema::priority::all(PartitionId(0)).start[2],
    ];
    let timer = schema::timer::name_key(PartitionId(0), &InstanceId::trusted(""), "")[2];
    let mut made = BTreeSet::new();
    let mut gone = BTreeSet::new();
    for change in step.batch.changes() {
        match change {
            Change::Put { key, .. } | Change::Insert { key, .. }
                if key.len() > 3 && (key[2] == timer || messages.contains(&key[2])) =>
            {
                made.insert(key.to_vec());
                gone.remove(key);
            }
            Change::Delete { key } if messages.contains(&key[2]) => {
                let shown = key.escape_ascii();
                let was_made = made.remove(key);
                assert!(
                    !was_made || may_resume,
                    "the message {shown} became a row in the commit that consumes it"
                );
                assert!(
                    gone.insert(key.to_vec()),
                    "the message {shown} is consumed twice in one commit"
                );
                let there = was_made || store.get(key).unwrap().is_some();
                assert!(there, "the message {shown} is consumed but does not exist");
            }
            Change::Delete { key } if key[2] == timer => {
                let there = made.remove(key) || (store.get(key).unwrap().is_some() && !gone.contains(key));
                assert!(there, "the timer {} is removed but does not exist", key.escape_ascii());
                gone.insert(key.to_vec());
            }
            _ => {}
        }
    }
}

/// Checks that a reply fits its request, and the other replies under the same request id.
pub(super) fn heard(world: &World, index: usize) {
    let request = &world.requests[index];
    let heard = request.heard.last().expect("a reply was recorded");
    let told = || format!("request {index} received {heard:?}: {request:?}");
    if let Heard::Failed(kind) = heard {
        let possible = match kind {
            ErrorKind::Quarantined | ErrorKind::Unregistered => world.profile.bad_builds || world.profile.versions,
            ErrorKind::Overloaded => {
                let has_new_id = world.profile.capped && request.id.is_some();
                request.refuse_when_full || has_new_id || matches!(request.what, What::Order(Wish::Raise(_)))
            }
            ErrorKind::UnknownOperation => world.profile.bad_builds || request.what == What::Unknown,
            ErrorKind::RequestIdReused => matches!(request.what, What::Misuse(_)),
            _ => true,
        };
        assert!(possible, "{}", told());
    }
    let fits = match request.what {
        What::Work(work) => heard.fits(request.call, &world.plans.nodes[&work]),
        What::Schedule(..) => matches!(heard, Heard::Accepted | Heard::Failed(ErrorKind::Overloaded)),
        What::Cancel(_) => matches!(heard, Heard::Canceled(_)),
        What::Peek => matches!(heard, Heard::Seen(_) | Heard::Failed(_)),
        What::Unknown => matches!(heard, Heard::Failed(_)) || (!request.call && *heard == Heard::Accepted),
        What::Misuse(_) => matches!(heard, Heard::Failed(_)),
        What::Order(_) | What::Wait => matches!(heard, Heard::Text(_) | Heard::Refused | Heard::Failed(_)),
    };
    assert!(fits, "{}", told());
    if let (Heard::Done(receipt), What::Work(work)) = (heard, request.what) {
        assert_eq!(receipt.id, work, "{}", told());
    }
    let mut finals = request.heard.iter().filter(|heard| heard.is_final());
    if let Some(first) = finals.next() {
        assert!(
            finals.all(|other| other == first),
            "two answers under one request id: {request:?}"
        );
        assert!(
            !heard.is_refusal(),
            "a request that took effect was refused under its request id: {request:?}"
        );
    }
}

/// Checks that everything released before a crash still holds after it.
pub(super) fn after_crash(world: &World) {
    let survey = world.survey();
    let done = survey.done();
    let waiting: BTreeSet<u64> = survey.waiting_work.iter().copied().collect();
    for (work, count) in &done {
        assert_eq!(*count, 1, "the work {work} was done {count} times");
        assert!(!waiting.contains(work), "the work {work} is done and still waits");
    }
    for (index, request) in world.requests.iter().enumerate() {
        let (What::Work(work) | What::Schedule(work, _)) = request.what else {
            continue;
        };
        if effect_of(world, world.plans.nodes[&work].end, request, request.effect()) != Effect::Sure {
            continue;
        }
        if matches!(request.what, What::Schedule(..)) && effect_so_far(world, index) != Effect::Sure {
            continue;
        }
        assert!(
            done.contains_key(&work) || waiting.contains(&work) || world.dropped.contains(&work),
            "the acknowledged work {work} is lost: {request:?}"
        );
    }
    answers_are_true(world, &survey);
    paired(&survey);
    changes_are_kept(world);
}

/// Checks that the newest kept change of every register led to its state, and that no more are kept than its type asks
/// for.
fn changes_are_kept(world: &World) {
    for partition in (0..world.profile.partitions).map(PartitionId) {
        let rows = world
            .model_of(partition)
            .scan(schema::state::with_prefix(partition, "@register@"), usize::MAX);
        for (key, row) in rows.expect("the model's reads do not fail") {
            let id = schema::id_of(&key).expect("a state has an id");
            let kept = world
                .model_of(partition)
                .scan(schema::audit::of(partition, &id), usize::MAX);
            let kept = kept.expect("the model's reads do not fail");
            assert!(
                (1..=AUDITED).contains(&kept.len()),
                "{} changes of {id} are kept",
                kept.len()
            );
            let (_, newest) = kept.last().expect("one at least");
            let newest: AuditRecord = model::decode(newest, "change of a state").expect("valid change");
            let state: StateRecord<'_> = model::decode(&row, "state").expect("valid state");
            assert_eq!(
                newest.state.as_deref().map(Vec::as_slice),
                Some(state.state),
                "the newest change of {id}"
            );
        }
    }
}

/// Checks that in an idle hub a message waits only if its entity cannot accept it.
pub(super) fn when_idle(world: &mut World) {
    let survey = world.survey();
    let blocked = |id: &str| {
        world.may_wait(id)
            || survey.quarantined.iter().any(|quarantined| quarantined == id)
            || world
                .processes()
                .any(|process| process.held.iter().any(|held| held.as_str() == id))
            || id
                .split('@')
                .nth(1)
                .is_some_and(|name| world.processes().any(|process| process.build.lacks(name)))
    };
    for (target, message) in &survey.messages {
        assert!(blocked(target), "a waiting message is never processed: {message}");
    }
    let waits = |request: &&Request| request.open > 0;
    let waits_for_end = |request: &Request| request.what == What::Wait && world.has_not_ended(&request.target);
    for request in world
        .requests
        .iter()
        .filter(waits)
        .filter(|request| !waits_for_end(request))
    {
        assert!(
            blocked(request.target.as_str()),
            "a request is never answered: {request:?}"
        );
    }
    let is_held_up = !survey.quarantined.is_empty() || world.processes().any(|process| !process.held.is_empty());
    world.check_code_when_idle(is_held_up);
    if !is_held_up && world.process_has_all_code() {
        match world.profile.orchestrations {
            Some(_) => world.check_when_idle(),
            None => nothing_waits(world),
        }
    }
}

/// Checks that at rest everything has ended, and only the states are left.
pub(super) fn at_rest(world: &mut World) {
    let survey = world.survey();
    assert!(survey.messages.is_empty(), "messages are left: {:?}", survey.messages);
    assert!(survey.timers.is_empty(), "timers are left: {:?}", survey.timers);
    let mut mail = BTreeMap::new();
    for (from, key) in world.rows_of_all_shards().keys() {
        if let Some((to, Table::Mail)) = schema::partition_and_table(key) {
            let number = schema::mail::number_of(key).expect("a message has a number");
            assert!(number <= world.taken(*from, to), "messages between shards are left");
            *mail.entry((*from, to)).or_insert(0) += 1;
        }
    }
    assert!(
        mail.values().all(|kept| *kept < MOST_SENT_MAIL),
        "messages are not deleted: {mail:?}"
    );
    assert!(survey.letters.is_empty(), "dead letters are left");
    assert!(
        survey.quarantined.is_empty(),
        "quarantines are left: {:?}",
        survey.quarantined
    );
    paired(&survey);
    nothing_waits(world);
    work_was_done_once(world, &survey);
    answers_are_true(world, &survey);
    order_was_kept(world, &survey);
    nothing_was_early(world, &survey);
    changes_are_kept(world);
    // A dead letter that is sent again is a new message. So is a request that is repeated after a build refused it.
    let noted = world.disordered.union(&world.refused).copied();
    let repeated = noted.chain(repeated(world)).collect();
    let complaint = workload::service_complaint(&repeated);
    assert_eq!(complaint, None, "a later attempt had a different idempotency key");
    world.forget_requests();
    let survey = world.survey();
    assert_eq!(survey.request_rows, 0, "request ids are not forgotten");
    paired(&survey);
    nothing_waits(world);
}

fn nothing_waits(world: &World) {
    let open: Vec<&Request> = world.requests.iter().filter(|request| request.open > 0).collect();
    assert!(open.is_empty(), "clients wait forever: {open:?}");
    for slot in world.processes().flat_map(|process| &process.cores) {
        let clients = slot.driver.clients();
        let mut waiting = clients.iter().filter(|(_, asked)| !matches!(asked, Asked::Nobody));
        assert!(waiting.next().is_none(), "operators wait forever: {clients:?}");
        let core = slot.driver.core();
        let left = core.remembered();
        assert!(left.is_empty(), "mailboxes are left: {left:?}");
        assert_eq!(core.running(), 0, "an operation still runs");
        assert_eq!(
            core.clients(),
            [0; 3],
            "clients that wait or have gone away are not forgotten"
        );
    }
}

fn paired(survey: &Survey) {
    for (what, one, other) in &survey.pairs {
        assert_eq!(one, other, "{what} differ");
    }
}

/// Checks that requested work, and all work that follows from it, was done once. Work without an acknowledgment may
/// also have had no effect.
fn work_was_done_once(world: &World, survey: &Survey) {
    let done = survey.done();
    for (id, log) in &survey.logs {
        for entry in log.iter().flatten().filter(|entry| !is_of_orchestration(entry.id)) {
            let node = &world.plans.nodes[&entry.id];
            assert_eq!(
                node.target.as_str(),
                id,
                "the work {} was done by another entity",
                entry.id
            );
        }
    }
    let roots: BTreeMap<u64, usize> = (0..world.requests.len())
        .filter_map(|index| match world.requests[index].what {
            What::Work(work) | What::Schedule(work, _) => Some((work, index)),
            _ => None,
        })
        .collect();
    for (id, node) in &world.plans.nodes {
        let count = done.get(id).copied().unwrap_or_default();
        assert!(count <= 1, "the work {id} was done {count} times");
        let effect = match node.parent {
            _ if world.is_done(node.end) == Some(false) || node.how.is_void() => Effect::None,
            _ if world.dropped.contains(id) => Effect::Unknown,
            Some(parent) if done.contains_key(&parent) => match world.is_done(node.end) {
                None => Effect::Unknown,
                Some(_) => Effect::Sure,
            },
            Some(_) => Effect::None,
            None => roots.get(id).map_or(Effect::None, |index| {
                let effect = effect_at_last(world, *index);
                effect_of(world, node.end, &world.requests[*index], effect)
            }),
        };
        let asked = || roots.get(id).map(|index| &world.requests[*index]);
        match effect {
            Effect::Sure => assert_eq!(count, 1, "the work {id} was not done: {node:?} {:?}", asked()),
            Effect::None => assert_eq!(count, 0, "the work {id} was done: {node:?} {:?}", asked()),
            Effect::Unknown => {}
        }
    }
}

/// Checks that the replies to clients about logs still hold.
fn answers_are_true(world: &World, survey: &Survey) {
    let moving: BTreeSet<u64> = survey.moving.iter().map(|entry| entry.id).collect();
    for request in &world.requests {
        for heard in &request.heard {
            let logs = survey.logs.get(request.target.as_str());
            let mut logs = logs.into_iter().flatten();
            let is_true = match heard {
                Heard::Done(receipt) => moving.contains(&receipt.id) || logs.any(|log| follows(log, receipt)),
                Heard::Seen(peek) => {
                    moving.contains(&peek.last) || peek.entries == 0 || logs.any(|log| shows(log, peek))
                }
                _ => true,
            };
            assert!(is_true, "{heard:?} no longer holds: {request:?} {:?}", survey.logs);
        }
    }
}

fn follows(log: &[Entry], receipt: &Receipt) -> bool {
    let at = log.iter().position(|entry| entry.id == receipt.id);
    at.is_some_and(|at| receipt.previous == at.checked_sub(1).map_or(0, |before| log[before].id))
}

fn shows(log: &[Entry], peek: &Peek) -> bool {
    log.get(peek.entries - 1).is_some_and(|entry| entry.id == peek.last)
}

/// Checks that the work from one sender to one receiver was done in the order of sending.
fn order_was_kept(world: &World, survey: &Survey) {
    let nodes = &world.plans.nodes;
    let in_order = |work: &u64| {
        let node = &nodes[work];
        node.how == How::Now && node.end == End::Fine && !world.disordered.contains(work)
    };
    let work_of = |id: &String| {
        let work = survey.logs[id].iter().flatten().map(|entry| entry.id);
        work.filter(|work| !is_of_orchestration(*work))
    };
    let known: Vec<&String> = survey
        .logs
        .keys()
        .filter(|id| !world.disordered_logs.contains(*id))
        .collect();
    for sender in &known {
        for receiver in &known {
            let sent: Vec<u64> = work_of(sender)
                .flat_map(|work| nodes[&work].children.iter().copied())
                .filter(|child| nodes[child].target.as_str() == *receiver && in_order(child))
                .collect();
            let from_sender = |node: &Node| {
                node.parent
                    .is_some_and(|parent| nodes[&parent].target.as_str() == *sender)
            };
            let received: Vec<u64> = work_of(receiver)
                .filter(|work| from_sender(&nodes[work]) && in_order(work))
                .collect();
            assert_eq!(sent, received, "the order from {sender} to {receiver}");
        }
    }
    for receiver in &known {
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        for work in work_of(receiver).filter(|work| nodes[work].parent.is_none() && in_order(work)) {
            let request = world.requests.iter().find(|request| request.what == What::Work(work));
            // A repeated request has no single place in the order.
            let Some(request) = request.filter(|request| request.attempts == 1) else {
                continue;
            };
            if let Some(before) = last.insert(request.client, request.asked) {
                assert!(
                    before < request.asked,
                    "the order from client {} to {receiver}",
                    request.client
                );
            }
        }
    }
}

/// Checks that no scheduled work was done before its time.
fn nothing_was_early(world: &World, survey: &Survey) {
    if world.clock_was_set_back {
        // If a timer fired before the clock was set back, its entity may have been blocked until afterwards.
        return;
    }
    let times: BTreeMap<u64, u64> = survey
        .logs
        .values()
        .flatten()
        .flatten()
        .filter(|entry| !is_of_orchestration(entry.id))
        .map(|entry| (entry.id, entry.at))
        .collect();
    for (id, at) in &times {
        let node = &world.plans.nodes[id];
        if let (How::After(delay), Some(parent)) = (node.how, node.parent) {
            let due = times[&parent] + delay;
            assert!(*at >= due, "the work {id} was due at {due} and done at {at}");
        }
    }
    for request in &world.requests {
        if let What::Schedule(work, due) = request.what
            && let Some(at) = times.get(&work)
        {
            assert!(*at >= due, "the work {work} was due at {due} and done at {at}");
        }
    }
}
