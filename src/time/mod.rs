//! Points in time as the engine and the store represent them, and the only place where the clock is read.

mod aging;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::planted::{self, Fault};

pub(crate) use aging::{Aging, ClockRecord, SMALL_STEP};
#[cfg(test)]
pub(crate) use aging::{Doubt, SetBack};

/// A point in time, in milliseconds since the Unix epoch. Earlier times count as the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Timestamp(pub(crate) u64);

impl Timestamp {
    /// Returns the time that is `duration` later. It is rounded up to the next millisecond, so that nothing is early,
    /// and saturates at the maximum.
    pub(crate) fn after(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// Returns the last time that a clock has reached that shows this duration since the Unix epoch. Unlike due times,
    /// it is rounded down, so that nothing is early.
    fn reached_by(clock: Duration) -> Self {
        Self(u64::try_from(clock.as_millis()).unwrap_or(u64::MAX))
    }

    /// Returns the duration until `later`, or zero if that is past.
    pub(crate) fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}

/// Formats the time as RFC 3339, in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, millis) = (self.0 / 86_400_000, self.0 % 86_400_000);
        // Days are counted from March 1 of the year 0, so a leap day is the last day of its year. Source: Howard
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
        // A time beyond the range of the platform's clock becomes the latest one that JavaScript and jiff can represent
        // too.
        const FARTHEST: Duration = Duration::from_secs(253_402_300_799);
        UNIX_EPOCH
            .checked_add(Duration::from_millis(time.0))
            .unwrap_or(UNIX_EPOCH + FARTHEST)
    }
}

/// The clock of an open hub.
///
/// It begins with the wall clock at the open, and continues with a clock that never jumps and that counts while the
/// computer sleeps. A jump of the wall clock takes effect at the next open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Reading of the wall clock at the open, since the Unix epoch.
    opened: Duration,
    /// The clock that never jumps.
    running: RunningClock,
    /// The clock record that the hub had stored before the open.
    last: ClockRecord,
}

/// A clock that never jumps.
#[derive(Clone, Copy, Debug)]
enum RunningClock {
    /// The clock of the computer, and its reading at the open.
    Computer(Duration),
    /// The clock of the tokio runtime, which is virtual in tests, and its reading at the open.
    #[cfg(feature = "testing")]
    Tokio(tokio::time::Instant),
}

impl RunningClock {
    /// Returns the time since the open.
    fn elapsed(self) -> Duration {
        match self {
            Self::Computer(started) => since_boot().saturating_sub(started),
            #[cfg(feature = "testing")]
            Self::Tokio(started) => started.elapsed(),
        }
    }
}

impl Clock {
    /// Reads the wall clock once. `last` is the stored clock record of the hub.
    #[expect(clippy::disallowed_methods, reason = "the clock is read here")]
    pub(crate) fn start(last: ClockRecord) -> Self {
        Self::start_at(SystemTime::now(), last)
    }

    /// Like [`start`](Self::start), with a given reading of the wall clock.
    pub(crate) fn start_at(opened: SystemTime, last: ClockRecord) -> Self {
        Self {
            opened: opened.duration_since(UNIX_EPOCH).unwrap_or_default(),
            running: RunningClock::Computer(since_boot()),
            last,
        }
    }

    /// Returns a clock that shows `opened` now and follows the clock of the tokio runtime. Inside that runtime only.
    #[cfg(feature = "testing")]
    #[expect(clippy::disallowed_methods, reason = "the clock is read here")]
    pub(crate) fn of_tokio(opened: SystemTime, last: ClockRecord) -> Self {
        Self {
            running: RunningClock::Tokio(tokio::time::Instant::now()),
            ..Self::start_at(opened, last)
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        if planted::is(Fault::FollowWallClock) {
            return Self::start(self.last).opened();
        }
        Timestamp::reached_by(self.opened + self.running.elapsed())
    }

    /// Returns the reading of the wall clock at the open.
    fn opened(&self) -> Timestamp {
        Timestamp::reached_by(self.opened)
    }

    /// Returns the [`Aging`] of this open, which determines the age of data that expires.
    pub(crate) fn aging(&self) -> Aging {
        Aging::new(self.opened(), self.last)
    }

    /// Returns how far the wall clock is ahead of the time by which the previous open counted ages. For that long, the
    /// hub was closed or idle, or the clock was set forward.
    pub(crate) fn ahead(&self) -> Duration {
        match self.last.aged() {
            Timestamp(0) => Duration::ZERO,
            aged => aged.until(self.opened()),
        }
    }

    /// Returns how far the wall clock was behind the newest commit at the open. It is positive if the clock was set
    /// back.
    pub(crate) fn behind(&self) -> Duration {
        self.opened().until(self.last.time)
    }
}

/// Returns the time since the computer was started, including the time that it slept where the platform counts it.
#[cfg(unix)]
fn since_boot() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    #[cfg(any(target_os = "linux", target_os = "android"))]
    const CLOCK: ClockId = ClockId::Boottime;
    // On macOS, this clock counts while the computer sleeps; elsewhere it may not.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const CLOCK: ClockId = ClockId::Monotonic;
    let time = clock_gettime(CLOCK);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}

/// Returns the time since this function was called first.
#[cfg(not(unix))]
fn since_boot() -> Duration {
    static FIRST: std::sync::OnceLock<Stopwatch> = std::sync::OnceLock::new();
    FIRST.get_or_init(Stopwatch::start).elapsed()
}

/// Measures a duration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "the clock is read here")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    #[expect(clippy::disallowed_methods, reason = "the clock is read here")]
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A moment until which something may take.
#[cfg(feature = "cluster")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(tokio::time::Instant);

#[cfg(feature = "cluster")]
impl Deadline {
    #[expect(clippy::disallowed_methods, reason = "the clock is read here")]
    pub(crate) fn after(time: Duration) -> Self {
        Self(tokio::time::Instant::now() + time)
    }

    #[expect(clippy::disallowed_methods, reason = "the clock is read here")]
    pub(crate) fn has_passed(self) -> bool {
        tokio::time::Instant::now() >= self.0
    }

    /// Waits for `work`. Returns `None` if it is not done at the deadline.
    pub(crate) async fn limit<T>(self, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout_at(self.0, work).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days around the ends of months, leap years and eras, and all parts of a day, are formatted.
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

    /// A hub's clock never runs ahead of the wall clock, at whichever fraction of a millisecond it was started.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the clock is compared with the wall clock")]
    fn the_clock_is_never_ahead_of_the_wall_clock() {
        for _ in 0..1_000 {
            let now = Clock::start(ClockRecord::default()).now();
            assert!(SystemTime::from(now) <= SystemTime::now());
        }
    }

    /// A hub's clock is less than a millisecond behind the wall clock: the fractions at the open and since then are
    /// added before they are rounded.
    #[test]
    fn the_clock_is_rounded_once() {
        let opened = UNIX_EPOCH + Duration::from_micros(5_900);
        let mut clock = Clock::start_at(opened, ClockRecord::default());
        clock.running = RunningClock::Computer(since_boot() - Duration::from_micros(900));
        assert!(clock.now() >= Timestamp(6), "{:?}", clock.now());
    }

    /// A clock is compared with the newest commit, if there is one.
    #[test]
    fn a_clock_knows_how_far_it_was_set() {
        let clock = |opened, last| {
            let last = ClockRecord {
                time: Timestamp(last),
                ..ClockRecord::default()
            };
            Clock::start_at(Timestamp(opened).into(), last)
        };
        assert_eq!(clock(5_000, 9_000).behind(), Duration::from_secs(4));
        assert_eq!(clock(9_000, 5_000).ahead(), Duration::from_secs(4));
        assert_eq!(clock(9_000, 0).ahead(), Duration::ZERO);
    }
}
