//! The socket of a connection, with the bounds that hyper does not set.
//!
//! * A head that does not arrive in time is answered with 408, and a connection without requests is closed.
//! * A client that does not read is given up.
//! * What hyper itself answers, to what is not HTTP, has no body. It gets the one that all errors have.
//! * A socket that is closed while bytes are on their way to it resets the connection, and the client may lose the answer
//!   that it was about to read. So those bytes are awaited for a moment.

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

/// How long the rest of a head is awaited while the server stops.
const LAST_PATIENCE: Duration = Duration::from_millis(500);

/// How long a closed connection awaits what its client was still sending.
const LINGER: Duration = Duration::from_secs(2);

/// How much of it is taken, in bytes. A client that sends more was told long ago.
const LINGER_BYTES: usize = 64 << 20;

/// What a client has to take of an answer while it may take time, in bytes, if there is so much: who reads a byte now and then
/// holds memory as one does who reads nothing.
const LEAST_TAKEN: usize = 64 << 10;

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Without a request.
    pub(super) idle: Duration,
    /// For the head of one, and for the next piece of an answer.
    pub(super) client: Duration,
}

/// What a connection that serves nothing waits for.
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
    /// How many requests had begun when the wait for the next one began; nothing while one is served.
    begun: Option<u32>,
    awaited: Awaited,
    since: Stopwatch,
    /// Rings at the earliest when the wait is over. Of an idle connection it is not set anew for each request.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Rings when the client has read too little for too long.
    stalled: Option<Pin<Box<Sleep>>>,
    /// What it took since that was set, in bytes.
    taken: usize,
    /// What is still to be written in the place of what hyper wrote.
    refusal: Bytes,
    /// Whether something was.
    refused: bool,
    /// Whether the alarm was set again because the server stops.
    hurried: bool,
    /// What was taken in since the connection was closed, in bytes; and until when there is patience for more.
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

    /// Begins a new wait if a request was served since the last one began.
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

    /// Ready when the client has taken too long. While a request is served its own bounds hold.
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
                // It was set for longer.
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

    /// Gives the client all the time again to read on.
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

    /// Ready when the client has closed its side too, or nobody waits for that any longer.
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
            // The socket has room for it, because nothing else is on its way. If it has none, nobody reads.
            let _ = Pin::new(&mut self.socket).poll_write(cx, &refusal::slow_head());
            // Hyper does not close a connection that ends within a head, so that what the client is sending is awaited here.
            let _ = Pin::new(&mut self.socket).poll_shutdown(cx);
            ready!(self.poll_linger(cx));
        }
        // To hyper it is as if the client had gone.
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
        // The end of an answer is also the begin of a wait, and hyper does not always read again to learn it.
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
