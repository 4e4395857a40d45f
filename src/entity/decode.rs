//! From JSON to the arguments of an operation.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::engine::code::OperationFailure;
use crate::entity::argument::{self, ArgumentCode, Read};

/// Walks through a JSON object with the arguments of an operation, by name.
///
/// Names that no parameter has are passed over, so that a caller may be newer than the operation. Nothing and `null`
/// count as an object without fields, so that a caller without arguments needs none.
#[doc(hidden)]
#[derive(Debug)]
pub struct ArgumentReader<'a> {
    /// What is not read yet.
    rest: &'a [u8],
    /// The names under which each parameter is found: its own and its aliases.
    names: &'static [&'static [&'static str]],
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Start,
    /// A value was read; a comma or the end is next.
    Value,
    End,
}

impl<'a> ArgumentReader<'a> {
    /// Begins with the stored arguments.
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

    /// Goes to the value of the next argument that a parameter has, and tells the parameter's place; `None` at the end.
    ///
    /// # Errors
    /// [`OperationFailure::Arguments`] if the text is no JSON object.
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

    /// Passes over all arguments, of an operation that takes none.
    ///
    /// # Errors
    /// [`OperationFailure::Arguments`] if the text is no JSON object.
    pub fn finish(mut self) -> Result<(), OperationFailure> {
        if self.rest == b"{}" {
            return Ok(());
        }
        self.next_place().map(|_| ())
    }

    /// Goes behind the brace or the comma before a name; `false` at the end of the object.
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
                    "the arguments are no JSON object by the names of the parameters",
                ));
            }
            (Stage::Value, Some(b',')) => {
                self.rest = &self.rest[1..];
                return Ok(true);
            }
            (Stage::Value, Some(b'}')) => {}
            (Stage::Value, _) => return Err(refused("the arguments are broken JSON: a `,` or `}` is missing")),
            (Stage::End, _) => return Ok(false),
        }
        self.rest = &self.rest[1..];
        self.stage = Stage::End;
        match self.peek() {
            None => Ok(false),
            Some(_) => Err(refused("the arguments are broken JSON: something follows the object")),
        }
    }

    /// Reads a name; without a copy if nothing in it is escaped.
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
            .map_err(|_| refused("the arguments are broken JSON: a name in quotes is missing"))?;
        self.rest = &self.rest[end..];
        Ok(Cow::Owned(name))
    }

    /// The next character that is no white space.
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
                "the arguments are broken JSON: a `{}` is missing",
                char::from(byte)
            )));
        }
        self.rest = &self.rest[1..];
        Ok(())
    }

    fn take<T>(&mut self, name: &str, read: Read<T>) -> Result<T, OperationFailure> {
        let (value, end) = read(self.rest).map_err(|reason| refused(format!("the argument `{name}`: {reason}")))?;
        self.rest = &self.rest[end..];
        Ok(value)
    }
}

/// One argument while the others are read.
#[doc(hidden)]
#[derive(Debug)]
pub struct Slot<T> {
    name: &'static str,
    read: Read<T>,
    absent: fn() -> Option<T>,
    value: Option<T>,
}

impl<T> Slot<T> {
    /// A parameter that is a value, or a reference to one.
    pub fn value(name: &'static str, code: ArgumentCode<T>) -> Self {
        Self {
            name,
            read: code.read,
            absent: code.absent,
            value: None,
        }
    }

    /// Reads the value at which `reader` stands.
    ///
    /// # Errors
    /// [`OperationFailure::Arguments`] if it does not decode, or was read before.
    pub fn read(&mut self, reader: &mut ArgumentReader<'_>) -> Result<(), OperationFailure> {
        let value = reader.take(self.name, self.read)?;
        match self.value.replace(value) {
            None => Ok(()),
            Some(_) => Err(refused(format!("the argument `{}` is given twice", self.name))),
        }
    }

    /// Takes the argument, which has no default.
    ///
    /// # Errors
    /// [`OperationFailure::Arguments`] if it was not given and its type is no `Option`.
    pub fn required(self) -> Result<T, OperationFailure> {
        match self.value.or_else(self.absent) {
            Some(value) => Ok(value),
            None => Err(refused(format!("the argument `{}` is missing", self.name))),
        }
    }

    /// Takes the argument, or what stands for it.
    pub fn or_else(self, default: impl FnOnce() -> T) -> T {
        self.value.unwrap_or_else(default)
    }
}

impl<T> Slot<Vec<T>> {
    /// A parameter that is a slice.
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
