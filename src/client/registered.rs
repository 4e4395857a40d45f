//! The types that the program of a hub has registered.

use serde::Serialize;

use crate::client::admin::Admin;
use crate::client::handle::Client;
use crate::engine::Registry;
use crate::engine::code::EntityCode;
use crate::error::Result;
#[cfg(feature = "http")]
use crate::id::EntityId;

/// The types that a hub's program has registered, including those of the library itself. They can be started, called
/// and signaled. Returned by [`Admin::registered`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Registered {
    /// The entity types, ordered by name.
    pub entities: Vec<RegisteredEntity>,
    /// The orchestrations, ordered by name.
    pub orchestrations: Vec<RegisteredOrchestration>,
    /// The names of the activities, in order.
    pub activities: Vec<String>,
}

/// A registered entity type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RegisteredEntity {
    /// Its stored name.
    pub name: String,
    /// Its operations, in the order of the code. The built-in `delete` operation, which every type has, is not listed.
    pub operations: Vec<RegisteredOperation>,
}

/// An operation of a registered entity type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RegisteredOperation {
    /// Its stored name.
    pub name: String,
    /// The stored names of its parameters, in order.
    pub parameters: Vec<String>,
}

/// A registered orchestration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RegisteredOrchestration {
    /// Its stored name.
    pub name: String,
    /// Its versions, newest last. An empty string stands for no version.
    pub versions: Vec<String>,
}

impl Client {
    /// Returns the stored names of the orchestrations that `name` may refer to: the exact name, or else the names that
    /// differ only in case. Empty for an inspected directory.
    #[cfg(feature = "http")]
    pub(crate) fn orchestrations_meant(&self, name: &str) -> Vec<String> {
        let Ok(runtime) = self.runtime() else {
            return Vec::new();
        };
        let is_known = !runtime.registry.versions(name).is_empty();
        meant(name, is_known, runtime.registry.orchestrations().map(|(name, _)| name))
    }

    /// Returns the stored names of the operations of an entity that `name` may refer to. See
    /// [`orchestrations_meant`](Self::orchestrations_meant).
    #[cfg(feature = "http")]
    pub(crate) fn operations_meant(&self, entity: &EntityId, name: &str) -> Vec<String> {
        let Ok(runtime) = self.runtime() else {
            return Vec::new();
        };
        let Some(code) = runtime.registry.entity(entity.name()) else {
            return Vec::new();
        };
        meant(name, code.find(name).is_some(), code.operations().iter().copied())
    }
}

impl Admin {
    /// Returns the types that the hub's program has registered. Empty for an inspected directory.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the hub is closed.
    pub fn registered(&self) -> Result<Registered> {
        match self.client.inspected() {
            Some(_) => Ok(Registered::default()),
            None => Ok(Registered::of(&self.client.runtime()?.registry)),
        }
    }
}

impl Registered {
    fn of(registry: &Registry) -> Self {
        let orchestrations = registry.orchestrations();
        Self {
            entities: registry.entities().map(RegisteredEntity::of).collect(),
            orchestrations: orchestrations
                .map(|(name, versions)| RegisteredOrchestration {
                    name: name.to_owned(),
                    versions: versions.iter().map(|code| code.version().to_owned()).collect(),
                })
                .collect(),
            activities: registry.activity_names().map(str::to_owned).collect(),
        }
    }
}

impl RegisteredEntity {
    fn of(code: &dyn EntityCode) -> Self {
        let operations = code.operations().iter().filter_map(|name| {
            let spec = code.find(name)?;
            Some(RegisteredOperation {
                name: (*name).to_owned(),
                parameters: code.parameters(spec).iter().map(|name| (*name).to_owned()).collect(),
            })
        });
        Self {
            name: code.name().to_owned(),
            operations: operations.collect(),
        }
    }
}

/// Returns the exact name if it is known, or else the names that differ only in case.
#[cfg(feature = "http")]
fn meant<'a>(name: &str, is_known: bool, all: impl Iterator<Item = &'a str>) -> Vec<String> {
    if is_known {
        return vec![name.to_owned()];
    }
    let small = name.to_lowercase();
    all.filter(|known| known.to_lowercase() == small)
        .map(ToOwned::to_owned)
        .collect()
}
