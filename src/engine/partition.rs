//! The in-memory state of the partitions that a core owns.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::engine::sweep::NEVER;
use crate::error::Result;
use crate::id::{InstanceId, PartitionId};
use crate::model::{self, PartitionRecord};
use crate::schema;
use crate::store::Reader;
use crate::time::Timestamp;

/// The in-memory state of one partition.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) id: PartitionId,
    pub(crate) record: PartitionRecord,
    pub(crate) record_changed: bool,
    /// Rows of messages from this key on were not examined since the hub was opened or memory overflowed. Messages that
    /// bypass the queue are examined first.
    pub(crate) backlog: Option<Vec<u8>>,
    /// Time at which the first timer is due.
    pub(crate) next_due: Option<Timestamp>,
    /// All timers before this time have fired. Scans begin here, because passing deleted rows is slow.
    pub(crate) timers_from: Timestamp,
    /// Instances with a quarantine row.
    pub(crate) quarantined: BTreeSet<InstanceId>,
    /// Keys of the rows that list the orchestrations started in this partition, by name and version.
    pub(crate) names: BTreeSet<Vec<u8>>,
    pub(crate) requests: Sweeping,
    pub(crate) letters: Sweeping,
    pub(crate) early: Sweeping,
    /// The kept changes of types that no longer keep any. Searched once after the open.
    pub(crate) changes: Sweeping,
    /// Time of the next search for events that were received while the clock was ahead.
    pub(crate) misdated_due: Timestamp,
    /// Orchestrations that have not received all of their early events, with the times at which they began.
    pub(crate) early_left: BTreeMap<InstanceId, Timestamp>,
}

/// The partitions that a core owns.
#[derive(Debug)]
pub(super) struct Partitions {
    /// Indexed by partition id. `None` for a partition of another core.
    slots: Vec<Option<Partition>>,
    /// Time of the next search for expired rows.
    pub(super) next_sweep: Timestamp,
}

impl Partitions {
    /// Opens the partitions `owned` of a hub with `count` partitions.
    pub(super) fn open(count: u16, owned: &[PartitionId], reader: &dyn Reader) -> Result<Self> {
        let mut slots: Vec<Option<Partition>> = (0..count).map(|_| None).collect();
        for id in owned {
            slots[usize::from(id.0)] = Some(Partition::open(*id, reader)?);
        }
        let dues = slots.iter().flatten().filter_map(Partition::sweep_due);
        let next_sweep = dues.min().unwrap_or(NEVER);
        Ok(Self { slots, next_sweep })
    }

    /// Returns the time at which the next sweep is due, if any rows can expire.
    pub(super) fn sweep_due(&self) -> Option<Timestamp> {
        Some(self.next_sweep).filter(|due| *due < NEVER)
    }

    /// Returns a partition, if this core owns it.
    pub(super) fn find(&self, id: PartitionId) -> Option<&Partition> {
        self.slots[usize::from(id.0)].as_ref()
    }

    pub(super) fn get(&self, id: PartitionId) -> &Partition {
        self.find(id).expect(OWNED)
    }

    pub(super) fn get_mut(&mut self, id: PartitionId) -> &mut Partition {
        self.slots[usize::from(id.0)].as_mut().expect(OWNED)
    }

    pub(super) fn owned(&self) -> impl Iterator<Item = &Partition> {
        self.slots.iter().flatten()
    }

    pub(super) fn owned_mut(&mut self) -> impl Iterator<Item = &mut Partition> {
        self.slots.iter_mut().flatten()
    }
}

const OWNED: &str = "a core accesses only the partitions that it owns";

/// Rows that are removed in order of age.
#[derive(Debug)]
pub(crate) struct Sweeping {
    /// Time of the next search for rows to remove. `None` if there are no rows.
    pub(crate) due: Option<Timestamp>,
    /// Time before which no row can be removed for exceeding the limit on their number.
    pub(crate) held_until: Timestamp,
    /// All rows before this key are gone. Scans begin here, because passing deleted rows is slow.
    pub(crate) from: Option<Vec<u8>>,
}

impl Sweeping {
    /// Returns the state of rows that were not examined yet, if there are any.
    fn unknown(exists: bool) -> Self {
        Self {
            due: exists.then(Timestamp::default),
            held_until: Timestamp::default(),
            from: None,
        }
    }

    /// Schedules the next search for `due` or earlier.
    pub(crate) fn look_at(&mut self, due: Timestamp) {
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
    }

    /// Returns the part of `range` whose rows are not gone.
    pub(crate) fn rest_of(&self, mut range: Range<Vec<u8>>) -> Range<Vec<u8>> {
        if let Some(from) = self.from.as_ref().filter(|from| **from > range.start) {
            range.start.clone_from(from);
        }
        range
    }
}

impl Partition {
    /// Reads the state of a partition. It runs no user code and writes nothing.
    pub(crate) fn open(id: PartitionId, reader: &dyn Reader) -> Result<Self> {
        let record = match reader.get(&schema::partition::key(id))? {
            Some(bytes) => model::decode(&bytes, "partition")?,
            None => PartitionRecord::default(),
        };
        let backlog = reader.first_key(schema::message::all_with_priority(id))?;
        let quarantined = reader
            .keys(schema::quarantine::all(id), usize::MAX)?
            .iter()
            .filter_map(|key| schema::id_of(key))
            .collect();
        let early_left = reader
            .scan(schema::early::all_left(id), usize::MAX)?
            .iter()
            .filter_map(|(key, value)| {
                let began = model::decode(value, "time of a start");
                schema::id_of(key).map(|id| began.map(|began| (id, began)))
            })
            .collect::<Result<_>>()?;
        let names = reader.keys(schema::orchestration::names(id), usize::MAX)?;
        let mut partition = Self {
            id,
            names: names.into_iter().collect(),
            record,
            record_changed: false,
            backlog,
            next_due: None,
            timers_from: Timestamp::default(),
            quarantined,
            requests: Sweeping::unknown(record.requests > 0),
            letters: Sweeping::unknown(record.dead_letters > 0),
            early: Sweeping::unknown(record.early_events > 0),
            changes: Sweeping::unknown(reader.first_key(schema::audit::all(id))?.is_some()),
            misdated_due: Timestamp::default(),
            early_left,
        };
        partition.find_next_due(reader)?;
        Ok(partition)
    }

    /// Returns the time of the next search for rows to remove, if any can be removed.
    pub(super) fn sweep_due(&self) -> Option<Timestamp> {
        let sweepings = [&self.requests, &self.letters, &self.early, &self.changes];
        sweepings.into_iter().filter_map(|sweeping| sweeping.due).min()
    }

    /// Looks up the time at which the first stored timer is due.
    pub(crate) fn find_next_due(&mut self, reader: &dyn Reader) -> Result<()> {
        let mut range = schema::timer::all(self.id);
        range.start = schema::timer::before(self.id, self.timers_from).end;
        let first = reader.first_key(range)?;
        self.next_due = first.and_then(|key| schema::timer::parts(&key).map(|(due, _, _)| due));
        Ok(())
    }

    /// Records a new timer that is due at `due`.
    pub(crate) fn timer_added(&mut self, due: Timestamp) {
        self.next_due = Some(self.next_due.map_or(due, |next| next.min(due)));
        self.timers_from = self.timers_from.min(due);
    }

    /// Returns `true` if rows of `id` may be among the rows that were not examined.
    pub(crate) fn backlog_covers(&self, id: &InstanceId) -> bool {
        self.backlog
            .as_ref()
            .is_some_and(|from| schema::message::after(self.id, id) > *from)
    }

    /// Returns `true` if priority rows of `id` may be among the rows that were not examined.
    pub(crate) fn backlog_covers_priority(&self, id: &InstanceId) -> bool {
        self.backlog
            .as_ref()
            .is_some_and(|from| schema::priority::of(self.id, id).end > *from)
    }
}
