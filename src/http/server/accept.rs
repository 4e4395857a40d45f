//! The loop that accepts connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::http::server::connection;
use crate::http::server::stop::{Stop, told_to_stop};
use crate::http::server::stream::Patience;

/// Pause after the operating system has returned no connection, for instance because too many files are open.
/// Connections that close in the meantime make room.
const PAUSE: Duration = Duration::from_millis(100);

/// State of the accept loop.
#[derive(Debug)]
pub(super) struct Accepting {
    pub(super) listener: TcpListener,
    pub(super) router: Router,
    pub(super) patience: Patience,
    pub(super) max_connections: usize,
    pub(super) stop: watch::Receiver<Stop>,
}

impl Accepting {
    /// Accepts connections until the signal to stop, then waits a limited time for responses in progress.
    pub(super) async fn run(mut self) {
        let mut connections = JoinSet::new();
        self.accept(&mut connections).await;
        // Refuse new connections.
        drop(self.listener);
        let patience = self.stop.borrow().unwrap_or_default();
        let ended = async { while connections.join_next().await.is_some() {} };
        if timeout(patience, ended).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "the management API closes connections that still wait for responses"
            );
            connections.shutdown().await;
        }
    }

    async fn accept(&mut self, connections: &mut JoinSet<()>) {
        let room = Arc::new(Semaphore::new(self.max_connections.min(Semaphore::MAX_PERMITS)));
        let mut stop = self.stop.clone();
        // A persistent error is logged once.
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = told_to_stop(&mut stop) => return,
                Some(_) = connections.join_next() => continue,
                accepted = next(&self.listener, &room) => accepted,
            };
            match accepted {
                Ok((socket, permit)) => {
                    failing = false;
                    let serving = connection::serve(socket, self.router.clone(), self.patience, self.stop.clone());
                    // Boxed, because the task would otherwise reserve memory for it twice.
                    let serving = Box::pin(serving);
                    connections.spawn(async move {
                        serving.await;
                        drop(permit);
                    });
                }
                Err(error) if is_of_one(&error) => {}
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "the management API cannot accept a connection and keeps retrying");
                    }
                    failing = true;
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Returns the next connection, once there is room for it.
async fn next(listener: &TcpListener, room: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (socket, _) = listener.accept().await?;
    Ok((socket, permit))
}

/// Returns `true` if an error concerns only one connection, which was closed before it was accepted.
fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
