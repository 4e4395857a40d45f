//! Payloads at the size limit, or one byte above it.

use std::collections::BTreeSet;

use serde_json::json;

use super::clients::{Heard, Request};
use super::coverage::CoverageMark;
use super::orchestration::is_of_orchestration;
use super::plan::{End, Work};
use super::random::Random;
use super::workload::Ledger;
use super::world::World;
use crate::engine::CoreStep;
use crate::error::ErrorKind;
use crate::model::{self, StateRecord};
use crate::schema::{self, Table};
use crate::store::Reader;

/// Size of the largest payload that every process permits.
pub(super) const PAYLOAD_BYTES: usize = 64 << 10;

/// Size of the largest payload that any process permits.
pub(super) const MOST_PAYLOAD_BYTES: usize = 96 << 10;

/// Size of a payload that only some processes permit.
pub(super) const DISPUTED_BYTES: usize = 80 << 10;

impl World {
    /// Sometimes brings the arguments or the answers of work, and of the work that it sends, close to the limit.
    pub(super) fn enlarge(&mut self, work: &mut Work) {
        let any = self.profile.large && fill(work, &mut self.aside);
        self.see(CoverageMark::PayloadAtItsLimit, any);
        if self.profile.disputed {
            self.dispute(work);
        }
    }

    /// Sometimes makes the answer of work, or a payload that it sends, exceed the limit of some processes.
    fn dispute(&mut self, work: &mut Work) {
        if work.end == End::Fine && self.later.chance(8) {
            work.end = End::Disputed;
            match work.sends.first_mut() {
                Some(first) if self.later.chance(50) => first.work.arguments = DISPUTED_BYTES,
                _ => work.answer = DISPUTED_BYTES,
            }
            let node = self.plans.nodes.get_mut(&work.id);
            node.expect("drawn work has a node").end = End::Disputed;
        }
        for sending in &mut work.sends {
            self.dispute(&mut sending.work);
        }
    }

    /// Returns whether work with this `end` is done, or `None` if that depends on the process that attempts it.
    pub(super) fn is_done(&self, end: End) -> Option<bool> {
        match end {
            End::Fine => Some(true),
            End::Disputed => self.all_processes_allow(DISPUTED_BYTES),
            _ => Some(false),
        }
    }

    /// Returns whether all processes so far permit a payload of this size, or `None` if they differ.
    pub(super) fn all_processes_allow(&self, bytes: usize) -> Option<bool> {
        let mut allowed = self.limits_met.iter().map(|limit| bytes <= *limit);
        let first = allowed.next()?;
        allowed.all(|allowed| allowed == first).then_some(first)
    }

    /// Checks a reply about a payload of disputed size against the limit of this process. A reply under a request id
    /// may come from an earlier process.
    pub(super) fn check_dispute(&mut self, request: &Request, heard: &Heard) {
        let says = match heard {
            Heard::Done(_) => true,
            Heard::Failed(ErrorKind::TooLarge) => false,
            _ => return,
        };
        let allows = match request.id {
            None => Some(DISPUTED_BYTES <= self.process.payload_bytes),
            Some(_) => self.all_processes_allow(DISPUTED_BYTES),
        };
        assert!(
            allows.is_none_or(|allows| allows == says),
            "{heard:?} contradicts the payload limit: {request:?}"
        );
        self.see(CoverageMark::AnswerOverALimit, !says);
    }

    /// Checks that no work is done in a process whose limit rejects its answer.
    pub(super) fn check_work_of(&self, step: &CoreStep) {
        if !self.profile.disputed || DISPUTED_BYTES <= self.process.payload_bytes {
            return;
        }
        for change in step.batch.changes() {
            let (key, Some(value)) = change.parts() else { continue };
            if !matches!(schema::partition_and_table(key), Some((_, Table::State))) {
                continue;
            }
            let before = self.model.get(key).expect("the model's reads do not fail");
            let before: BTreeSet<u64> = before.iter().flat_map(|row| work_in(row)).collect();
            let new = work_in(value).into_iter().filter(|work| !before.contains(work));
            for work in new {
                let is_disputed = match is_of_orchestration(work) {
                    true => self.observations.is_disputed(work),
                    false => self.plans.nodes[&work].end == End::Disputed,
                };
                assert!(
                    !is_disputed,
                    "the work {work} was done in a process whose limit rejects its answer"
                );
            }
        }
    }
}

/// Returns the work in the log of a worker's state.
fn work_in(row: &[u8]) -> Vec<u64> {
    let record: StateRecord<'_> = model::decode(row, "state").expect("the record of a state is valid");
    // An archive has no log.
    let worker: Option<Ledger> = serde_json::from_slice(record.state).ok();
    worker
        .into_iter()
        .flat_map(|worker| worker.log)
        .map(|entry| entry.id)
        .collect()
}

/// Pads work at random. Returns whether anything is padded.
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
        // The work fails because of a payload that it sends, not because of its answer.
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
    /// Returns the work as it is sent, with its arguments padded to their target size.
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
