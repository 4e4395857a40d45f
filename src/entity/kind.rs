//! The type of an entity.

use crate::entity::caller::Caller;
use crate::entity::reference::{EntityRef, ReferenceCode};
use crate::entity::state::{State, StateCode};

/// A type of entities: the struct is the state of one of them. Implemented by `#[derive(Entity)]`.
///
/// An entity is one instance of the type, found by its key. Its state comes into being when it is touched for the first
/// time: by `Default`, or by the function that `#[entity(init = path)]` names, which gets the key.
/// Name and key make the id, `@name@key`, of at most [512 bytes](crate::MAX_ID_BYTES). Neither contains `/`, `\`, `#`, `?` or
/// control characters; see [`EntityId`](crate::EntityId).
///
/// The state is stored as JSON and read back at every operation, so that an operation whose state could not be read later
/// fails with [`Serialization`](crate::ErrorKind::Serialization): a float that is not finite, more than 127 levels of
/// nesting, a field with `skip_serializing_if` and without `default`. JSON has one `null`, so that `Some(None)` is `None` when
/// it is read. A field with `#[serde(skip)]` is not stored and is reset by a restart; if the type is not `Clone`, also by an
/// operation that fails. Derive `Clone` to keep it, and because it is faster.
///
/// Attributes:
/// * `#[entity(name = "...")]` sets the stored name; it is the struct's name otherwise. Names are lower-cased and contain no `@`.
/// * `#[entity(init = path)]` names the `fn(&str) -> Self` that makes the first state.
/// * `#[entity(reference = AccountHandle)]` names the type of the reference, which is `AccountRef` for `Account` otherwise.
///   `#[operations(reference = AccountHandle)]` has to say the same.
/// * `#[entity(crate = path)]` says where `abide` is found, for crates that rename or re-export it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an entity",
    label = "this type has no `#[derive(Entity)]`",
    note = "derive `Entity` for the struct that is the state, and write `#[operations]` on its impl"
)]
pub trait Entity: StateCode + State {
    /// The stored name, lower-case.
    const NAME: &'static str;

    /// The reference to one of these entities, in the hands of a client, an orchestration or another entity.
    type Ref<C: Caller>: EntityRef + ReferenceCode<Entity = Self, Caller = C>;
}

/// Checks that the type under an `#[operations]` is an entity. `Operations` itself does not require it, so that the compiler
/// reports what a state lacks only at the state.
#[doc(hidden)]
pub fn is_entity<E: Entity>() {}
