//! Arguments of operations.

use serde::Serialize;
use serde::de::value::Error as AbsentError;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};

use crate::json;
use crate::payload::Payload;

/// A type that can be an argument of an operation, or the input of an activity or an orchestration.
///
/// Implemented for every owned type that implements `Serialize`, `Deserialize` and `Send`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as an argument or input",
    label = "arguments are stored and sent, so the type must implement `Serialize`, `Deserialize` and `Send`",
    note = "derive `Serialize` and `Deserialize` for it; an operation can borrow an argument that the caller keeps (`&str`, `&[T]`, `&T`)"
)]
pub trait Argument: Sized + Send + 'static {
    #[doc(hidden)]
    const CODE: ArgumentCode<Self>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Argument for T {
    const CODE: ArgumentCode<T> = ArgumentCode {
        write: json::write::<T>,
        write_slice: json::write_list::<T>,
        read: read::<T>,
        read_list: read::<Vec<T>>,
        normalize: normalize::<T>,
        normalize_list: normalize::<Vec<T>>,
        absent: || T::deserialize(Absent).ok(),
    };
}

/// The functions that serialize and deserialize arguments of type `T`.
///
/// Expansions use it only through [`argument`]. A type that does not implement [`Argument`] is therefore reported once
/// for each occurrence and not once for each use.
#[doc(hidden)]
#[derive(Debug)]
pub struct ArgumentCode<T> {
    pub(crate) write: fn(&T, &mut Vec<u8>) -> serde_json::Result<()>,
    pub(crate) write_slice: fn(&[T], &mut Vec<u8>) -> serde_json::Result<()>,
    pub(crate) read: Read<T>,
    pub(crate) read_list: Read<Vec<T>>,
    pub(crate) normalize: Normalize,
    pub(crate) normalize_list: Normalize,
    /// Returns the value of an omitted argument. Only an `Option` has one: `None`.
    pub(crate) absent: fn() -> Option<T>,
}

/// Deserializes one value at the start of the input and returns it with the offset of its end.
pub(crate) type Read<T> = fn(&[u8]) -> serde_json::Result<(T, usize)>;

/// Deserializes a value that an earlier build may have written and serializes it as this build does. Returns `None` if
/// the value does not decode.
pub(crate) type Normalize = fn(&[u8]) -> Option<Vec<u8>>;

/// Returns the functions that serialize and deserialize a parameter of type `T`.
#[doc(hidden)]
pub const fn argument<T: Argument>() -> ArgumentCode<T> {
    T::CODE
}

/// Deserializes one value at the start of the input and returns it with the offset of its end.
pub(crate) fn read<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<(T, usize)> {
    let mut values = serde_json::Deserializer::from_slice(json).into_iter::<T>();
    match values.next() {
        Some(value) => value.map(|value| (value, values.byte_offset())),
        None => Err(serde_json::Error::custom("the value is missing")),
    }
}

fn normalize<T: Serialize + DeserializeOwned>(json: &[u8]) -> Option<Vec<u8>> {
    let value: T = json::read(json).ok()?;
    serde_json::to_vec(&value).ok()
}

/// A parameter of an operation, as a replay needs it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Parameter {
    /// The stored name and its aliases, which older messages may use.
    pub(crate) names: &'static [&'static str],
    pub(crate) normalize: Normalize,
}

impl Parameter {
    /// Creates a parameter for a value or a reference to one.
    pub const fn value<T>(names: &'static [&'static str], code: ArgumentCode<T>) -> Self {
        Self {
            names,
            normalize: code.normalize,
        }
    }

    /// Creates a parameter for a slice.
    pub const fn list<T>(names: &'static [&'static str], code: ArgumentCode<T>) -> Self {
        Self {
            names,
            normalize: code.normalize_list,
        }
    }
}

/// Deserializes input that consists of exactly one value. Empty input counts as `null`.
///
/// # Errors
/// Returns the error of the deserializer with the name of the expected type.
pub(crate) fn read_whole<T: Argument>(json: &[u8]) -> Result<T, String> {
    let json = Payload::of(json).json()?;
    let wanted = std::any::type_name::<T>();
    let (value, end) =
        (T::CODE.read)(json).map_err(|reason| format!("it does not decode into `{wanted}`: {reason}"))?;
    match json[end..].iter().position(|byte| !byte.is_ascii_whitespace()) {
        None => Ok(value),
        Some(at) => Err(format!(
            "it does not decode into `{wanted}`: trailing data after the value, from byte {} on",
            end + at
        )),
    }
}

/// The deserializer of a missing field, as in serde's derive: an `Option` deserializes to `None`.
struct Absent;

impl<'de> Deserializer<'de> for Absent {
    type Error = AbsentError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, AbsentError> {
        Err(AbsentError::custom("absent"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, AbsentError> {
        visitor.visit_none()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
