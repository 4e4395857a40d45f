//! The state of an entity: creation, storage, and restore points.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::json;

/// The functions that `#[derive(Entity)]` generates for a state.
///
/// It is separate from [`Entity`](crate::Entity) so that its functions do not appear among the user's own methods.
#[doc(hidden)]
pub trait StateCode: Sized {
    /// Creates the initial state of the entity with this key.
    fn first(key: &str) -> Self;

    /// Clones the state into `saved`. Returns `false` if the type is not `Clone`.
    fn clone_to(&self, saved: &mut Option<Self>) -> bool;
}

/// A type that can be the state of an entity: one that implements `Serialize`, `Deserialize` and `Send`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the state of an entity",
    label = "the state is stored, so its type must implement `Serialize`, `Deserialize` and `Send`",
    note = "derive `Serialize` and `Deserialize` for it, and remove fields that are not `Send`"
)]
#[doc(hidden)]
pub trait State: Sized + Send + 'static {
    /// Appends the state as JSON.
    ///
    /// # Errors
    /// Returns the error of the serializer.
    fn to_json(&self, json: &mut Vec<u8>) -> serde_json::Result<()>;

    /// Deserializes a state.
    ///
    /// # Errors
    /// Returns the error of the deserializer.
    fn from_json(json: &[u8]) -> serde_json::Result<Self>;
}

#[diagnostic::do_not_recommend]
impl<S: Serialize + DeserializeOwned + Send + 'static> State for S {
    fn to_json(&self, json: &mut Vec<u8>) -> serde_json::Result<()> {
        json::write_value(self, json)
    }

    fn from_json(json: &[u8]) -> serde_json::Result<Self> {
        json::read(json)
    }
}

/// A type with an initial state.
#[diagnostic::on_unimplemented(
    message = "the entity `{Self}` has no initial state",
    label = "the state of an entity is created at its first access",
    note = "derive `Default` for it, or name a `fn(&str) -> {Self}`, which receives the key, with `#[entity(init = path)]`"
)]
#[doc(hidden)]
pub trait FirstState: Sized {
    /// Creates the initial state.
    fn first() -> Self;
}

#[diagnostic::do_not_recommend]
impl<S: Default> FirstState for S {
    fn first() -> Self {
        S::default()
    }
}

/// Clones a state whose type is `Clone`.
///
/// `#[derive(Entity)]` writes `Cloner(self).__abide_clone_to(saved)`. The inherent method takes precedence where it
/// applies. For any other type, method lookup continues with [`NotClone`]. This works because the type is concrete at
/// the derive.
#[doc(hidden)]
#[derive(Debug)]
pub struct Cloner<'a, S>(pub &'a S);

impl<S: Clone> Cloner<'_, S> {
    /// Clones into `saved`, reusing its allocations.
    pub fn __abide_clone_to(&self, saved: &mut Option<S>) -> bool {
        match saved {
            Some(saved) => saved.clone_from(self.0),
            None => *saved = Some(self.0.clone()),
        }
        true
    }
}

/// The fallback of [`Cloner`] for types that are not `Clone`.
#[doc(hidden)]
pub trait NotClone<S> {
    /// Does nothing and returns `false`: the type is not `Clone`.
    fn __abide_clone_to(&self, _saved: &mut Option<S>) -> bool {
        false
    }
}

impl<S> NotClone<S> for Cloner<'_, S> {}
