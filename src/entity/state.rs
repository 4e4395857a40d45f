//! The state of an entity: how it begins, is stored, and is remembered before an operation.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::json;

/// What `#[derive(Entity)]` knows of a state.
///
/// It stands apart from [`Entity`](crate::Entity) so that its functions do not appear among the user's own methods.
#[doc(hidden)]
pub trait StateCode: Sized {
    /// Makes the first state of the entity with this key.
    fn first(key: &str) -> Self;

    /// Clones the state into `saved`; `false` if the type is not `Clone`.
    fn clone_to(&self, saved: &mut Option<Self>) -> bool;
}

/// What can be the state of an entity: anything that serde writes and reads and that may move between threads.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the state of an entity",
    label = "the state is stored, and this type does not serialise and deserialise or cannot move between threads",
    note = "derive `Serialize` and `Deserialize` for it, and keep out of it what is not `Send`"
)]
#[doc(hidden)]
pub trait State: Sized + Send + 'static {
    /// Appends the state as JSON.
    ///
    /// # Errors
    /// The encoder's error.
    fn to_json(&self, json: &mut Vec<u8>) -> serde_json::Result<()>;

    /// Reads a state.
    ///
    /// # Errors
    /// The decoder's error.
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

/// What begins by itself.
#[diagnostic::on_unimplemented(
    message = "the entity `{Self}` has no first state",
    label = "an entity is made when it is touched for the first time",
    note = "derive `Default` for it, or name a `fn(&str) -> {Self}`, which gets the key, with `#[entity(init = path)]`"
)]
#[doc(hidden)]
pub trait FirstState: Sized {
    /// Makes the first state.
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
/// `#[derive(Entity)]` writes `Cloner(self).__abide_clone_to(saved)`. The inherent method wins where it applies; for any other
/// type method lookup goes on to [`NotClone`]. That works because the type is concrete where the derive stands.
#[doc(hidden)]
#[derive(Debug)]
pub struct Cloner<'a, S>(pub &'a S);

impl<S: Clone> Cloner<'_, S> {
    /// Clones into `saved`, reusing what is there.
    pub fn __abide_clone_to(&self, saved: &mut Option<S>) -> bool {
        match saved {
            Some(saved) => saved.clone_from(self.0),
            None => *saved = Some(self.0.clone()),
        }
        true
    }
}

/// What [`Cloner`] falls back to.
#[doc(hidden)]
pub trait NotClone<S> {
    /// Does nothing: the type is not `Clone`.
    fn __abide_clone_to(&self, _saved: &mut Option<S>) -> bool {
        false
    }
}

impl<S> NotClone<S> for Cloner<'_, S> {}
