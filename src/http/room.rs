//! The memory that large answers may hold together, until their clients have read them.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::documents::APPLICATION_JSON;
use crate::http::error::Problem;

/// All of it, in bytes.
const TOTAL: usize = 96 << 20;

/// What is counted, in bytes.
const UNIT: usize = 1 << 10;

/// The largest page of a list while it is made: what was read, and what is written of it.
pub(super) const PAGE: usize = 12 << 20;

/// Answers up to this many bytes do not count. There are no more of them than connections.
const SMALL: usize = 64 << 10;

/// How much of an answer is handed to its connection at once. What was handed over is held until it is sent.
const PIECE: usize = 64 << 10;

/// How long a request waits for room. Lists are made in milliseconds; only slow readers keep theirs.
const PATIENCE: Duration = Duration::from_secs(2);

/// The memory that large answers may hold together.
#[derive(Debug)]
pub(super) struct Room(Arc<Semaphore>);

/// A part of it, given back when the answer is sent or its connection is gone.
#[derive(Debug)]
pub(super) struct Share(OwnedSemaphorePermit);

impl Room {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(TOTAL / UNIT)))
    }

    /// Takes room for an answer of about so many bytes before it is made. Waits a little if there is none.
    pub(super) async fn take(&self, bytes: usize) -> Result<Share, Problem> {
        let taken = Arc::clone(&self.0).acquire_many_owned(units(bytes));
        match tokio::time::timeout(PATIENCE, taken).await {
            Ok(Ok(permit)) => Ok(Share(permit)),
            _ => Err(full()),
        }
    }

    /// Answers with a document whose size was not known before.
    pub(super) fn answer(&self, document: &impl Serialize) -> Result<Response, Problem> {
        let text = written(document)?;
        self.answer_text(StatusCode::OK, text)
    }

    /// As [`answer`](Self::answer), with what is JSON already.
    pub(super) fn answer_text(&self, status: StatusCode, text: Vec<u8>) -> Result<Response, Problem> {
        if text.len() <= SMALL {
            return Ok(response(status, Body::from(text)));
        }
        let permit = Arc::clone(&self.0)
            .try_acquire_many_owned(units(text.len()))
            .map_err(|_| full())?;
        Ok(response(status, Share(permit).hold(text)))
    }
}

impl Share {
    /// Answers with a document, keeping only as much room as it needs.
    pub(super) fn answer(mut self, document: &impl Serialize) -> Result<Response, Problem> {
        let text = written(document)?;
        let surplus = self.0.num_permits().saturating_sub(units(text.len()) as usize);
        drop(self.0.split(surplus));
        Ok(response(StatusCode::OK, self.hold(text)))
    }

    /// A body that keeps the room for as long as any part of the text is in memory.
    fn hold(self, text: Vec<u8>) -> Body {
        struct Held {
            text: Vec<u8>,
            _room: OwnedSemaphorePermit,
        }
        impl AsRef<[u8]> for Held {
            fn as_ref(&self) -> &[u8] {
                &self.text
            }
        }
        Body::new(Pieces(Bytes::from_owner(Held { text, _room: self.0 })))
    }
}

/// A body that is handed over piece by piece, as fast as it is read.
struct Pieces(Bytes);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let next = self.0.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.0.split_to(next)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.min(TOTAL).div_ceil(UNIT)).unwrap_or(u32::MAX)
}

fn written(document: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(document)
        .map_err(|reason| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Serialization", reason.to_string()))
}

fn response(status: StatusCode, body: Body) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, HeaderValue::from_static(APPLICATION_JSON))],
        body,
    )
        .into_response()
}

fn full() -> Problem {
    Problem::overloaded(
        "large answers to others, who have not read them yet, hold all the memory there is for them; try later, or ask for \
         less at once",
    )
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn free(room: &Room) -> usize {
        room.0.available_permits()
    }

    /// A large answer keeps its room until its last byte is out of memory, however slowly it is read. What it took too much
    /// while it was made it gives back at once.
    #[tokio::test]
    async fn an_answer_keeps_its_room_until_it_is_read() {
        let room = Room::new();
        let all = free(&room);
        let share = room.take(PAGE).await.unwrap();
        assert_eq!(free(&room), all - PAGE / UNIT);
        let document = "x".repeat(1 << 20);
        let mut body = share.answer(&document).unwrap().into_body();
        assert_eq!(free(&room), all - (1 << 20) / UNIT - 1);
        let mut pieces = Vec::new();
        while let Some(frame) = body.frame().await {
            pieces.push(frame.unwrap().into_data().unwrap());
            assert!(pieces.last().unwrap().len() <= PIECE);
            assert!(free(&room) < all);
        }
        assert_eq!(pieces.iter().map(Bytes::len).sum::<usize>(), document.len() + 2);
        drop(body);
        let last = pieces.pop();
        drop(pieces);
        assert!(free(&room) < all);
        drop(last);
        assert_eq!(free(&room), all);
    }

    /// Where slow readers hold all the room there is, small answers are given and large ones are refused.
    #[tokio::test]
    async fn without_room_only_large_answers_are_refused() {
        let room = Room::new();
        let held = room.take(usize::MAX).await.unwrap();
        assert_eq!(free(&room), 0);
        assert_eq!(room.answer(&"x".repeat(100)).unwrap().status(), StatusCode::OK);
        let refused = room.answer(&"x".repeat(2 * SMALL)).unwrap_err().into_response();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers().contains_key(header::RETRY_AFTER));
        let (taken, ()) = tokio::join!(room.take(PAGE), async { drop(held) });
        taken.unwrap();
    }
}
