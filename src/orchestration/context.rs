//! What an orchestration can know and do.

use std::rc::Rc;

use crate::orchestration::journal::Journal;

/// What an orchestration can know and do. Cheap to clone; it stays on its thread.
#[derive(Clone, Debug)]
pub struct OrchestrationContext {
    journal: Rc<Journal>,
}
