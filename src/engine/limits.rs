//! The bounds of the engine. Every one of them has a clear error.

use std::time::Duration;

use crate::store::PageBounds;

/// The bounds of the engine.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// The largest encoded state of an entity, in bytes.
    pub(crate) state_bytes: usize,
    /// The most messages that one operation may send.
    pub(crate) actions: usize,
    /// The largest payload of one message, in bytes.
    pub(crate) payload_bytes: usize,
    /// The most operations in one commit.
    pub(crate) batch_operations: usize,
    /// The size at which a commit closes, in bytes.
    pub(crate) batch_bytes: usize,
    /// The memory for entities that are idle, in bytes.
    pub(crate) cache_bytes: usize,
    /// The memory for the code of orchestrations between their turns, in bytes.
    pub(crate) live_bytes: usize,
    /// The most events and commands in the history of one execution.
    pub(crate) history_events: u64,
    /// The largest history of one execution, in bytes.
    pub(crate) history_bytes: u64,
    /// Whether every turn replays the whole history.
    pub(crate) strict_replay: bool,
    /// The most events that a partition keeps for orchestrations that do not exist yet.
    pub(crate) early_events: u64,
    /// The most bytes that such events have in a partition.
    pub(crate) early_bytes: u64,
    /// The most messages that may wait for one instance before clients have to wait.
    pub(crate) queue: usize,
    /// The most waiting messages of one instance that are held in memory.
    pub(crate) queue_in_memory: usize,
    /// The memory for messages that wait and have rows, of all instances of a core, in bytes.
    pub(crate) queue_bytes: usize,
    /// How many rows, or instances, are looked at with one read.
    pub(crate) page: usize,
    /// How many bytes one read brings into memory, and one more row at most.
    pub(crate) page_bytes: usize,
    /// How long an `async` operation may run.
    pub(crate) async_timeout: Duration,
    /// The most attempts of activities that run at one time in the hub.
    pub(crate) activities: usize,
    /// How many attempts of one activity that wait for a slot are held in memory by each core.
    pub(crate) activities_in_memory: usize,
    /// In how many crashes an activity may have been running before it ends as poisonous.
    pub(crate) crashes: usize,
    /// How long an attempt of an activity may still run after it was told that nobody wants its result any more.
    pub(crate) cancel_grace: Duration,
    /// How long a request id is remembered.
    pub(crate) request_retention: Duration,
    /// How many request ids a partition remembers for all of that time. Beyond, the oldest go early.
    pub(crate) requests: u64,
    /// The most request ids that a partition remembers. Beyond, no new one is taken in while the oldest is young.
    pub(crate) requests_at_most: u64,
    /// How long a request id is young, so that it is not forgotten early.
    pub(crate) request_youth: Duration,
    /// How long a dead letter is kept.
    pub(crate) dead_letter_retention: Duration,
    /// The most dead letters that a partition keeps.
    pub(crate) dead_letters: u64,
}

impl Limits {
    /// How much one read brings into memory.
    pub(crate) fn page(&self) -> PageBounds {
        PageBounds {
            rows: self.page,
            bytes: self.page_bytes,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Payload and state: the limit that SEMANTICS promises. Actions: the same page.
            state_bytes: 2 << 20,
            actions: 10_000,
            payload_bytes: 2 << 20,
            batch_operations: 1_024,
            batch_bytes: 4 << 20,
            cache_bytes: 64 << 20,
            live_bytes: 64 << 20,
            history_events: 50_000,
            history_bytes: 50 << 20,
            strict_replay: false,
            // As they stand in docs/src/guarantees.md.
            early_events: 10_000,
            early_bytes: 256 << 20,
            queue: 10_000,
            queue_in_memory: 64,
            queue_bytes: 8 << 20,
            page: PageBounds::USUAL.rows,
            page_bytes: PageBounds::USUAL.bytes,
            async_timeout: Duration::from_secs(300),
            activities: 256,
            activities_in_memory: 256,
            crashes: 5,
            // As it is documented with `ActivityContext::canceled`.
            cancel_grace: Duration::from_secs(5),
            request_retention: Duration::from_secs(24 * 60 * 60),
            // As they stand in docs/src/guarantees.md.
            requests: 100_000,
            requests_at_most: 1_000_000,
            request_youth: Duration::from_secs(60),
            dead_letter_retention: Duration::from_secs(30 * 24 * 60 * 60),
            dead_letters: 1_000,
        }
    }
}
