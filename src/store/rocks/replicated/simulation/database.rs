//! The model of the tables, and of what each statement does to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::world::Bug;
use crate::log::commits::decompress;
use crate::log::shared::{Chain, LogError, LogState, Record, Snapshot, Tenure};

/// The content of the database.
#[derive(Clone, Debug, Default)]
pub(super) struct Database {
    pub(super) incarnation: u64,
    pub(super) epoch: u64,
    /// The node that owns the hub.
    pub(super) owner: Option<usize>,
    head: u64,
    commit: u64,
    chain: Chain,
    snapshot: Option<Snapshot>,
    records: BTreeMap<u64, Arc<Record>>,
    parts: BTreeMap<(u64, u64, u32), Arc<Vec<u8>>>,
    /// The changes of each commit that was ever appended, in order. The tables have only those after the snapshot.
    pub(super) history: Vec<Arc<Vec<u8>>>,
}

/// What a statement has done: its answer, and whether it has written, so that the answer waits for the standby.
pub(super) struct Done<R> {
    pub(super) answer: R,
    pub(super) has_written: bool,
}

impl<R> Done<R> {
    pub(super) fn read(answer: R) -> Self {
        Self {
            answer,
            has_written: false,
        }
    }

    pub(super) fn wrote(answer: R) -> Self {
        Self {
            answer,
            has_written: true,
        }
    }
}

impl Database {
    pub(super) fn state(&self) -> LogState {
        LogState {
            incarnation: self.incarnation,
            head: self.head,
            commit: self.commit,
            chain: self.chain,
            snapshot: self.snapshot,
        }
    }

    /// Returns `true` if the log has a record, or has replaced it by a snapshot.
    pub(super) fn has(&self, position: u64, chain: Chain) -> bool {
        position < self.state().first()
            || position == 0
            || self.records.get(&position).is_some_and(|record| record.chain == chain)
    }

    /// Makes a node the owner, if nobody else has become one since the epoch was `seen`.
    pub(super) fn claim(&mut self, seen: u64, node: usize) -> Done<Option<Tenure>> {
        if self.epoch != seen {
            return Done::read(None);
        }
        self.epoch += 1;
        self.owner = Some(node);
        Done::wrote(Some(Tenure {
            epoch: self.epoch,
            log: self.state(),
        }))
    }

    fn is_owned(&self, epoch: u64, node: usize) -> bool {
        self.epoch == epoch && self.owner == Some(node)
    }

    pub(super) fn append(
        &mut self,
        epoch: u64,
        node: usize,
        record: &Record,
        bug: Option<Bug>,
    ) -> Done<Result<(), LogError>> {
        let is_owned = self.is_owned(epoch, node) || bug == Some(Bug::AppendUnfenced);
        let is_next = self.head + 1 == record.position || bug == Some(Bug::AppendAnywhere);
        if is_owned && is_next {
            self.head += 1;
            (self.commit, self.chain) = (record.last, record.chain);
            let stored = Record {
                position: self.head,
                ..record.clone()
            };
            self.records.insert(self.head, Arc::new(stored));
            let taken = decompress(&record.body, &mut |_, changes| {
                self.history.push(Arc::new(changes.to_vec()));
                Ok(())
            });
            taken.expect("a record can be read");
            return Done::wrote(Ok(()));
        }
        let there = self.records.get(&record.position);
        let is_ours = there.is_some_and(|there| there.chain == record.chain);
        if is_ours && bug == Some(Bug::TakeReadBackForAnswer) {
            return Done::read(Ok(()));
        }
        if !self.is_owned(epoch, node) {
            return Done::read(Err(LogError::Fenced));
        }
        let went_back = LogError::WentBack {
            acknowledged: record.position - 1,
            found: self.head,
        };
        Done::wrote(if is_ours { Ok(()) } else { Err(went_back) })
    }

    pub(super) fn confirm(&self, epoch: u64, node: usize) -> Done<Result<u64, LogError>> {
        if self.is_owned(epoch, node) {
            Done::wrote(Ok(self.head))
        } else {
            Done::read(Err(LogError::Fenced))
        }
    }

    /// Returns the state of the log by a write, so that it waits for the standby.
    pub(super) fn barrier(&self, bug: Option<Bug>) -> Done<LogState> {
        if bug == Some(Bug::BarrierWithoutStandby) {
            return Done::read(self.state());
        }
        Done::wrote(self.state())
    }

    /// Returns `true` if the tables have this record. A write of that, so that it waits for the standby.
    pub(super) fn settle(&self, position: u64, chain: Chain, bug: Option<Bug>) -> Done<bool> {
        let found = self.records.get(&position).is_some_and(|record| record.chain == chain);
        if bug == Some(Bug::SettleWithoutStandby) {
            return Done::read(found);
        }
        if found || bug == Some(Bug::SettleWithoutLooking) {
            return Done::wrote(true);
        }
        Done::read(false)
    }

    pub(super) fn read(&self, from: u64, bytes: usize) -> Vec<Record> {
        let mut size = 0;
        let records = self.records.range(from..).map(|(_, record)| record);
        let records = records.take_while(|record| {
            let fits = size == 0 || size + record.body.len() <= bytes;
            size += record.body.len();
            fits
        });
        records.map(|record| Record::clone(record)).collect()
    }

    pub(super) fn find(&self, commit: u64, from: u64) -> Option<u64> {
        let mut records = self.records.range(from..);
        records
            .find(|(_, record)| record.last >= commit)
            .map(|(position, _)| *position)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.records.values().map(|record| record.body.len() as u64).sum()
    }

    pub(super) fn put_part(
        &mut self,
        epoch: u64,
        node: usize,
        (position, part): (u64, u32),
        body: &[u8],
    ) -> Done<Result<(), LogError>> {
        if !self.is_owned(epoch, node) {
            return Done::read(Err(LogError::Fenced));
        }
        self.parts.insert((epoch, position, part), Arc::new(body.to_vec()));
        Done::wrote(Ok(()))
    }

    pub(super) fn part(&self, snapshot: Snapshot, part: u32) -> Option<Vec<u8>> {
        let found = self.parts.get(&(snapshot.epoch, snapshot.position, part));
        found.map(|body| body.to_vec())
    }

    pub(super) fn publish(
        &mut self,
        epoch: u64,
        node: usize,
        snapshot: Snapshot,
        chain: Chain,
        bug: Option<Bug>,
    ) -> Done<bool> {
        let is_newer = self.snapshot.is_none_or(|before| before.position <= snapshot.position);
        let record = self.records.get(&snapshot.position);
        let has_record = record.is_some_and(|record| record.chain == chain);
        let has_parts = (0..snapshot.parts).all(|part| self.part(snapshot, part).is_some());
        let is_there = has_record && has_parts || bug == Some(Bug::PublishWithoutLooking);
        if !(self.is_owned(epoch, node) && is_newer && is_there) {
            return Done::read(false);
        }
        self.snapshot = Some(snapshot);
        Done::wrote(true)
    }

    /// Discards what a snapshot has replaced, as long as it is the newest one.
    pub(super) fn trim(&mut self, snapshot: Snapshot, bug: Option<Bug>) {
        if self.snapshot != Some(snapshot) && bug != Some(Bug::TrimWithoutLooking) {
            return;
        }
        let Snapshot { epoch, position, .. } = snapshot;
        let first = if bug == Some(Bug::TrimTheSnapshotsRecord) {
            position + 1
        } else {
            position
        };
        self.records.retain(|at, _| *at >= first);
        self.parts
            .retain(|(of, at, _), _| *of > epoch || (*of == epoch && *at >= position));
    }

    pub(super) fn release(&mut self, epoch: u64, node: usize) {
        if self.is_owned(epoch, node) {
            self.owner = None;
        }
    }

    /// Continues without what was lost. The owner is fenced.
    pub(super) fn accept_loss(&mut self, nobody: usize) {
        self.epoch += 1;
        self.owner.get_or_insert(nobody);
    }
}
