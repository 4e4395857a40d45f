//! Extractors for the head of a request, which reject with the errors of this API.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::http::error::Problem;
use crate::id::{EntityId, check_name};

/// The path parameters of a route, percent-decoded.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|rejection| Problem::bad_request("InvalidPath", rejection.body_text()))
    }
}

/// The entity that the path names by type and key. `$` is the empty key.
pub(super) struct EntityPath(pub(super) EntityId);

impl<S: Send + Sync> FromRequestParts<S> for EntityPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((name, key)) = Path::<(String, String)>::from_request_parts(parts, state).await?;
        let key = if key == "$" { "" } else { &key };
        Ok(Self(EntityId::new(&name, key)?))
    }
}

/// The idempotency key in the header `Idempotency-Key`, if present. Retries with the same key take effect once.
pub(super) struct IdempotencyKey(pub(super) Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let text = std::str::from_utf8(value.as_bytes())
            .ok()
            .filter(|_| values.next().is_none());
        let Some(text) = text else {
            return Err(Problem::bad_request(
                "InvalidHeader",
                "the header `Idempotency-Key` must occur at most once and contain UTF-8 text",
            ));
        };
        check_name("idempotency key", text)?;
        Ok(Self(Some(text.to_owned())))
    }
}
