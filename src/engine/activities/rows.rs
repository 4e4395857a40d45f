//! Rows of activities that are not in memory: those of the last life, and those for which the line was too long.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use crate::engine::core::Core;
use crate::engine::message::ActivityKey;
use crate::engine::step::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, PartitionId};
use crate::store::records::history::StepOutcome;
use crate::store::records::instance::ActivityRecord;
use crate::store::{Reader, keys, records};

/// In how many crashes an activity was running that runs with no other such one beside it.
const SUSPICIOUS: usize = 2;

/// Which rows have to be read, lap by lap over all of them.
///
/// A lap rests while every activity that it could find has enough in line, and goes on where it rested, so that a row is
/// not read again and again while those before it take their turns.
#[derive(Debug)]
pub(super) struct UnreadRows {
    /// What this lap has not read.
    ahead: VecDeque<Range<Vec<u8>>>,
    /// Whether it is the first lap, of which nobody knows what it will find.
    opening: bool,
    /// The names of activities that this lap may find.
    left: BTreeSet<String>,
    /// The names of activities that the next lap has to look for.
    missed: BTreeSet<String>,
}

impl UnreadRows {
    /// Finds the partitions that have rows.
    pub(super) fn open(owned: &[PartitionId], reader: &dyn Reader) -> Result<Self> {
        let mut ahead = VecDeque::new();
        for partition in owned {
            let range = keys::activities(*partition);
            if let Some(first) = reader.first_key(range.clone())? {
                ahead.push_back(first..range.end);
            }
        }
        Ok(Self {
            opening: !ahead.is_empty(),
            ahead,
            left: BTreeSet::new(),
            missed: BTreeSet::new(),
        })
    }

    /// Whether a row of this activity waits that is not in memory, as far as is known.
    pub(super) fn covers(&self, name: &str) -> bool {
        self.left.contains(name)
    }

    /// Leaves an activity to its row, which may lie before what this lap has not read.
    pub(super) fn leave(&mut self, name: &str) {
        self.left.insert(name.to_owned());
        self.missed.insert(name.to_owned());
    }
}

impl Core {
    /// Whether rows have to be read because something in them may begin soon.
    pub(super) fn wants_activity_rows(&self) -> bool {
        let activities = &self.activities;
        let few = self.limits.activities_in_memory / 2;
        let is_short = |name: &String| activities.in_line(name) <= few;
        !activities.closing && (activities.unread.opening || activities.unread.left.iter().any(is_short))
    }

    /// Reads the next rows, at most a page and at most to the end of the lap: the next lap may change what this one has
    /// changed, which the reader does not show in this step.
    pub(super) fn read_activities(&mut self, step: &mut Step, reader: &dyn Reader) -> Result<()> {
        let mut left = self.limits.page();
        while left.rows > 0 && left.bytes > 0 && self.wants_activity_rows() {
            if self.activities.unread.ahead.is_empty() {
                self.activities.unread.ahead = self.owned().map(|owned| keys::activities(owned.id)).collect();
            }
            let Some(range) = self.activities.unread.ahead.pop_front() else {
                break;
            };
            let page = reader.page(range.clone(), left)?;
            for (key, value) in &page.rows {
                self.take_in_row(key, value, step, reader)?;
            }
            let unread = &mut self.activities.unread;
            if let Some((last, _)) = page.rows.last().filter(|_| page.full) {
                // Nothing lies between a key and the same with a zero byte behind it.
                unread.ahead.push_front([last, &[0][..]].concat()..range.end);
            }
            left.rows -= page.rows.len();
            left.bytes = left.bytes.saturating_sub(page.bytes);
            if unread.ahead.is_empty() {
                unread.opening = false;
                unread.left = std::mem::take(&mut unread.missed);
                break;
            }
        }
        Ok(())
    }

    fn take_in_row(&mut self, key: &[u8], value: &[u8], step: &mut Step, reader: &dyn Reader) -> Result<()> {
        let (instance, execution, sequence) = keys::activity_parts(key)
            .ok_or_else(|| Error::new(ErrorKind::Corrupted, "the key of a stored activity does not decode"))?;
        let activity = ActivityKey {
            instance: InstanceId::trusted(instance),
            execution,
            sequence,
        };
        let mut record: ActivityRecord = records::decode(value, "activity")?;
        let (activities, attempt) = (&mut self.activities, (activity, record.attempt));
        if activities.waiting.contains_key(&attempt.0) || activities.running.contains_key(&attempt) {
            return Ok(());
        }
        let (activity, _) = attempt;
        // What is recorded as started was so in a life that ended without saying goodbye. That is written down when it
        // starts again: until then this row tells it, however often the process goes down meanwhile.
        let crashed = activities.is_crash(record.started);
        let crashes = record.crashes.len() + usize::from(crashed);
        if crashes >= self.limits.crashes {
            record.crashes.push(step.now);
            let outcome = StepOutcome::Runtime(poisonous(&activity, &record));
            return self.complete_activity(activity, outcome, step, reader);
        }
        if record.started.is_some() && !crashed {
            // This has to be written now, also for what does not come into memory: if this life ends in a crash, too, the two
            // cannot be told apart.
            record.started = None;
            step.put(key, &record)?;
        }
        let Some(code) = self.registry.activity(&record.name) else {
            return self.tell_of_unregistered_activity(activity, record.name, step, reader);
        };
        if activities.in_line(&record.name) >= self.limits.activities_in_memory {
            activities.unread.missed.insert(record.name);
            return Ok(());
        }
        self.activities
            .wait(activity, &record.name, code.limit(), crashes >= SUSPICIOUS);
        Ok(())
    }
}

/// What an orchestration is told of an activity that was running in too many crashes.
fn poisonous(activity: &ActivityKey, record: &ActivityRecord) -> Error {
    let times: Vec<String> = record.crashes.iter().map(ToString::to_string).collect();
    let message = format!(
        "the activity `{}` of `{}` ({activity}) was running when the process went down, {} times (found at {}), and is not run \
         again: it may be what brings the process down",
        record.name,
        activity.instance,
        times.len(),
        times.join(", ")
    );
    tracing::error!(%activity, "{message}");
    Error::new(ErrorKind::Poisonous, message)
}
