//! The routing of a message: where a core puts what it takes in.

use crate::engine::message::Message;

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Becomes a row, and is delivered to the core that owns the partition of its target.
    OtherCore,
    /// Passes the queue of its target.
    Urgent,
    /// Stays the row that it is, and is read in its turn.
    Row,
    /// Is processed now: it sets or cancels a timer, for which neither state nor code is needed.
    Now,
    /// Goes to the end of the queue.
    Line,
}

/// The facts that decide where a message goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// Whether this core owns the partition of the target.
    pub(super) is_own: bool,
    /// Whether the message passes the queue.
    pub(super) is_urgent: bool,
    /// Whether the message is a row for which there is no place in memory, or which others have to precede.
    pub(super) must_stay_row: bool,
    /// Whether the message sets or cancels a timer and no other message of its sender may be before it.
    pub(super) is_free_control: bool,
}

/// Decides where a message goes.
pub(super) fn admission(facts: Facts) -> Admission {
    match facts {
        Facts { is_own: false, .. } => Admission::OtherCore,
        Facts { is_urgent: true, .. } => Admission::Urgent,
        Facts {
            must_stay_row: true, ..
        } => Admission::Row,
        Facts {
            is_free_control: true, ..
        } => Admission::Now,
        _ => Admission::Line,
    }
}

impl Facts {
    /// The facts about a message for a partition of this core. `has_unread_rows` says whether rows of the target may be in the store that
    /// are not in memory, and `has_control` whether a message that sets or cancels a timer waits for it; both cost a look at
    /// the mailboxes, so that they are only called where they matter.
    pub(super) fn of(
        message: &Message,
        is_memory_full: bool,
        has_unread_rows: impl Fn() -> bool,
        has_control: impl Fn() -> bool,
    ) -> Self {
        // A client's message is processed when it comes in, so none of the same client ever waits.
        let has_control_before = || message.client().is_none() && (has_control() || has_unread_rows());
        Self {
            is_own: true,
            is_urgent: message.is_urgent(),
            must_stay_row: message.stored && (is_memory_full || has_unread_rows()),
            is_free_control: message.is_control() && !has_control_before(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every combination of facts, in the order in which they are looked at.
    #[test]
    fn each_message_goes_to_one_place() {
        let table = [
            // own, urgent, stays a row, free control
            ("0***", Admission::OtherCore),
            ("11**", Admission::Urgent),
            ("101*", Admission::Row),
            ("1001", Admission::Now),
            ("1000", Admission::Line),
        ];
        for bits in 0_u8..16 {
            let bit = |place: u8| bits & (8 >> place) != 0;
            let facts = Facts {
                is_own: bit(0),
                is_urgent: bit(1),
                must_stay_row: bit(2),
                is_free_control: bit(3),
            };
            let text = format!("{bits:04b}");
            let fits = |pattern: &str| pattern.chars().zip(text.chars()).all(|(p, b)| p == '*' || p == b);
            let rows: Vec<Admission> = table
                .iter()
                .filter(|(pattern, _)| fits(pattern))
                .map(|(_, admission)| *admission)
                .collect();
            assert_eq!(rows, [admission(facts)], "{text}");
        }
    }
}
