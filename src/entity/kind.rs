//! Entity types.

use crate::entity::caller::Caller;
use crate::entity::reference::{EntityRef, ReferenceCode};
use crate::entity::state::{State, StateCode};

/// An entity type: the struct is the state of one entity. Implemented by `#[derive(Entity)]`.
///
/// An entity is one instance of the type, identified by its key. Its state is created at the first access: by
/// `Default`, or by the function that `#[entity(init = path)]` names, which receives the key. Name and key form the id
/// `@name@key`, which has at most [512 bytes](crate::MAX_ID_BYTES). Neither contains `/`, `\`, `#`, `?` or control
/// characters; see [`EntityId`](crate::EntityId).
///
/// The state is stored as JSON and read back at every operation. An operation fails with
/// [`Serialization`](crate::ErrorKind::Serialization) if its state could not be read later. Examples are a float that
/// is not finite, more than 127 levels of nesting, and a field with `skip_serializing_if` but without `default`. JSON
/// has a single `null`, so `Some(None)` is read back as `None`.
///
/// ```
/// use abide::prelude::*;
///
/// #[derive(Entity, Clone, Serialize, Deserialize)]
/// #[entity(name = "room", init = Room::new)]
/// struct Room {
///     title: String,
///     /// Added by a later build. Older states lack it.
///     #[serde(default)]
///     guests: Vec<String>,
/// }
///
/// impl Room {
///     fn new(key: &str) -> Self {
///         Self { title: format!("Room {key}"), guests: Vec::new() }
///     }
/// }
///
/// #[operations]
/// impl Room {
///     pub fn enter(&mut self, guest: String) -> String {
///         self.guests.push(guest);
///         self.title.clone()
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// let hub = Hub::in_memory().entity::<Room>().open().await?;
/// assert_eq!(hub.client().entity::<Room>(101).enter("alice".into()).await?, "Room 101");
/// # hub.shutdown().await
/// # }
/// ```
///
/// A field with `#[serde(skip)]` is not stored, and a restart resets it. If the type is not `Clone`, an operation that
/// fails resets the field as well. Derive `Clone` to keep it, and for speed.
///
/// Attributes:
/// * `#[entity(name = "...")]` sets the stored name. Defaults to the name of the struct. Names are converted to lower
///   case and contain no `@`.
/// * `#[entity(init = path)]` names the `fn(&str) -> Self` that creates the initial state.
/// * `#[entity(reference = AccountHandle)]` sets the name of the reference type (default: `AccountRef` for `Account`).
///   `#[operations(reference = AccountHandle)]` must name the same type.
/// * `#[entity(audit = 20)]` keeps the last 20 changes of each entity's state: the time, the operation, its sender and
///   the state after it. [`entity_details`](crate::admin::Admin::entity_details) shows them. Each operation that may
///   change the state writes one more row with the whole state. The changes remain when the state is deleted, so that
///   the deletion is among them. At most 1,000 can be kept. The default is none.
/// * `#[entity(crate = path)]` sets the path of `abide`, for crates that rename or re-export it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an entity",
    label = "this type has no `#[derive(Entity)]`",
    note = "derive `Entity` for the struct that is the state, and add `#[operations]` to its impl"
)]
pub trait Entity: StateCode + State {
    /// The stored name, in lower case.
    const NAME: &'static str;

    /// The number of changes of the state that are kept for each entity: see `#[entity(audit = 20)]`.
    const AUDIT: usize = 0;

    /// The type of a reference to one of these entities, held by a client, an orchestration or another entity.
    type Ref<C: Caller>: EntityRef + ReferenceCode<Entity = Self, Caller = C>;
}

/// Checks that a type with `#[operations]` is an entity.
///
/// `Operations` itself does not require it. The compiler therefore reports a problem of the state only at the state.
#[doc(hidden)]
pub fn is_entity<E: Entity>() {}
