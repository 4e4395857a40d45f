//! What a read sees.

use crate::store::Reader;

/// One state of the rows of a hub, open or stopped.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) reader: &'a dyn Reader,
    pub(crate) partitions: u16,
    /// The registrations of an open hub. `None` for a stopped hub, whose code is unknown.
    pub(crate) registrations: Option<&'a dyn Registrations>,
}

/// What the running build has registered.
pub(crate) trait Registrations {
    fn has_activity(&self, name: &str) -> bool;
    fn has_entity(&self, name: &str) -> bool;
}
