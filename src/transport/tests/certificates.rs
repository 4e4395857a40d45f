//! Certificates of clients and servers.

use super::node::{Event, Node};
use super::proxy::Proxy;
use super::{echoes, not_sent, unknown};
use crate::transport::{Fingerprint, Identity, Peer};

/// The client compares the fingerprint of the server during the handshake.
#[tokio::test]
async fn a_server_with_another_certificate_is_refused() {
    let client = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    let peer = Peer::new(node.address(), client.fingerprint(), &client);
    let error = not_sent(&peer, "hello").await;
    let expected = format!("the node at {} has another certificate than expected; ", node.address());
    assert!(error.starts_with(&expected), "{error}");
    assert_eq!(node.events(), []);
}

/// The service is asked once and never called.
#[tokio::test]
async fn a_client_that_is_not_admitted_sends_nothing() {
    let client = Identity::generate().unwrap();
    let stranger = Identity::generate().unwrap();
    let mut node = Node::admitting(&[&client]).await;
    let error = not_sent(&node.peer(&stranger), "hello").await;
    let expected = format!("the node at {} refused the connection: ", node.address());
    assert!(error.starts_with(&expected), "{error}");
    assert_eq!(node.events(), [Event::Asked(stranger.fingerprint())]);
    echoes(&node.peer(&client), "hello").await;
}

/// A node that restarts has a new certificate. A peer with the old fingerprint does not reach it.
#[tokio::test]
async fn a_restarted_node_is_another_node() {
    let client = Identity::generate().unwrap();
    let mut before = Node::admitting(&[&client]).await;
    let mut after = Node::admitting(&[&client]).await;
    let proxy = Proxy::to(before.listener.address()).await;
    let old = Peer::new(proxy.address(), before.identity.fingerprint(), &client);
    let waiting = async { unknown(&old, "never").await };
    let restart = async {
        while before.next().await != Event::Called {}
        proxy.lead_to(after.listener.address());
        drop(before);
    };
    tokio::join!(waiting, restart);
    not_sent(&old, "hello").await;
    assert_eq!(after.events(), []);
    let new = Peer::new(proxy.address(), after.identity.fingerprint(), &client);
    echoes(&new, "hello").await;
}

/// The key of a node never appears in a log.
#[test]
fn the_debug_form_of_an_identity_is_its_fingerprint() {
    let identity = Identity::generate().unwrap();
    let fingerprint = identity.fingerprint();
    let expected = format!("Identity {{ fingerprint: {fingerprint}, .. }}");
    assert_eq!(format!("{identity:?}"), expected);
}

/// Each identity has its own fingerprint.
#[test]
fn identities_differ() {
    let one = Identity::generate().unwrap().fingerprint();
    let other = Identity::generate().unwrap().fingerprint();
    assert_ne!(one, other);
}

/// The text form of a fingerprint is read back. Other texts are refused.
#[test]
fn fingerprints_have_a_text_form() {
    let fingerprint = Fingerprint::from([0xa5; 32]);
    assert_eq!(fingerprint.to_string(), "a5".repeat(32));
    assert_eq!(fingerprint.to_string().parse::<Fingerprint>().unwrap(), fingerprint);
    assert_eq!("A5".repeat(32).parse::<Fingerprint>().unwrap(), fingerprint);
    assert_eq!(fingerprint.as_bytes(), &[0xa5; 32]);
    for text in [
        "",
        "a5",
        &"g5".repeat(32),
        &"+5".repeat(32),
        &"ä".repeat(32),
        &"a5".repeat(33),
    ] {
        text.parse::<Fingerprint>().unwrap_err();
    }
}
