//! The socket of a connection, with the limits that hyper does not enforce.
//!
//! * A head that does not arrive in time is answered with 408, and a connection without requests is closed.
//! * The connection of a client that does not read is closed.
//! * Hyper's own responses to invalid HTTP have no body. They get the common error body.
//! * Closing a socket while bytes are on their way to it resets the connection, and the client may lose the response
//!   that it was about to read. Such a connection therefore lingers for a moment to receive those bytes.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::http::server::exchange::Exchange;
use crate::http::server::refusal;
use crate::time::Stopwatch;

/// Time that the server waits for the rest of a head while it stops.
const LAST_PATIENCE: Duration = Duration::from_millis(500);

/// Time that a closed connection waits for data that its client is still sending.
const LINGER: Duration = Duration::from_secs(2);

/// Maximum amount of that data, in bytes. A client that sends more has long since received its response.
const LINGER_BYTES: usize = 64 << 20;

/// Minimum amount of a response that a client must read within its timeout, in bytes, unless less is left. A client
/// that reads a byte now and then holds as much memory as one that reads nothing.
const LEAST_TAKEN: usize = 64 << 10;

/// Timeouts of a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Without a request.
    pub(super) idle: Duration,
    /// For the head of a request, and for the next part of a response.
    pub(super) client: Duration,
}

/// Input that a connection without an open request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Request,
    RestOfHead,
}

/// The socket of a connection.
pub(super) struct Stream {
    socket: TcpStream,
    exchange: Arc<Exchange>,
    patience: Patience,
    /// Number of requests that had begun when the wait for the next one began; `None` while a request is served.
    begun: Option<u32>,
    awaited: Awaited,
    since: Stopwatch,
    /// Fires no later than the wait ends. On an idle connection, it is not reset for each request.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Fires when the client has read too little for too long.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Amount that the client has read since `stalled` was set, in bytes.
    taken: usize,
    /// Rest of the response that replaces hyper's own response.
    refusal: Bytes,
    /// `true` if hyper's own response was replaced.
    refused: bool,
    /// `true` if the alarm was reset because the server stops.
    hurried: bool,
    /// Amount received since the connection was closed, in bytes, and the end of the wait for more.
    lingering: Option<(usize, Pin<Box<Sleep>>)>,
}

impl Stream {
    pub(super) fn new(socket: TcpStream, exchange: Arc<Exchange>, patience: Patience) -> Self {
        Self {
            socket,
            exchange,
            patience,
            begun: Some(0),
            awaited: Awaited::Request,
            since: Stopwatch::start(),
            alarm: None,
            stalled: None,
            taken: 0,
            refusal: Bytes::new(),
            refused: false,
            hurried: false,
            lingering: None,
        }
    }

    /// Begins a new wait if a request was served since the last wait began.
    fn notice_requests(&mut self) {
        if self.exchange.is_open() {
            self.begun = None;
            return;
        }
        let begun = Some(self.exchange.begun());
        if begun != self.begun {
            self.begun = begun;
            self.await_anew(Awaited::Request);
        }
    }

    fn await_anew(&mut self, awaited: Awaited) {
        if self.awaited == Awaited::RestOfHead || awaited == Awaited::RestOfHead {
            self.alarm = None;
        }
        self.awaited = awaited;
        self.since = Stopwatch::start();
        self.read_anew();
    }

    /// Ready when the client has exceeded its timeout. An open request has its own limits.
    fn poll_too_long(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.notice_requests();
        if self.exchange.is_open() {
            return Poll::Pending;
        }
        let mut patience = match self.awaited {
            Awaited::Request => self.patience.idle,
            Awaited::RestOfHead => self.patience.client,
        };
        if self.exchange.is_closing() {
            patience = patience.min(LAST_PATIENCE);
            if !self.hurried {
                // The alarm was set for a longer time.
                self.alarm = None;
                self.hurried = true;
            }
        }
        loop {
            let left = patience.saturating_sub(self.since.elapsed());
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep(left)));
            ready!(alarm.as_mut().poll(cx));
            self.alarm = None;
            let left = patience.saturating_sub(self.since.elapsed());
            if left.is_zero() {
                return Poll::Ready(());
            }
            self.alarm = Some(Box::pin(sleep(left)));
        }
    }

    /// Writes to the socket, unless the client has not read for too long.
    fn poll_write_within(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = Pin::new(&mut self.socket).poll_write(cx, bytes) {
            self.taken += written.as_ref().copied().unwrap_or(0);
            if self.taken >= LEAST_TAKEN {
                self.read_anew();
            }
            return Poll::Ready(written);
        }
        let patience = self.patience.client;
        let stalled = self.stalled.get_or_insert_with(|| {
            self.taken = 0;
            Box::pin(sleep(patience))
        });
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }

    /// Restarts the timeout for the client to read.
    fn read_anew(&mut self) {
        self.stalled = None;
        self.taken = 0;
    }

    fn poll_write_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.refusal.is_empty() {
            let refusal = self.refusal.clone();
            let written = ready!(self.poll_write_within(cx, &refusal))?;
            self.refusal.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when the client has also closed its side, or the wait for that is over.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (taken, until) = self.lingering.get_or_insert_with(|| (0, Box::pin(sleep(LINGER))));
        let mut buffer = [0; 8 << 10];
        while *taken < LINGER_BYTES && until.as_mut().poll(cx).is_pending() {
            let mut rest = ReadBuf::new(&mut buffer);
            match ready!(Pin::new(&mut self.socket).poll_read(cx, &mut rest)) {
                Ok(()) if !rest.filled().is_empty() => *taken += rest.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_some() {
            return self.poll_linger(cx).map(Ok);
        }
        self.notice_requests();
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.socket).poll_read(cx, buffer) {
            let began = buffer.filled().len() > before && self.awaited == Awaited::Request && !self.exchange.is_open();
            if began {
                self.await_anew(Awaited::RestOfHead);
            }
            return Poll::Ready(read);
        }
        ready!(self.poll_too_long(cx));
        if self.awaited == Awaited::RestOfHead {
            // The socket has room for the response, because nothing else is on its way. If it has none, the client does
            // not read.
            let _ = Pin::new(&mut self.socket).poll_write(cx, &refusal::slow_head());
            // Hyper does not shut down a connection that ends within a head, so the connection lingers here.
            let _ = Pin::new(&mut self.socket).poll_shutdown(cx);
            ready!(self.poll_linger(cx));
        }
        // Hyper sees this as if the client had disconnected.
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_write_refusal(cx))?;
        if let Some((start, refusal)) = refusal::of_hyper(bytes) {
            if start == 0 {
                self.refusal = refusal;
                self.refused = true;
                return Poll::Ready(Ok(bytes.len()));
            }
            return self.poll_write_within(cx, &bytes[..start]);
        }
        self.poll_write_within(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_refusal(cx))?;
        // The end of a response also begins a wait, and hyper does not always read again to notice it.
        let _ = self.poll_too_long(cx);
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(self.poll_write_refusal(cx))?;
            ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
            if !self.refused && !self.exchange.is_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        ready!(self.poll_linger(cx));
        Poll::Ready(Ok(()))
    }
}
