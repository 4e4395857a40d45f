//! The code registered in this process, by stored name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::code::{ActivityCode, EntityCode, OrchestrationCode};
use crate::engine::version::is_newer;
use crate::error::{Error, ErrorKind, Result};
use crate::resource::Resources;

/// The code registered in this process, by stored name.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    entities: BTreeMap<String, Arc<dyn EntityCode>>,
    /// Versions by name, in the order of registration.
    orchestrations: BTreeMap<String, Vec<Arc<dyn OrchestrationCode>>>,
    activities: BTreeMap<String, Arc<dyn ActivityCode>>,
    /// The resources that the code shares.
    pub(crate) resources: Resources,
    pub(crate) version_policy: VersionPolicy,
    /// Names that were requested since the hub was opened and are not registered.
    missing: Arc<Mutex<BTreeSet<String>>>,
}

/// The policy that selects the code for an orchestration that was started with a particular version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VersionPolicy {
    /// Only code of exactly that version runs the orchestration. Without such code, the orchestration waits and is
    /// reported as stopped.
    #[default]
    Strict,
    /// Code of that version runs the orchestration. If there is none, the code that was registered last runs it, unless
    /// the orchestration is newer than that code.
    ///
    /// Versions are ordered as in semantic versioning, extended to any text. Digits compare as numbers (`v9` is older
    /// than `v10`, `1.0-rc9` than `1.0-rc10`). A pre-release is older than its release (`2.0.0-beta` than `2.0.0`). The
    /// empty version is older than any other.
    CurrentOrOlder,
}

impl Registry {
    /// Records a requested name that is not registered. Returns `true` if the name is new.
    pub(crate) fn note_missing(&self, name: &str) -> bool {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        !missing.contains(name) && missing.insert(name.to_owned())
    }

    /// Returns the names that were requested since the hub was opened and are not registered.
    pub(crate) fn missing(&self) -> BTreeSet<String> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds one entity type.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Configuration`] if the name is empty, invalid or taken.
    pub(crate) fn add_entity(&mut self, code: Arc<dyn EntityCode>) -> Result<()> {
        let name = code.name().to_owned();
        crate::id::EntityId::new(&name, "").map_err(|error| {
            Error::new(
                ErrorKind::Configuration,
                format!(
                    "an entity cannot be registered as `{name}`: {error}; set another name with \
                     `#[entity(name = \"…\")]`"
                ),
            )
        })?;
        if self.entities.insert(name.clone(), code).is_some() {
            return Err(Error::new(
                ErrorKind::Configuration,
                format!("two entities are registered as `{name}`; rename one with `#[entity(name = \"…\")]`"),
            ));
        }
        Ok(())
    }

    /// Returns the names of the entity types that keep no changes of their states, in alphabetical order.
    pub(crate) fn entities_without_audit(&self) -> impl Iterator<Item = &str> {
        let entities = self.entities.iter().filter(|(_, code)| code.audit() == 0);
        entities.map(|(name, _)| name.as_str())
    }

    /// Adds one version of an orchestration. The version that is added last counts as the newest.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Configuration`] if the name is empty or invalid, or is taken with this
    /// version.
    pub(crate) fn add_orchestration(&mut self, code: Arc<dyn OrchestrationCode>) -> Result<()> {
        let (name, version) = (code.name().to_owned(), code.version().to_owned());
        check_code_name("orchestration", &name)?;
        crate::id::check_version(&version).map_err(|error| {
            Error::new(
                ErrorKind::Configuration,
                format!("the orchestration `{name}` cannot be registered: {error}"),
            )
        })?;
        let versions = self.orchestrations.entry(name.clone()).or_default();
        if versions.iter().any(|known| known.version() == version) {
            return Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "two orchestrations are registered as `{name}` with the version `{version}`; rename one with \
                     `#[orchestration(name = \"…\")]`, or give it another `version = \"…\"`"
                ),
            ));
        }
        versions.push(code);
        Ok(())
    }

    /// Adds one activity.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Configuration`] if the name is empty, invalid or taken.
    pub(crate) fn add_activity(&mut self, code: Arc<dyn ActivityCode>) -> Result<()> {
        let name = code.name().to_owned();
        check_code_name("activity", &name)?;
        if self.activities.insert(name.clone(), code).is_some() {
            return Err(Error::new(
                ErrorKind::Configuration,
                format!("two activities are registered as `{name}`; rename one with `#[activity(name = \"…\")]`"),
            ));
        }
        Ok(())
    }

    /// Replaces an activity, or adds it.
    #[cfg(feature = "testing")]
    pub(crate) fn replace_activity(&mut self, code: Arc<dyn ActivityCode>) {
        self.activities.insert(code.name().to_owned(), code);
    }

    /// Replaces each activity by what `wrap` makes of it.
    #[cfg(feature = "testing")]
    pub(crate) fn wrap_activities(&mut self, wrap: impl Fn(Arc<dyn ActivityCode>) -> Arc<dyn ActivityCode>) {
        for code in self.activities.values_mut() {
            *code = wrap(Arc::clone(code));
        }
    }

    /// Checks that all resources that the code needs exist.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Configuration`] that names each part of the code and the resource that it
    /// lacks.
    pub(crate) fn check_resources(&self) -> Result<()> {
        let activities = self.activities.values().flat_map(|code| {
            let of = format!("the activity `{}`", code.name());
            code.resources().iter().map(move |&need| (of.clone(), need))
        });
        let operations = self.entities.values().flat_map(|code| {
            let of = |operation| format!("the operation `{operation}` of the entity `{}`", code.name());
            code.resources()
                .iter()
                .map(move |&(operation, need)| (of(operation), need))
        });
        let lacking: Vec<String> = activities
            .chain(operations)
            .filter(|(_, need)| !self.resources.meet(*need))
            .map(|(of, need)| format!("{of} needs the resource `{}`", need.name()))
            .collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let message = format!(
            "{}, which the hub does not have; add it with `.resource(...)` before `.open()`",
            lacking.join(", and ")
        );
        Err(Error::new(ErrorKind::Configuration, message))
    }

    /// Returns all versions of an orchestration, newest last.
    pub(crate) fn versions(&self, name: &str) -> &[Arc<dyn OrchestrationCode>] {
        self.orchestrations.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the registered versions of an orchestration as a text, such as "`1`, `2`".
    pub(crate) fn known_versions(&self, name: &str) -> String {
        let versions = self.versions(name).iter();
        let known: Vec<String> = versions.map(|code| version_text(code.version())).collect();
        known.join(", ")
    }

    /// Returns the code for an orchestration of this name that was started with this version.
    pub(crate) fn orchestration(&self, name: &str, version: &str) -> Option<Arc<dyn OrchestrationCode>> {
        let versions = self.versions(name);
        let exact = versions.iter().find(|code| code.version() == version);
        let newest = || {
            let newest = versions.last()?;
            let is_older = !is_newer(version, newest.version());
            (self.version_policy == VersionPolicy::CurrentOrOlder && is_older).then_some(newest)
        };
        exact.or_else(newest).cloned()
    }

    /// Returns the code of the activity `name`.
    pub(crate) fn activity(&self, name: &str) -> Option<&Arc<dyn ActivityCode>> {
        self.activities.get(name)
    }

    /// Returns the code of the entity type `name`.
    pub(crate) fn entity(&self, name: &str) -> Option<&Arc<dyn EntityCode>> {
        self.entities.get(name)
    }

    /// Returns the code of all entity types, sorted by name.
    pub(crate) fn entities(&self) -> impl Iterator<Item = &dyn EntityCode> {
        self.entities.values().map(AsRef::as_ref)
    }

    /// Returns the names of all orchestrations with their versions, newest last.
    pub(crate) fn orchestrations(&self) -> impl Iterator<Item = (&str, &[Arc<dyn OrchestrationCode>])> {
        self.orchestrations
            .iter()
            .map(|(name, versions)| (name.as_str(), versions.as_slice()))
    }

    /// Returns the names of all activities.
    pub(crate) fn activity_names(&self) -> impl Iterator<Item = &str> {
        self.activities.keys().map(String::as_str)
    }
}

/// Returns a version in the form used by error texts.
pub(crate) fn version_text(version: &str) -> String {
    match version {
        "" => "(none)".to_owned(),
        version => format!("`{version}`"),
    }
}

fn check_code_name(what: &str, name: &str) -> Result<()> {
    crate::id::check_path_name(what, name).map_err(|error| {
        Error::new(
            ErrorKind::Configuration,
            format!("an {what} cannot be registered: {error}"),
        )
    })
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entities.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each missing name is new once, and remains listed.
    #[test]
    fn missing_names_are_listed() {
        let registry = Registry::default();
        assert_eq!(registry.missing(), BTreeSet::new());
        let new = ["ship", "pay", "ship"].map(|name| registry.note_missing(name));
        assert_eq!(new, [true, true, false]);
        assert_eq!(
            registry.missing(),
            BTreeSet::from(["pay".to_owned(), "ship".to_owned()])
        );
    }
}
