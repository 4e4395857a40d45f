//! The rules of a critical section.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind, Result};
use crate::id::Sequence;

/// A critical section, from the moment it is asked for to its release. An execution has one at a time.
#[derive(Debug)]
pub(super) struct Section {
    /// The step that asked for it.
    pub(super) sequence: Sequence,
    /// The ids of its entities, sorted and without duplicates.
    entities: Vec<String>,
    pub(super) granted: bool,
    /// Whose locks were released by force.
    lost: BTreeSet<String>,
    /// The call that is pending, for each entity that has one.
    calls: BTreeMap<String, Sequence>,
}

impl Section {
    pub(super) fn new(sequence: Sequence, entities: Vec<String>) -> Self {
        Self {
            sequence,
            entities,
            granted: false,
            lost: BTreeSet::new(),
            calls: BTreeMap::new(),
        }
    }

    /// Notes a call that is about to be made.
    ///
    /// # Errors
    /// Which rule forbids it.
    pub(super) fn call(&mut self, target: &str, call: Sequence) -> Result<()> {
        if !self.granted {
            return Err(Error::new(
                ErrorKind::LockNotGranted,
                format!("`{target}` was called before the locks that were asked for are granted; await them first"),
            ));
        }
        if !self.locks(target) {
            return Err(Error::new(
                ErrorKind::NotLocked,
                format!(
                    "`{target}` was called inside a critical section that has not locked it; lock it as well, signal it, or \
                     call it outside"
                ),
            ));
        }
        if self.lost.contains(target) {
            return Err(lock_lost(target));
        }
        if self.calls.contains_key(target) {
            return Err(Error::new(
                ErrorKind::CallPending,
                format!(
                    "`{target}` was called inside a critical section while another call of it is pending; await that first"
                ),
            ));
        }
        self.calls.insert(target.to_owned(), call);
        Ok(())
    }

    /// Whether an entity may be signaled.
    ///
    /// # Errors
    /// The signal would wait for the end of the section. That is so from the asking on: the signal stands behind the request
    /// for the lock, and the calls of the section would overtake it.
    pub(super) fn check_signal(&self, target: &str) -> Result<()> {
        if self.locks(target) && !self.lost.contains(target) {
            return Err(Error::new(
                ErrorKind::SignalToLocked,
                format!(
                    "`{target}` was signaled inside the critical section that locks it; call it, or signal it before or afterwards"
                ),
            ));
        }
        Ok(())
    }

    /// A call has ended, or is not waited for any more.
    pub(super) fn forget_call(&mut self, call: Sequence) {
        self.calls.retain(|_, pending| *pending != call);
    }

    /// The lock of one entity was released by force. The call comes back that is pending there.
    pub(super) fn lose(&mut self, entity: &str) -> Option<Sequence> {
        self.lost.insert(entity.to_owned());
        self.calls.remove(entity)
    }

    fn locks(&self, target: &str) -> bool {
        self.entities
            .binary_search_by(|entity| entity.as_str().cmp(target))
            .is_ok()
    }
}

/// What a call of an entity hears whose lock was released by force.
pub(super) fn lock_lost(entity: &str) -> Error {
    Error::new(
        ErrorKind::LockLost,
        format!(
            "an operator released the lock of `{entity}` by force; what the critical section did before stays done"
        ),
    )
}
