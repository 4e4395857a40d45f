//! Limits of sizes and of connections.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame};
use hyper::client::conn::http2;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::node::{Event, Node};
use super::{echoes, not_sent, unknown};
use crate::transport::limits::{MAX_CONNECTIONS, MAX_HANDSHAKES};
use crate::transport::{Identity, MAX_BODY_BYTES, SendError, tls};

/// A body without an announced size.
struct Chunks(usize);

impl Body for Chunks {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let size = self.0.min(1 << 20);
        self.0 -= size;
        Poll::Ready((size > 0).then(|| Ok(Frame::data(Bytes::from(vec![0; size])))))
    }
}

/// Posts a body with a client that has no limit, and returns the status.
async fn post<B>(node: &Node, client: &Identity, body: B) -> StatusCode
where
    B: Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static,
{
    let config = tls::client(client, node.identity.fingerprint()).unwrap();
    let socket = TcpStream::connect(node.listener.address()).await.unwrap();
    let name = ServerName::try_from("node").unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
        .unwrap();
    let connected = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut requests, connection) = connected.unwrap();
    let request = Request::post("https://node/1").body(body).unwrap();
    tokio::select! {
        response = requests.send_request(request) => response.unwrap().status(),
        ended = connection => panic!("{ended:?}"),
    }
}

#[tokio::test]
async fn a_request_and_an_answer_may_have_the_maximum_size() {
    let client = Identity::generate().unwrap();
    let node = Node::admitting(&[&client]).await;
    let request = Bytes::from(vec![1; MAX_BODY_BYTES]);
    let answer = node.peer(&client).send(request.clone()).await.unwrap();
    assert!(answer == request);
}

/// The client refuses a request that is too large before it connects.
#[tokio::test]
async fn a_request_that_is_too_large_is_not_sent() {
    let client = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    let request = Bytes::from(vec![0; MAX_BODY_BYTES + 1]);
    let error = node.peer(&client).send(request).await.unwrap_err();
    assert!(matches!(error, SendError::TooLarge(_)), "{error:?}");
    assert_eq!(node.events(), []);
}

/// The server refuses a request that is too large, with and without an announced size.
#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let client = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    let announced = Full::new(Bytes::from(vec![0; MAX_BODY_BYTES + 1]));
    assert_eq!(post(&node, &client, announced).await, StatusCode::PAYLOAD_TOO_LARGE);
    let surprising = Chunks(MAX_BODY_BYTES + 1);
    assert_eq!(post(&node, &client, surprising).await, StatusCode::PAYLOAD_TOO_LARGE);
    let asked = || Event::Asked(client.fingerprint());
    assert_eq!(node.events(), [asked(), asked()]);
    assert_eq!(post(&node, &client, Chunks(MAX_BODY_BYTES)).await, StatusCode::OK);
}

/// The request has been processed, so its result is unknown. The connection remains open.
#[tokio::test]
async fn an_answer_that_is_too_large_is_refused() {
    let client = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    let peer = node.peer(&client);
    let error = unknown(&peer, "too large").await;
    assert!(error.contains("is larger than"), "{error}");
    echoes(&peer, "hello").await;
    let events = node.events();
    assert_eq!(
        events,
        [Event::Asked(client.fingerprint()), Event::Called, Event::Called]
    );
}

/// Connections that never complete the handshake do not use up all others. Once they end, there is room again.
#[tokio::test]
async fn connections_without_a_handshake_are_limited() {
    let client = Identity::generate().unwrap();
    let node = Node::admitting(&[&client]).await;
    let mut idle = Vec::new();
    for _ in 0..MAX_HANDSHAKES {
        idle.push(TcpStream::connect(node.listener.address()).await.unwrap());
    }
    let mut surplus = TcpStream::connect(node.listener.address()).await.unwrap();
    assert_eq!(surplus.read(&mut [0]).await.unwrap(), 0);
    drop(idle);
    // The server learns of the ends of the connections one after another.
    while node.peer(&client).send(Bytes::new()).await.is_err() {}
}

/// The connection beyond the limit is closed. Once another one ends, there is room again.
#[tokio::test]
async fn connections_are_limited() {
    let client = Identity::generate().unwrap();
    let node = Node::admitting(&[&client]).await;
    let mut peers = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let peer = node.peer(&client);
        echoes(&peer, "hello").await;
        peers.push(peer);
    }
    let surplus = node.peer(&client);
    not_sent(&surplus, "hello").await;
    drop(peers.pop());
    // The server learns of the end of the connection a little later.
    while surplus.send(Bytes::new()).await.is_err() {}
}
