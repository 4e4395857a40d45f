//! Ctrl-C, for commands that have to act on it before they end.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::directory::runtime;
use crate::exit::Result;

/// Receives Ctrl-C, which no longer ends the process.
pub(crate) struct Interrupt {
    runtime: Runtime,
    pressed: Pin<Box<dyn Future<Output = io::Result<()>>>>,
}

impl Interrupt {
    pub(crate) fn listen() -> Result<Self> {
        let mut interrupt = Self {
            runtime: runtime()?,
            pressed: Box::pin(tokio::signal::ctrl_c()),
        };
        interrupt.register();
        Ok(interrupt)
    }

    /// Waits for this time. Returns `true` as soon as Ctrl-C is pressed, or if it was pressed since the last call.
    pub(crate) fn within(&mut self, time: Duration) -> bool {
        let pressed = &mut self.pressed;
        let waited = self
            .runtime
            .block_on(async { tokio::time::timeout(time, pressed).await });
        if waited.is_ok() {
            self.pressed = Box::pin(tokio::signal::ctrl_c());
            self.register();
        }
        matches!(waited, Ok(Ok(())))
    }

    /// Polls the future once, which registers it.
    fn register(&mut self) {
        let pressed = &mut self.pressed;
        let poll = async { tokio::time::timeout(Duration::ZERO, pressed).await.is_ok() };
        self.runtime.block_on(poll);
    }
}
