//! What is kept for a time only: old request ids, dead letters and events are removed, a page at a time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::requests::WAITS;
use crate::engine::step::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, PartitionId};
use crate::store::records::Place;
use crate::store::{Reader, keys};
use crate::time::Timestamp;

/// How often it is looked at most what is old.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// How often it is looked at most whether the oldest of too many may go by now.
const PAUSE: Duration = Duration::from_secs(1);

impl Core {
    /// When the next sweep is due, if there is anything that can grow old.
    pub(super) fn sweep_due(&self) -> Option<Timestamp> {
        Some(self.next_sweep).filter(|due| *due < NEVER)
    }

    /// Removes what is old or over its limit, in the partitions where something may be.
    pub(super) fn sweep(&mut self, step: &mut Step, reader: &dyn Reader) -> Result<()> {
        if self.next_sweep > step.now {
            return Ok(());
        }
        let owned: Vec<PartitionId> = self.owned().map(|partition| partition.id).collect();
        let mut next = NEVER;
        let now = step.now;
        let is_due = |due: Option<Timestamp>| due.is_some_and(|due| due <= now);
        for id in owned {
            if is_due(self.partition(id).requests.due) {
                let due = self.sweep_requests(id, step, reader)?;
                self.partition_mut(id).requests.due = due;
            }
            if is_due(self.partition(id).letters.due) {
                let due = self.sweep_dead_letters(id, step, reader)?;
                self.partition_mut(id).letters.due = due;
            }
            if is_due(self.partition(id).early.due) {
                let due = self.sweep_early_events(id, step, reader)?;
                self.partition_mut(id).early.due = due;
            }
            let partition = self.partition(id);
            let dues = [partition.requests.due, partition.letters.due, partition.early.due];
            next = dues.into_iter().flatten().fold(next, Timestamp::min);
        }
        self.next_sweep = next;
        Ok(())
    }

    /// Forgets a page of request ids. Tells when it is to be looked again.
    fn sweep_requests(&mut self, id: PartitionId, step: &mut Step, reader: &dyn Reader) -> Result<Option<Timestamp>> {
        let limits = &self.limits;
        let (retention, youth, page) = (limits.request_retention, limits.request_youth, limits.page);
        let mut over = self.partition(id).record.requests.saturating_sub(limits.requests);
        let rows = reader.scan(self.partition(id).requests.rest_of(keys::request_ages(id)), page)?;
        let mut front = None;
        for (key, value) in &rows {
            let (place, instance, request) = keys::request_age_parts(key).ok_or_else(|| broken("request id"))?;
            let has_age = |age| self.aging.has_age(age, place.since, step.now);
            let may_go = has_age(retention) || over > 0 && has_age(youth);
            if !may_go {
                let written = self.aging.written(place.since, step.now);
                front = Some((written.after(retention), written.after(youth)));
                break;
            }
            let instance = InstanceId::trusted(instance);
            let stays = value == WAITS && self.keep_waiting_request(id, key, &instance, request, step, reader)?;
            if !stays {
                self.remove_request(id, keys::request(id, &instance, request), key, step);
                over = over.saturating_sub(1);
            }
            self.partition_mut(id).requests.from = Some(keys::behind(key.clone()));
        }
        let partition = self.partition_mut(id);
        partition.requests.held_until = Timestamp::default();
        Ok(match front {
            Some((_, grown)) if over > 0 => {
                let due = grown.max(step.now.after(PAUSE));
                partition.requests.held_until = due;
                Some(due)
            }
            Some((expires, _)) => Some(expires.max(step.now.after(INTERVAL))),
            None if rows.len() == page => Some(step.now),
            // What is left, if anything is, was written by this very step.
            None => (partition.record.requests > 0).then(|| step.now.after(retention.max(INTERVAL))),
        })
    }

    /// Drops dead letters. Tells when it is to be looked again.
    fn sweep_dead_letters(
        &mut self,
        id: PartitionId,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<Option<Timestamp>> {
        let over = self
            .partition(id)
            .record
            .dead_letters
            .saturating_sub(self.limits.dead_letters);
        if over > 0 {
            self.drop_surplus_letters(id, over, step, reader)?;
        }
        let (retention, page) = (self.limits.dead_letter_retention, self.limits.page);
        let rows = reader.scan(self.partition(id).letters.rest_of(keys::dead_letter_ages(id)), page)?;
        for (key, _) in &rows {
            let (place, target) = keys::dead_letter_age_parts(key).ok_or_else(|| broken("dead letter"))?;
            if !self.aging.has_age(retention, place.since, step.now) {
                let expires = self.aging.written(place.since, step.now).after(retention);
                return Ok(Some(expires.max(step.now.after(INTERVAL))));
            }
            self.drop_letter(id, place, target, step);
            self.partition_mut(id).letters.from = Some(keys::behind(key.clone()));
        }
        if rows.len() == page {
            return Ok(Some(step.now));
        }
        // What is left, if anything is, was written by this very step.
        let left = self.partition(id).record.dead_letters > 0;
        Ok(left.then(|| step.now.after(retention.max(INTERVAL))))
    }

    /// Drops as many dead letters as there are too many: each time the oldest of the entity that has most, so that an
    /// entity that fills a partition does not drive out those of others.
    fn drop_surplus_letters(&mut self, id: PartitionId, over: u64, step: &mut Step, reader: &dyn Reader) -> Result<()> {
        let rows = reader.scan(
            self.partition(id).letters.rest_of(keys::dead_letter_ages(id)),
            usize::MAX,
        )?;
        let mut letters: BTreeMap<&str, VecDeque<Place>> = BTreeMap::new();
        for (key, _) in &rows {
            let (place, target) = keys::dead_letter_age_parts(key).ok_or_else(|| broken("dead letter"))?;
            if !step.letters.contains(&place.number) {
                letters.entry(target).or_default().push_back(place);
            }
        }
        for _ in 0..over {
            let oldest = |places: &VecDeque<Place>| std::cmp::Reverse(places.front().map(|place| place.number));
            let most = letters
                .iter_mut()
                .max_by_key(|(_, places)| (places.len(), oldest(places)));
            let Some((target, place)) = most.and_then(|(target, places)| Some((*target, places.pop_front()?))) else {
                break;
            };
            self.drop_letter(id, place, target, step);
        }
        Ok(())
    }

    fn drop_letter(&mut self, id: PartitionId, place: Place, target: &str, step: &mut Step) {
        tracing::warn!(entity = target, letter = %place.number, "a dead letter is dropped for good");
        self.remove_dead_letter(id, place, target, step);
    }
}

/// Later than any time.
pub(super) const NEVER: Timestamp = Timestamp(u64::MAX);

pub(super) fn broken(what: &str) -> Error {
    Error::new(
        ErrorKind::Corrupted,
        format!("the key of the age of a stored {what} does not decode"),
    )
}
