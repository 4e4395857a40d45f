//! The thread that connects this node with the others.

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::changes::mirror;
use super::ending::{EndOnPanic, Ending};
use super::forward::forward;
use super::mail::send_mail;
use super::serve::PeerService;
use crate::error::{Error, ErrorKind, Result};
use crate::id::ShardId;
use crate::log::postgres::Endpoint;
use crate::runtime::roles::Roles;
use crate::runtime::{InboxReceiver, Reply};
use crate::spawn::spawn;
use crate::store::rocks::replicated::Member;
use crate::transport::{BoxFuture, Identity, Listener, TransportError};

/// The connections of a node to the others, on a thread with a tokio runtime of its own. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Gateway {
    identity: Identity,
    endpoint: Endpoint,
    /// Taken when the gateway opens.
    open: Option<oneshot::Sender<Opening>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a gateway needs to serve.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) member: Arc<Member>,
    /// The roles of this node in all shards, and the requests of its process for each of them.
    pub(super) shards: Vec<(Arc<Roles>, InboxReceiver<Reply>)>,
    pub(super) ending: Arc<Ending>,
}

impl Gateway {
    /// Listens on an address, and admits nobody yet. The other nodes connect to `advertised`, or to the address itself.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Configuration`] if it cannot listen, or if the others cannot reach the address.
    pub(super) fn start(listen: &str, advertised: Option<&str>) -> Result<Self> {
        let identity = Identity::generate().map_err(configuration)?;
        let (listening, started) = mpsc::channel();
        let (open, opening) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = {
            let (listen, identity) = (listen.to_owned(), identity.clone());
            spawn("abide-gateway", move || {
                run(&listen, &identity, &listening, opening, stopped)
            })?
        };
        let mut gateway = Self {
            endpoint: Endpoint {
                address: String::new(),
                fingerprint: *identity.fingerprint().as_bytes(),
            },
            identity,
            open: Some(open),
            stop: Some(stop),
            thread: Some(thread),
        };
        let ended = || Err(Error::new(ErrorKind::Io, "the thread of the gateway has ended"));
        let listening = started.recv().unwrap_or_else(|_| ended())?;
        gateway.endpoint.address = match advertised {
            Some(address) => address.to_owned(),
            None if listening.ip().is_unspecified() => {
                return Err(Error::new(
                    ErrorKind::Configuration,
                    format!(
                        "the other nodes cannot connect to {listening}; add `.advertise(\"host:port\")` with an address \
                         at which they reach this node"
                    ),
                ));
            }
            None => listening.to_string(),
        };
        Ok(gateway)
    }

    /// Returns the address and the certificate of this node.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Begins to serve the other nodes, and to forward the requests in the inboxes.
    pub(super) fn open(&mut self, opening: Opening) {
        if let Some(open) = self.open.take() {
            // If this fails, the thread has ended, and nothing answers any more.
            let _ = open.send(opening);
        }
    }
}

impl Gateway {
    /// Ends the gateway when the other nodes have learned that this one does not run the hub.
    pub(super) fn close(mut self) {
        if let Some(stop) = self.stop.take() {
            // If this fails, the thread has ended.
            let _ = stop.send(());
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The panic hook has already reported any panic.
            let _ = thread.join();
        }
    }
}

fn run(
    listen: &str,
    identity: &Identity,
    listening: &mpsc::Sender<Result<std::net::SocketAddr>>,
    opening: oneshot::Receiver<Opening>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let text = "the runtime of the gateway cannot be started";
            // Whoever starts it waits for this.
            let _ = listening.send(Err(Error::new(ErrorKind::Io, text).with_source(error)));
            return;
        }
    };
    let service = Arc::new(PeerService::default());
    runtime.block_on(async {
        tokio::select! {
            () = serve(listen, identity, &service, listening, opening) => {}
            () = ended(stopped, &service) => {}
        }
    });
    // A look into the database that still runs is left behind.
    runtime.shutdown_background();
}

/// Waits until the node ends, and answers the others for a while after an orderly end.
async fn ended(stopped: oneshot::Receiver<()>, service: &PeerService) {
    if stopped.await.is_ok() {
        service.linger().await;
    }
}

async fn serve(
    listen: &str,
    identity: &Identity,
    service: &Arc<PeerService>,
    listening: &mpsc::Sender<Result<std::net::SocketAddr>>,
    opening: oneshot::Receiver<Opening>,
) {
    let listener = Listener::bind(listen, identity, Arc::clone(service) as _).await;
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => {
            // Whoever starts it waits for this.
            let _ = listening.send(Err(configuration(error)));
            return;
        }
    };
    // If this fails, the sender of the opening is gone as well.
    let _ = listening.send(Ok(listener.address()));
    let Ok(Opening { member, shards, ending }) = opening.await else {
        return;
    };
    let (roles, inboxes): (Vec<_>, Vec<_>) = shards.into_iter().unzip();
    service.open(member, &roles);
    let roles: Arc<[Arc<Roles>]> = roles.into();
    // Each is a task of its own, so that none is polled because of another one.
    let mut tasks = JoinSet::new();
    let mut begin = |task: BoxFuture<'static, ()>| {
        let guard = EndOnPanic(Arc::clone(&ending));
        tasks.spawn(async move {
            let _guard = guard;
            task.await;
        });
    };
    for (number, inbox) in inboxes.into_iter().enumerate() {
        let of_shard = Arc::clone(&roles[number]);
        begin(Box::pin(forward(inbox, Arc::clone(&of_shard))));
        begin(Box::pin(mirror(of_shard)));
        begin(Box::pin(send_mail(ShardId(number as u16), Arc::clone(&roles))));
    }
    while tasks.join_next().await.is_some() {}
    drop(listener);
}

fn configuration(error: TransportError) -> Error {
    Error::new(ErrorKind::Configuration, error.to_string()).with_source(error)
}
