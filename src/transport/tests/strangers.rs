//! Clients that do not speak the protocol, and clients that lie.

use std::io;
use std::sync::Arc;

use rustls::client::{ClientConfig, ResolvesClientCert, Resumption};
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{HandshakeKind, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::echoes;
use super::node::{Event, Node};
use crate::transport::{Identity, tls};

/// A client without a certificate.
#[derive(Debug)]
struct Nothing;

impl ResolvesClientCert for Nothing {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// Returns the certificate of one identity with the key of another.
fn stolen(certificate: &Identity, key: &Identity) -> Arc<SingleCertAndKey> {
    let certified = |identity: &Identity| ResolvesClientCert::resolve(&*identity.resolver(), &[], &schemes()).unwrap();
    let chain = certified(certificate).cert.clone();
    let key = Arc::clone(&certified(key).key);
    Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)))
}

fn schemes() -> [SignatureScheme; 1] {
    [SignatureScheme::ECDSA_NISTP256_SHA256]
}

fn config(node: &Node, client: &Identity) -> ClientConfig {
    tls::client(client, node.identity.fingerprint()).unwrap()
}

async fn encrypt(node: &Node, config: impl Into<Arc<ClientConfig>>) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(node.listener.address()).await.unwrap();
    let name = ServerName::try_from("node").unwrap();
    TlsConnector::from(config.into()).connect(name, socket).await
}

/// Reads until the server closes the connection. Both a clean and an abrupt end are fine.
async fn until_closed(mut stream: impl AsyncReadExt + Unpin) {
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

/// In TLS 1.3, the client may believe that the handshake has succeeded. The server then closes the connection.
async fn is_refused(node: &Node, config: ClientConfig) {
    if let Ok(stream) = encrypt(node, config).await {
        until_closed(stream).await;
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let client = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    let mut config = config(&node, &client);
    config.client_auth_cert_resolver = Arc::new(Nothing);
    is_refused(&node, config).await;
    assert_eq!(node.events(), []);
    echoes(&node.peer(&client), "hello").await;
}

/// A client that presents the certificate of another node must hold its key.
#[tokio::test]
async fn a_client_with_a_stolen_certificate_is_refused() {
    let client = Identity::generate().unwrap();
    let thief = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client, &thief]).await;
    let mut config = config(&node, &client);
    config.client_auth_cert_resolver = stolen(&client, &thief);
    is_refused(&node, config).await;
    assert_eq!(node.events(), []);
    echoes(&node.peer(&client), "hello").await;
}

/// A server that presents the certificate of another node must hold its key.
#[tokio::test]
async fn a_server_with_a_stolen_certificate_is_refused() {
    let client = Identity::generate().unwrap();
    let thief = Identity::generate().unwrap();
    let node = Node::admitting(&[&client]).await;
    let mut server = tls::server(&thief).unwrap();
    server.cert_resolver = stolen(&node.identity, &thief);
    let (near, far) = tokio::io::duplex(1 << 16);
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let connector = TlsConnector::from(Arc::new(config(&node, &client)));
    let name = ServerName::try_from("node").unwrap();
    let (accepted, connected) = tokio::join!(acceptor.accept(far), connector.connect(name, near));
    accepted.unwrap_err();
    let error = connected.unwrap_err().to_string();
    assert!(error.contains("BadSignature"), "{error}");
}

/// The service is asked only about clients that speak HTTP/2.
#[tokio::test]
async fn a_client_without_http_2_is_refused() {
    let client = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    for protocols in [vec![], vec![b"http/1.1".to_vec()]] {
        let mut config = config(&node, &client);
        config.alpn_protocols = protocols;
        is_refused(&node, config).await;
    }
    assert_eq!(node.events(), []);
    echoes(&node.peer(&client), "hello").await;
}

/// A request of HTTP/1 does not reach the service, also from a client that is admitted.
#[tokio::test]
async fn a_request_of_http_1_is_refused() {
    let client = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    let mut stream = encrypt(&node, config(&node, &client)).await.unwrap();
    stream
        .write_all(b"POST / HTTP/1.1\r\nhost: node\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    until_closed(stream).await;
    assert_eq!(node.events(), [Event::Asked(client.fingerprint())]);
    echoes(&node.peer(&client), "hello").await;
}

#[tokio::test]
async fn bytes_without_tls_are_refused() {
    let client = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    for bytes in [
        &b"POST / HTTP/1.1\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0xff; 1000],
    ] {
        let mut socket = TcpStream::connect(node.listener.address()).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        until_closed(socket).await;
    }
    assert_eq!(node.events(), []);
    echoes(&node.peer(&client), "hello").await;
}

/// A client that would resume its session performs a full handshake each time, and is checked each time.
#[tokio::test]
async fn sessions_are_not_resumed() {
    let client = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    let mut config = config(&node, &client);
    config.resumption = Resumption::in_memory_sessions(8);
    let config = Arc::new(config);
    for _ in 0..2 {
        let mut stream = encrypt(&node, Arc::clone(&config)).await.unwrap();
        // The settings of HTTP/2 would follow the tickets.
        stream.read_u8().await.unwrap();
        let (_, session) = stream.get_ref();
        assert_eq!(session.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(session.tls13_tickets_received(), 0);
        assert_eq!(node.next().await, Event::Asked(client.fingerprint()));
    }
}
