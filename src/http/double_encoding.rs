//! Payloads that a client of Azure encodes twice.
//!
//! The Python package `azure-functions-durable` serializes a payload as JSON and then sends that text as a JSON string:
//! `{"n":1}` arrives as `"{\"n\":1}"`. Azure passes the string on, and the Python code that reads it decodes it once
//! more. A hub decodes it here instead, only for requests of that client. For other clients, a string is a string.

use axum::http::{HeaderMap, header};
use serde::de::IgnoredAny;

/// Returns `true` if the request can come from the Python package, which sends its requests with `aiohttp`.
pub(super) fn is_sent(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    agent.is_some_and(|agent| agent.starts_with("Python/") && agent.contains(" aiohttp/"))
}

/// Returns the content of a JSON string, if that content is JSON.
pub(super) fn decode(json: &[u8]) -> Option<Vec<u8>> {
    if !json.trim_ascii_start().starts_with(b"\"") {
        return None;
    }
    let inner: String = serde_json::from_slice(json).ok()?;
    serde_json::from_str::<IgnoredAny>(&inner).ok()?;
    Some(inner.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only a string that contains JSON is decoded.
    #[test]
    fn a_string_of_json_holds_what_it_says() {
        for (sent, held) in [
            (r#""{\"n\":1}""#, Some(r#"{"n":1}"#)),
            (r#" "5" "#, Some("5")),
            (r#""\"text\"""#, Some("\"text\"")),
            (r#""text""#, None),
            (r#""""#, None),
            ("5", None),
            (r#"{"n":1}"#, None),
        ] {
            assert_eq!(decode(sent.as_bytes()).as_deref(), held.map(str::as_bytes), "{sent}");
        }
    }
}
