//! The loop that takes in connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::http::server::connection;
use crate::http::server::stream::Patience;

/// How long to wait when the operating system gives no connection, for instance because too many files are open. Those
/// that close meanwhile make room.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether the server is to stop, and how long its connections may then still answer.
pub(super) type Stop = Option<Duration>;

/// Waits until the server is to stop, or is dropped.
pub(super) async fn told_to_stop(stop: &mut watch::Receiver<Stop>) {
    let _ = stop.wait_for(Option::is_some).await;
}

/// What the loop needs.
#[derive(Debug)]
pub(super) struct Accepting {
    pub(super) listener: TcpListener,
    pub(super) router: Router,
    pub(super) patience: Patience,
    pub(super) max_connections: usize,
    pub(super) stop: watch::Receiver<Stop>,
}

impl Accepting {
    /// Takes in connections until it is told to stop, then waits for those that still answer, for a while.
    pub(super) async fn run(mut self) {
        let mut connections = JoinSet::new();
        self.accept(&mut connections).await;
        // Nobody can connect any more.
        drop(self.listener);
        let patience = self.stop.borrow().unwrap_or_default();
        let ended = async { while connections.join_next().await.is_some() {} };
        if timeout(patience, ended).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "the management API cuts off those who still wait for answers"
            );
            connections.shutdown().await;
        }
    }

    async fn accept(&mut self, connections: &mut JoinSet<()>) {
        let room = Arc::new(Semaphore::new(self.max_connections.min(Semaphore::MAX_PERMITS)));
        let mut stop = self.stop.clone();
        // A trouble that stays is told once.
        let mut troubled = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = told_to_stop(&mut stop) => return,
                Some(_) = connections.join_next() => continue,
                accepted = next(&self.listener, &room) => accepted,
            };
            match accepted {
                Ok((socket, permit)) => {
                    troubled = false;
                    let serving = connection::serve(socket, self.router.clone(), self.patience, self.stop.clone());
                    // In a box, because the task would have room for it twice.
                    let serving = Box::pin(serving);
                    connections.spawn(async move {
                        serving.await;
                        drop(permit);
                    });
                }
                Err(error) if is_of_one(&error) => {}
                Err(error) => {
                    if !troubled {
                        tracing::warn!(%error, "the management API cannot take in a connection, and tries again and again");
                    }
                    troubled = true;
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// The next connection, once there is room for it.
async fn next(listener: &TcpListener, room: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (socket, _) = listener.accept().await?;
    Ok((socket, permit))
}

/// Whether an error is of one connection, which was gone before it was taken in.
fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
