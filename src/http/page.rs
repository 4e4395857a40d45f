//! Pagination of lists, with a continuation token in a header.

use std::fmt::Write;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Serialize;

use crate::client::{self, Unreadable};
use crate::http::error::Problem;
use crate::http::query::Query;
use crate::http::response_budget;
use crate::http::state::Api;

/// Header with the continuation token of a page, which the request for the next page sends back.
const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation-token");

/// Header with the number of rows of a page that cannot be read. The log of the hub and a check of its directory name
/// them.
const UNREADABLE: HeaderName = HeaderName::from_static("x-abide-unreadable");

/// Default number of items on a page.
pub(super) const DEFAULT: usize = 100;

/// A paginated list.
#[derive(Clone, Copy, Debug)]
pub(super) enum List {
    Instances,
    Stopped,
    Entities,
    Locks,
    DeadLetters,
    Quarantine,
    Schedules,
    Activities,
}

/// Returns the response with a page of `list`, each item as a document of type `D`.
pub(super) async fn respond<T, D: From<T> + Serialize>(
    api: &Api,
    kind: List,
    list: client::List<T>,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let list = list
        .page_size(query.top()?.unwrap_or(DEFAULT))
        .cursor(kind.after(headers)?);
    let share = api.budget.take(response_budget::PAGE).await?;
    let page = list.page().await?;
    let documents: Vec<D> = page.items.into_iter().map(D::from).collect();
    let response = share.answer(&documents)?;
    Ok(kind.answer(page.next.as_deref(), &page.unreadable, response))
}

impl List {
    /// Returns the position after which the requested page begins.
    pub(super) fn after(self, headers: &HeaderMap) -> Result<Option<String>, Problem> {
        let token = headers.get(CONTINUATION).map(|value| value.as_bytes().trim_ascii());
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            return Ok(None);
        };
        let read = || {
            let token = std::str::from_utf8(token).ok()?;
            let (sum, next) = token.split_once('.')?;
            let next = percent_decode_str(next).decode_utf8().ok()?;
            (sum == self.sum(&next)).then(|| next.into_owned())
        };
        let after = read().ok_or_else(|| {
            Problem::bad_request(
                "InvalidContinuationToken",
                "the header `x-ms-continuation-token` is not a token of this list",
            )
        })?;
        Ok(Some(after))
    }

    /// Adds the headers for the next page, if there is one, and for rows of this page that cannot be read.
    pub(super) fn answer(self, next: Option<&str>, unreadable: &[Unreadable], mut response: Response) -> Response {
        if !unreadable.is_empty() {
            let headers = response.headers_mut();
            headers.insert(UNREADABLE, HeaderValue::from(unreadable.len()));
        }
        if let Some(next) = next {
            let token = format!("{}.{}", self.sum(next), utf8_percent_encode(next, NON_ALPHANUMERIC));
            if let Ok(token) = HeaderValue::try_from(token) {
                response.headers_mut().insert(CONTINUATION, token);
            }
        }
        response
    }

    /// Returns the checksum that distinguishes a token of this list from any other text.
    fn sum(self, next: &str) -> String {
        let mut text = String::new();
        let sum = crc32fast::hash(format!("{self:?}:{next}").as_bytes());
        let _ = write!(text, "{sum:08x}");
        text
    }
}
