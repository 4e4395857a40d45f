//! A node with a service that reports what it does.

use std::collections::HashSet;
use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Barrier;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::transport::{BoxFuture, Fingerprint, Identity, Listener, MAX_BODY_BYTES, Peer, Service};

/// Something that the service did.
#[derive(Debug, PartialEq)]
pub(super) enum Event {
    /// It was asked to admit a certificate.
    Asked(Fingerprint),
    /// It was called with a request.
    Called,
    /// The future of a request that never ends was dropped.
    Dropped,
}

/// A listener and what its service reports.
pub(super) struct Node {
    pub(super) identity: Identity,
    pub(super) listener: Listener,
    events: UnboundedReceiver<Event>,
}

impl Node {
    /// Starts a node that admits the identities.
    pub(super) async fn admitting(clients: &[&Identity]) -> Self {
        let identity = Identity::generate().unwrap();
        let (sender, events) = mpsc::unbounded_channel();
        let service = Reporting {
            admitted: clients.iter().map(|client| client.fingerprint()).collect(),
            events: sender,
            together: Barrier::new(TOGETHER),
        };
        let listener = Listener::bind("127.0.0.1:0", &identity, Arc::new(service));
        let listener = listener.await.unwrap();
        Self {
            identity,
            listener,
            events,
        }
    }

    pub(super) fn address(&self) -> String {
        self.listener.address().to_string()
    }

    /// Returns this node from the view of a client.
    pub(super) fn peer(&self, client: &Identity) -> Peer {
        Peer::new(self.address(), self.identity.fingerprint(), client)
    }

    /// Waits for the next event.
    pub(super) async fn next(&mut self) -> Event {
        self.events.recv().await.unwrap()
    }

    /// Drops the listener and returns the events that follow.
    pub(super) fn into_events(self) -> UnboundedReceiver<Event> {
        self.events
    }

    /// Returns the events that have occurred and were not returned yet.
    pub(super) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }
}

/// Number of requests `together` that the service answers at once.
pub(super) const TOGETHER: usize = 1000;

/// Answers each request according to its text. A request with any other text is its own answer.
struct Reporting {
    admitted: HashSet<Fingerprint>,
    events: UnboundedSender<Event>,
    together: Barrier,
}

impl Service for Reporting {
    fn admits(&self, peer: Fingerprint) -> BoxFuture<'_, bool> {
        let _ = self.events.send(Event::Asked(peer));
        let admitted = self.admitted.contains(&peer);
        Box::pin(async move { admitted })
    }

    fn answer(&self, request: Bytes) -> BoxFuture<'_, Bytes> {
        let _ = self.events.send(Event::Called);
        assert_ne!(request, "panic at once");
        Box::pin(async move {
            match &*request {
                b"panic" => panic!("a test"),
                b"never" => {
                    let _guard = Guard(&self.events);
                    pending().await
                }
                b"together" => {
                    self.together.wait().await;
                    request
                }
                b"8 MiB" => Bytes::from(vec![0; 8 << 20]),
                b"too large" => Bytes::from(vec![0; MAX_BODY_BYTES + 1]),
                _ => request,
            }
        })
    }
}

struct Guard<'a>(&'a UnboundedSender<Event>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let _ = self.0.send(Event::Dropped);
    }
}
