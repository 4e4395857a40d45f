//! The code that this process can run, by stored name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::engine::code::EntityCode;
use crate::error::{Error, ErrorKind, Result};

/// The code that this process can run, by stored name.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    entities: BTreeMap<String, Arc<dyn EntityCode>>,
}

impl Registry {
    /// Adds one entity type.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if the name is empty, illegal or taken.
    pub(crate) fn add_entity(&mut self, code: Arc<dyn EntityCode>) -> Result<()> {
        let name = code.name().to_owned();
        crate::id::EntityId::new(&name, "").map_err(|error| {
            Error::new(
                ErrorKind::Configuration,
                format!(
                    "an entity cannot be registered as `{name}`: {error}; set another with `#[entity(name = \"…\")]`"
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

    /// The code of the entity type `name`.
    pub(crate) fn entity(&self, name: &str) -> Option<&Arc<dyn EntityCode>> {
        self.entities.get(name)
    }

    /// The names of all entity types, in order.
    pub(crate) fn entity_names(&self) -> impl Iterator<Item = &str> {
        self.entities.keys().map(String::as_str)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entity_names()).finish()
    }
}
