//! Detects floats that JSON cannot represent. The JSON writer turns them into null, which is read as `None` or not at
//! all.

use std::fmt::{self, Display};

use serde::Serialize;
use serde::ser::{self, Serializer};

/// Checks that a value contains no such float.
///
/// # Errors
/// Returns an error with the path of the first such float.
pub(super) fn check<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<()> {
    value.serialize(Check).map_err(ser::Error::custom)
}

/// A serializer that writes nothing.
#[derive(Clone, Copy)]
struct Check;

#[derive(Debug)]
struct Refused {
    /// The path of the value, innermost part first.
    path: Vec<String>,
    reason: String,
}

impl Refused {
    fn within(mut self, part: impl FnOnce() -> String) -> Self {
        self.path.push(part());
        self
    }
}

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            let path: String = self.path.iter().rev().map(String::as_str).collect();
            write!(f, "`{}` ", path.trim_start_matches('.'))?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: Display>(text: T) -> Self {
        Self {
            path: Vec::new(),
            reason: text.to_string(),
        }
    }
}

fn finite(is_finite: bool, value: f64) -> Result<(), Refused> {
    if is_finite {
        return Ok(());
    }
    Err(ser::Error::custom(format_args!(
        "is {value}, which JSON cannot represent; check for it first, or serialize it as text"
    )))
}

fn field<T: Serialize + ?Sized>(name: &str, value: &T) -> Result<(), Refused> {
    value
        .serialize(Check)
        .map_err(|refused| refused.within(|| format!(".{name}")))
}

macro_rules! pass {
    ($($method:ident($value:ty))*) => {
        $(fn $method(self, _: $value) -> Result<(), Refused> {
            Ok(())
        })*
    };
}

impl Serializer for Check {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = List;
    type SerializeMap = Map;
    type SerializeStruct = Check;
    type SerializeStructVariant = Check;

    pass! {
        serialize_bool(bool) serialize_char(char) serialize_str(&str) serialize_bytes(&[u8])
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
        serialize_unit_struct(&'static str)
    }

    fn serialize_f32(self, value: f32) -> Result<(), Refused> {
        finite(value.is_finite(), value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Refused> {
        finite(value.is_finite(), value)
    }

    fn serialize_none(self) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), Refused> {
        Ok(())
    }

    fn collect_str<T: Display + ?Sized>(self, _: &T) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        field(variant, value)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List, Refused> {
        Ok(List { next: 0 })
    }

    fn serialize_tuple(self, _: usize) -> Result<List, Refused> {
        Ok(List { next: 0 })
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List, Refused> {
        Ok(List { next: 0 })
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<List, Refused> {
        Ok(List { next: 0 })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Map, Refused> {
        Ok(Map)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Check, Refused> {
        Ok(self)
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Check, Refused> {
        Ok(self)
    }
}

/// The elements of a list.
struct List {
    next: usize,
}

impl List {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let place = self.next;
        self.next += 1;
        value
            .serialize(Check)
            .map_err(|refused| refused.within(|| format!("[{place}]")))
    }
}

/// The entries of a map. The encoder has already checked that the keys are strings.
struct Map;

impl ser::SerializeMap for Map {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        value.serialize(Check)
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), Refused> {
        value
            .serialize(Check)
            .map_err(|refused| refused.within(|| format!("[{}]", serde_json::to_string(key).unwrap_or_default())))
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

macro_rules! elements {
    ($($trait:ident $method:ident)*) => {
        $(impl ser::$trait for List {
            type Ok = ();
            type Error = Refused;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
                self.element(value)
            }

            fn end(self) -> Result<(), Refused> {
                Ok(())
            }
        })*
    };
}

elements! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

macro_rules! fields {
    ($($trait:ident)*) => {
        $(impl ser::$trait for Check {
            type Ok = ();
            type Error = Refused;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Refused> {
                field(name, value)
            }

            fn end(self) -> Result<(), Refused> {
                Ok(())
            }
        })*
    };
}

fields! { SerializeStruct SerializeStructVariant }
