//! What an operation takes.

use serde::Serialize;
use serde::de::value::Error as AbsentError;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};

use crate::json;
use crate::payload::Payload;

/// What can be an argument of an operation: anything owned that serde writes and reads.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of an operation",
    label = "arguments are stored and sent, and this type does not serialise and deserialise or cannot move between threads",
    note = "derive `Serialize` and `Deserialize` for it; take by `&` what the caller keeps (`&str`, `&[T]`, `&T`)"
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

/// How a type of arguments is written and read.
///
/// The expansions reach it by [`argument`] and by nothing else, so that a type that is no [`Argument`] is told once for
/// each place in which it stands, and not once for each way in which it is used.
#[doc(hidden)]
#[derive(Debug)]
pub struct ArgumentCode<T> {
    pub(crate) write: fn(&T, &mut Vec<u8>) -> serde_json::Result<()>,
    pub(crate) write_slice: fn(&[T], &mut Vec<u8>) -> serde_json::Result<()>,
    pub(crate) read: Read<T>,
    pub(crate) read_list: Read<Vec<T>>,
    pub(crate) normalize: Normalize,
    pub(crate) normalize_list: Normalize,
    /// What stands for an argument that was not given: `None` for an `Option`, and nothing for any other type.
    pub(crate) absent: fn() -> Option<T>,
}

/// Reads one value at the beginning of a text, and tells where it ends.
pub(crate) type Read<T> = fn(&[u8]) -> serde_json::Result<(T, usize)>;

/// Reads one value that an earlier build may have written, and writes it as this build does. `None` if it does not decode.
pub(crate) type Normalize = fn(&[u8]) -> Option<Vec<u8>>;

/// How the type `T` of a parameter is written and read.
#[doc(hidden)]
pub const fn argument<T: Argument>() -> ArgumentCode<T> {
    T::CODE
}

/// Reads one value at the beginning of a text, and tells where it ends.
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

/// One parameter of an operation, as a replay sees it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Parameter {
    /// Its stored name, and the names that older messages may have.
    pub(crate) names: &'static [&'static str],
    pub(crate) normalize: Normalize,
}

impl Parameter {
    /// A parameter that is a value, or a reference to one.
    pub const fn value<T>(names: &'static [&'static str], code: ArgumentCode<T>) -> Self {
        Self {
            names,
            normalize: code.normalize,
        }
    }

    /// A parameter that is a slice.
    pub const fn list<T>(names: &'static [&'static str], code: ArgumentCode<T>) -> Self {
        Self {
            names,
            normalize: code.normalize_list,
        }
    }
}

/// Reads a text that is one value and nothing else. Nothing at all counts as `null`, so that who gives no value need write
/// none.
///
/// # Errors
/// The decoder's error, with the type that was wanted.
pub(crate) fn read_whole<T: Argument>(json: &[u8]) -> Result<T, String> {
    let json = Payload::of(json).json()?;
    let wanted = std::any::type_name::<T>();
    let (value, end) =
        (T::CODE.read)(json).map_err(|reason| format!("it does not decode into `{wanted}`: {reason}"))?;
    match json[end..].iter().position(|byte| !byte.is_ascii_whitespace()) {
        None => Ok(value),
        Some(at) => Err(format!(
            "it does not decode into `{wanted}`: something follows the value, from byte {} on",
            end + at
        )),
    }
}

/// The deserialiser of a field that is not there, as serde's own derive has it: an `Option` reads `None` from it.
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
