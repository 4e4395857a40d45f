//! Tests over real sockets on the loopback interface.

mod answers;
mod certificates;
mod limits;
mod loss;
mod node;
mod proxy;
mod strangers;

use bytes::Bytes;

use super::{Peer, SendError};

/// Sends a request and expects that it was certainly not processed. Returns the error as text.
async fn not_sent(peer: &Peer, request: &'static str) -> String {
    match peer.send(Bytes::from(request)).await {
        Err(SendError::NotSent(error) | SendError::TooLarge(error)) => error.to_string(),
        other => panic!("expected `NotSent`, got {other:?}"),
    }
}

/// Sends a request and expects that it may have been processed. Returns the error as text.
async fn unknown(peer: &Peer, request: &'static str) -> String {
    match peer.send(Bytes::from(request)).await {
        Err(SendError::Unknown(error) | SendError::Unanswerable(error)) => error.to_string(),
        other => panic!("expected `Unknown`, got {other:?}"),
    }
}

/// Sends a request and expects it back as the answer.
async fn echoes(peer: &Peer, request: &'static str) {
    let answer = peer.send(Bytes::from(request)).await.unwrap();
    assert_eq!(answer, request);
}
