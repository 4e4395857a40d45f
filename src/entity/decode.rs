//! Deserialization of operation arguments from JSON.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::engine::code::OperationFailure;
use crate::entity::argument::{self, ArgumentCode, Read};

/// Reads the arguments of an operation from a JSON object, by name.
///
/// Unknown names are skipped, so a caller may be newer than the operation. Empty input and `null` count as an empty
/// object, so a caller without arguments can omit it.
#[doc(hidden)]
#[derive(Debug)]
pub struct ArgumentReader<'a> {
    /// The unread input.
    rest: &'a [u8],
    /// The names of each parameter: its own name and its aliases.
    names: &'static [&'static [&'static str]],
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Start,
    /// A value was read. A comma or the end follows.
    Value,
    End,
}

impl<'a> ArgumentReader<'a> {
    /// Creates a reader of stored arguments.
    pub fn new(json: &'a [u8], names: &'static [&'static [&'static str]]) -> Self {
        let rest = match json {
            b"" | b"null" => b"{}",
            json => json,
        };
        Self {
            rest,
            names,
            stage: Stage::Start,
        }
    }

    /// Advances to the next argument that belongs to a parameter and returns the parameter's index, or `None` at the
    /// end.
    ///
    /// # Errors
    /// Returns [`OperationFailure::Arguments`] if the input is not a JSON object.
    pub fn next_place(&mut self) -> Result<Option<usize>, OperationFailure> {
        while self.go_to_name()? {
            let name = self.name()?;
            self.expect(b':')?;
            match self.names.iter().position(|names| names.contains(&&*name)) {
                Some(place) => return Ok(Some(place)),
                None => {
                    self.take(&name, argument::read::<IgnoredAny>)?;
                }
            }
        }
        Ok(None)
    }

    /// Skips all arguments of an operation that takes none.
    ///
    /// # Errors
    /// Returns [`OperationFailure::Arguments`] if the input is not a JSON object.
    pub fn finish(mut self) -> Result<(), OperationFailure> {
        if self.rest == b"{}" {
            return Ok(());
        }
        self.next_place().map(|_| ())
    }

    /// Advances past the brace or the comma before a name. Returns `false` at the end of the object.
    fn go_to_name(&mut self) -> Result<bool, OperationFailure> {
        match (self.stage, self.peek()) {
            (Stage::Start, Some(b'{')) => {
                self.rest = &self.rest[1..];
                self.stage = Stage::Value;
                if self.peek() != Some(b'}') {
                    return Ok(true);
                }
            }
            (Stage::Start, _) => {
                return Err(refused(
                    "the arguments are not a JSON object with the parameter names as keys",
                ));
            }
            (Stage::Value, Some(b',')) => {
                self.rest = &self.rest[1..];
                return Ok(true);
            }
            (Stage::Value, Some(b'}')) => {}
            (Stage::Value, _) => return Err(refused("the arguments are invalid JSON: expected `,` or `}`")),
            (Stage::End, _) => return Ok(false),
        }
        self.rest = &self.rest[1..];
        self.stage = Stage::End;
        match self.peek() {
            None => Ok(false),
            Some(_) => Err(refused(
                "the arguments are invalid JSON: trailing data after the object",
            )),
        }
    }

    /// Reads a name. A name without escapes is not copied.
    fn name(&mut self) -> Result<Cow<'a, str>, OperationFailure> {
        if self.peek() == Some(b'"') {
            let text = &self.rest[1..];
            let end = text.iter().position(|byte| matches!(byte, b'"' | b'\\'));
            if let Some(end) = end.filter(|&end| text[end] == b'"')
                && let Ok(name) = std::str::from_utf8(&text[..end])
            {
                self.rest = &text[end + 1..];
                return Ok(Cow::Borrowed(name));
            }
        }
        let (name, end) = argument::read::<String>(self.rest)
            .map_err(|_| refused("the arguments are invalid JSON: expected a name in quotes"))?;
        self.rest = &self.rest[end..];
        Ok(Cow::Owned(name))
    }

    /// Returns the next byte that is not whitespace.
    fn peek(&mut self) -> Option<u8> {
        let blank = self
            .rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\n' | b'\t' | b'\r'));
        self.rest = &self.rest[blank.count()..];
        self.rest.first().copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), OperationFailure> {
        if self.peek() != Some(byte) {
            return Err(refused(format!(
                "the arguments are invalid JSON: expected `{}`",
                char::from(byte)
            )));
        }
        self.rest = &self.rest[1..];
        Ok(())
    }

    fn take<T>(&mut self, name: &str, read: Read<T>) -> Result<T, OperationFailure> {
        let (value, end) = read(self.rest).map_err(|reason| refused(format!("argument `{name}`: {reason}")))?;
        self.rest = &self.rest[end..];
        Ok(value)
    }
}

/// An argument that is being read.
#[doc(hidden)]
#[derive(Debug)]
pub struct Slot<T> {
    name: &'static str,
    read: Read<T>,
    absent: fn() -> Option<T>,
    value: Option<T>,
}

impl<T> Slot<T> {
    /// Creates a slot for a value or a reference to one.
    pub fn value(name: &'static str, code: ArgumentCode<T>) -> Self {
        Self {
            name,
            read: code.read,
            absent: code.absent,
            value: None,
        }
    }

    /// Reads the value at the position of `reader`.
    ///
    /// # Errors
    /// Returns [`OperationFailure::Arguments`] if the value does not decode or was read before.
    pub fn read(&mut self, reader: &mut ArgumentReader<'_>) -> Result<(), OperationFailure> {
        let value = reader.take(self.name, self.read)?;
        match self.value.replace(value) {
            None => Ok(()),
            Some(_) => Err(refused(format!("argument `{}` is given twice", self.name))),
        }
    }

    /// Returns the argument, which has no default.
    ///
    /// # Errors
    /// Returns [`OperationFailure::Arguments`] if the argument is missing and its type is not an `Option`.
    pub fn required(self) -> Result<T, OperationFailure> {
        match self.value.or_else(self.absent) {
            Some(value) => Ok(value),
            None => Err(refused(format!("argument `{}` is missing", self.name))),
        }
    }

    /// Returns the argument or its default.
    pub fn or_else(self, default: impl FnOnce() -> T) -> T {
        self.value.unwrap_or_else(default)
    }
}

impl<T> Slot<Vec<T>> {
    /// Creates a slot for a slice.
    pub fn list(name: &'static str, code: ArgumentCode<T>) -> Self {
        Self {
            name,
            read: code.read_list,
            absent: || None,
            value: None,
        }
    }
}

fn refused(reason: impl Into<String>) -> OperationFailure {
    OperationFailure::Arguments(reason.into())
}
