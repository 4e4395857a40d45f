//! What the two sides of a connection know of each other: its stream, which hears bytes, and its service, which hears
//! requests.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

/// The requests of one connection, which come one after the other.
///
/// Both sides belong to one task, so no order between them has to be made.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// How many requests have begun.
    begun: AtomicU32,
    /// Whether the last of them is not answered yet.
    open: AtomicBool,
    /// Whether a body was left in the middle, so that its rest is still to come.
    unread: AtomicBool,
    /// Whether no further request is taken in.
    closing: AtomicBool,
}

impl Exchange {
    /// Notes that a request has begun. It is open until what is returned is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Open {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.open.store(true, Ordering::Relaxed);
        // What was left of the body before this request has come meanwhile.
        self.unread.store(false, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    pub(super) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Notes that no further request is taken in.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    pub(super) fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }
}

/// A request that is not answered yet.
#[derive(Debug)]
pub(super) struct Open(Arc<Exchange>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.store(false, Ordering::Relaxed);
    }
}

/// The body of a request. Dropped before its end it says so.
#[derive(Debug)]
pub(super) struct Request {
    body: Incoming,
    ended: bool,
    exchange: Arc<Exchange>,
}

impl Request {
    pub(super) fn new(body: Incoming, exchange: Arc<Exchange>) -> Self {
        Self {
            body,
            ended: false,
            exchange,
        }
    }
}

impl http_body::Body for Request {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.ended |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_end_stream() {
            self.exchange.unread.store(true, Ordering::Relaxed);
        }
    }
}

/// The body of an answer. The request is open until it is dropped.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    _open: Open,
}

impl Answer {
    pub(super) fn new(body: Body, open: Open) -> Self {
        Self { body, _open: open }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
