//! The age of data that expires, independent of temporary errors of the clock.
//!
//! A clock that is wrong for some time must not delete data that cannot be restored, and must not keep old data for
//! years. At an open, the hub detects that its clock was set by comparing it with the [`ClockRecord`] of the newest
//! commit, which shows the clock of the previous life. The record always follows the clock. If it kept the newest time
//! ever seen, a corrected clock would remain behind the record for as long as it had been ahead, and the next wrong
//! clock would not be detected.
//!
//! * A clock that is far ahead may be wrong, or the hub may have been closed for that long. Until the hub has been open
//!   for an hour, ages count only the time for which the hub is open. An operator who sees the warning can close the
//!   hub. The hour is counted across restarts, so a restart does not end the doubt, and short lives do not prolong it.
//! * Data written under a clock that was ahead has a time in the future. It counts as written when the clock was last
//!   set back, because it was written before that, and nothing more is known. The row is not changed, because the
//!   current clock may be the wrong one. If the clock was set back too far and corrected later, the previous time at
//!   which it was set back counts.

use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::Duration;

use crate::time::Timestamp;

/// Maximum lead of a clock over the stored time without a doubt.
const DOUBT: Duration = Duration::from_secs(24 * 60 * 60);

/// Time for which a doubtful clock deletes nothing.
const HOLD: Duration = Duration::from_secs(60 * 60);

/// Maximum step back, such as one of a time service, after which the clock still counts as correct. It is not worth a
/// warning.
pub(crate) const SMALL_STEP: Duration = Duration::from_secs(60);

/// The clock of a hub as recorded in its newest commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClockRecord {
    /// Time of the newest commit, or 0 if there is none.
    pub(crate) time: Timestamp,
    /// The last open that found the clock set back.
    pub(crate) set_back: Option<SetBack>,
    /// The doubt about a clock that is far ahead, while ages are not counted by it.
    pub(crate) doubt: Option<Doubt>,
}

/// An open that found the clock set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetBack {
    /// Time of the open, by the clock that was set back.
    pub(crate) at: Timestamp,
    /// Time of the previous such open, if it is later. Either time may come from a wrong clock.
    pub(crate) before: Option<Timestamp>,
}

impl SetBack {
    /// Creates the record of an open that follows `last`.
    fn new(opened: Timestamp, last: Option<Self>) -> Self {
        let before = last.map(|last| last.at).filter(|at| *at > opened);
        Self { at: opened, before }
    }

    /// Returns the time that counts when the clock of the hub shows `now`: the previous one if it is not in the future,
    /// otherwise the last one.
    fn by(self, now: Timestamp) -> Timestamp {
        self.before.filter(|before| *before <= now).unwrap_or(self.at)
    }
}

/// The doubt about a clock that is far ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Doubt {
    /// Lead of the clock over the time by which ages are counted, in milliseconds.
    pub(crate) ahead_ms: u64,
    /// Remaining time that the hub has to be open until the doubt ends, in milliseconds.
    pub(crate) left_ms: u64,
}

impl ClockRecord {
    /// Returns the time by which ages were counted.
    pub(super) fn aged(&self) -> Timestamp {
        let ahead = self.doubt.map_or(0, |doubt| doubt.ahead_ms);
        Timestamp(self.time.0.saturating_sub(ahead))
    }
}

/// Determines the age of data that expires, for one life of a hub.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Aging {
    opened: Timestamp,
    set_back: Option<SetBack>,
    doubt: Option<Doubt>,
}

impl Aging {
    /// Creates the state for a life that begins at `opened`, after a life that left `last`.
    pub(crate) fn new(opened: Timestamp, last: ClockRecord) -> Self {
        if last.time == Timestamp(0) {
            return Self {
                opened,
                ..Self::default()
            };
        }
        let ahead = last.aged().until(opened);
        let doubt = (ahead > DOUBT).then(|| Doubt {
            ahead_ms: ahead.as_millis() as u64,
            left_ms: last.doubt.map_or(HOLD.as_millis() as u64, |doubt| doubt.left_ms),
        });
        let was_set_back = opened.until(last.time) > SMALL_STEP;
        Self {
            opened,
            set_back: match was_set_back {
                true => Some(SetBack::new(opened, last.set_back)),
                false => last.set_back,
            },
            doubt,
        }
    }

    /// Returns the clock record that a commit at `now` stores.
    pub(crate) fn record(&self, now: Timestamp) -> ClockRecord {
        let open_ms = now.0.saturating_sub(self.opened.0);
        ClockRecord {
            time: now,
            set_back: self.set_back,
            doubt: self.doubt_at(now).map(|doubt| Doubt {
                left_ms: doubt.left_ms.saturating_sub(open_ms),
                ..doubt
            }),
        }
    }

    fn doubt_at(&self, now: Timestamp) -> Option<Doubt> {
        self.doubt
            .filter(|doubt| now.0 < self.opened.0.saturating_add(doubt.left_ms))
    }

    /// Returns `true` while ages are not counted by the clock because of a doubt.
    pub(crate) fn is_held(&self, now: Timestamp) -> bool {
        self.doubt_at(now).is_some()
    }

    /// Returns the time by which the ages of data from earlier lives are counted when the clock of the hub shows `now`.
    pub(crate) fn at(&self, now: Timestamp) -> Timestamp {
        let ahead = self.doubt_at(now).map_or(0, |doubt| doubt.ahead_ms);
        Timestamp(now.0.saturating_sub(ahead))
    }

    /// Returns `true` if the clock was ever set back, so data may have a time in the future.
    pub(crate) fn was_set_back(&self) -> bool {
        self.set_back.is_some()
    }

    /// Returns the best estimate of the time at which data with the time `since` was written.
    pub(crate) fn written(&self, since: Timestamp, now: Timestamp) -> Timestamp {
        match self.set_back {
            Some(set_back) if since > now.after(DOUBT) => set_back.by(now),
            _ => since,
        }
    }

    /// Returns `true` if data with the time `since` is at least as old as `age`.
    pub(crate) fn has_age(&self, age: Duration, since: Timestamp, now: Timestamp) -> bool {
        let written = self.written(since, now);
        let is_own = written >= self.opened;
        let by = if is_own { now } else { self.at(now) };
        written.after(age) <= by
    }

    /// Returns the times of all data that is at least as old as `age`, for searches by time.
    pub(crate) fn times_of_age(&self, age: Duration, now: Timestamp) -> Vec<Range<Timestamp>> {
        let aged = self.at(now);
        let age_ms = Timestamp(0).after(age).0;
        let end = Timestamp(aged.0.saturating_sub(age_ms).saturating_add(1));
        let mut times = vec![Timestamp(0)..end];
        if self
            .set_back
            .is_some_and(|set_back| set_back.by(now).after(age) <= aged)
        {
            times.push(Timestamp(now.after(DOUBT).0.saturating_add(1))..Timestamp(u64::MAX));
        }
        times
    }
}

#[cfg(test)]
mod tests;
