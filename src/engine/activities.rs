//! Activities of orchestrations: their rows, when they may begin, and how they end.

use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::message::{ActivityEnd, ActivityKey};
use crate::engine::step::Step;
use crate::error::Result;
use crate::store::Reader;

/// An attempt of an activity that an orchestration asks for.
#[derive(Debug)]
pub(super) struct ActivityRequest {
    pub(super) activity: ActivityKey,
    pub(super) name: String,
    pub(super) input: Vec<u8>,
    pub(super) attempt: u32,
    pub(super) timeout: Option<Duration>,
}

impl Core {
    /// Writes the row of an activity, and lets it begin when there is room for it.
    pub(super) fn request_activity(&mut self, _request: ActivityRequest, _step: &mut Step) -> Result<()> {
        Ok(())
    }

    /// Forgets an activity that nobody wants any more, running or not.
    pub(super) fn drop_activity(&mut self, _activity: &ActivityKey, _step: &mut Step) -> Result<()> {
        Ok(())
    }

    /// Takes in the end of an attempt: the row goes, and the orchestration is told.
    pub(super) fn end_activity(
        &mut self,
        _activity: ActivityKey,
        _attempt: u32,
        _ended: ActivityEnd,
        _step: &mut Step,
        _reader: &dyn Reader,
    ) -> Result<()> {
        Ok(())
    }

    /// Lets activities begin that had to wait for others.
    pub(super) fn begin_waiting_activities(&mut self, _step: &mut Step) -> Result<()> {
        Ok(())
    }
}
