//! Points in time as the engine and the store hold them, and the one place where the clock is read.

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
