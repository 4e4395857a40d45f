//! Names of orchestrations and operations as requests write them. Azure's names do not depend on case, so that clients made for
//! it may write any; a hub's names do.

use crate::engine::Registry;
use crate::http::error::Problem;
use crate::http::state::Api;
use crate::id::EntityId;

/// The stored name of the orchestration that a request means: the very name, or else the one that differs in case alone.
///
/// # Errors
/// 400 if there are several of those.
pub(super) fn orchestration(api: &Api, name: &str) -> Result<String, Problem> {
    let known = |registry: &Registry| {
        let names = registry.orchestrations().map(|(name, _)| name.to_owned());
        names.collect::<Vec<_>>()
    };
    meant(
        api,
        "orchestration",
        name,
        |registry| !registry.versions(name).is_empty(),
        known,
    )
}

/// The stored name of the operation that a request means, as [`orchestration`].
///
/// # Errors
/// As [`orchestration`].
pub(super) fn operation(api: &Api, entity: &EntityId, name: &str) -> Result<String, Problem> {
    let is_known = |registry: &Registry| {
        let code = registry.entity(entity.name());
        code.is_none_or(|code| code.find(name).is_some())
    };
    let known = |registry: &Registry| {
        let code = registry.entity(entity.name());
        let names = code.map(|code| code.operations()).unwrap_or_default();
        names.iter().map(|name| (*name).to_owned()).collect()
    };
    meant(api, "operation", name, is_known, known)
}

fn meant(
    api: &Api,
    what: &str,
    name: &str,
    is_known: impl FnOnce(&Registry) -> bool,
    known: impl FnOnce(&Registry) -> Vec<String>,
) -> Result<String, Problem> {
    // A hub that is only looked at knows no names; what is asked of it is refused elsewhere.
    let Ok(runtime) = api.client.runtime() else {
        return Ok(name.to_owned());
    };
    if is_known(&runtime.registry) {
        return Ok(name.to_owned());
    }
    let small = name.to_lowercase();
    let mut alike = known(&runtime.registry);
    alike.retain(|known| known.to_lowercase() == small);
    match alike.as_slice() {
        // Refused where it is sent, with what there is.
        [] => Ok(name.to_owned()),
        [meant] => Ok(meant.clone()),
        several => Err(Problem::bad_request(
            "AmbiguousName",
            format!(
                "there is no {what} `{}`, and several differ from it in case alone: `{}`; write the one that is meant",
                name.escape_debug(),
                several.join("`, `")
            ),
        )),
    }
}
