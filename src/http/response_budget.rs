//! The memory limit for large responses that clients have not read yet.

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

/// Total memory, in bytes.
const TOTAL: usize = 96 << 20;

/// Unit of accounting, in bytes.
const UNIT: usize = 1 << 10;

/// Maximum memory for a page of a list under construction, in bytes: the rows read and the JSON written.
pub(super) const PAGE: usize = 12 << 20;

/// Maximum size of a response that is not counted, in bytes. There are at most as many of them as connections.
const SMALL: usize = 64 << 10;

/// Size of the chunks that are passed to a connection, in bytes. A chunk stays in memory until it is sent.
const PIECE: usize = 64 << 10;

/// Time that a request waits for memory. Lists are created in milliseconds; only slow readers hold memory for longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The memory limit for large responses.
#[derive(Debug)]
pub(super) struct ResponseBudget(Arc<Semaphore>);

/// A share of the memory, released when the response is sent or its connection is closed.
#[derive(Debug)]
pub(super) struct BudgetShare(OwnedSemaphorePermit);

impl ResponseBudget {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(TOTAL / UNIT)))
    }

    /// Reserves memory for a response of about this size before it is created. Waits briefly if there is not enough.
    pub(super) async fn take(&self, bytes: usize) -> Result<BudgetShare, Problem> {
        let taken = Arc::clone(&self.0).acquire_many_owned(units(bytes));
        match tokio::time::timeout(PATIENCE, taken).await {
            Ok(Ok(permit)) => Ok(BudgetShare(permit)),
            _ => Err(full()),
        }
    }

    /// Creates a response with a document whose size was not known before.
    pub(super) fn answer(&self, document: &impl Serialize) -> Result<Response, Problem> {
        let text = written(document)?;
        self.answer_text(StatusCode::OK, text)
    }

    /// Like [`answer`](Self::answer), with a text that is already JSON.
    pub(super) fn answer_text(&self, status: StatusCode, text: Vec<u8>) -> Result<Response, Problem> {
        if text.len() <= SMALL {
            return Ok(response(status, Body::from(text)));
        }
        let permit = Arc::clone(&self.0)
            .try_acquire_many_owned(units(text.len()))
            .map_err(|_| full())?;
        Ok(response(status, BudgetShare(permit).hold(text)))
    }
}

impl BudgetShare {
    /// Creates a response with a document. Adapts the share to the size of the document.
    pub(super) fn answer(mut self, document: &impl Serialize) -> Result<Response, Problem> {
        let text = written(document)?;
        self.resize(units(text.len()))?;
        Ok(response(StatusCode::OK, self.hold(text)))
    }

    /// Releases what exceeds `needed` units, or reserves what is missing.
    fn resize(&mut self, needed: u32) -> Result<(), Problem> {
        let (held, needed) = (self.0.num_permits(), needed as usize);
        drop(self.0.split(held.saturating_sub(needed)));
        if let missing @ 1.. = needed.saturating_sub(held) {
            let missing = u32::try_from(missing).unwrap_or(u32::MAX);
            let more = Arc::clone(self.0.semaphore()).try_acquire_many_owned(missing);
            self.0.merge(more.map_err(|_| full())?);
        }
        Ok(())
    }

    /// Returns a body that holds the share as long as any part of the text is in memory.
    fn hold(self, text: Vec<u8>) -> Body {
        struct Held {
            text: Vec<u8>,
            _budget: OwnedSemaphorePermit,
        }
        impl AsRef<[u8]> for Held {
            fn as_ref(&self) -> &[u8] {
                &self.text
            }
        }
        Body::new(Pieces(Bytes::from_owner(Held { text, _budget: self.0 })))
    }
}

/// A body that is passed on in chunks, as fast as it is read.
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
        "responses that other clients have not read yet hold all the memory for large responses; try again later, or \
         request less at once",
    )
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn free(budget: &ResponseBudget) -> usize {
        budget.0.available_permits()
    }

    /// A large response holds its share until its last byte is freed, however slowly it is read. It releases the
    /// surplus as soon as it is created.
    #[tokio::test]
    async fn an_answer_keeps_its_room_until_it_is_read() {
        let budget = ResponseBudget::new();
        let all = free(&budget);
        let share = budget.take(PAGE).await.unwrap();
        assert_eq!(free(&budget), all - PAGE / UNIT);
        let document = "x".repeat(1 << 20);
        let mut body = share.answer(&document).unwrap().into_body();
        assert_eq!(free(&budget), all - (1 << 20) / UNIT - 1);
        let mut pieces = Vec::new();
        while let Some(frame) = body.frame().await {
            pieces.push(frame.unwrap().into_data().unwrap());
            assert!(pieces.last().unwrap().len() <= PIECE);
            assert!(free(&budget) < all);
        }
        assert_eq!(pieces.iter().map(Bytes::len).sum::<usize>(), document.len() + 2);
        drop(body);
        let last = pieces.pop();
        drop(pieces);
        assert!(free(&budget) < all);
        drop(last);
        assert_eq!(free(&budget), all);
    }

    /// A response that is larger than its share takes the rest as well, or is refused.
    #[tokio::test]
    async fn an_answer_that_exceeds_its_share_takes_more() {
        let budget = ResponseBudget::new();
        let all = free(&budget);
        let document = "x".repeat(1 << 20);
        let share = budget.take(UNIT).await.unwrap();
        let response = share.answer(&document).unwrap();
        assert_eq!(free(&budget), all - (1 << 20) / UNIT - 1);
        drop(response);
        assert_eq!(free(&budget), all);
        let share = budget.take(UNIT).await.unwrap();
        let _held = budget.take((all - 2) * UNIT).await.unwrap();
        let refused = share.answer(&document).unwrap_err().into_response();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(free(&budget), 2);
    }

    /// While slow readers hold all the memory, small responses succeed and large ones are rejected.
    #[tokio::test]
    async fn without_room_only_large_answers_are_refused() {
        let budget = ResponseBudget::new();
        let held = budget.take(usize::MAX).await.unwrap();
        assert_eq!(free(&budget), 0);
        assert_eq!(budget.answer(&"x".repeat(100)).unwrap().status(), StatusCode::OK);
        let refused = budget.answer(&"x".repeat(2 * SMALL)).unwrap_err().into_response();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers().contains_key(header::RETRY_AFTER));
        let (taken, ()) = tokio::join!(budget.take(PAGE), async { drop(held) });
        taken.unwrap();
    }
}
