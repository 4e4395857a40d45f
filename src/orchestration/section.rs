//! The rules of a critical section.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, Sequence};

/// A critical section, from its request to its release. An execution has at most one at a time.
#[derive(Debug)]
pub(super) struct Section {
    /// The step that requested it.
    pub(super) sequence: Sequence,
    /// The ids of its entities, sorted and without duplicates.
    entities: Vec<InstanceId>,
    pub(super) granted: bool,
    /// The entities whose locks were released by force.
    lost: BTreeSet<InstanceId>,
    /// The pending call of each entity that has one.
    calls: BTreeMap<InstanceId, Sequence>,
}

impl Section {
    pub(super) fn new(sequence: Sequence, entities: Vec<InstanceId>) -> Self {
        Self {
            sequence,
            entities,
            granted: false,
            lost: BTreeSet::new(),
            calls: BTreeMap::new(),
        }
    }

    /// Records a call that is about to be made.
    ///
    /// # Errors
    /// Returns an error that names the violated rule.
    pub(super) fn call(&mut self, target: &InstanceId, call: Sequence) -> Result<()> {
        if !self.granted {
            return Err(Error::new(
                ErrorKind::LockNotGranted,
                format!("`{target}` was called before the requested locks were granted; await the lock request first"),
            ));
        }
        if !self.locks(target) {
            return Err(Error::new(
                ErrorKind::NotLocked,
                format!(
                    "`{target}` was called inside a critical section that has not locked it; lock it as well, signal \
                     it, or call it outside of the section"
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
                    "`{target}` was called inside a critical section while another call of it is pending; await \
                     that call first"
                ),
            ));
        }
        self.calls.insert(target.clone(), call);
        Ok(())
    }

    /// Checks that an entity may be signaled.
    ///
    /// # Errors
    /// Returns an error if the signal would wait for the end of the section. This applies from the request for the lock
    /// on: the signal is queued behind that request, and the calls of the section would overtake it.
    pub(super) fn check_signal(&self, target: &InstanceId) -> Result<()> {
        if self.locks(target) && !self.lost.contains(target) {
            return Err(Error::new(
                ErrorKind::SignalToLocked,
                format!(
                    "`{target}` was signaled inside the critical section that locks it; call it, or signal it outside \
                     of the section"
                ),
            ));
        }
        Ok(())
    }

    /// Removes a call that has ended or is no longer awaited.
    pub(super) fn forget_call(&mut self, call: Sequence) {
        self.calls.retain(|_, pending| *pending != call);
    }

    /// Records that the lock of an entity was released by force. Returns the entity's pending call.
    pub(super) fn lose(&mut self, entity: &InstanceId) -> Option<Sequence> {
        self.lost.insert(entity.clone());
        self.calls.remove(entity)
    }

    fn locks(&self, target: &InstanceId) -> bool {
        self.entities.binary_search(target).is_ok()
    }
}

/// Returns the error of a call of an entity whose lock was released by force.
pub(super) fn lock_lost(entity: &InstanceId) -> Error {
    Error::new(
        ErrorKind::LockLost,
        format!("an operator released the lock of `{entity}` by force; earlier changes by the critical section remain"),
    )
}
