//! The order in which the requests of a connection begin.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::{Method, Request};
use tokio::sync::watch;

/// Lets the requests of a connection begin in the order in which they were sent. Their bodies arrive, and their tasks
/// run, in any order.
#[derive(Debug, Default)]
pub(super) struct Turns {
    given: Mutex<u64>,
    begun: Arc<Begun>,
}

#[derive(Debug, Default)]
struct Begun {
    /// The first turn that has not begun.
    next: watch::Sender<u64>,
    /// The later turns that have ended without it.
    skipped: Mutex<BTreeSet<u64>>,
}

/// The turn of a request. It is over when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    number: u64,
    begun: Arc<Begun>,
}

impl Turns {
    /// Returns the turn of the next request, if its kind has turns.
    pub(super) fn next<B>(&self, request: &Request<B>) -> Option<Turn> {
        if request.method() != Method::POST {
            return None;
        }
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *given;
        *given += 1;
        Some(Turn {
            number,
            begun: Arc::clone(&self.begun),
        })
    }
}

impl Turn {
    /// Waits until all earlier requests have begun, or ended before that.
    pub(super) async fn come(&self) {
        let mut next = self.begun.next.subscribe();
        // The sender is in this turn, so it is there.
        let _ = next.wait_for(|next| *next >= self.number).await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut skipped = self.begun.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        skipped.insert(self.number);
        self.begun.next.send_modify(|next| {
            while skipped.remove(next) {
                *next += 1;
            }
        });
    }
}
