//! Names of orchestrations and operations as requests write them. Azure's names do not depend on case, so that clients made for
//! it may write any; a hub's names do.

use crate::http::error::Problem;
use crate::http::state::Api;
use crate::id::EntityId;

/// The stored name of the orchestration that a request means: the exact name, or else the one that differs only in case.
///
/// # Errors
/// 400 if there are several of those.
pub(super) fn orchestration(api: &Api, name: &str) -> Result<String, Problem> {
    the_one(api.client.orchestrations_meant(name), "orchestration", name)
}

/// The stored name of the operation that a request means, as [`orchestration`].
///
/// # Errors
/// As [`orchestration`].
pub(super) fn operation(api: &Api, entity: &EntityId, name: &str) -> Result<String, Problem> {
    the_one(api.client.operations_meant(entity, name), "operation", name)
}

fn the_one(meant: Vec<String>, what: &str, name: &str) -> Result<String, Problem> {
    match meant.as_slice() {
        // Refused where it is sent, with what there is.
        [] => Ok(name.to_owned()),
        [meant] => Ok(meant.clone()),
        several => Err(Problem::bad_request(
            "AmbiguousName",
            format!(
                "there is no {what} `{}`, and several differ from it only in case: `{}`; write the exact name",
                name.escape_debug(),
                several.join("`, `")
            ),
        )),
    }
}
