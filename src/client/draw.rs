//! Ids that a client generates when the caller provides none.

use xxhash_rust::xxh3::xxh3_128;

use crate::random;

/// Generates an id of fixed length. With a request id, the id is derived from it, so that a retry yields the same id.
pub(super) fn draw_id(what: &str, request: Option<&str>) -> String {
    let id = match request {
        Some(request) => {
            let hash = xxh3_128(format!("{what} {request}").as_bytes());
            uuid::Builder::from_custom_bytes(hash.to_be_bytes()).into_uuid()
        }
        None => random::uuid(),
    };
    id.to_string()
}
