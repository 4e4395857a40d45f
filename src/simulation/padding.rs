//! Payloads that are as large as they may be, or one byte larger.

use serde_json::json;

use super::plan::{End, Work};
use super::random::Random;
use super::sights::Sight;
use super::world::World;

/// The largest payload that every life allows.
pub(super) const PAYLOAD_BYTES: usize = 64 << 10;

/// The largest payload that any life allows.
pub(super) const MOST_PAYLOAD_BYTES: usize = 96 << 10;

impl World {
    /// Now and then lets the arguments or the answers of work, and of what it sends, come close to the limit.
    pub(super) fn enlarge(&mut self, work: &mut Work) {
        let any = self.climate.large && fill(work, &mut self.aside);
        self.see(Sight::PayloadAtItsLimit, any);
    }
}

/// Says whether anything is filled up.
fn fill(work: &mut Work, aside: &mut Random) -> bool {
    let fits = |aside: &mut Random| {
        if aside.chance(4) {
            PAYLOAD_BYTES - aside.index(2)
        } else {
            0
        }
    };
    if work.arguments == 0 {
        work.arguments = fits(aside);
    }
    match (work.end, work.sends.first_mut()) {
        // It fails for what it sends instead of for what it answers.
        (End::TooLong, Some(first)) if aside.chance(50) => first.work.arguments = MOST_PAYLOAD_BYTES + 1,
        (End::TooLong, _) => work.answer = MOST_PAYLOAD_BYTES + 1,
        _ => work.answer = fits(aside),
    }
    let any = work.arguments.max(work.answer) > 0;
    work.sends
        .iter_mut()
        .fold(any, |any, sending| fill(&mut sending.work, aside) || any)
}

impl Work {
    /// The work as it is sent: its arguments have as many bytes as they are to have.
    pub(super) fn filled(&self) -> Self {
        let mut work = self.clone();
        if work.arguments > 0 {
            work.padding = "x".to_owned();
            let bytes = json!({ "work": work }).to_string().len();
            work.padding = "x".repeat(1 + work.arguments.saturating_sub(bytes));
        }
        work
    }
}
