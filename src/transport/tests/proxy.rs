//! A network between two nodes that a test can damage.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The state of the network.
#[derive(Clone, Copy)]
struct Network {
    /// The node to which new connections lead.
    target: SocketAddr,
    /// Changes when all connections are cut.
    cuts: usize,
    /// Nothing arrives any more, and no connection ends.
    frozen: bool,
    /// Maximum number of bytes that a connection carries from the node to the client. Then it is cut.
    max_bytes: usize,
}

/// Forwards connections to a node.
pub(super) struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub(super) async fn to(target: SocketAddr) -> Self {
        let network = watch::Sender::new(Network {
            target,
            cuts: 0,
            frozen: false,
            max_bytes: usize::MAX,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, network.subscribe()));
        Self {
            address,
            network,
            _tasks: tasks,
        }
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Leads new connections to another node.
    pub(super) fn lead_to(&self, target: SocketAddr) {
        self.network.send_modify(|network| network.target = target);
    }

    /// Closes all connections.
    pub(super) fn cut(&self) {
        self.network.send_modify(|network| network.cuts += 1);
    }

    /// Drops all bytes from now on, as if the cable were unplugged.
    pub(super) fn freeze(&self) {
        self.network.send_modify(|network| network.frozen = true);
    }

    /// Waits until no connection is open.
    pub(super) async fn without_connections(&self) {
        // The accept loop holds one receiver, and each connection holds at least one.
        while self.network.receiver_count() > 1 {
            tokio::task::yield_now().await;
        }
    }

    /// Closes each connection after a number of bytes to the client.
    pub(super) fn cut_after(&self, bytes: usize) {
        self.network.send_modify(|network| network.max_bytes = bytes);
    }
}

async fn accept(listener: TcpListener, network: watch::Receiver<Network>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(forward(client, network.clone()));
    }
}

/// Forwards both directions of a connection until one of them ends or the connection is cut.
async fn forward(client: TcpStream, mut network: watch::Receiver<Network>) {
    let Network { target, cuts, .. } = *network.borrow();
    let Ok(node) = TcpStream::connect(target).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_node, to_node) = node.into_split();
    tokio::select! {
        () = copy(from_client, to_node, network.clone(), |_| usize::MAX) => {}
        () = copy(from_node, to_client, network.clone(), |network| network.max_bytes) => {}
        _ = network.wait_for(|network| network.cuts != cuts) => {}
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut network: watch::Receiver<Network>,
    max_bytes: fn(&Network) -> usize,
) {
    let mut buffer = vec![0; 16 << 10];
    let mut copied = 0;
    while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
        if network.wait_for(|network| !network.frozen).await.is_err() {
            return;
        }
        copied += bytes;
        if copied > max_bytes(&network.borrow()) || to.write_all(&buffer[..bytes]).await.is_err() {
            return;
        }
    }
}
