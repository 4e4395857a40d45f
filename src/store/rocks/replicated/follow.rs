//! Following the log while another node owns the hub, so that a takeover has little left to read.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use uuid::Uuid;

use super::copy::{self, Limits};
use super::replay::{Replay, Step, Stopped};
use crate::error::{Error, Result};
use crate::log::shared::SharedLog;
use crate::spawn::spawn;

/// Interval between two looks for new records, and between two attempts after an error.
const LOOK: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_secs(5);

/// The thread of a waiting node that keeps its copy up to date. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Follower {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<Option<Replay>>>,
}

/// A copy, and the log that it follows.
pub(super) struct CopySource {
    pub(super) directory: PathBuf,
    pub(super) hub: Uuid,
    pub(super) log: Arc<dyn SharedLog>,
    pub(super) limits: Limits,
    pub(super) canceled: Arc<AtomicBool>,
}

impl Follower {
    pub(super) fn start(source: CopySource) -> Result<Self> {
        let (stop, stopped) = channel();
        Ok(Self {
            stop: Some(stop),
            thread: Some(spawn("abide-follow", move || follow(&source, &stopped))?),
        })
    }

    /// Ends the thread, and returns the copy if it is open.
    pub(super) fn stop(mut self) -> Option<Replay> {
        self.end()
    }

    fn end(&mut self) -> Option<Replay> {
        drop(self.stop.take());
        // The panic hook has already reported any panic.
        self.thread.take()?.join().ok().flatten()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.end();
    }
}

fn follow(source: &CopySource, stopped: &Receiver<()>) -> Option<Replay> {
    let mut replay = None;
    let mut told = String::new();
    while stopped.try_recv() == Err(TryRecvError::Empty) {
        let pause = match advance(&mut replay, source) {
            Ok(true) => continue,
            Ok(false) => {
                told.clear();
                LOOK
            }
            Err(error) => {
                // The same again says nothing new.
                let text = error.to_string();
                if told != text {
                    tracing::warn!(%error, "this node cannot follow the log of the hub; trying again");
                    told = text;
                }
                PAUSE
            }
        };
        if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            break;
        }
    }
    replay
}

/// Opens the copy, or applies the next records. Returns `false` if it has to wait for more.
pub(super) fn advance(replay: &mut Option<Replay>, source: &CopySource) -> Result<bool> {
    let log = source.log.as_ref();
    let Some(open) = replay else {
        let state = log.state().map_err(Error::from)?;
        return match copy::open(
            &source.directory,
            source.hub,
            &state,
            log,
            source.limits,
            &source.canceled,
        ) {
            Ok(open) => {
                *replay = Some(open);
                Ok(true)
            }
            // A snapshot has replaced what the open was reading.
            Err(_) if log.state().is_ok_and(|now| now.snapshot != state.snapshot) => Ok(true),
            Err(error) => Err(error),
        };
    };
    match open.follow(log) {
        Ok(Step::Applied) => Ok(true),
        Ok(Step::AtEnd | Step::Unsettled) => Ok(false),
        Ok(Step::LeftBehind) => {
            *replay = None;
            Ok(true)
        }
        Err(Stopped::Unread(error)) => Err(error),
        Err(Stopped::Failed(error)) => {
            *replay = None;
            Err(error)
        }
    }
}
