//! One connection on the side of the client.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::rt::Executor;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::body::{self, ReadError};
use super::error::{SendError, TransportError};
use super::failure;
use super::limits::{CONNECT, CONNECTION_WINDOW, HANDSHAKE, MAX_STREAMS, PING_INTERVAL, PING_TIMEOUT, STREAM_WINDOW};
use super::service::BoxFuture;
use super::tasks::{Spawner, Tasks};

/// The address of each request. The path is the version of the protocol.
const URI: &str = "https://node/1";

/// The wait for an answer.
pub(crate) type Answering = BoxFuture<'static, Result<Bytes, SendError>>;

/// An established connection. The other node has admitted this one.
#[derive(Debug)]
pub(super) struct Connection {
    address: String,
    requests: SendRequest<Full<Bytes>>,
    _tasks: Tasks,
}

/// Connects to a node and waits until it has admitted this one.
///
/// # Errors
///
/// If the node does not respond in time, has another certificate, or refuses this node.
pub(super) async fn connect(address: &str, tls: Arc<ClientConfig>) -> Result<Connection, TransportError> {
    let reached = timeout(CONNECT, reach(address)).await;
    let socket = reached
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|error| failure::unreachable(address, error))?;
    let opened = timeout(HANDSHAKE, Box::pin(open(address, socket, tls))).await;
    opened.unwrap_or_else(|_| Err(failure::slow(address)))
}

async fn reach(address: &str) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(address).await?;
    // If the option fails, requests are only slower.
    let _ = socket.set_nodelay(true);
    Ok(socket)
}

async fn open(address: &str, socket: TcpStream, tls: Arc<ClientConfig>) -> Result<Connection, TransportError> {
    let encrypted = encrypt(socket, tls).await;
    let stream = encrypted.map_err(|error| failure::no_handshake(address, error))?;
    let connection = start(address, stream).await;
    let connection = connection.map_err(|error| failure::not_admitted(address, error))?;
    connection.wait_for_admission().await?;
    Ok(connection)
}

async fn encrypt(socket: TcpStream, tls: Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    // TLS requires a name. It is neither sent nor compared.
    let name = ServerName::try_from("node").map_err(io::Error::other)?;
    TlsConnector::from(tls).connect(name, socket).await
}

/// Starts HTTP/2 on an encrypted stream.
async fn start(address: &str, stream: TlsStream<TcpStream>) -> hyper::Result<Connection> {
    let tasks = Tasks::default();
    let spawner = tasks.spawner();
    let (requests, connection) = builder(spawner.clone()).handshake(TokioIo::new(stream)).await?;
    spawner.execute(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to another node failed");
        }
    });
    Ok(Connection {
        address: address.to_owned(),
        requests,
        _tasks: tasks,
    })
}

fn builder(spawner: Spawner) -> http2::Builder<Spawner> {
    let mut builder = http2::Builder::new(spawner);
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        // Answers to canceled requests are ignored while the stream is remembered.
        .max_concurrent_reset_streams(MAX_STREAMS as usize)
        // The count never decreases, so a limit would end each connection after some time. Servers are trusted.
        .max_local_error_reset_streams(None);
    builder
}

impl Connection {
    /// Returns `true` once the connection accepts no more requests.
    pub(super) fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    /// Sends a request, which takes its place in the order of the connection at once. The future waits for the answer.
    ///
    /// # Errors
    ///
    /// [`SendError::NotSent`] only if hyper returns the request, which means that it has not written any of it.
    /// [`SendError::Unanswerable`] if the answer is too large or has another status than 200.
    pub(super) fn send(self: Arc<Self>, request: Bytes) -> Answering {
        let sending = self.requests.clone().try_send_request(http(Method::POST, request));
        Box::pin(async move { self.answer(sending).await })
    }

    async fn answer(
        &self,
        sending: impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>>>,
    ) -> Result<Bytes, SendError> {
        let response = sending.await.map_err(|mut error| match error.take_message() {
            Some(_) => SendError::NotSent(failure::closed(&self.address, error.into_error())),
            None => SendError::Unknown(failure::broken(&self.address, error.into_error())),
        })?;
        if response.status() != StatusCode::OK {
            return Err(SendError::Unanswerable(failure::status(
                &self.address,
                response.status(),
            )));
        }
        let answer = body::read(response.into_body()).await;
        answer.map_err(|error| {
            let is_final = matches!(error, ReadError::TooLarge);
            let error = failure::no_answer(&self.address, error);
            if is_final {
                SendError::Unanswerable(error)
            } else {
                SendError::Unknown(error)
            }
        })
    }

    /// Waits until the other node answers an empty request.
    ///
    /// In TLS 1.3, the client completes the handshake before the server has seen its certificate. Without this request,
    /// the refusal would end the first request of the caller, who could not know if it was processed.
    async fn wait_for_admission(&self) -> Result<(), TransportError> {
        let greeting = http(Method::GET, Bytes::new());
        let response = self.requests.clone().send_request(greeting).await;
        let response = response.map_err(|error| failure::not_admitted(&self.address, error))?;
        match response.status() {
            StatusCode::OK => Ok(()),
            status => Err(failure::status(&self.address, status)),
        }
    }
}

fn http(method: Method, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from_static(URI);
    request
}
