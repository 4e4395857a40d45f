//! Removal of trailing slashes from paths.

use std::convert::Infallible;
use std::future::Future;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use axum::response::Response;
use tower::Service;

/// Removes trailing slashes from the path of a request before routing: `/instances/` lists instances.
#[derive(Clone, Debug)]
pub(super) struct WithoutTrailingSlash<S>(pub(super) S);

impl<S, F> Service<Request> for WithoutTrailingSlash<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future = F>,
    F: Future<Output = Result<Response, Infallible>>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = F;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> F {
        if let Some(uri) = trimmed(request.uri()) {
            *request.uri_mut() = uri;
        }
        self.0.call(request)
    }
}

/// Returns the URI without trailing slashes in its path, or `None` if its path has no trailing slash.
fn trimmed(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let kept = path.trim_end_matches('/');
    if kept.len() == path.len() || path == "/" {
        return None;
    }
    let kept = if kept.is_empty() { "/" } else { kept };
    let text = match uri.query() {
        Some(query) => format!("{kept}?{query}"),
        None => kept.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}
