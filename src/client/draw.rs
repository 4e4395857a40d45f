//! Ids that a client draws for what it is given no id for.

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

/// An id of fixed length. A retry under the same request id means the same thing, so its id is made of that.
#[expect(clippy::disallowed_methods, reason = "a client's ids are drawn here")]
pub(super) fn draw_id(what: &str, request: Option<&str>) -> String {
    let id = match request {
        Some(request) => {
            let hash = xxh3_128(format!("{what} {request}").as_bytes());
            uuid::Builder::from_custom_bytes(hash.to_be_bytes()).into_uuid()
        }
        None => Uuid::new_v4(),
    };
    id.to_string()
}
