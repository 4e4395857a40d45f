//! One request and its response, as an activity.

use std::fmt::Write;
use std::io::Read;
use std::time::Duration;

use ureq::http::{Request, Uri};
use ureq::{Agent, Body, Timeout};

use crate::activity;
use crate::activity::ActivityContext;
use crate::failure::Failure;
use crate::http_client::error::HttpError;
use crate::http_client::request::HttpRequest;
use crate::http_client::response::HttpResponse;
use crate::trace::{TRACE_PARENT, TRACE_STATE};

/// Time limit for resolving the host, and then for connecting to it. Neither can be interrupted, so the process waits
/// for them when it exits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum duration of an exchange. A longer one would overflow the clock of some platforms.
const LONGEST_EXCHANGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Makes one request and reads its response. Redirects are returned like other responses.
#[activity(name = "abide-http")]
pub(crate) async fn http_exchange(context: ActivityContext, request: HttpRequest) -> Result<HttpResponse, Failure> {
    let limit = request.exchange_timeout.min(LONGEST_EXCHANGE);
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        // The server may have closed a pooled connection, and the request would fail needlessly.
        .max_idle_connections(0)
        .allow_non_standard_methods(true)
        .user_agent(concat!("abide/", env!("CARGO_PKG_VERSION")))
        .timeout_global(Some(limit))
        .timeout_resolve(Some(CONNECT_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .build();
    // Each exchange has its own client, so that canceling it interrupts no other.
    let client = Hangup(Agent::new_with_config(config));
    let url = request.url.clone();
    let made = blocking(client.0.clone(), request, context.clone());
    let made = tokio::select! {
        made = made => made,
        () = context.canceled() => Err(HttpError::ConnectionFailed { url, reason: "the attempt was canceled".into() }),
    };
    made.map_err(HttpError::into_failure)
}

/// Closes the connection of an exchange when the attempt ends for any reason, so that its thread stops waiting.
struct Hangup(Agent);

impl Drop for Hangup {
    fn drop(&mut self) {
        self.0.clone().shutdown();
    }
}

/// Makes the exchange on one of tokio's threads for blocking work.
#[expect(clippy::disallowed_methods, reason = "an exchange blocks a thread")]
async fn blocking(client: Agent, request: HttpRequest, context: ActivityContext) -> Result<HttpResponse, HttpError> {
    let url = request.url.clone();
    let made = tokio::task::spawn_blocking(move || exchange(&client, request, &context)).await;
    made.unwrap_or_else(|ended| match ended.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(ended) => Err(HttpError::ConnectionFailed {
            url,
            reason: ended.to_string(),
        }),
    })
}

fn exchange(client: &Agent, mut request: HttpRequest, context: &ActivityContext) -> Result<HttpResponse, HttpError> {
    let body = std::mem::take(&mut request.body);
    let head = head(&request, context)?;
    let expects_body = matches!(request.method.as_str(), "POST" | "PUT" | "PATCH");
    let answered = if body.is_empty() && !expects_body {
        client.run(head)
    } else {
        client.run(head.map(|()| body))
    };
    let limit = context.payload_limit();
    let (answer, body) = answered.map_err(|error| failed(&request, error))?.into_parts();
    let too_large = || HttpError::TooLarge {
        url: request.url.clone(),
        limit,
    };
    let headers = answer.headers.iter();
    let response = HttpResponse {
        status: answer.status.as_u16(),
        headers: headers
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into(),
                )
            })
            .collect(),
        body: read(body, limit)
            .map_err(|error| failed(&request, error))?
            .ok_or_else(too_large)?,
    };
    // The response is stored as JSON, in which a body can be longer than it was on the wire.
    match serde_json::to_vec(&response) {
        Ok(json) if json.len() > limit => Err(too_large()),
        _ => Ok(response),
    }
}

/// Creates the request that is sent, without its body.
fn head(request: &HttpRequest, context: &ActivityContext) -> Result<Request<()>, HttpError> {
    let invalid_url = |reason: String| HttpError::InvalidUrl {
        url: request.url.clone(),
        reason,
    };
    let uri: Uri = request.url.parse().map_err(|reason| invalid_url(format!("{reason}")))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(invalid_url("its scheme is neither `http` nor `https`".into()));
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(invalid_url("it has no host".into()));
    }
    let mut head = Request::builder().method(request.method.as_str()).uri(uri);
    for (name, value) in &request.headers {
        if !["content-length", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str()) {
            head = head.header(name, value);
        }
    }
    if !request.has_header("Idempotency-Key") {
        head = head.header("Idempotency-Key", visible(context.idempotency_key()));
    }
    if let Some(parent) = context.trace_parent().filter(|_| !request.has_header(TRACE_PARENT)) {
        head = head.header(TRACE_PARENT, parent);
        if let Some(state) = context.trace_state() {
            head = head.header(TRACE_STATE, state);
        }
    }
    head.body(()).map_err(|reason| HttpError::InvalidRequest {
        url: request.url.clone(),
        reason: reason.to_string(),
    })
}

/// Encodes a key as the value of a header. Characters of an id that a header cannot contain are percent-encoded. The
/// percent sign is encoded too, so that different keys stay different.
fn visible(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'%' => text.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => _ = write!(text, "%{byte:02X}"),
        }
    }
    text
}

/// Reads a body, or returns `None` if it exceeds the limit. Reads at most one byte over the limit.
fn read(body: Body, limit: usize) -> Result<Option<Vec<u8>>, ureq::Error> {
    let limit = limit as u64;
    if body.content_length().is_some_and(|length| length > limit) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    body.into_reader()
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// Converts an error of the client to the error that the orchestration receives.
fn failed(request: &HttpRequest, error: ureq::Error) -> HttpError {
    let url = request.url.clone();
    match error {
        ureq::Error::BadUri(reason) => HttpError::InvalidUrl { url, reason },
        ureq::Error::Http(reason) => HttpError::InvalidRequest {
            url,
            reason: reason.to_string(),
        },
        ureq::Error::LargeResponseHeader(_, limit) => HttpError::TooLarge { url, limit },
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => HttpError::ConnectionFailed {
            url,
            reason: format!("it took longer than {CONNECT_TIMEOUT:?}"),
        },
        ureq::Error::Timeout(_) => HttpError::TimedOut {
            url,
            after: request.exchange_timeout,
        },
        other => HttpError::ConnectionFailed {
            url,
            reason: other.to_string(),
        },
    }
}
