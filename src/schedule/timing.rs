//! The times at which a schedule runs.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use croner::Cron;
use croner::parser::CronParser;
use jiff::Zoned;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;

/// The times at which a schedule runs.
///
/// ```
/// use std::time::Duration;
///
/// use abide::prelude::*;
///
/// let every_ten_minutes = Recurrence::Every(Duration::from_secs(600));
/// let daily_at_three = Recurrence::cron("0 3 * * *");
/// let mondays_at_noon: Recurrence = "0 12 * * MON".parse()?;
/// let every_ten_seconds: Recurrence = "*/10 * * * * *".parse()?;
///
/// // `parse` checks the pattern. `Recurrence::cron` leaves this to the creation of the schedule.
/// let error = "61 * * * *".parse::<Recurrence>().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidArguments);
/// # Ok::<(), abide::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Recurrence {
    /// Repeatedly after this period, at least one millisecond. It counts from the start time of the schedule or,
    /// without one, from its creation.
    Every(Duration),
    /// At the times of a cron pattern, in UTC. The pattern has five fields, six with leading seconds, or seven with
    /// trailing years as well.
    Cron(String),
}

/// The policy for runs that could not begin in time, because the hub was closed or the schedule was busy.
///
/// ```
/// use abide::prelude::*;
/// use abide::schedule::CatchUpPolicy;
///
/// # #[orchestration]
/// # async fn report(ctx: OrchestrationContext, shop: String) -> Result<String, Failure> {
/// #     Ok(shop)
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().orchestration::<report>().open().await?;
/// let schedules = hub.client().schedules();
/// // After a weekend without the hub, the newest 24 of the missed runs start.
/// schedules
///     .create::<report>("hourly", Recurrence::cron("0 * * * *"), "Berlin".into())
///     .catch_up(CatchUpPolicy::RunAll { at_most: 24 })
///     .await?;
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CatchUpPolicy {
    /// Skips runs that are more than a minute late. Of several late runs, only the newest is considered.
    Skip,
    /// Runs only the newest run, however late, and skips those before it.
    #[default]
    RunOnce,
    /// Runs the newest runs, up to a maximum number.
    RunAll {
        /// Maximum number of runs that begin at one time, between 1 and 1,000.
        at_most: u32,
    },
}

/// Maximum delay of a run that is not skipped.
const GRACE: Duration = Duration::from_secs(60);

/// In milliseconds.
const SECOND: u64 = 1_000;

/// Maximum number of runs that may begin at one time. Each is a message of one operation.
pub(super) const MAX_CATCH_UP: u32 = 1_000;

impl Recurrence {
    /// Returns the recurrence of a cron pattern, in UTC. See [`Recurrence::Cron`]. The pattern is checked when the
    /// schedule is created.
    pub fn cron(pattern: impl Into<String>) -> Self {
        Self::Cron(pattern.into())
    }

    /// Returns the times, with periods counted from `anchor`.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidArguments`] with the pattern and the reason why it is invalid.
    pub(super) fn parse(&self, anchor: Timestamp) -> Result<Times> {
        match self {
            Self::Every(period) => match u64::try_from(period.as_millis()) {
                Ok(0) => Err(refused("a schedule cannot run every 0 ms; use at least 1 ms")),
                Ok(period) => Ok(Times::Every { anchor, period }),
                Err(_) => Err(refused("the period is too long; use a shorter one or no schedule")),
            },
            Self::Cron(pattern) => match CronParser::new().parse(pattern) {
                Ok(cron) => Ok(Times::Cron(Box::new(cron))),
                Err(reason) => Err(refused(&format!(
                    "the cron pattern `{}` is not valid: {reason}; it has five fields (minute, hour, day of month, month, \
                     day of week), or six with seconds before them",
                    pattern.chars().take(64).collect::<String>().escape_debug()
                ))),
            },
        }
    }
}

impl FromStr for Recurrence {
    type Err = Error;

    /// Parses a cron pattern.
    fn from_str(pattern: &str) -> Result<Self> {
        let recurrence = Self::cron(pattern);
        recurrence.parse(Timestamp(0)).map(|_| recurrence)
    }
}

impl CatchUpPolicy {
    pub(super) fn check(self) -> Result<()> {
        match self {
            Self::RunAll { at_most } if !(1..=MAX_CATCH_UP).contains(&at_most) => Err(refused(&format!(
                "`at_most` of a catch-up policy must be between 1 and {MAX_CATCH_UP}, but is {at_most}"
            ))),
            _ => Ok(()),
        }
    }

    /// Returns the runs from `due` up to `now` that begin now, oldest first.
    pub(super) fn runs(self, times: &Times, due: Timestamp, now: Timestamp) -> Vec<Timestamp> {
        let at_most = match self {
            Self::Skip | Self::RunOnce => 1,
            Self::RunAll { at_most } => at_most.min(MAX_CATCH_UP) as usize,
        };
        let mut runs = times.newest(due, now, at_most);
        if self == Self::Skip {
            runs.retain(|run| run.after(GRACE) >= now);
        }
        runs
    }
}

/// The times of a [`Recurrence`] in parsed form.
#[derive(Debug)]
pub(super) enum Times {
    /// All times that are a multiple of the period away from the anchor, including those before it. A schedule may have
    /// been created under a clock that was ahead.
    Every {
        anchor: Timestamp,
        /// In milliseconds.
        period: u64,
    },
    Cron(Box<Cron>),
}

impl Times {
    /// Returns the first time at `from` or later, or `None` if there is none.
    pub(super) fn first(&self, from: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every { anchor, period } => {
                let phase = anchor.0 % period;
                let periods = from.0.saturating_sub(phase).div_ceil(*period);
                Some(Timestamp(phase.checked_add(periods.checked_mul(*period)?)?))
            }
            // croner treats a time within a second as the beginning of the second.
            Self::Cron(cron) => {
                let second = Timestamp(from.0.div_ceil(SECOND).checked_mul(SECOND)?);
                let next = cron.find_next_occurrence(&zoned(second)?, true);
                next.ok().and_then(timestamp)
            }
        }
    }

    /// Returns the newest times from `from` to `to` inclusive, at most `at_most` of them, oldest first. They are found
    /// backwards, so that the search takes no longer after a year than after a minute.
    fn newest(&self, from: Timestamp, to: Timestamp, at_most: usize) -> Vec<Timestamp> {
        let mut times = Vec::new();
        let mut next = self.last(to, true);
        while let Some(time) = next.filter(|time| *time >= from && times.len() < at_most) {
            times.push(time);
            next = self.last(time, false);
        }
        times.reverse();
        times
    }

    /// Returns the last time before `to`, or at it if `inclusive`.
    fn last(&self, to: Timestamp, inclusive: bool) -> Option<Timestamp> {
        match self {
            Self::Every { anchor, period } => {
                let to = if inclusive { to.0 } else { to.0.checked_sub(1)? };
                Some(Timestamp(to - to.checked_sub(anchor.0 % period)? % period))
            }
            Self::Cron(cron) => {
                let second = Timestamp(to.0 - to.0 % SECOND);
                let last = cron.find_previous_occurrence(&zoned(second)?, inclusive || second < to);
                last.ok().and_then(timestamp)
            }
        }
    }
}

fn zoned(time: Timestamp) -> Option<Zoned> {
    let millis = i64::try_from(time.0).ok()?;
    Some(jiff::Timestamp::from_millisecond(millis).ok()?.to_zoned(TimeZone::UTC))
}

fn timestamp(time: Zoned) -> Option<Timestamp> {
    u64::try_from(time.timestamp().as_millisecond()).ok().map(Timestamp)
}

/// Returns a time as it appears in the ids of runs, such as `2026-11-20T13:40:21Z`.
pub(super) fn rfc3339(time: Timestamp) -> String {
    // Times beyond the range of jiff are shown as its last one. No run is that late.
    jiff::Timestamp::try_from(SystemTime::from(time))
        .unwrap_or(jiff::Timestamp::MAX)
        .to_string()
}

fn refused(text: &str) -> Error {
    Error::new(ErrorKind::InvalidArguments, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from(SystemTime::from(text.parse::<jiff::Timestamp>().unwrap()))
    }

    fn times(recurrence: &Recurrence, anchor: &str) -> Times {
        recurrence.parse(at(anchor)).unwrap()
    }

    /// The next run of a period is on the grid of the schedule's start, and a time on the grid is its own next run.
    #[test]
    fn a_period_keeps_its_grid() {
        let times = times(&Recurrence::Every(Duration::from_secs(90)), "2026-01-01T00:00:00Z");
        for (from, next) in [
            ("2025-12-31T23:58:31Z", "2026-01-01T00:00:00Z"),
            ("2025-12-31T23:58:29.999Z", "2025-12-31T23:58:30Z"),
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            ("2026-01-01T00:00:00.001Z", "2026-01-01T00:01:30Z"),
            ("2026-01-01T00:04:30Z", "2026-01-01T00:04:30Z"),
        ] {
            assert_eq!(times.first(at(from)).map(rfc3339).as_deref(), Some(next), "from {from}");
        }
    }

    /// Cron patterns are read in UTC, with or without seconds, and a pattern that never matches has no next run.
    #[test]
    fn a_cron_pattern_gives_its_next_time() {
        for (pattern, from, next) in [
            ("0 3 * * *", "2026-01-01T02:59:59Z", Some("2026-01-01T03:00:00Z")),
            ("0 3 * * *", "2026-01-01T03:00:00Z", Some("2026-01-01T03:00:00Z")),
            ("0 3 * * *", "2026-01-01T03:00:00.001Z", Some("2026-01-02T03:00:00Z")),
            ("*/15 * * * * *", "2026-01-01T00:00:01Z", Some("2026-01-01T00:00:15Z")),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", Some("2028-02-29T00:00:00Z")),
            ("0 0 30 2 *", "2026-01-01T00:00:00Z", None),
        ] {
            let times = times(&Recurrence::cron(pattern), from);
            assert_eq!(
                times.first(at(from)).map(rfc3339).as_deref(),
                next,
                "{pattern} from {from}"
            );
        }
    }

    /// An invalid recurrence is refused with the pattern and the reason, before anything is stored.
    #[test]
    fn a_broken_timing_is_refused_with_its_reason() {
        for (recurrence, reason) in [
            (Recurrence::cron(""), "the cron pattern ``"),
            (Recurrence::cron("61 * * * *"), "the cron pattern `61 * * * *`"),
            (Recurrence::cron("every day"), "the cron pattern `every day`"),
            (Recurrence::Every(Duration::from_micros(5)), "every 0 ms"),
            (Recurrence::Every(Duration::MAX), "too long"),
        ] {
            let error = recurrence.parse(Timestamp(0)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArguments);
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!(CatchUpPolicy::RunAll { at_most: 0 }.check().is_err());
        assert!(CatchUpPolicy::RunAll { at_most: 1_001 }.check().is_err());
    }

    /// After the hub was closed for hours, each policy starts the promised runs: none that is late, the newest, or the
    /// newest few.
    #[test]
    fn missed_runs_follow_their_policy() {
        for recurrence in [
            Recurrence::Every(Duration::from_secs(3_600)),
            Recurrence::cron("0 * * * *"),
        ] {
            let times = times(&recurrence, "2026-01-01T00:00:00Z");
            let (due, now) = (at("2026-01-01T02:00:00Z"), at("2026-01-01T09:30:00Z"));
            let runs = |policy: CatchUpPolicy, now| -> Vec<String> {
                policy.runs(&times, due, now).into_iter().map(rfc3339).collect()
            };
            assert!(runs(CatchUpPolicy::Skip, now).is_empty());
            assert_eq!(
                runs(CatchUpPolicy::Skip, at("2026-01-01T09:00:59Z")),
                ["2026-01-01T09:00:00Z"]
            );
            assert_eq!(runs(CatchUpPolicy::RunOnce, now), ["2026-01-01T09:00:00Z"]);
            assert_eq!(
                runs(CatchUpPolicy::RunAll { at_most: 3 }, now),
                ["2026-01-01T07:00:00Z", "2026-01-01T08:00:00Z", "2026-01-01T09:00:00Z"]
            );
            assert_eq!(runs(CatchUpPolicy::RunAll { at_most: 100 }, now).len(), 8);
            for policy in [
                CatchUpPolicy::Skip,
                CatchUpPolicy::RunOnce,
                CatchUpPolicy::RunAll { at_most: 9 },
            ] {
                assert_eq!(runs(policy, due), ["2026-01-01T02:00:00Z"], "{policy:?}");
            }
        }
    }
}
