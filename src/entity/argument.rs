//! What an operation takes.

use serde::Serialize;
use serde::de::value::Error as MissingError;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, Visitor};

/// What can be an argument of an operation: anything owned that serde writes and reads.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of an operation",
    label = "arguments are stored and sent, and this type does not serialise and deserialise or cannot move between threads",
    note = "derive `Serialize` and `Deserialize` for it; take by `&` what the caller keeps (`&str`, `&[T]`, `&T`)"
)]
pub trait Argument: Sized + Send + 'static {
    /// # Errors
    /// The encoder's error.
    #[doc(hidden)]
    fn to_json(&self, json: &mut Vec<u8>) -> serde_json::Result<()>;

    /// # Errors
    /// The encoder's error.
    #[doc(hidden)]
    fn slice_to_json(slice: &[Self], json: &mut Vec<u8>) -> serde_json::Result<()>;

    /// # Errors
    /// The decoder's error.
    #[doc(hidden)]
    fn next<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error>;

    /// What stands for an argument that was not given: `None` for an `Option`, and nothing for any other type.
    #[doc(hidden)]
    fn absent() -> Option<Self>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Argument for T {
    fn to_json(&self, json: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(json, self)
    }

    fn slice_to_json(slice: &[Self], json: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(json, slice)
    }

    fn next<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Self, A::Error> {
        map.next_value()
    }

    fn absent() -> Option<Self> {
        T::deserialize(Absent).ok()
    }
}

/// The deserialiser of a field that is not there, as serde's own derive has it: an `Option` reads `None` from it.
struct Absent;

impl<'de> Deserializer<'de> for Absent {
    type Error = MissingError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, MissingError> {
        Err(MissingError::custom("absent"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, MissingError> {
        visitor.visit_none()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
