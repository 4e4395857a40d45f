//! Names of orchestrations and operations in requests. Azure's names are case-insensitive, so its clients may use any
//! case; the names of a hub are case-sensitive.

use crate::http::error::Problem;
use crate::http::state::Api;
use crate::id::EntityId;

/// Returns the stored name of the requested orchestration: the exact name, or else the name that differs only in case.
///
/// # Errors
/// Returns a problem with status 400 if several names differ only in case.
pub(super) fn orchestration(api: &Api, name: &str) -> Result<String, Problem> {
    the_one(api.client.orchestrations_meant(name), "orchestration", name)
}

/// Returns the stored name of the requested operation, like [`orchestration`].
///
/// # Errors
/// Returns the same errors as [`orchestration`].
pub(super) fn operation(api: &Api, entity: &EntityId, name: &str) -> Result<String, Problem> {
    the_one(api.client.operations_meant(entity, name), "operation", name)
}

fn the_one(meant: Vec<String>, what: &str, name: &str) -> Result<String, Problem> {
    match meant.as_slice() {
        // The hub rejects the request and lists the known names.
        [] => Ok(name.to_owned()),
        [meant] => Ok(meant.clone()),
        several => Err(Problem::bad_request(
            "AmbiguousName",
            format!(
                "there is no {what} `{}`, and several names differ from it only in case: `{}`; use the exact name",
                name.escape_debug(),
                several.join("`, `")
            ),
        )),
    }
}
