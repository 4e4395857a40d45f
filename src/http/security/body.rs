//! The body of a request, read completely and within limits before a route sees it.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;

use crate::http::security::refusal::Refusal;

/// Memory limit for the bodies of all concurrent requests.
#[derive(Debug)]
pub(super) struct BodyBudget {
    used: AtomicUsize,
    bytes: usize,
}

impl BodyBudget {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            bytes,
        }
    }

    /// Returns the share of one request, which is still empty.
    pub(super) fn share(&self) -> BodyShare<'_> {
        BodyShare { budget: self, bytes: 0 }
    }
}

/// The memory that one request uses. Released on drop.
#[derive(Debug)]
pub(super) struct BodyShare<'a> {
    budget: &'a BodyBudget,
    bytes: usize,
}

impl BodyShare<'_> {
    fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let used = self.budget.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        if used.saturating_add(bytes) > self.budget.bytes {
            return Err(Refusal::NO_MEMORY);
        }
        Ok(())
    }
}

impl Drop for BodyShare<'_> {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Reads a body of at most `limit` bytes, growing `share` as they arrive.
pub(super) async fn read(mut body: Body, limit: usize, share: &mut BodyShare<'_>) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Refusal::LARGE_BODY);
    }
    let mut whole = Whole::default();
    while let Some(frame) = body.frame().await {
        // Trailers are ignored.
        let Ok(piece) = frame.map_err(|_| Refusal::BROKEN_BODY)?.into_data() else {
            continue;
        };
        if piece.len() > limit - whole.len() {
            return Err(Refusal::LARGE_BODY);
        }
        share.grow(piece.len())?;
        whole.push(piece);
    }
    Ok(whole.into_bytes())
}

/// A body being received. A body that arrives in one piece, as most do, is not copied.
#[derive(Default)]
struct Whole {
    first: Bytes,
    all: BytesMut,
}

impl Whole {
    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn push(&mut self, piece: Bytes) {
        if self.first.is_empty() && self.all.is_empty() {
            self.first = piece;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.all.extend_from_slice(&piece);
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() {
            self.first
        } else {
            self.all.freeze()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bodies share their memory, are rejected when it is exhausted, and release it.
    #[tokio::test]
    async fn bodies_share_their_room() {
        let budget = BodyBudget::new(10);
        let body = |bytes: &'static str| Body::from(bytes);
        let (mut first, mut second) = (budget.share(), budget.share());
        assert_eq!(&read(body("123456"), 8, &mut first).await.unwrap()[..], b"123456");
        assert_eq!(
            read(body("12345"), 8, &mut second).await.unwrap_err(),
            Refusal::NO_MEMORY
        );
        assert_eq!(
            read(body("123456789"), 8, &mut budget.share()).await.unwrap_err(),
            Refusal::LARGE_BODY
        );
        drop((first, second));
        assert_eq!(
            &read(body("12345678"), 8, &mut budget.share()).await.unwrap()[..],
            b"12345678"
        );
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    /// A body in pieces is assembled, and limited although its length is not declared.
    #[tokio::test]
    async fn a_body_in_pieces_is_bounded() {
        let pieces = |number: usize| {
            let pieces = (0..number).map(|piece| Ok::<_, std::io::Error>(Bytes::from(format!("{piece},"))));
            Body::from_stream(futures::stream::iter(pieces))
        };
        let budget = BodyBudget::new(100);
        assert_eq!(&read(pieces(0), 8, &mut budget.share()).await.unwrap()[..], b"");
        assert_eq!(&read(pieces(4), 8, &mut budget.share()).await.unwrap()[..], b"0,1,2,3,");
        assert_eq!(
            read(pieces(5), 8, &mut budget.share()).await.unwrap_err(),
            Refusal::LARGE_BODY
        );
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }
}
