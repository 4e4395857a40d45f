//! For tests: recounts what a core counts while it works.

use crate::engine::core::Core;
use crate::engine::message::Message;

impl Core {
    /// Panics if a budget in bytes is not counted as it is used, or is not kept. Between two steps only.
    pub(crate) fn recount(&self) {
        let (mut counted, mut stored, mut largest) = (0, 0, 0);
        for (id, mailbox) in &self.mailboxes {
            let held = mailbox.weigh();
            assert!(
                held <= mailbox.bytes,
                "{held} bytes wait for {id}, and {} are counted: {mailbox:?}",
                mailbox.bytes
            );
            counted += mailbox.bytes;
            let messages = mailbox.waiting.iter().chain(&mailbox.arrivals);
            for bytes in messages.filter(|message| message.stored).map(Message::weight) {
                stored += bytes;
                largest = largest.max(bytes);
            }
        }
        assert_eq!(self.mailbox_bytes, counted, "the bytes of all mailboxes");
        let limit = self.limits.queue_bytes;
        assert!(
            stored <= limit + largest,
            "{stored} bytes that have rows are in memory, and {limit} may be"
        );
        self.states.recount();
        self.instances.recount();
        self.activities.recount();
    }

    /// The activities that hold a slot, by name, and whether each is a suspect.
    pub(crate) fn slot_holders(&self) -> impl Iterator<Item = (String, bool)> {
        self.activities.holders()
    }

    /// How many clients wait for the answer of a row, under a request id that others have asked under, and for an end.
    pub(crate) fn clients(&self) -> [usize; 3] {
        let attached = self.attached.values().map(Vec::len).sum();
        [self.callers.len(), attached, self.waiters.len()]
    }
}
