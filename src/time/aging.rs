//! How old something is that is deleted for its age, whatever the clock showed meanwhile.
//!
//! A clock that is wrong for some time must not delete what cannot be brought back, and must not keep for years what is old.
//! The hub notices at an open that its clock has been set: it compares it with the [`ClockRecord`] of the newest commit, which
//! is what the clock of the life before showed. That record follows the clock wherever it goes. If it kept the newest time that
//! there ever was, a clock that was right again would be behind it for as long as it had been ahead, and the next wrong one would
//! not be noticed.
//!
//! * A clock that is far ahead may be wrong, or the hub may have been closed for so long. Until the hub has been open for an hour,
//!   ages count only the time for which it is open, and an operator who sees the warning can close it. The hour is counted over
//!   restarts, so that neither a restart ends the doubt nor short lives keep it up.
//! * What was written under a clock that was ahead has a time that is still to come. It counts as written when the clock was last
//!   set back: before that it was, and no more is known. Its row is not changed, because it may be the clock of today that is
//!   wrong. If the clock was set back too far, to be right again later, the time counts at which it was set back before that.

use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::Duration;

use crate::time::Timestamp;

/// How far a clock may be ahead of what is stored without a doubt.
const DOUBT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long nothing is deleted because of a clock that is in doubt.
const HOLD: Duration = Duration::from_secs(60 * 60);

/// A clock that a time service has set back by less counts as right, and is not worth a warning.
pub(crate) const SMALL_STEP: Duration = Duration::from_secs(60);

/// The clock of a hub as its newest commit shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClockRecord {
    /// The time of the newest commit; 0 if there is none.
    pub(crate) time: Timestamp,
    /// The last open that found the clock set back.
    pub(crate) set_back: Option<SetBack>,
    /// The doubt in a clock that is far ahead, while ages are not counted by it.
    pub(crate) doubt: Option<Doubt>,
}

/// An open that found the clock set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetBack {
    /// The time of the open, by the clock that was set back.
    pub(crate) at: Timestamp,
    /// The time of the one before, if it is later. Either may be that of a wrong clock.
    pub(crate) before: Option<Timestamp>,
}

impl SetBack {
    /// An open that follows on `last`.
    fn new(opened: Timestamp, last: Option<Self>) -> Self {
        let before = last.map(|last| last.at).filter(|at| *at > opened);
        Self { at: opened, before }
    }

    /// The time that counts when the hub's clock shows `now`: the later one of those that are not still to come.
    fn by(self, now: Timestamp) -> Timestamp {
        self.before.filter(|before| *before <= now).unwrap_or(self.at)
    }
}

/// The doubt in a clock that is far ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Doubt {
    /// By how many milliseconds the clock is ahead of the time by which ages are counted.
    pub(crate) ahead_ms: u64,
    /// For how many milliseconds the hub has to be open until the doubt ends.
    pub(crate) left_ms: u64,
}

impl ClockRecord {
    /// The time by which ages were counted.
    pub(super) fn aged(&self) -> Timestamp {
        let ahead = self.doubt.map_or(0, |doubt| doubt.ahead_ms);
        Timestamp(self.time.0.saturating_sub(ahead))
    }
}

/// Decides how old something is that is deleted for its age, for one life of a hub.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Aging {
    opened: Timestamp,
    set_back: Option<SetBack>,
    doubt: Option<Doubt>,
}

impl Aging {
    /// For a life that begins at `opened`, after one that left `last`.
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

    /// What a commit at `now` stores of the clock.
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

    /// Whether ages are not counted by the clock yet.
    pub(crate) fn is_held(&self, now: Timestamp) -> bool {
        self.doubt_at(now).is_some()
    }

    /// The time by which the ages of what earlier lives wrote are counted, when the hub's clock shows `now`.
    pub(crate) fn at(&self, now: Timestamp) -> Timestamp {
        let ahead = self.doubt_at(now).map_or(0, |doubt| doubt.ahead_ms);
        Timestamp(now.0.saturating_sub(ahead))
    }

    /// Whether the clock was ever set back, so that something may have a time that is still to come.
    pub(crate) fn was_set_back(&self) -> bool {
        self.set_back.is_some()
    }

    /// When something was written that has the time `since`, as far as can be known.
    pub(crate) fn written(&self, since: Timestamp, now: Timestamp) -> Timestamp {
        match self.set_back {
            Some(set_back) if since > now.after(DOUBT) => set_back.by(now),
            _ => since,
        }
    }

    /// Whether what has the time `since` is as old as `age`.
    pub(crate) fn has_age(&self, age: Duration, since: Timestamp, now: Timestamp) -> bool {
        let written = self.written(since, now);
        let is_own = written >= self.opened;
        let by = if is_own { now } else { self.at(now) };
        written.after(age) <= by
    }

    /// The times of what is as old as `age`, when that is looked for and not at hand.
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
