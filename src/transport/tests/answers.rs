//! Answers to requests.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::node::{Event, Node, TOGETHER};
use super::{echoes, not_sent, unknown};
use crate::transport::{BoxFuture, Fingerprint, Identity, Listener, Peer, Service};

/// Requests of several sizes, also empty ones, return as their own answers.
#[tokio::test]
async fn answers_come_back() {
    let client = Identity::generate().unwrap();
    let node = Node::admitting(&[&client]).await;
    let peer = node.peer(&client);
    for size in [0, 1, 100, 100_000, 8 << 20] {
        let request = Bytes::from(vec![7; size]);
        assert_eq!(peer.send(request.clone()).await.unwrap(), request);
    }
}

/// A thousand requests are in progress at once, on one connection. The service answers none of them before it has
/// received all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_requests_share_one_connection() {
    let client = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    let peer = Arc::new(node.peer(&client));
    let mut requests = JoinSet::new();
    for _ in 0..TOGETHER {
        let peer = Arc::clone(&peer);
        requests.spawn(async move { echoes(&peer, "together").await });
    }
    requests.join_all().await;
    assert_eq!(node.next().await, Event::Asked(client.fingerprint()));
    let events = node.events();
    assert_eq!(events.len(), TOGETHER);
    assert!(events.iter().all(|event| *event == Event::Called));
}

/// Requests beyond the limit of one connection wait. Many more small bodies than h2 allows empty frames pass through
/// one connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_beyond_the_limit_of_streams_wait() {
    let client = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    let peer = Arc::new(node.peer(&client));
    let mut requests = JoinSet::new();
    for index in 0..6000 {
        let peer = Arc::clone(&peer);
        requests.spawn(async move { echoes(&peer, if index % 2 == 0 { "small" } else { "" }).await });
    }
    requests.join_all().await;
    let asked = node.events().into_iter().filter(|event| *event != Event::Called);
    assert_eq!(asked.count(), 1);
}

/// Concurrent requests share one attempt to connect, and its error. The next request starts another attempt.
#[tokio::test]
async fn concurrent_requests_share_one_attempt_to_connect() {
    let client = Identity::generate().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let peer = Arc::new(Peer::new(address, client.fingerprint(), &client));
    let mut requests = JoinSet::new();
    for _ in 0..10 {
        let peer = Arc::clone(&peer);
        requests.spawn(async move { not_sent(&peer, "hello").await });
    }
    drop(listener.accept().await.unwrap());
    while requests.join_next().await.transpose().unwrap().is_some() {}
    assert!(poll_fn(|context| Poll::Ready(listener.poll_accept(context).is_pending())).await);
    // The failure is remembered, so there is a new attempt only after a while.
    requests.spawn(async move {
        loop {
            not_sent(&peer, "hello").await;
            tokio::task::yield_now().await;
        }
    });
    drop(listener.accept().await.unwrap());
}

/// A request that panics fails alone. The connection remains open.
#[tokio::test]
async fn a_panic_of_the_service_fails_only_its_request() {
    let client = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    let peer = node.peer(&client);
    for request in ["panic", "panic at once"] {
        let error = unknown(&peer, request).await;
        assert!(error.contains("panicked"), "{error}");
        echoes(&peer, "hello").await;
    }
    assert_eq!(node.next().await, Event::Asked(client.fingerprint()));
    assert_eq!(node.events().len(), 4);
}

/// Remembers the order in which its requests begin.
struct Ordered(UnboundedSender<u8>);

impl Service for Ordered {
    fn admits(&self, _peer: Fingerprint) -> BoxFuture<'_, bool> {
        Box::pin(async { true })
    }

    fn answer(&self, request: Bytes) -> BoxFuture<'_, Bytes> {
        Box::pin(async move {
            self.0.send(request[0]).unwrap();
            Bytes::new()
        })
    }
}

/// Large requests arrive later than small ones that were sent after them. They begin in the order of sending, except
/// those that were canceled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_begin_in_the_order_in_which_they_were_sent() {
    let identity = Identity::generate().unwrap();
    let (begun, mut order) = unbounded_channel();
    let listener = Listener::bind("127.0.0.1:0", &identity, Arc::new(Ordered(begun)))
        .await
        .unwrap();
    let peer = Peer::new(listener.address().to_string(), identity.fingerprint(), &identity);
    let mut answers = Vec::new();
    for number in 0..100_u8 {
        let size = if number % 3 == 0 { 2 << 20 } else { 1 };
        let answer = peer.begin(Bytes::from(vec![number; size])).await.unwrap();
        if number % 7 == 6 {
            drop(answer);
        } else {
            answers.push(tokio::spawn(answer));
        }
    }
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    order.close();
    let begun: Vec<u8> = std::iter::from_fn(|| order.try_recv().ok()).collect();
    assert!(begun.is_sorted(), "{begun:?}");
    assert!(
        (0..100).all(|number| number % 7 == 6 || begun.contains(&number)),
        "{begun:?}"
    );
}
