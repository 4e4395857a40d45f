//! Rows of activities that are not in memory: rows of the last life, and rows for which the line was too long.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use crate::engine::activities::{Activities, Suspicion, complete_activity};
use crate::engine::ctx::Ctx;
use crate::engine::limits::Limits;
use crate::engine::orchestration::tell_of_unregistered_activity;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ActivityKey, InstanceId, PartitionId};
use crate::model::Outcome;
use crate::model::orchestration::ActivityRecord;
use crate::store::Reader;
use crate::{model, schema};

/// Number of crashes after which an activity is a suspect. Suspects run one at a time.
const SUSPICIOUS: usize = 2;

/// The unread rows. They are read in laps over all rows.
///
/// A lap pauses while every activity that it could find has enough entries in line. It continues where it paused, so a
/// row is not read repeatedly while the rows before it take their turns.
#[derive(Debug)]
pub(super) struct UnreadRows {
    /// The ranges that this lap has not read.
    ahead: VecDeque<Range<Vec<u8>>>,
    /// True during the first lap, whose contents are unknown.
    opening: bool,
    /// Names of the activities that this lap may find.
    left: BTreeSet<String>,
    /// Names of the activities that the next lap has to look for.
    missed: BTreeSet<String>,
}

impl UnreadRows {
    /// Finds the partitions that have rows.
    pub(super) fn open(owned: &[PartitionId], reader: &dyn Reader) -> Result<Self> {
        let mut ahead = VecDeque::new();
        for partition in owned {
            let range = schema::activity::all(*partition);
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

    /// Returns `true` if a row of this activity may exist that is not in memory.
    pub(super) fn covers(&self, name: &str) -> bool {
        self.left.contains(name)
    }

    /// Leaves an activity to its row. The row may be in a range that this lap has already read.
    pub(super) fn leave(&mut self, name: &str) {
        self.left.insert(name.to_owned());
        self.missed.insert(name.to_owned());
    }
}

impl Activities {
    /// Returns `true` if rows have to be read because their activities may start soon.
    pub(super) fn wants_rows(&self, limits: &Limits) -> bool {
        let few = limits.activities_in_memory / 2;
        let is_short = |name: &String| self.in_line(name) <= few;
        !self.closing && (self.unread.opening || self.unread.left.iter().any(is_short))
    }
}

/// Reads the next rows, up to a page and up to the end of the lap. The next lap may change rows that this lap has
/// changed, and the reader does not show those changes in this step.
pub(super) fn read_activities(ctx: &mut Ctx<'_>) -> Result<()> {
    let mut left = ctx.settings.limits.page();
    while left.rows > 0 && left.bytes > 0 && ctx.activities.wants_rows(&ctx.settings.limits) {
        if ctx.activities.unread.ahead.is_empty() {
            ctx.activities.unread.ahead = ctx
                .partitions
                .owned()
                .map(|owned| schema::activity::all(owned.id))
                .collect();
        }
        let Some(range) = ctx.activities.unread.ahead.pop_front() else {
            break;
        };
        let page = ctx.reader.page(range.clone(), left)?;
        for (key, value) in &page.rows {
            take_in_row(key, value, ctx)?;
        }
        let unread = &mut ctx.activities.unread;
        if let Some((last, _)) = page.rows.last().filter(|_| page.full) {
            // No key sorts between a key and the same key followed by a zero byte.
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

fn take_in_row(key: &[u8], value: &[u8], ctx: &mut Ctx<'_>) -> Result<()> {
    let (instance, execution, sequence) = schema::activity::parts(key)
        .ok_or_else(|| Error::new(ErrorKind::Corrupted, "the key of a stored activity does not decode"))?;
    let activity = ActivityKey {
        instance: InstanceId::trusted(instance),
        execution,
        sequence,
    };
    let mut record: ActivityRecord = model::decode(value, "activity")?;
    let (activities, attempt) = (&mut ctx.activities, (activity, record.attempt));
    if activities.waiting.contains_key(&attempt.0) || activities.running.contains_key(&attempt) {
        return Ok(());
    }
    let (activity, _) = attempt;
    // The row records a start in a life that did not end cleanly. The crash is written only when the activity starts
    // again. Until then this row remains as evidence, even if the process crashes repeatedly.
    let crashed = activities.is_crash(record.started);
    let crashes = record.crashes.len() + usize::from(crashed);
    if crashes >= ctx.settings.limits.crashes {
        record.crashes.push(ctx.step.now);
        let outcome = Outcome::Runtime(poisonous(&activity, &record));
        return complete_activity(activity, outcome, ctx);
    }
    if record.started.is_some() && !crashed {
        // The reset has to be written now, even for an activity that does not come into memory. If this life also ends
        // in a crash, the two cases could not be distinguished.
        record.started = None;
        ctx.step.put(key, &record)?;
    }
    let Some(code) = ctx.settings.registry.activity(&record.name) else {
        return tell_of_unregistered_activity(activity, record.name, ctx);
    };
    if activities.in_line(&record.name) >= ctx.settings.limits.activities_in_memory {
        activities.unread.missed.insert(record.name);
        return Ok(());
    }
    let suspicion = match crashes >= SUSPICIOUS {
        true => Suspicion::Suspect,
        false => Suspicion::None,
    };
    let now = ctx.step.now;
    ctx.activities
        .wait(activity, &record.name, code.limit(), suspicion, now);
    Ok(())
}

/// Returns the error for an activity that was running during too many crashes.
fn poisonous(activity: &ActivityKey, record: &ActivityRecord) -> Error {
    let times: Vec<String> = record.crashes.iter().map(ToString::to_string).collect();
    let message = format!(
        "the activity `{}` of `{}` ({activity}) was running when the process crashed, {} times (detected at {}), and \
         is not run again, because it may cause the crashes",
        record.name,
        activity.instance,
        times.len(),
        times.join(", ")
    );
    tracing::error!(
        activity = record.name,
        key = %activity,
        crashes = times.len(),
        "an activity was running during too many crashes and is not run again"
    );
    Error::new(ErrorKind::Poisonous, message)
}
