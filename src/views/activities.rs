//! The activities that have not ended, as an operator sees them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;

use crate::error::Result;
use crate::id::{ActivityKey, InstanceId, PartitionId};
use crate::model;
use crate::model::orchestration::ActivityRecord;
use crate::schema;
use crate::store::PageBounds;
use crate::views::open_steps::OpenSteps;
use crate::views::pages::{Page, page_of};
use crate::views::unreadable::Unreadable;
use crate::views::view::{ActivityProgress, View};
use crate::views::{json, orchestrations};

/// Maximum number of rows that a summary reads.
const MOST_ROWS: usize = 100_000;

/// Maximum number of events of a history that is read to find out since when an activity is open.
const MOST_EVENTS: u64 = 1_000;

/// Maximum size of such a history in bytes.
const MOST_BYTES: u64 = 256 << 10;

/// The activities of a hub that have not ended, by name.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ActivitySummary {
    /// Maximum number of activities that run at once. `None` for a stopped hub.
    pub limit: Option<usize>,
    /// The number of activities that run.
    pub running: usize,
    /// The number of activities that have been requested and do not run.
    pub waiting: usize,
    /// The activities with each name that is registered or requested, ordered by name.
    pub activities: Vec<ActivityCount>,
    /// True if there are more than 100,000 activities. The others are not counted.
    #[serde(rename = "truncated")]
    pub is_truncated: bool,
}

/// The activities with one name that have not ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ActivityCount {
    /// The stored name.
    pub name: String,
    /// True if this build has registered the name.
    #[serde(rename = "registered")]
    pub is_registered: bool,
    /// Maximum number of activities with this name that run at once, if they have a limit of their own.
    pub limit: Option<usize>,
    /// The number of activities that run.
    pub running: usize,
    /// The number of activities that have been requested and do not run.
    pub waiting: usize,
    /// The number of activities during which the process has crashed.
    pub crashed: usize,
}

/// An activity that has not ended.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct OpenActivity {
    /// The stored name.
    pub name: String,
    /// The id of the orchestration that requested it.
    #[serde(rename = "instanceId")]
    pub instance: String,
    /// The number of the step of that orchestration.
    pub sequence: u64,
    /// The label of the step, if the code gave it one.
    pub label: Option<String>,
    /// The number of the attempt, starting at 1.
    pub attempt: u32,
    /// Its progress.
    #[serde(flatten)]
    pub progress: ActivityProgress,
    /// The time at which the attempt was requested. `None` if the history of the orchestration is too long to look it
    /// up.
    #[serde(serialize_with = "json::optional_time")]
    #[cfg_attr(feature = "http", schema(value_type = Option<String>, format = DateTime))]
    pub since: Option<SystemTime>,
    /// The number of crashes of the process during which it was running.
    pub crashes: usize,
}

/// Counts the activities that have not ended.
pub(crate) fn summary(view: View<'_>) -> Result<ActivitySummary> {
    let mut summary = ActivitySummary::default();
    let mut counts: BTreeMap<String, ActivityCount> = BTreeMap::new();
    if let Some(live) = view.live {
        summary.limit = Some(live.activity_slots());
        // Those of the library itself appear only while there are some.
        let own = |name: &str| name.starts_with("abide-");
        for (name, limit) in live.activities().into_iter().filter(|(name, _)| !own(name)) {
            let count = counts.entry(name).or_default();
            count.limit = limit;
        }
    }
    let mut rows = 0;
    'all: for partition in (0..view.partitions).map(PartitionId) {
        let mut range = schema::activity::all(partition);
        loop {
            let page = view.reader.page(range.clone(), PageBounds::USUAL)?;
            for (key, row) in &page.rows {
                if rows == MOST_ROWS {
                    summary.is_truncated = true;
                    break 'all;
                }
                rows += 1;
                let record: ActivityRecord = match model::decode(row, "activity") {
                    Ok(record) => record,
                    // The counts do not report the row, so at least log it.
                    Err(reason) => {
                        drop(Unreadable::new(
                            key_of(key).map(|key| key.to_string()).unwrap_or_default(),
                            &reason,
                        ));
                        continue;
                    }
                };
                let runs = view
                    .live
                    .is_some_and(|live| key_of(key).is_some_and(|key| live.is_running(&key)));
                let count = counts.entry(record.name).or_default();
                count.running += usize::from(runs);
                count.waiting += usize::from(!runs);
                count.crashed += usize::from(!record.crashes.is_empty());
            }
            match page.rows.into_iter().next_back() {
                Some((last, _)) if page.full => range.start = schema::behind(last),
                _ => break,
            }
        }
    }
    let is_registered = |name: &str| view.live.is_some_and(|live| live.has_activity(name));
    let counts = counts.into_iter().map(|(name, count)| ActivityCount {
        is_registered: is_registered(&name),
        name,
        ..count
    });
    summary.activities = counts.collect();
    summary.running = summary.activities.iter().map(|count| count.running).sum();
    summary.waiting = summary.activities.iter().map(|count| count.waiting).sum();
    Ok(summary)
}

/// The place of an activity in the list of all activities, as a cursor: the number of its partition and its key.
pub(crate) type Cursor = (PartitionId, Vec<u8>);

/// Reads one page of the activities with this name, after the cursor.
pub(crate) fn read_page(
    view: View<'_>,
    name: Option<&str>,
    after: Option<Cursor>,
    at_most: usize,
) -> Result<Page<OpenActivity>> {
    let id = |partition: PartitionId, key: &[u8]| key_of(key).map(|_| cursor_text(partition, key));
    page_of(view, schema::activity::all, after, at_most, id, |_, (_, key, row)| {
        let record: ActivityRecord = model::decode(row, "activity")?;
        match key_of(key) {
            Some(key) if name.is_none_or(|name| name == record.name) => describe(view, &key, record).map(Some),
            _ => Ok(None),
        }
    })
}

fn key_of(key: &[u8]) -> Option<ActivityKey> {
    let (instance, execution, sequence) = schema::activity::parts(key)?;
    Some(ActivityKey {
        instance: InstanceId::trusted(instance),
        execution,
        sequence,
    })
}

fn describe(view: View<'_>, key: &ActivityKey, record: ActivityRecord) -> Result<OpenActivity> {
    let partition = key.instance.partition(view.partitions);
    let mut step = None;
    if let Some(owner) = orchestrations::record(view.reader, partition, &key.instance)?
        && owner.execution == key.execution
        && owner.events <= MOST_EVENTS
        && owner.bytes <= MOST_BYTES
    {
        let mut steps = OpenSteps::read(view, &key.instance, &owner, owner.turns)?;
        step = steps.open.remove(&key.sequence);
    }
    Ok(OpenActivity {
        instance: key.instance.to_string(),
        sequence: key.sequence,
        since: step.as_ref().map(|step| step.since),
        label: step.and_then(|step| step.label),
        attempt: record.attempt,
        progress: ActivityProgress::of(view, key, &record.name),
        crashes: record.crashes.len(),
        name: record.name,
    })
}

fn cursor_text(partition: PartitionId, key: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = format!("{}:", partition.0);
    for byte in key {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Reads a cursor from its text.
pub(crate) fn read_cursor(text: &str) -> Option<Cursor> {
    let (partition, key) = text.split_once(':')?;
    let bytes = key.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    Some((PartitionId(partition.parse().ok()?), bytes.collect::<Option<_>>()?))
}
