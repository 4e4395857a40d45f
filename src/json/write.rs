//! Writes values that are stored and read later.

use std::any::TypeId;
use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::ser::Error as _;
use serde_json::ser::Formatter;
use serde_json::{Error, Result, Serializer};

use crate::json::lossless;

/// Maximum nesting depth that a reader accepts: the recursion limit of serde_json minus one.
const LEVELS: u32 = 127;

/// Appends a value whose target type is unknown.
///
/// # Errors
/// Returns the error of the encoder, or an error if the value cannot be read back: it contains a float that is not
/// finite, or is nested more deeply than a reader accepts.
pub(crate) fn write_value<T: Serialize + ?Sized>(value: &T, json: &mut Vec<u8>) -> Result<()> {
    let mut watch = Watch::default();
    value.serialize(&mut Serializer::with_formatter(&mut *json, Watching(&mut watch)))?;
    if watch.has_null {
        // Both an absent option and a NaN are written as null.
        lossless::check(value)?;
    }
    Ok(())
}

/// Appends a value that is read as the same type.
///
/// # Errors
/// Returns the errors of [`write_value`], or an error if the type cannot deserialize the value.
pub(crate) fn write<T: Serialize + DeserializeOwned + 'static>(value: &T, json: &mut Vec<u8>) -> Result<()> {
    write_readable::<T, T>(value, json)
}

/// Appends values that are read as a list of the same type.
///
/// # Errors
/// Returns the errors of [`write`].
pub(crate) fn write_list<T: Serialize + DeserializeOwned + 'static>(values: &[T], json: &mut Vec<u8>) -> Result<()> {
    write_readable::<T, Vec<T>>(values, json)
}

/// Appends a value that consists of `T` and is read as `R`.
fn write_readable<T: 'static, R: DeserializeOwned>(
    value: &(impl Serialize + ?Sized),
    json: &mut Vec<u8>,
) -> Result<()> {
    let start = json.len();
    write_value(value, json)?;
    if is_always_readable::<T>() {
        return Ok(());
    }
    read_back(|| serde_json::from_slice::<R>(&json[start..]))
}

/// Checks that a written value can be read.
///
/// # Errors
/// Returns the error of `read`.
pub(crate) fn read_back<T>(read: impl FnOnce() -> Result<T>) -> Result<()> {
    match read() {
        Ok(_) => Ok(()),
        Err(reason) => Err(Error::custom(format_args!(
            "its type cannot deserialize its own serialized form ({reason}); change the value, or the type"
        ))),
    }
}

/// Returns `true` if every value of `T` that [`write_value`] accepts can be read, so a trial is unnecessary.
fn is_always_readable<T: 'static>() -> bool {
    macro_rules! is_one_of {
        ($($known:ty)*) => { $(TypeId::of::<T>() == TypeId::of::<$known>())||* };
    }
    is_one_of!(() bool char String f32 f64 u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize Vec<u8> serde_json::Value)
}

/// The observations made while a value is written.
#[derive(Default)]
struct Watch {
    depth: u32,
    has_null: bool,
}

impl Watch {
    fn enter(&mut self) -> io::Result<()> {
        self.depth += 1;
        if self.depth > LEVELS {
            return Err(io::Error::other(format!(
                "it is nested more than {LEVELS} levels deep and cannot be read back; \
                 use a flatter type, such as a list"
            )));
        }
        Ok(())
    }
}

impl Watch {
    /// Applies the rules of all other values to a [`RawValue`](serde_json::value::RawValue). Its own reader accepts any
    /// nesting depth, numbers beyond any range and unpaired surrogates, which other tools cannot read.
    fn check_raw(&self, fragment: &str) -> io::Result<()> {
        let depth = self.depth as usize;
        let as_nested = format!("{}{fragment}{}", "[".repeat(depth), "]".repeat(depth));
        match serde_json::from_str::<serde_json::Value>(&as_nested) {
            Ok(_) => Ok(()),
            Err(reason) => Err(io::Error::other(format!(
                "it contains raw JSON that cannot be read back: {reason}"
            ))),
        }
    }
}

/// A formatter of compact JSON that records observations.
struct Watching<'a>(&'a mut Watch);

impl Formatter for Watching<'_> {
    fn write_null<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.has_null = true;
        writer.write_all(b"null")
    }

    fn begin_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.enter()?;
        writer.write_all(b"[")
    }

    fn write_raw_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        self.0.check_raw(fragment)?;
        writer.write_all(fragment.as_bytes())
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.depth -= 1;
        writer.write_all(b"]")
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.enter()?;
        writer.write_all(b"{")
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.depth -= 1;
        writer.write_all(b"}")
    }
}
