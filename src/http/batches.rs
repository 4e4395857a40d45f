//! The batches that the server has begun.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::SystemTime;

use tokio::sync::Semaphore;

use crate::client::{Batch, BatchProgress};
use crate::http::error::Problem;
use crate::http::state::Api;
use crate::random;

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
            id: random::uuid().simple().to_string(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hub;
    use crate::client::BatchAction;

    /// The newest hundred batches that have ended are remembered. A batch that runs is never forgotten, and there is a
    /// limit on how many do.
    #[tokio::test]
    async fn batches_that_have_ended_are_forgotten_in_order() {
        let hub = Hub::in_memory().open().await.unwrap();
        let client = hub.client();
        let (batches, now) = (Batches::new(), SystemTime::UNIX_EPOCH);
        let begin = || {
            batches.begin(
                "purge",
                now,
                client.orchestrations().apply(BatchAction::Purge),
                Weak::new(),
            )
        };
        // Stands for a batch that never ends.
        let first = RunningBatch {
            id: "endless".to_owned(),
            action: "purge",
            started: now,
            progress: BatchProgress::default(),
            end: OnceLock::new(),
        };
        batches.known().push_back(Arc::new(first));
        let mut begun = Vec::new();
        for _ in 0..2 * REMEMBERED {
            let batch = begin().unwrap();
            while batch.end.get().is_none() {
                tokio::task::yield_now().await;
            }
            begun.push(batch.id.clone());
        }
        let known: Vec<String> = batches.all().iter().map(|batch| batch.id.clone()).collect();
        let newest = begun.iter().rev().take(known.len() - 1).cloned();
        assert_eq!(known, newest.chain(["endless".to_owned()]).collect::<Vec<_>>());
        assert!((REMEMBERED..=REMEMBERED + 2).contains(&known.len()), "{}", known.len());
        assert!(batches.get("endless").is_some() && batches.get(&begun[0]).is_none());

        let room = Arc::clone(&batches.room)
            .acquire_many_owned(AT_ONCE as u32)
            .await
            .unwrap();
        assert!(begin().is_err());
        drop(room);
        begin().unwrap();
        hub.shutdown().await.unwrap();
    }
}
