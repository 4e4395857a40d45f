//! The trace context of a request.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::trace::{TRACE_PARENT, TRACE_STATE, TraceContext};

/// The trace context of a request, which an orchestration that it starts continues.
pub(super) struct Trace(pub(super) Option<TraceContext>);

impl<S: Sync> FromRequestParts<S> for Trace {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(trace_of(&parts.headers)))
    }
}

/// Returns the trace that the headers of a request name.
pub(super) fn trace_of(headers: &HeaderMap) -> Option<TraceContext> {
    let parent = single(headers, TRACE_PARENT)?;
    TraceContext::parse(parent, single(headers, TRACE_STATE))
}

/// Returns the value of a header that occurs exactly once and is not empty.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    (values.next().is_none() && !value.is_empty()).then_some(value)
}
