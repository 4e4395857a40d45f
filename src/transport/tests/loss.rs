//! Requests and connections that end early.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use tokio::task::yield_now;

use super::node::{Event, Node};
use super::proxy::Proxy;
use super::{echoes, not_sent, unknown};
use crate::transport::{Identity, Peer};

async fn started(node: &mut Node) {
    while node.next().await != Event::Called {}
}

/// Waits until the service has dropped the future of a request.
async fn dropped(node: &mut Node) {
    while node.next().await != Event::Dropped {}
}

/// The stream is reset, and the service drops its work. The connection remains open.
#[tokio::test]
async fn a_canceled_request_ends_the_work_on_it() {
    let client = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    let peer = node.peer(&client);
    tokio::select! {
        answer = peer.send(Bytes::from("never")) => panic!("{answer:?}"),
        () = started(&mut node) => {}
    }
    dropped(&mut node).await;
    echoes(&peer, "hello").await;
    assert_eq!(node.events(), [Event::Called]);
}

/// A client that gives up on thousands of requests at once keeps its connection. The server has received all, some or
/// none of them by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_canceled_requests_do_not_end_the_connection() {
    let client = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    let peer = node.peer(&client);
    echoes(&peer, "hello").await;
    for turns in 0..20 {
        let requests = start_many(&peer).await;
        for _ in 0..turns {
            yield_now().await;
        }
        drop(requests);
    }
    echoes(&peer, "hello").await;
    let asked = node
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::Asked(_)));
    assert_eq!(asked.count(), 1);
}

/// Returns 2,000 requests that hyper has received and that are never answered.
async fn start_many(peer: &Peer) -> Vec<impl Future> {
    let mut requests: Vec<_> = (0..2000).map(|_| Box::pin(peer.send(Bytes::from("never")))).collect();
    poll_fn(|context| {
        let mut polled = requests.iter_mut().map(|request| request.as_mut().poll(context));
        assert!(polled.all(|answer| answer.is_pending()));
        Poll::Ready(())
    })
    .await;
    requests
}

/// A connection that breaks while the service works leaves the result unknown, and ends the work. The next request
/// uses a new connection.
#[tokio::test]
async fn a_connection_lost_before_the_answer_leaves_the_result_unknown() {
    let client = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    let proxy = Proxy::to(node.listener.address()).await;
    let peer = Peer::new(proxy.address(), node.identity.fingerprint(), &client);
    let cut = async {
        started(&mut node).await;
        proxy.cut();
        dropped(&mut node).await;
    };
    let (error, ()) = tokio::join!(unknown(&peer, "never"), cut);
    assert!(error.contains("broke before the answer was complete"), "{error}");
    echoes(&peer, "hello").await;
    assert_eq!(node.events(), [Event::Asked(client.fingerprint()), Event::Called]);
}

/// A part of an answer is not an answer.
#[tokio::test]
async fn a_connection_lost_in_the_middle_of_an_answer_leaves_the_result_unknown() {
    let client = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    let proxy = Proxy::to(node.listener.address()).await;
    let peer = Peer::new(proxy.address(), node.identity.fingerprint(), &client);
    proxy.cut_after(1 << 20);
    let error = unknown(&peer, "8 MiB").await;
    assert!(error.contains("broke before the answer was complete"), "{error}");
    assert_eq!(node.events(), [Event::Asked(client.fingerprint()), Event::Called]);
}

/// Both ends notice that the other one no longer responds, although no connection was closed.
#[tokio::test]
async fn a_silent_network_ends_the_connection_on_both_sides() {
    let client = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    let proxy = Proxy::to(node.listener.address()).await;
    let peer = Peer::new(proxy.address(), node.identity.fingerprint(), &client);
    let freeze = async {
        started(&mut node).await;
        proxy.freeze();
        dropped(&mut node).await;
    };
    tokio::join!(unknown(&peer, "never"), freeze);
}

/// Nothing listens on port 1.
#[tokio::test]
async fn a_refused_connection_sends_nothing() {
    let client = Identity::generate().unwrap();
    let peer = Peer::new("127.0.0.1:1".to_owned(), client.fingerprint(), &client);
    assert_eq!(
        not_sent(&peer, "hello").await,
        "cannot connect to the node at 127.0.0.1:1: connection refused; \
         check that its `listen` address can be reached from here"
    );
}

/// Dropping a listener ends its connections and the work on their requests.
#[tokio::test]
async fn a_dropped_listener_ends_its_connections() {
    let client = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    let peer = node.peer(&client);
    let mut request = pin!(unknown(&peer, "never"));
    tokio::select! {
        error = &mut request => panic!("{error}"),
        () = started(&mut node) => {}
    }
    let mut events = node.into_events();
    request.await;
    assert_eq!(events.recv().await, Some(Event::Dropped));
    // The service itself is dropped once nothing uses it.
    assert_eq!(events.recv().await, None);
    not_sent(&peer, "hello").await;
}

/// Dropping a peer closes its connection, which a listener notices.
#[tokio::test]
async fn a_dropped_peer_closes_its_connection() {
    let client = Identity::generate().unwrap();
    let node = Node::admitting(&[&client]).await;
    let proxy = Proxy::to(node.listener.address()).await;
    let peer = Peer::new(proxy.address(), node.identity.fingerprint(), &client);
    echoes(&peer, "hello").await;
    drop(peer);
    proxy.without_connections().await;
}
