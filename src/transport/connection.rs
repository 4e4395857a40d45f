//! One connection on the side of the server.

use std::io;
use std::sync::Arc;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::answer::answer;
use super::fingerprint::Fingerprint;
use super::limits::{
    CONNECTION_WINDOW, HANDSHAKE, MAX_PENDING_RESETS, MAX_STREAMS, PING_INTERVAL, PING_TIMEOUT, STREAM_WINDOW,
};
use super::service::Service;
use super::tasks::{Spawner, Tasks};
use super::tls::HTTP2;
use super::turns::Turns;

/// Serves a connection until it ends. `handshaking` is released once the client is admitted.
pub(super) async fn serve(
    socket: TcpStream,
    acceptor: TlsAcceptor,
    service: Arc<dyn Service>,
    handshaking: OwnedSemaphorePermit,
) {
    // If the option fails, requests are only slower.
    let _ = socket.set_nodelay(true);
    let admitted = timeout(HANDSHAKE, Box::pin(admit(socket, acceptor, &*service))).await;
    drop(handshaking);
    match admitted {
        Ok(Ok(Some(stream))) => answer_all(stream, service).await,
        Ok(Ok(None)) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the TLS handshake with a client failed"),
        Err(_) => tracing::debug!("a client took too long to connect"),
    }
}

/// Completes the handshake and returns the stream if the client belongs to the hub.
async fn admit(
    socket: TcpStream,
    acceptor: TlsAcceptor,
    service: &dyn Service,
) -> io::Result<Option<TlsStream<TcpStream>>> {
    let stream = acceptor.accept(socket).await?;
    let (_, session) = stream.get_ref();
    // A client may also negotiate nothing.
    if session.alpn_protocol() != Some(HTTP2) {
        return Ok(None);
    }
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    let Some(peer) = certificate.map(Fingerprint::of) else {
        return Ok(None);
    };
    let admitted = service.admits(peer).await;
    if !admitted {
        tracing::debug!(%peer, "refused a client whose certificate is unknown");
    }
    Ok(admitted.then_some(stream))
}

/// Answers the requests of an admitted client until the connection ends.
async fn answer_all(stream: TlsStream<TcpStream>, service: Arc<dyn Service>) {
    let tasks = Tasks::default();
    let turns = Turns::default();
    // Called in the order of the requests.
    let answer = service_fn(|request| answer(Arc::clone(&service), turns.next(&request), request));
    let connection = builder(tasks.spawner()).serve_connection(TokioIo::new(stream), answer);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection from another node failed");
    }
}

fn builder(spawner: Spawner) -> http2::Builder<Spawner> {
    let mut builder = http2::Builder::new(spawner);
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        // The count never decreases, so a limit would end each connection after some time. Clients are trusted.
        .max_local_error_reset_streams(None)
        .auto_date_header(false);
    builder
}
