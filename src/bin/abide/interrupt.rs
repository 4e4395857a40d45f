//! Ctrl-C, for commands that have to act on it before they end.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::signal::ctrl_c;

use crate::directory::runtime;
use crate::exit::Result;

/// The exit code of a process that SIGINT has ended, as shells report it.
const INTERRUPTED: i32 = 130;

/// Receives Ctrl-C. The first press does not end the process, and the second one does.
pub(crate) struct Interrupt(Receiver<()>);

impl Interrupt {
    pub(crate) fn listen() -> Result<Self> {
        let (sender, receiver) = channel();
        let (registered, is_registered) = channel();
        let runtime = runtime()?;
        // The thread ends with the process.
        std::thread::spawn(move || runtime.block_on(watch(&registered, &sender)));
        let _ = is_registered.recv();
        Ok(Self(receiver))
    }

    /// Waits for this time. Returns `true` as soon as Ctrl-C is pressed, or if it was pressed before.
    pub(crate) fn within(&self, time: Duration) -> bool {
        match self.0.recv_timeout(time) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            // Without a handler, Ctrl-C ends the process.
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(time);
                false
            }
        }
    }
}

/// Reports the first press, and ends the process at the second one.
async fn watch(registered: &Sender<()>, pressed: &Sender<()>) {
    let mut first = Box::pin(ctrl_c());
    // The first poll registers the handler.
    let early = tokio::time::timeout(Duration::ZERO, &mut first).await;
    let _ = registered.send(());
    let first = match early {
        Ok(first) => first,
        Err(_) => first.await,
    };
    if first.is_err() {
        return;
    }
    let _ = pressed.send(());
    if ctrl_c().await.is_ok() {
        std::process::exit(INTERRUPTED);
    }
}
