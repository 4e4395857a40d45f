//! Orchestrations: instances whose state is their history, and whose code is replayed from it.

use crate::engine::core::Core;
use crate::engine::message::Token;
use crate::engine::step::Step;
use crate::error::Result;
use crate::id::InstanceId;
use crate::store::Reader;

impl Core {
    pub(super) fn wait_for_end(&mut self, _i: InstanceId, _t: Token, _s: &mut Step, _r: &dyn Reader) -> Result<()> {
        Ok(())
    }
    pub(super) fn forget_waiter(&mut self, _i: &InstanceId, _t: Token) {}
}
