//! For tests: recounts what a core counts while it works.

use super::{Activities, Core, Instances, Mailboxes};
use crate::engine::message::Message;

impl Core {
    /// Panics if a budget in bytes is not counted as it is used, or is not kept. Between two steps only.
    pub(crate) fn recount(&self) {
        let (mut counted, mut stored, mut largest) = (0, 0, 0);
        for (id, mailbox) in self.mailboxes.iter() {
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
        assert_eq!(self.memory.used(), counted, "the bytes of all mailboxes");
        let limit = self.settings.limits.queue_bytes;
        assert!(
            stored <= limit + largest,
            "{stored} bytes that have rows are in memory, and {limit} may be"
        );
        self.states.recount();
        self.instances.recount();
        self.activities.recount();
    }

    pub(in crate::engine) fn activities(&self) -> &Activities {
        &self.activities
    }

    pub(in crate::engine) fn instances(&self) -> &Instances {
        &self.instances
    }

    pub(in crate::engine) fn mailboxes(&self) -> &Mailboxes {
        &self.mailboxes
    }

    /// The activities that hold a slot, by name, and whether each is a suspect.
    pub(crate) fn slot_holders(&self) -> impl Iterator<Item = (String, bool)> {
        self.activities.holders()
    }

    /// How many clients wait for the answer of a row, under a request id that others have asked under, and for an end.
    pub(crate) fn clients(&self) -> [usize; 3] {
        let [of_rows, attached] = self.callers.len();
        [of_rows, attached, self.waiters.len()]
    }
}
