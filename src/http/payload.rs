//! The payload in the body of a request.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};

use crate::http::double_encoding;
use crate::http::error::Problem;

/// The body of a request, read within the size limit.
pub(super) struct Payload {
    bytes: Bytes,
    content_type: ContentType,
    /// `true` if the client encodes payloads twice.
    is_twice: bool,
}

/// The declared content type of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ContentType {
    Json,
    /// None, or the default of `curl -d`.
    Nothing,
    Other,
}

impl<S: Send + Sync> FromRequest<S> for Payload {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let content_type = ContentType::of(request.headers())?;
        let is_twice = double_encoding::is_sent(request.headers());
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            let (status, text) = (rejection.status(), rejection.body_text());
            let code = if status == StatusCode::PAYLOAD_TOO_LARGE {
                "TooLarge"
            } else {
                "InvalidBody"
            };
            Problem::new(status, code, text)
        })?;
        Ok(Self {
            bytes,
            content_type,
            is_twice,
        })
    }
}

impl Payload {
    /// Returns the body as JSON, whatever its content type is. An empty body is `null`. Of several inputs, the first
    /// that fits applies.
    pub(super) fn inputs(&self) -> Result<Vec<Vec<u8>>, Problem> {
        if self.is_empty() {
            return Ok(vec![b"null".to_vec()]);
        }
        check_json(&self.bytes)?;
        let twice = self.is_twice.then(|| double_encoding::decode(&self.bytes)).flatten();
        Ok(twice.into_iter().chain([self.bytes.to_vec()]).collect())
    }

    /// Returns the body as JSON, unless its content type is another one. An empty body is `null`.
    pub(super) fn event(&self) -> Result<Vec<u8>, Problem> {
        if self.content_type == ContentType::Other {
            return Err(Problem::bad_request(
                "UnsupportedContentType",
                "the payload of an event must be JSON; send it with `Content-Type: application/json`",
            ));
        }
        Ok(self.inputs()?.swap_remove(0))
    }

    /// Returns the body as JSON if its content type is JSON, or if it has none and is valid JSON. Other text becomes a
    /// JSON string, and an empty body no input. Of several inputs, the first that fits applies.
    pub(super) fn operation_inputs(&self) -> Result<Vec<Vec<u8>>, Problem> {
        if self.is_empty() {
            return Ok(vec![Vec::new()]);
        }
        let is_json = match self.content_type {
            ContentType::Json => true,
            ContentType::Nothing => check_json(&self.bytes).is_ok(),
            ContentType::Other => false,
        };
        if is_json {
            return self.inputs();
        }
        let text = std::str::from_utf8(&self.bytes)
            .map_err(|_| Problem::bad_request("InvalidBody", "the body is neither JSON nor UTF-8 text"))?;
        Ok(vec![serde_json::Value::from(text).to_string().into_bytes()])
    }

    fn is_empty(&self) -> bool {
        self.bytes.trim_ascii().is_empty()
    }
}

impl ContentType {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let encoded = headers
            .get(header::CONTENT_ENCODING)
            .map(|encoding| encoding.as_bytes());
        if encoded.is_some_and(|encoding| !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity")) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "UnsupportedContentEncoding",
                "the body is compressed or otherwise encoded; send it without encoding",
            ));
        }
        let Some(value) = headers.get(header::CONTENT_TYPE) else {
            return Ok(Self::Nothing);
        };
        let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        let name = value.split(';').next().unwrap_or_default().trim();
        Ok(match name {
            "" | "application/x-www-form-urlencoded" => Self::Nothing,
            "application/json" | "text/json" => Self::Json,
            _ if name.starts_with("application/") && name.ends_with("+json") => Self::Json,
            _ => Self::Other,
        })
    }
}

fn check_json(bytes: &[u8]) -> Result<(), Problem> {
    let text = std::str::from_utf8(bytes)
        .map_err(|reason| Problem::bad_request("InvalidJson", format!("the body is invalid JSON: {reason}")))?;
    // Parsing to a value rejects what other tools could not read: numbers out of range, lone surrogates, excessive
    // nesting.
    serde_json::from_str::<serde_json::Value>(text)
        .map(|_| ())
        .map_err(|reason| Problem::bad_request("InvalidJson", format!("the body is invalid JSON: {reason}")))
}
