//! Test support: recounts the values that a core counts incrementally.

use super::{Activities, Core, Mailboxes, Orchestrations};
use crate::engine::activities::Suspicion;
use crate::engine::message::Message;

impl Core {
    /// Panics if a counted number of bytes is wrong or exceeds its budget. Must be called between two steps.
    pub(crate) fn recount(&self) {
        let (mut counted, mut stored, mut largest) = (0, 0, 0);
        for (id, mailbox) in self.mailboxes.iter() {
            let held = mailbox.weigh();
            assert!(
                held <= mailbox.bytes,
                "{held} bytes wait for {id}, but {} bytes are counted: {mailbox:?}",
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
            "{stored} bytes of stored messages are in memory, more than the limit of {limit}"
        );
        self.states.recount();
        self.orchestrations.recount();
        self.activities.recount();
    }

    pub(in crate::engine) fn activities(&self) -> &Activities {
        &self.activities
    }

    pub(in crate::engine) fn orchestrations(&self) -> &Orchestrations {
        &self.orchestrations
    }

    pub(in crate::engine) fn mailboxes(&self) -> &Mailboxes {
        &self.mailboxes
    }

    /// Returns the activities that hold a slot, by name, with the suspicion against each.
    pub(crate) fn slot_holders(&self) -> impl Iterator<Item = (String, Suspicion)> {
        self.activities.holders()
    }

    /// Returns three numbers: clients that wait for the answer of a stored call, clients that repeated the request of
    /// such a call, and orchestrations with clients that wait for the end.
    pub(crate) fn clients(&self) -> [usize; 3] {
        let [of_rows, attached] = self.callers.len();
        [of_rows, attached, self.waiters.len()]
    }
}
