//! The batches that the server has begun.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::SystemTime;

use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::client::{Batch, BatchProgress};
use crate::http::error::Problem;
use crate::http::state::Api;

/// Maximum number of batches that run at the same time.
const AT_ONCE: usize = 4;

/// Number of batches that are remembered after they have ended.
const REMEMBERED: usize = 100;

/// The batches that the server has begun.
#[derive(Debug)]
pub(super) struct Batches {
    /// Oldest first.
    known: Mutex<VecDeque<Arc<RunningBatch>>>,
    room: Arc<Semaphore>,
}

/// A batch that runs or has ended.
#[derive(Debug)]
pub(super) struct RunningBatch {
    pub(super) id: String,
    /// The name of the action.
    pub(super) action: &'static str,
    pub(super) started: SystemTime,
    pub(super) progress: BatchProgress,
    pub(super) end: OnceLock<BatchEnd>,
}

/// The end of a batch.
#[derive(Debug)]
pub(super) struct BatchEnd {
    pub(super) time: SystemTime,
    /// The error that ended it.
    pub(super) error: Option<String>,
}

impl Batches {
    pub(super) fn new() -> Self {
        Self {
            known: Mutex::default(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Begins a batch.
    ///
    /// # Errors
    /// Returns a problem with status 503 if too many run already.
    #[expect(clippy::disallowed_methods, reason = "batches are spawned here")]
    pub(super) fn begin(
        &self,
        action: &'static str,
        now: SystemTime,
        batch: Batch,
        api: Weak<Api>,
    ) -> Result<Arc<RunningBatch>, Problem> {
        let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
            return Err(Problem::overloaded(format!(
                "{AT_ONCE} batches run already; wait until one has ended, or cancel one"
            )));
        };
        let running = Arc::new(RunningBatch {
            id: Uuid::new_v4().simple().to_string(),
            action,
            started: now,
            progress: batch.progress(),
            end: OnceLock::new(),
        });
        let mut known = self.known();
        known.push_back(Arc::clone(&running));
        let ended = known.iter().filter(|batch| batch.end.get().is_some()).count();
        if ended > REMEMBERED
            && let Some(oldest) = known.iter().position(|batch| batch.end.get().is_some())
        {
            known.remove(oldest);
        }
        drop(known);
        let job = Arc::clone(&running);
        tokio::spawn(async move {
            let error = batch.await.err().map(|error| error.to_string());
            // Without the server, the end is never read.
            let time = api.upgrade().map_or(now, |api| api.now());
            let _ = job.end.set(BatchEnd { time, error });
            drop(room);
        });
        Ok(running)
    }

    /// Returns all known batches, newest first.
    pub(super) fn all(&self) -> Vec<Arc<RunningBatch>> {
        self.known().iter().rev().cloned().collect()
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<RunningBatch>> {
        self.known().iter().find(|batch| batch.id == id).cloned()
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<Arc<RunningBatch>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
