//! The limits of the engine. Exceeding a limit produces a descriptive error.

use std::time::Duration;

use crate::store::PageBounds;
use crate::trace::Sampling;

/// The limits of the engine.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Maximum size of the encoded state of an entity, in bytes.
    pub(crate) state_bytes: usize,
    /// Maximum number of messages that one operation may send.
    pub(crate) actions: usize,
    /// Maximum size of the payload of one message, in bytes.
    pub(crate) payload_bytes: usize,
    /// Maximum number of operations in one commit.
    pub(crate) batch_operations: usize,
    /// Size at which a commit closes, in bytes.
    pub(crate) batch_bytes: usize,
    /// Memory for idle entities, in bytes.
    pub(crate) cache_bytes: usize,
    /// Memory for the code of orchestrations between their turns, in bytes.
    pub(crate) live_bytes: usize,
    /// Maximum number of events and commands in the history of one execution.
    pub(crate) history_events: u64,
    /// Maximum size of the history of one execution, in bytes.
    pub(crate) history_bytes: u64,
    /// The traces whose spans are recorded. `None` if no spans are recorded.
    pub(crate) spans: Option<Sampling>,
    /// True if every turn replays the whole history.
    pub(crate) strict_replay: bool,
    /// Maximum number of events that a partition keeps for orchestrations that do not exist yet.
    pub(crate) early_events: u64,
    /// Maximum size of these events in a partition, in bytes.
    pub(crate) early_bytes: u64,
    /// Maximum number of messages that may wait for one instance before clients have to wait.
    pub(crate) queue: usize,
    /// Maximum number of waiting messages of one instance in memory.
    pub(crate) queue_in_memory: usize,
    /// Memory for waiting messages with rows, of all instances of a core, in bytes.
    pub(crate) queue_bytes: usize,
    /// Number of rows or instances that one read examines.
    pub(crate) page: usize,
    /// Maximum size of one read in bytes. It may be exceeded by one row.
    pub(crate) page_bytes: usize,
    /// Time limit of an `async` operation.
    pub(crate) async_timeout: Duration,
    /// Maximum number of activity attempts that run concurrently in the hub.
    pub(crate) activities: usize,
    /// Number of attempts of one activity that each core keeps in memory while they wait for a slot.
    pub(crate) activities_in_memory: usize,
    /// Number of crashes during which an activity may have been running before it fails as poisonous.
    pub(crate) crashes: usize,
    /// Time that a canceled attempt of an activity may still run.
    pub(crate) cancel_grace: Duration,
    /// Time for which a request id is kept.
    pub(crate) request_retention: Duration,
    /// Number of request ids that a partition keeps for all of that time. If there are more, the oldest are deleted
    /// early.
    pub(crate) requests: u64,
    /// Maximum number of request ids in a partition. If it is reached, new ids are refused while the oldest is young.
    pub(crate) requests_at_most: u64,
    /// Time for which a request id is young. A young id is never deleted early.
    pub(crate) request_youth: Duration,
    /// Time for which a dead letter is kept.
    pub(crate) dead_letter_retention: Duration,
    /// Maximum number of dead letters in a partition.
    pub(crate) dead_letters: u64,
    /// Number of messages to another shard, which has them, from which on they are deleted with a commit of their own. Fewer
    /// wait for another commit.
    pub(crate) sent_mail: u64,
}

impl Limits {
    /// Returns the bounds of one read.
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
            // As documented in docs/src/guarantees.md.
            state_bytes: 2 << 20,
            actions: 10_000,
            payload_bytes: 2 << 20,
            batch_operations: 1_024,
            batch_bytes: 4 << 20,
            cache_bytes: 64 << 20,
            live_bytes: 64 << 20,
            history_events: 50_000,
            history_bytes: 50 << 20,
            spans: None,
            strict_replay: false,
            // As documented in docs/src/guarantees.md.
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
            // As documented for `ActivityContext::canceled`.
            cancel_grace: Duration::from_secs(5),
            request_retention: Duration::from_secs(24 * 60 * 60),
            // As documented in docs/src/guarantees.md.
            requests: 100_000,
            requests_at_most: 1_000_000,
            request_youth: Duration::from_secs(60),
            dead_letter_retention: Duration::from_secs(30 * 24 * 60 * 60),
            dead_letters: 1_000,
            sent_mail: 64,
        }
    }
}
