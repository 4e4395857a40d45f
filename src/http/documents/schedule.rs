//! Documents about schedules.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::http::documents::{Raw, time};
use crate::http::error::Problem;
use crate::http::query::parse_time;
use crate::schedule::{CatchUpPolicy, CreateSchedule, Recurrence, ScheduleInfo, Schedules};

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

/// The plan of a schedule to create or to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct PlanDocument {
    /// Stored name of the orchestration to start.
    orchestration: String,
    /// Version to start (default: the newest version that is registered at each run).
    version: Option<String>,
    /// Input of each run (default: `null`).
    #[schema(value_type = Option<serde_json::Value>)]
    input: Option<Box<RawValue>>,
    /// Tags of each run by name.
    #[serde(default)]
    tags: BTreeMap<String, String>,
    /// Cron pattern in UTC. Either this or `everySeconds` is required.
    cron: Option<String>,
    /// Seconds between two runs.
    every_seconds: Option<f64>,
    /// Earliest time of the first run.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// Time before which the last run is due.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Policy for runs that could not start in time: `Skip`, `RunOnce` (default) or `RunAll`.
    catch_up: Option<String>,
    /// With `RunAll`: maximum number of runs that start at one time.
    catch_up_at_most: Option<u32>,
    /// Creates the schedule paused. Has no effect on a schedule that exists.
    #[serde(default)]
    paused: bool,
}

impl PlanDocument {
    /// Parses the body of a request.
    pub(in crate::http) fn parse(json: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(json)
            .map_err(|reason| invalid(format!("the body is not the plan of a schedule: {reason}")))
    }

    /// Returns the change that the document requests.
    pub(in crate::http) fn ensure(self, schedules: &Schedules, id: &str) -> Result<CreateSchedule, Problem> {
        let recurrence =
            match (self.cron, self.every_seconds) {
                (Some(pattern), None) => Recurrence::Cron(pattern),
                (None, Some(seconds)) => Recurrence::Every(Duration::try_from_secs_f64(seconds).map_err(|reason| {
                    invalid(format!("`everySeconds` is {seconds}, which is not a period: {reason}"))
                })?),
                _ => return Err(invalid("the plan needs either `cron` or `everySeconds`")),
            };
        let catch_up = match (self.catch_up.as_deref(), self.catch_up_at_most) {
            (None, None) => CatchUpPolicy::default(),
            (Some("Skip"), None) => CatchUpPolicy::Skip,
            (Some("RunOnce"), None) => CatchUpPolicy::RunOnce,
            (Some("RunAll"), Some(at_most)) => CatchUpPolicy::RunAll { at_most },
            _ => {
                return Err(invalid(
                    "`catchUp` must be `Skip` or `RunOnce`, or `RunAll` together with `catchUpAtMost`",
                ));
            }
        };
        let time = |name: &str, text: &str| {
            parse_time(text).ok_or_else(|| invalid(format!("`{name}` is not a time such as `2026-11-20T13:40:21.5Z`")))
        };
        let input = self
            .input
            .map_or_else(|| "null".to_owned(), |input| input.get().to_owned());
        let mut schedule = schedules
            .ensure_json(id, recurrence, &self.orchestration, input)
            .catch_up(catch_up);
        if let Some(from) = self.from {
            schedule = schedule.from(time("from", &from)?);
        }
        if let Some(until) = self.until {
            schedule = schedule.until(time("until", &until)?);
        }
        if let Some(version) = self.version {
            schedule = schedule.version(version);
        }
        for (name, value) in self.tags {
            schedule = schedule.tag(name, value);
        }
        Ok(if self.paused { schedule.paused() } else { schedule })
    }
}

fn invalid(text: impl Into<String>) -> Problem {
    Problem::bad_request("InvalidBody", text)
}
