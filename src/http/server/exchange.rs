//! State that the two sides of a connection share: its stream, which sees bytes, and its service, which sees requests.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

/// The sequential requests of one connection.
///
/// Both sides run in one task, so relaxed memory ordering is sufficient.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// Number of requests that have begun.
    begun: AtomicU32,
    /// `true` while the last request is unanswered.
    open: AtomicBool,
    /// `true` if a body was dropped before its end, so that the rest of it is still to come.
    unread: AtomicBool,
    /// `true` if no further request is accepted.
    closing: AtomicBool,
}

impl Exchange {
    /// Records that a request has begun. It is open until the returned guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Open {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.open.store(true, Ordering::Relaxed);
        // The rest of the previous body has arrived before this request.
        self.unread.store(false, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    pub(super) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Records that no further request is accepted.
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

/// An unanswered request.
#[derive(Debug)]
pub(super) struct Open(Arc<Exchange>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.store(false, Ordering::Relaxed);
    }
}

/// The body of a request. Records if it is dropped before its end.
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

/// The body of a response. The request is open until the body is dropped.
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
