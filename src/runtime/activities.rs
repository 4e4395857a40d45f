//! Running activities: tasks that begin when what asked for them is durable, and that can be told to stop.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::message::ActivityKey;
use crate::runtime::shared::Runtime;

impl Runtime {
    /// Begins an attempt of an activity.
    pub(super) fn start_activity(
        self: &Arc<Self>,
        _activity: ActivityKey,
        _name: &str,
        _input: Vec<u8>,
        _attempt: u32,
        _timeout: Option<Duration>,
    ) {
    }

    /// Tells a running activity that nobody wants its result any more.
    pub(super) fn cancel_activity(&self, _activity: &ActivityKey) {}
}
