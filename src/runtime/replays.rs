//! Replays of histories that readers request. They run code of orchestrations outside of the cores.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::orchestration::{RecordedRun, ReplayedPart};
use crate::error::Result;
use crate::id::InstanceId;
use crate::model::orchestration::{OrchestrationRecord, Stopped};
use crate::runtime::Runtime;
use crate::runtime::shared::closed;
use crate::runtime::tasks::{Running, Tasks};
use crate::store::Reader;

/// Maximum number of replays that run for readers at the same time.
const AT_ONCE: usize = 2;

/// The replays that run for readers.
#[derive(Debug)]
pub(crate) struct Replays {
    pub(super) tasks: Arc<Tasks>,
    room: Arc<Semaphore>,
}

impl Default for Replays {
    fn default() -> Self {
        Self {
            tasks: Arc::default(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

/// The permit for a replay. It is held until the end of the replay, so that a shutdown waits for it and names it.
#[derive(Debug)]
pub(crate) struct ReplayPermit {
    running: Running,
    _room: OwnedSemaphorePermit,
}

impl Replays {
    /// Returns a permit if there is room for a replay now and the hub is not closing.
    pub(crate) fn try_begin(&self, instance: &InstanceId) -> Option<ReplayPermit> {
        let room = Arc::clone(&self.room).try_acquire_owned().ok()?;
        self.permit(instance, room)
    }

    /// Returns a permit as soon as there is room for a replay.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the hub is closing.
    pub(crate) async fn begin(&self, instance: &InstanceId) -> Result<ReplayPermit> {
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| closed())?;
        self.permit(instance, room).ok_or_else(closed)
    }

    /// Returns `true` if replays end because the hub is closed.
    #[cfg(test)]
    pub(super) fn is_closed(&self) -> bool {
        self.tasks.is_closed()
    }

    fn permit(&self, instance: &InstanceId, room: OwnedSemaphorePermit) -> Option<ReplayPermit> {
        Some(ReplayPermit {
            running: self.tasks.enter(instance)?,
            _room: room,
        })
    }
}

impl Runtime {
    /// Replays the first `turns` turns of an execution with the code of this build. Ends before the next turn if the hub
    /// closes.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the hub closes, or any error of the
    /// reader. The inner error is the reason why the orchestration would stop.
    pub(crate) fn replay(
        &self,
        permit: &ReplayPermit,
        id: &InstanceId,
        record: &OrchestrationRecord,
        reader: &dyn Reader,
        turns: u32,
    ) -> Result<Result<ReplayedPart, Stopped>> {
        let recorded = RecordedRun {
            registry: &self.registry,
            limits: &self.limits,
            partition: id.partition(self.partitions),
            id,
            record,
            reader,
        };
        recorded.replay_part(turns, || match permit.running.is_aborted() {
            true => Err(closed()),
            false => Ok(()),
        })
    }
}
