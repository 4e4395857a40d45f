//! The routing of accepted messages.

use crate::engine::message::Message;

/// The destination of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// The message becomes a row and is sent to the shard that has the partition of its target.
    OtherShard,
    /// The message becomes a row and is delivered to the core that owns the partition of its target.
    OtherCore,
    /// The message bypasses the queue of its target.
    Priority,
    /// The message stays a row and is read later in order.
    Row,
    /// The message is processed immediately. It sets or cancels a timer, which requires neither state nor code.
    Now,
    /// The message is appended to the queue.
    Line,
}

/// The facts that determine the destination of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// True if this core owns the partition of the target.
    pub(super) is_own: bool,
    /// True if the message bypasses the queue.
    pub(super) has_priority: bool,
    /// True if the message has a row and either memory is full or other rows precede it.
    pub(super) must_stay_row: bool,
    /// True if the message sets or cancels a timer and cannot follow another waiting message of its sender.
    pub(super) is_free_control: bool,
}

/// Returns the destination of a message.
pub(super) fn admission(facts: Facts) -> Admission {
    match facts {
        Facts { is_own: false, .. } => Admission::OtherCore,
        Facts { has_priority: true, .. } => Admission::Priority,
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
    /// Returns the facts about a message for a partition of this core. `has_unread_rows` returns `true` if rows of the
    /// target may exist that are not in memory. `has_control` returns `true` if a message that sets or cancels a timer
    /// waits for the target. Both search the mailboxes, so they are called only if needed.
    pub(super) fn of(
        message: &Message,
        is_memory_full: bool,
        has_unread_rows: impl Fn() -> bool,
        has_control: impl Fn() -> bool,
    ) -> Self {
        // A client's message is processed on arrival, so no earlier message of the same client waits.
        let has_control_before = || message.client().is_none() && (has_control() || has_unread_rows());
        Self {
            is_own: true,
            has_priority: message.has_priority(),
            must_stay_row: message.stored && (is_memory_full || has_unread_rows()),
            is_free_control: message.is_control() && !has_control_before(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks every combination of facts against the patterns.
    #[test]
    fn each_message_goes_to_one_place() {
        let table = [
            // own, priority, stays a row, free control
            ("0***", Admission::OtherCore),
            ("11**", Admission::Priority),
            ("101*", Admission::Row),
            ("1001", Admission::Now),
            ("1000", Admission::Line),
        ];
        for bits in 0_u8..16 {
            let bit = |place: u8| bits & (8 >> place) != 0;
            let facts = Facts {
                is_own: bit(0),
                has_priority: bit(1),
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
