//! Rejections of requests before they reach the hub.

use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::http::error::problem;

/// The reason why a request is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
}

impl Refusal {
    const fn new(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message }
    }

    pub(super) const NO_HOST: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "InvalidHost",
        "the request must have exactly one `Host` header with a valid host",
    );

    pub(super) const FOREIGN_HOST: Self = Self::new(
        StatusCode::MISDIRECTED_REQUEST,
        "ForeignHost",
        "this server does not accept requests for this host; to allow it, add the host to the configuration with \
         `allow_host` or `public_url`",
    );

    pub(super) const FOREIGN_ORIGIN: Self = Self::new(
        StatusCode::FORBIDDEN,
        "ForeignOrigin",
        "the request comes from a page of another site, which may not use this server",
    );

    pub(super) const NO_TOKEN: Self = Self::new(
        StatusCode::UNAUTHORIZED,
        "Unauthorized",
        "the request needs a token: `Authorization: Bearer …`, the header `x-functions-key` or `code` in the query",
    );

    pub(super) const SMALL_SCOPE: Self = Self::new(
        StatusCode::FORBIDDEN,
        "Forbidden",
        "the token allows only reads; this request needs a token with permission to operate",
    );

    pub(super) const LARGE_BODY: Self = Self::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "TooLarge",
        "the body exceeds the size limit of this server",
    );

    pub(super) const SLOW_BODY: Self = Self::new(
        StatusCode::REQUEST_TIMEOUT,
        "RequestTimeout",
        "the body did not arrive in time",
    );

    pub(super) const BROKEN_BODY: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "InvalidBody",
        "the body is incomplete or malformed",
    );

    pub(super) const NO_MEMORY: Self = Self::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "Overloaded",
        "the bodies of other requests use all available memory; try again",
    );

    pub(super) const SLOW_ANSWER: Self = Self::new(
        StatusCode::GATEWAY_TIMEOUT,
        "TimedOut",
        "the request timed out; it may or may not take effect",
    );

    pub(super) const PANIC: Self = Self::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "InternalError",
        "internal server error; the log of the server contains the details",
    );
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = problem(self.status, self.code, self.message);
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
        }
        response
    }
}
