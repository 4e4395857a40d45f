//! The trace that a request belongs to.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::client::Start;
use crate::store::records::instance::{TRACE_PARENT, TRACE_STATE};

/// The most bytes of `tracestate` that are kept. Source: W3C Trace Context, 3.3.1.5, asks for at least as many.
const STATE_BYTES: usize = 512;

/// The trace that a request belongs to, which an orchestration that it starts goes on with.
pub(super) struct Trace {
    parent: Option<String>,
    state: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Trace {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // A header that breaks the rules begins a new trace and is no error. Source: W3C Trace Context, 3.2.2.
        let parent = single(&parts.headers, TRACE_PARENT).filter(|parent| is_parent(parent));
        let state = single(&parts.headers, TRACE_STATE).filter(|state| parent.is_some() && state.len() <= STATE_BYTES);
        Ok(Self { parent, state })
    }
}

impl Trace {
    /// Keeps the trace with the orchestration, as tags of the headers' names.
    pub(super) fn tag<O>(&self, mut start: Start<O>) -> Start<O> {
        for (name, value) in [(TRACE_PARENT, &self.parent), (TRACE_STATE, &self.state)] {
            if let Some(value) = value {
                start = start.tag(name, value);
            }
        }
        start
    }
}

/// The value of a header that is there once and not empty.
fn single(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    (values.next().is_none() && !value.is_empty()).then(|| value.to_owned())
}

/// Whether this is a version, a trace, a span and flags: `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`.
fn is_parent(text: &str) -> bool {
    let is_hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags, rest @ ..] = parts.as_slice() else {
        return false;
    };
    [*version, *trace, *span, *flags].map(str::len) == [2, 32, 16, 2]
        && [version, trace, span, flags].into_iter().all(|part| is_hex(part))
        && *version != "ff"
        && (rest.is_empty() || *version != "00")
        && !is_zero(trace)
        && !is_zero(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is no `traceparent` begins no trace.
    #[test]
    fn a_parent_keeps_the_rules() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_parent(good));
        assert!(is_parent(&format!("cc{}-later", &good[2..])));
        for broken in [
            "",
            "00",
            &good[..54],
            &format!("{good}-more"),
            &good.replace('4', "G"),
            &good.to_uppercase(),
            &format!("ff{}", &good[2..]),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert!(!is_parent(broken), "{broken}");
        }
    }
}
