//! Responses to input that is not even a request. No route sees it, so the responses are written here as bytes.

use axum::http::StatusCode;
use bytes::Bytes;

/// Returns the response to a head that did not arrive in time.
pub(super) fn slow_head() -> Bytes {
    written(
        StatusCode::REQUEST_TIMEOUT,
        "RequestTimeout",
        "the head of the request did not arrive in time",
    )
}

/// Returns the start of hyper's own response at the end of `bytes`, and the response to send instead.
///
/// Such a response has neither a body nor a content type, which every error of the routes has.
pub(super) fn of_hyper(bytes: &[u8]) -> Option<(usize, Bytes)> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let start = bytes
        .windows(10)
        .rposition(|part| part == b"HTTP/1.1 4" || part == b"HTTP/1.0 4")?;
    let head = std::str::from_utf8(&bytes[start..]).ok()?.to_ascii_lowercase();
    if !head.contains("\r\ncontent-length: 0\r\n") || head.contains("\r\ncontent-type:") {
        return None;
    }
    let status = StatusCode::from_bytes(head.as_bytes().get(9..12)?).ok()?;
    let (code, message) = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (
            "HeadersTooLarge",
            "the headers of the request exceed the limits of this server",
        ),
        StatusCode::URI_TOO_LONG => ("UriTooLong", "the target of the request is too long for this server"),
        _ => ("BadRequest", "the input is not a valid HTTP/1.1 request"),
    };
    Some((start, written(status, code, message)))
}

fn written(status: StatusCode, code: &str, message: &str) -> Bytes {
    let body = serde_json::json!({"error": {"code": code, "message": message}}).to_string();
    let reason = status.canonical_reason().unwrap_or_default();
    format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        status.as_str(),
        body.len()
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only a response of hyper is replaced, wherever it begins.
    #[test]
    fn only_answers_without_a_body_are_replaced() {
        let own = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let (start, refusal) = of_hyper(own.as_bytes()).unwrap();
        assert_eq!(start, 0);
        assert!(refusal.starts_with(b"HTTP/1.1 431 Request Header Fields Too Large\r\n"));
        assert!(refusal.ends_with(b"}}"));
        let behind = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{{}}{own}");
        assert_eq!(of_hyper(behind.as_bytes()).unwrap().0, behind.len() - own.len());
        for other in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\n\r\n\r\n",
            "",
        ] {
            assert!(of_hyper(other.as_bytes()).is_none(), "{other}");
        }
    }
}
