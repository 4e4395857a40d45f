//! The times of batches, from which the ages of messages follow.

use std::time::Duration;

use crate::id::MessageId;
use crate::time::Timestamp;

/// Maximum number of known times.
const TIMES: usize = 4_096;

/// The times of the batches of this life. A message id contains the number of its batch, so a message needs no time of
/// its own.
#[derive(Debug, Default)]
pub(super) struct BatchTimes {
    /// The first known batch of each time, in order.
    times: Vec<(u64, Timestamp)>,
}

impl BatchTimes {
    /// Records the time of a batch. Batches of one core have increasing numbers.
    pub(super) fn note(&mut self, batch: u64, now: Timestamp) {
        if self.times.last().is_some_and(|(_, last)| now <= *last) {
            return;
        }
        if self.times.len() == TIMES {
            // The older a time is, the less precise it need be.
            let mut index = 0;
            self.times.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
        self.times.push((batch, now));
    }

    /// Returns the age of a message of this core or of another one. A message of an earlier life is as old as this life.
    pub(super) fn age(&self, message: MessageId, now: Timestamp) -> Duration {
        let later = self.times.partition_point(|(batch, _)| *batch <= message.batch);
        let known = self.times.get(later.saturating_sub(1));
        known.map_or(Duration::ZERO, |(_, time)| time.until(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The age of a message is known to within the distance of two known times, which is small for young messages.
    #[test]
    fn an_age_is_about_right_at_any_age() {
        let mut times = BatchTimes::default();
        for batch in 0..100_000 {
            times.note(10 + batch, Timestamp(batch));
            assert!(times.times.len() <= TIMES);
        }
        let now = Timestamp(100_000);
        for age in [1, 10, 100, 1_000, 10_000, 99_000] {
            let message = MessageId {
                batch: 10 + 100_000 - age,
                index: 0,
            };
            let (known, age) = (times.age(message, now).as_millis(), u128::from(age));
            assert!((age..=age + age / 2 + 1).contains(&known), "{age}: {known}");
        }
        assert_eq!(times.age(MessageId::MIN, now).as_millis(), 100_000);
    }
}
