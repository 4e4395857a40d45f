//! One connection: sequential HTTP/1.1 requests until either side closes it.

use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONNECTION, TRANSFER_ENCODING};
use axum::http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep;
use tower::Service;

use crate::http::security::LocalAddress;
use crate::http::server::exchange::{self, Answer, Exchange};
use crate::http::server::stop::{Stop, Stopping, told_to_stop};
use crate::http::server::stream::{Patience, Stream};

/// Maximum size of the head of a request, in bytes.
const HEAD_BYTES: usize = 32 << 10;

/// Maximum size of hyper's buffers for unparsed input and for pending output, in bytes each.
const BUFFER_BYTES: usize = 64 << 10;

/// Serves the requests of a connection until it ends. After the signal to stop, it completes the current request and
/// closes.
pub(super) async fn serve(socket: TcpStream, router: Router, patience: Patience, mut stop: watch::Receiver<Stop>) {
    // Responses are sent immediately, not when a second one fills the packet. If the option fails, they are only
    // slower.
    let _ = socket.set_nodelay(true);
    let Ok(local) = socket.local_addr() else {
        return;
    };
    if !begins(&socket, patience, &mut stop).await {
        return;
    }
    let exchange = Arc::new(Exchange::default());
    let stream = Stream::new(socket, Arc::clone(&exchange), patience);
    let closing = Arc::clone(&exchange);
    // Boxed, because an idle connection would otherwise reserve memory for it.
    let stopping = Stopping::new(&stop);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(stopping.clone());
        Box::pin(answer(
            router.clone(),
            Arc::clone(&exchange),
            LocalAddress(local),
            request,
        ))
    });
    let mut connection = pin!(builder().serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told_to_stop(&mut stop) => {
            closing.close();
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Errors of clients are not errors of the server, and the clients have received a response.
        tracing::debug!(%error, "a connection of the management API failed");
    }
}

/// Waits for the first byte and returns `true` if it arrives in time. Until then, the connection has no buffers.
async fn begins(socket: &TcpStream, patience: Patience, stop: &mut watch::Receiver<Stop>) -> bool {
    tokio::select! {
        readable = socket.readable() => readable.is_ok(),
        () = sleep(patience.idle) => false,
        () = told_to_stop(stop) => false,
    }
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // A client may close its side after its request and still read the answer.
        .half_close(true)
        // The stream enforces the timeouts and writes a single buffer.
        .header_read_timeout(None)
        .writev(false)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(BUFFER_BYTES);
    builder
}

async fn answer(
    mut router: Router,
    exchange: Arc<Exchange>,
    local: LocalAddress,
    request: Request<Incoming>,
) -> Result<Response<Answer>, std::convert::Infallible> {
    let open = exchange.begin();
    // If the request also had a length, hyper has ignored it, but its sender may have relied on it. What follows may
    // not be meant as a request, so the connection ends here. Source: RFC 9112, 6.1.
    let is_last = request.headers().contains_key(TRANSFER_ENCODING);
    let mut request = request.map(|body| Body::new(exchange::Request::new(body, Arc::clone(&exchange))));
    request.extensions_mut().insert(local);
    let mut response = router.call(request).await?;
    if is_last {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Answer::new(body, open)))
}
