//! What the program behind a hub has registered.

use serde::Serialize;

use crate::client::handle::Client;
use crate::client::source::Source;
use crate::engine::Registry;
use crate::engine::code::EntityCode;
use crate::error::Result;
#[cfg(feature = "http")]
use crate::id::EntityId;

/// What a hub's program has registered: what can be started, called and signaled, what the library itself brings included.
/// Made by [`Client::registered`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Registered {
    /// The types of entities, in the order of their names.
    pub entities: Vec<RegisteredEntity>,
    /// The orchestrations, in the order of their names.
    pub orchestrations: Vec<RegisteredOrchestration>,
    /// The names of the activities, in order.
    pub activities: Vec<String>,
}

/// One type of entities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RegisteredEntity {
    /// Its stored name.
    pub name: String,
    /// Its operations, in the order of the code. Every type has a `delete` of its own besides.
    pub operations: Vec<RegisteredOperation>,
}

/// One operation of a type of entities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RegisteredOperation {
    /// Its stored name.
    pub name: String,
    /// The stored names of its parameters, in their order.
    pub parameters: Vec<String>,
}

/// One orchestration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RegisteredOrchestration {
    /// Its stored name.
    pub name: String,
    /// Its versions, the newest last; one without a version is the empty text.
    pub versions: Vec<String>,
}

impl Client {
    /// The stored names of orchestrations that a name may mean: the exact name, or else those that differ only in case. None
    /// for a hub that is only looked at.
    #[cfg(feature = "http")]
    pub(crate) fn orchestrations_meant(&self, name: &str) -> Vec<String> {
        let Ok(runtime) = self.runtime() else {
            return Vec::new();
        };
        let is_known = !runtime.registry.versions(name).is_empty();
        meant(name, is_known, runtime.registry.orchestrations().map(|(name, _)| name))
    }

    /// The stored names of an entity's operations that a name may mean, as [`orchestrations_meant`](Self::orchestrations_meant).
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

    /// What the hub's program has registered; nothing for a directory that is only looked at.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    pub fn registered(&self) -> Result<Registered> {
        match self.source()? {
            Source::Open(runtime) => Ok(Registered::of(&runtime.registry)),
            Source::Inspected(_) => Ok(Registered::default()),
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

/// The exact name if it is known, or else those that differ from it only in case.
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
