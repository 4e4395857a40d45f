//! When a schedule runs.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use croner::Cron;
use croner::parser::CronParser;
use jiff::Zoned;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;

/// When a schedule runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Recurrence {
    /// Again and again after this long, counted from the schedule's start time or, if it has none, from its creation. At
    /// least a millisecond.
    Every(Duration),
    /// At the times of a cron pattern, in UTC: five fields, six with seconds before them, seven with years behind.
    Cron(String),
}

/// What happens to runs that could not begin in time, because the hub was closed or the schedule busy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CatchUpPolicy {
    /// A run that is more than a minute late is left out; of several late ones only the newest counts.
    Skip,
    /// The newest one runs, however late, and those before it are left out.
    #[default]
    RunOnce,
    /// The newest ones run, this many at most.
    RunAll {
        /// The most runs that begin at one time; 1 to 1000.
        at_most: u32,
    },
}

/// How late a run may be that is not skipped.
const GRACE: Duration = Duration::from_secs(60);

/// In milliseconds.
const SECOND: u64 = 1_000;

/// The most runs that may begin at one time. Each is a message of one operation.
pub(super) const MAX_CATCH_UP: u32 = 1_000;

impl Recurrence {
    /// A cron pattern, in UTC: see [`Recurrence::Cron`]. It is checked when the schedule is created.
    pub fn cron(pattern: impl Into<String>) -> Self {
        Self::Cron(pattern.into())
    }

    /// # Errors
    /// [`ErrorKind::InvalidArguments`] with the pattern and what is wrong with it.
    pub(super) fn parse(&self, anchor: Timestamp) -> Result<Times> {
        match self {
            Self::Every(period) => match u64::try_from(period.as_millis()) {
                Ok(0) => Err(refused("a schedule cannot run every 0 ms; say at least a millisecond")),
                Ok(period) => Ok(Times::Every { anchor, period }),
                Err(_) => Err(refused("a schedule's period is too long; leave the schedule away")),
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

    /// Reads a cron pattern.
    fn from_str(pattern: &str) -> Result<Self> {
        let recurrence = Self::cron(pattern);
        recurrence.parse(Timestamp(0)).map(|_| recurrence)
    }
}

impl CatchUpPolicy {
    pub(super) fn check(self) -> Result<()> {
        match self {
            Self::RunAll { at_most } if !(1..=MAX_CATCH_UP).contains(&at_most) => Err(refused(&format!(
                "a schedule may make up for 1 to {MAX_CATCH_UP} missed runs at one time, not for {at_most}"
            ))),
            _ => Ok(()),
        }
    }

    /// Which of the runs from `due` up to `now` begin now, oldest first.
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

/// The times of a [`Recurrence`], ready to be asked.
#[derive(Debug)]
pub(super) enum Times {
    /// All times that are a multiple of the period away from the anchor, before it as well: a schedule may have been created
    /// under a clock that was ahead.
    Every {
        anchor: Timestamp,
        /// In milliseconds.
        period: u64,
    },
    Cron(Box<Cron>),
}

impl Times {
    /// The first time at `from` or later; nothing if there is none.
    pub(super) fn first(&self, from: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every { anchor, period } => {
                let phase = anchor.0 % period;
                let periods = from.0.saturating_sub(phase).div_ceil(*period);
                Some(Timestamp(phase.checked_add(periods.checked_mul(*period)?)?))
            }
            // croner takes a time within a second for the second's beginning.
            Self::Cron(cron) => {
                let second = Timestamp(from.0.div_ceil(SECOND).checked_mul(SECOND)?);
                let next = cron.find_next_occurrence(&zoned(second)?, true);
                next.ok().and_then(timestamp)
            }
        }
    }

    /// The newest times from `from` to `to`, both included, `at_most` so many; oldest first. Found backwards, so that it
    /// takes no longer after a year than after a minute.
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

    /// The last time before `to`, or at it if that counts.
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

/// A time as it stands in the ids of runs, `2026-11-20T13:40:21Z`.
pub(super) fn rfc3339(time: Timestamp) -> String {
    // Times beyond what jiff holds show as its last one; no run is that late.
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

    /// The next run of a period lies on the grid that the schedule's beginning is on, and a time on the grid counts itself.
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

    /// Cron patterns are read in UTC, with seconds or without, and a pattern that never matches has no next run.
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

    /// What is wrong with a recurrence is told with the pattern, before anything is stored.
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

    /// After the hub was away for hours each policy starts what it promises: nothing old, the newest, or the newest few.
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
