//! Builds a request from arbitrary bytes and checks the response. Used by the fuzz target `http_requests`, and by the
//! test that runs the same function on fixed inputs.

use abide::http::BASE_PATH;
use axum::Router;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::BodyExt;
use tower::ServiceExt;

/// Builds a request from `bytes` in a simplified HTTP format: a line with method and target, header lines, an empty
/// line, and the body.
///
/// A target without a leading slash is relative to the base path. Returns `None` for bytes that a server would reject
/// before the router sees a request.
fn request(bytes: &[u8]) -> Option<Request<Body>> {
    let (head, body) = match bytes.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&bytes[..end], &bytes[end + 2..]),
        None => (bytes, &[] as &[u8]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    let space = first.iter().position(|byte| *byte == b' ')?;
    let (verb, target) = (&first[..space], &first[space + 1..]);
    let target = if target.starts_with(b"/") {
        target.to_vec()
    } else {
        [BASE_PATH.as_bytes(), b"/", target].concat()
    };
    let mut request = Request::new(Body::from(body.to_vec()));
    *request.method_mut() = Method::from_bytes(verb).ok()?;
    *request.uri_mut() = Uri::try_from(target).ok()?;
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        request.headers_mut().append(name, value);
    }
    if !request.headers().contains_key(HOST) {
        let host = HeaderValue::from_static("localhost");
        request.headers_mut().insert(HOST, host);
    }
    Some(request)
}

/// Sends the request that `bytes` describe to `router` and returns the status. Returns `None` if `bytes` describe no
/// request.
///
/// # Panics
/// Panics if the response is incomplete, an internal server error, or an error without the common error body.
pub(super) async fn drive(router: &Router, bytes: &[u8]) -> Option<StatusCode> {
    let request = request(bytes)?;
    let shown = format!("{} {}", request.method(), request.uri());
    // If the query asks for it, a failed orchestration is answered with 500 and its document, as in Azure's API.
    let wishes = request.uri().query().unwrap_or_default().to_ascii_lowercase();
    let may_fail = wishes.contains("returninternalservererroronfailure");
    // Paths outside the base path are answered by the program that mounts the router.
    let below = request.uri().path().strip_prefix(BASE_PATH);
    let is_ours = below.is_some_and(|below| below.is_empty() || below.starts_with('/'));
    let has_body = is_ours && request.method() != Method::HEAD;
    let Ok(response) = router.clone().oneshot(request).await;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes());
    let Ok(body) = body else {
        panic!("the response to `{shown}` is incomplete");
    };
    let status = head.status;
    assert!(
        status != StatusCode::INTERNAL_SERVER_ERROR || may_fail,
        "`{shown}` causes an internal server error: {}",
        String::from_utf8_lossy(&body)
    );
    let is_error = (status.is_client_error() || status.is_server_error()) && !may_fail;
    if is_error && has_body {
        let is_json = head
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes() == b"application/json");
        let document: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        let has = |field: &str| {
            document
                .as_ref()
                .is_some_and(|document| document["error"][field].is_string())
        };
        assert!(
            is_json && has("code") && has("message"),
            "the error {status} of `{shown}` lacks the common error body: {}",
            String::from_utf8_lossy(&body)
        );
    }
    Some(status)
}
