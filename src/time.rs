//! Points in time as the engine and the store hold them, and the one place where the clock is read.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since the Unix epoch. Earlier ones count as the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Timestamp(pub(crate) u64);

impl Timestamp {
    /// Later by `duration`, rounded up to the next millisecond so that nothing is ever early; at the far end for good.
    pub(crate) fn after(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// The last one that is not after `time`.
    fn before(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// How long until `later`; zero if it is past.
    pub(crate) fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}

/// As RFC 3339 writes it, in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, millis) = (self.0 / 86_400_000, self.0 % 86_400_000);
        // Counted from the first of March of the year 0, so that a leap day is the last of its year. Source: Howard
        // Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 {
            from_march + 3
        } else {
            from_march - 9
        };
        let year = era * 400 + year + u64::from(month <= 2);
        let (hour, minute) = (millis / 3_600_000, millis / 60_000 % 60);
        let (second, milli) = (millis / 1_000 % 60, millis % 1_000);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
        )
    }
}

impl From<SystemTime> for Timestamp {
    /// Rounds up, so that a timer is never early.
    fn from(time: SystemTime) -> Self {
        Self(0).after(time.duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        // A time too far for the platform's clock shows as the farthest that JavaScript and jiff also hold.
        const FARTHEST: Duration = Duration::from_secs(253_402_300_799);
        UNIX_EPOCH
            .checked_add(Duration::from_millis(time.0))
            .unwrap_or(UNIX_EPOCH + FARTHEST)
    }
}

/// The clock of an open hub: the wall clock when it was opened, monotonic from there on. A jump of the wall clock is
/// seen at the next open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    wall: Timestamp,
    opened: Stopwatch,
}

impl Clock {
    /// Reads the wall clock, once.
    #[expect(clippy::disallowed_methods, reason = "time enters here")]
    pub(crate) fn start() -> Self {
        Self {
            wall: Timestamp::before(SystemTime::now()),
            opened: Stopwatch::start(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        // Rounded down, unlike due times, so that nothing is early.
        Timestamp(self.wall.0.saturating_add(self.opened.elapsed().as_millis() as u64))
    }
}

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "time enters here")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    #[expect(clippy::disallowed_methods, reason = "time enters here")]
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The days around the ends of months, of leap years and of eras, and the parts of a day.
    #[test]
    fn a_time_is_written_as_rfc_3339() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_795_184_090_005, "2026-11-20T14:14:50.005Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp(millis).to_string(), text);
        }
    }

    /// A hub's clock never runs ahead of the wall clock, at whatever part of a millisecond it was started.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the clock is compared with what it reads")]
    fn the_clock_is_never_ahead_of_the_wall_clock() {
        for _ in 0..1_000 {
            let now = Clock::start().now();
            assert!(SystemTime::from(now) <= SystemTime::now());
        }
    }
}
