//! Payloads that are as large as they may be, or one byte larger.

use std::collections::BTreeSet;

use serde_json::json;

use super::clients::{Heard, Request};
use super::orchestration::is_of_orchestration;
use super::plan::{End, Work};
use super::random::Random;
use super::sights::Sight;
use super::workload::Ledger;
use super::world::World;
use crate::engine::Step;
use crate::error::ErrorKind;
use crate::store::Reader;
use crate::store::keys::{self, Table};
use crate::store::records::{self, StateRecord};

/// The largest payload that every life allows.
pub(super) const PAYLOAD_BYTES: usize = 64 << 10;

/// The largest payload that any life allows.
pub(super) const MOST_PAYLOAD_BYTES: usize = 96 << 10;

/// The size of a payload that some lives allow.
pub(super) const DISPUTED_BYTES: usize = 80 << 10;

impl World {
    /// Now and then lets the arguments or the answers of work, and of what it sends, come close to the limit.
    pub(super) fn enlarge(&mut self, work: &mut Work) {
        let any = self.climate.large && fill(work, &mut self.aside);
        self.see(Sight::PayloadAtItsLimit, any);
        if self.climate.disputed {
            self.dispute(work);
        }
    }

    /// Now and then lets the answer of work, or what it sends, be over the limit of some lives.
    fn dispute(&mut self, work: &mut Work) {
        if work.end == End::Fine && self.later.chance(8) {
            work.end = End::Disputed;
            match work.sends.first_mut() {
                Some(first) if self.later.chance(50) => first.work.arguments = DISPUTED_BYTES,
                _ => work.answer = DISPUTED_BYTES,
            }
            let node = self.plans.nodes.get_mut(&work.id);
            node.expect("work that is drawn is known").end = End::Disputed;
        }
        for sending in &mut work.sends {
            self.dispute(&mut sending.work);
        }
    }

    /// Whether work that ends so is done; nothing if that depends on the life in which it is tried.
    pub(super) fn is_done(&self, end: End) -> Option<bool> {
        match end {
            End::Fine => Some(true),
            End::Disputed => self.all_lives_allow(DISPUTED_BYTES),
            _ => Some(false),
        }
    }

    /// Whether the lives that there were allowed a payload, if they agree.
    pub(super) fn all_lives_allow(&self, bytes: usize) -> Option<bool> {
        let mut allowed = self.limits_met.iter().map(|limit| bytes <= *limit);
        let first = allowed.next()?;
        allowed.all(|allowed| allowed == first).then_some(first)
    }

    /// A client hears that a payload was too large, or that it was not, in a life that may say so. What is told under a request
    /// id may be from a life before.
    pub(super) fn check_dispute(&mut self, request: &Request, heard: &Heard) {
        let says = match heard {
            Heard::Done(_) => true,
            Heard::Failed(ErrorKind::TooLarge) => false,
            _ => return,
        };
        let allows = match request.id {
            None => Some(DISPUTED_BYTES <= self.life.payload_bytes),
            Some(_) => self.all_lives_allow(DISPUTED_BYTES),
        };
        assert!(
            allows.is_none_or(|allows| allows == says),
            "{heard:?} in a life that disagrees: {request:?}"
        );
        self.see(Sight::AnswerOverALimit, !says);
    }

    /// No work is done in a life whose limit refuses its answer.
    pub(super) fn check_work_of(&self, step: &Step) {
        if !self.climate.disputed || DISPUTED_BYTES <= self.life.payload_bytes {
            return;
        }
        for change in step.batch.changes() {
            let (key, Some(value)) = change.parts() else { continue };
            if !matches!(keys::partition_and_table(key), Some((_, Table::State))) {
                continue;
            }
            let before = self.model.get(key).expect("the model's reads do not fail");
            let before: BTreeSet<u64> = before.iter().flat_map(|row| work_in(row)).collect();
            let new = work_in(value).into_iter().filter(|work| !before.contains(work));
            for work in new {
                let is_disputed = match is_of_orchestration(work) {
                    true => self.chronicle.is_disputed(work),
                    false => self.plans.nodes[&work].end == End::Disputed,
                };
                assert!(
                    !is_disputed,
                    "the work {work} was done in a life that does not allow its answer"
                );
            }
        }
    }
}

/// The work in the log of a worker's state.
fn work_in(row: &[u8]) -> Vec<u64> {
    let record: StateRecord<'_> = records::decode(row, "state").expect("a state");
    // An archive has no log.
    let worker: Option<Ledger> = serde_json::from_slice(record.state).ok();
    worker
        .into_iter()
        .flat_map(|worker| worker.log)
        .map(|entry| entry.id)
        .collect()
}

/// Says whether anything is filled up.
fn fill(work: &mut Work, aside: &mut Random) -> bool {
    let fits = |aside: &mut Random| {
        if aside.chance(4) {
            PAYLOAD_BYTES - aside.index(2)
        } else {
            0
        }
    };
    if work.arguments == 0 {
        work.arguments = fits(aside);
    }
    match (work.end, work.sends.first_mut()) {
        // It fails for what it sends instead of for what it answers.
        (End::TooLong, Some(first)) if aside.chance(50) => first.work.arguments = MOST_PAYLOAD_BYTES + 1,
        (End::TooLong, _) => work.answer = MOST_PAYLOAD_BYTES + 1,
        _ => work.answer = fits(aside),
    }
    let any = work.arguments.max(work.answer) > 0;
    work.sends
        .iter_mut()
        .fold(any, |any, sending| fill(&mut sending.work, aside) || any)
}

impl Work {
    /// The work as it is sent: its arguments have as many bytes as they are to have.
    pub(super) fn filled(&self) -> Self {
        let mut work = self.clone();
        if work.arguments > 0 {
            work.padding = "x".to_owned();
            let bytes = json!({ "work": work }).to_string().len();
            work.padding = "x".repeat(1 + work.arguments.saturating_sub(bytes));
        }
        work
    }
}
