//! Schedules.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::documents::{Raw, time};
use crate::schedule::{CatchUpPolicy, Recurrence, ScheduleInfo};

/// A schedule, which starts an orchestration again and again.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct ScheduleDocument {
    id: String,
    /// The stored name of the orchestration that it starts.
    orchestration: String,
    /// The version that it starts; without one the newest that is registered at each run.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// The input of each run.
    input: Raw,
    /// The tags of each run by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    /// The cron pattern in UTC, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    /// The seconds between two runs, if it runs periodically.
    #[serde(skip_serializing_if = "Option::is_none")]
    every_seconds: Option<f64>,
    /// When its first run may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    from: Option<String>,
    /// Before which its last run is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    until: Option<String>,
    /// The policy for runs that could not begin in time: `Skip`, `RunOnce` or `RunAll`.
    catch_up: &'static str,
    /// With `RunAll`: the most runs that begin at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    catch_up_at_most: Option<u32>,
    paused: bool,
    #[schema(format = DateTime)]
    created_time: String,
    /// When the next run is due; `null` if it is paused or over.
    #[schema(required = true, format = DateTime)]
    next_run: Option<String>,
    /// When the last run that it started was due.
    #[schema(required = true, format = DateTime)]
    last_run: Option<String>,
    /// The instance id of that run.
    #[schema(required = true)]
    last_instance_id: Option<String>,
    /// Number of runs that it has started.
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
