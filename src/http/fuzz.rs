//! A request out of any bytes, and what has to hold of its answer: for the fuzz target `http_requests` and for the test that
//! drives the same function with a fixed choice of inputs. Not part of the interface.

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::http::BASE_PATH;

/// Makes a request of `bytes`, which look like one of HTTP without the fuss: a line with verb and target, lines with headers,
/// an empty line, and the body. A target that does not begin with a slash lies under the base path. Nothing comes of what
/// cannot be a request: a server refuses it before the router sees it.
pub fn request(bytes: &[u8]) -> Option<Request<Body>> {
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

/// Lets `router` answer the request that `bytes` make, if they make one, and returns the status.
///
/// # Panics
/// If the answer breaks a promise: it is an error without the body that all errors have, or a defect of the server.
pub async fn drive(router: &Router, bytes: &[u8]) -> Option<StatusCode> {
    let request = request(bytes)?;
    let shown = format!("{} {}", request.method(), request.uri());
    // Azure's API answers so on wish, with the document of the instance.
    let wishes = request.uri().query().unwrap_or_default().to_ascii_lowercase();
    let may_fail = wishes.contains("returninternalservererroronfailure");
    // What lies outside is answered by the program that mounts the router.
    let below = request.uri().path().strip_prefix(BASE_PATH);
    let is_ours = below.is_some_and(|below| below.is_empty() || below.starts_with('/'));
    let has_body = is_ours && request.method() != Method::HEAD;
    let Ok(response) = router.clone().oneshot(request).await;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes());
    let Ok(body) = body else {
        panic!("the answer to `{shown}` breaks off");
    };
    let status = head.status;
    assert!(
        status != StatusCode::INTERNAL_SERVER_ERROR || may_fail,
        "`{shown}` meets a defect: {}",
        String::from_utf8_lossy(&body)
    );
    let is_error = (status.is_client_error() || status.is_server_error()) && !may_fail;
    if is_error && has_body {
        let is_json = head
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes() == b"application/json");
        let document: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        let says = |field: &str| {
            document
                .as_ref()
                .is_some_and(|document| document["error"][field].is_string())
        };
        assert!(
            is_json && says("code") && says("message"),
            "the error {status} of `{shown}` has another body: {}",
            String::from_utf8_lossy(&body)
        );
    }
    Some(status)
}
