//! Following the log while another node owns the hub, so that a takeover has little left to read.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;
use uuid::Uuid;

use super::copy::{self, Limits};
use super::replay::{CopiedRows, Replay, Step, Stopped};
use crate::error::{Error, Result};
use crate::log::shared::{LogState, SharedLog};
use crate::spawn::spawn;

/// Interval between two looks for new records, and between two attempts after an error.
const LOOK: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_secs(5);

/// Interval between two attempts after an error, while a reader waits.
const PAUSE_OF_READERS: Duration = Duration::from_millis(100);

/// The thread of a waiting node that keeps its copy up to date. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Follower {
    orders: Sender<Order>,
    thread: Option<JoinHandle<Option<Replay>>>,
}

/// Asks a follower for rows to read.
#[derive(Clone, Debug)]
pub(crate) struct FreshRows(Sender<Order>);

enum Order {
    /// Somebody wants to read.
    Read(oneshot::Sender<CopiedRows>),
    Stop,
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
    /// `note_current` is called with `true` when the copy has everything that was in the log, and with `false` when there is no
    /// open copy.
    pub(super) fn start(source: CopySource, note_current: impl Fn(bool) + Send + 'static) -> Result<Self> {
        let (orders, received) = channel();
        let following = Following::new(source, received, Box::new(note_current));
        Ok(Self {
            orders,
            thread: Some(spawn("abide-follow", move || following.run())?),
        })
    }

    pub(super) fn fresh_rows(&self) -> FreshRows {
        FreshRows(self.orders.clone())
    }

    /// Ends the thread, and returns the copy if it is open.
    pub(super) fn stop(mut self) -> Option<Replay> {
        self.end()
    }

    fn end(&mut self) -> Option<Replay> {
        // If this fails, the thread has ended.
        let _ = self.orders.send(Order::Stop);
        // The panic hook has already reported any panic.
        self.thread.take()?.join().ok().flatten()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.end();
    }
}

impl FreshRows {
    /// Returns rows that have everything that was acknowledged before the call, by any node. Returns `None` if the node
    /// no longer waits.
    pub(crate) async fn read(&self) -> Option<CopiedRows> {
        let (sender, rows) = oneshot::channel();
        self.0.send(Order::Read(sender)).ok()?;
        rows.await.ok()
    }
}

/// The state of the thread.
struct Following {
    source: CopySource,
    orders: Receiver<Order>,
    replay: Option<Replay>,
    /// The readers for whom the log has not been asked yet.
    readers: Vec<oneshot::Sender<CopiedRows>>,
    /// The state of the log that the other readers wait for.
    awaited: Option<(LogState, Vec<oneshot::Sender<CopiedRows>>)>,
    /// The last warning.
    told: String,
    note_current: Box<dyn Fn(bool) + Send>,
}

impl Following {
    fn new(source: CopySource, orders: Receiver<Order>, note_current: Box<dyn Fn(bool) + Send>) -> Self {
        Self {
            source,
            orders,
            replay: None,
            readers: Vec::new(),
            awaited: None,
            told: String::new(),
            note_current,
        }
    }

    fn run(mut self) -> Option<Replay> {
        let mut pause = Duration::ZERO;
        loop {
            loop {
                match self.orders.recv_timeout(pause) {
                    Ok(Order::Read(reader)) => {
                        self.readers.push(reader);
                        pause = Duration::ZERO;
                    }
                    Err(RecvTimeoutError::Timeout) => break,
                    Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return self.replay,
                }
            }
            pause = self.step();
        }
    }

    /// Does the next thing, and returns the time until the one after it.
    fn step(&mut self) -> Duration {
        let stepped = self.ask_for_readers().and_then(|()| {
            if self.answer_readers() {
                return Ok(true);
            }
            advance(&mut self.replay, &self.source)
        });
        if self.replay.is_none() {
            // A copy stays open while the log cannot be read, and is closed when it does not fit the log or cannot be written.
            (self.note_current)(false);
        }
        match stepped {
            Ok(true) => Duration::ZERO,
            Ok(false) => {
                self.told.clear();
                (self.note_current)(true);
                self.ask_again();
                if self.readers.is_empty() {
                    LOOK
                } else {
                    PAUSE_OF_READERS
                }
            }
            Err(error) => {
                // The same again says nothing new.
                let text = error.to_string();
                if self.told != text {
                    tracing::warn!(%error, "this node cannot follow the log of the hub; trying again");
                    self.told = text;
                }
                self.ask_again();
                if self.readers.is_empty() {
                    PAUSE
                } else {
                    PAUSE_OF_READERS
                }
            }
        }
    }

    /// Asks the log for its state, for all readers that have come since it was asked last.
    fn ask_for_readers(&mut self) -> Result<()> {
        if self.awaited.is_none() && !self.readers.is_empty() && self.replay.is_some() {
            let state = self.source.log.barrier()?;
            check_end(&mut self.replay, &state, &self.source)?;
            self.awaited = Some((state, std::mem::take(&mut self.readers)));
        }
        Ok(())
    }

    /// Gives the readers their rows if the copy has what they wait for. Returns `true` if it has answered some.
    fn answer_readers(&mut self) -> bool {
        let rows = match (&self.awaited, &self.replay) {
            (Some((state, _)), Some(replay)) => replay.rows_at(state),
            _ => None,
        };
        let Some(rows) = rows else { return false };
        for reader in self.awaited.take().into_iter().flat_map(|(_, readers)| readers) {
            // One that has given up wants nothing.
            let _ = reader.send(rows.clone());
        }
        true
    }

    /// Asks the log again for all readers that still wait: it may have lost what it had when it was asked.
    fn ask_again(&mut self) {
        let waiting = self.awaited.take().into_iter().flat_map(|(_, readers)| readers);
        self.readers.extend(waiting);
        self.readers.retain(|reader| !reader.is_closed());
    }
}

/// Checks that the log has what the copy has. A copy that does not fit is closed, so that it is opened again.
pub(super) fn check_end(replay: &mut Option<Replay>, state: &LogState, source: &CopySource) -> Result<()> {
    let Some(open) = replay else { return Ok(()) };
    if !open.fits(state) {
        close(replay, &source.canceled);
        return Ok(());
    }
    open.check_end(state, source.log.as_ref()).map_err(|stopped| {
        if let Stopped::Failed(_) = stopped {
            close(replay, &source.canceled);
        }
        stopped.into()
    })
}

/// Closes the copy, so that it can be opened again.
fn close(replay: &mut Option<Replay>, canceled: &AtomicBool) {
    if let Some(replay) = replay.take() {
        replay.close(canceled);
    }
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
            Err(error) => match log.state() {
                // A snapshot has replaced what the open was reading.
                Ok(now) if now.snapshot != state.snapshot => Ok(true),
                Ok(_) => Err(error),
                // Whether one has is not known.
                Err(unread) => Err(unread.into()),
            },
        };
    };
    match open.follow(log) {
        Ok(Step::Applied) => Ok(true),
        Ok(Step::AtEnd | Step::Unsettled) => Ok(false),
        Ok(Step::LeftBehind) => {
            close(replay, &source.canceled);
            Ok(true)
        }
        Err(Stopped::Unread(error)) => Err(error),
        Err(Stopped::Failed(error)) => {
            close(replay, &source.canceled);
            Err(error)
        }
    }
}
