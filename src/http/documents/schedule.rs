//! Documents about schedules.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::documents::{Raw, time};
use crate::schedule::{CatchUpPolicy, Recurrence, ScheduleInfo};

/// A schedule, which starts an orchestration repeatedly.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct ScheduleDocument {
    id: String,
    /// Stored name of the orchestration that it starts.
    orchestration: String,
    /// Version that it starts (default: the newest version that is registered at each run).
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Input of each run.
    input: Raw,
    /// Tags of each run by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    /// Cron pattern in UTC, if the schedule has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    /// Seconds between two runs, if the schedule is periodic.
    #[serde(skip_serializing_if = "Option::is_none")]
    every_seconds: Option<f64>,
    /// Earliest time of the first run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    from: Option<String>,
    /// Time before which the last run is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Policy for runs that could not start in time: `Skip`, `RunOnce` or `RunAll`.
    catch_up: &'static str,
    /// With `RunAll`: maximum number of runs that start at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    catch_up_at_most: Option<u32>,
    paused: bool,
    #[schema(format = DateTime)]
    created_time: String,
    /// Due time of the next run; `null` if the schedule is paused or has no further runs.
    #[schema(required = true, format = DateTime)]
    next_run: Option<String>,
    /// Due time of the last run that was started.
    #[schema(required = true, format = DateTime)]
    last_run: Option<String>,
    /// Instance id of that run.
    #[schema(required = true)]
    last_instance_id: Option<String>,
    /// Number of runs started.
    runs: u64,
}

impl From<ScheduleInfo> for ScheduleDocument {
    fn from(info: ScheduleInfo) -> Self {
        let moment = |moment: Option<SystemTime>| moment.map(time);
        let (cron, every_seconds) = match info.recurrence {
            Recurrence::Cron(pattern) => (Some(pattern), None),
            Recurrence::Every(period) => (None, Some(period.as_secs_f64())),
        };
        let (catch_up, catch_up_at_most) = match info.catch_up {
            CatchUpPolicy::Skip => ("Skip", None),
            CatchUpPolicy::RunOnce => ("RunOnce", None),
            CatchUpPolicy::RunAll { at_most } => ("RunAll", Some(at_most)),
        };
        Self {
            id: info.id,
            orchestration: info.orchestration,
            version: info.version.filter(|version| !version.is_empty()),
            input: Raw::new(info.input),
            tags: info.tags.into_iter().collect(),
            cron,
            every_seconds,
            from: moment(info.from),
            until: moment(info.until),
            catch_up,
            catch_up_at_most,
            paused: info.paused,
            created_time: time(info.created),
            next_run: moment(info.next_run),
            last_run: moment(info.last_run),
            last_instance_id: info.last_instance,
            runs: info.runs,
        }
    }
}
