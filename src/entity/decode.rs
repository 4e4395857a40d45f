//! From JSON to the arguments of an operation.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::engine::code::OperationFailure;
use crate::entity::argument::Argument;

/// The names under which each parameter is found: its own and its aliases.
type Names = [&'static [&'static str]];

/// Decodes arguments from a JSON object, by name. What was not given is `None`; names that no parameter has are ignored.
///
/// Nothing and `null` count as an object without fields, so that a caller without arguments needs none.
///
/// # Errors
/// [`OperationFailure::Arguments`] with the decoder's text.
#[doc(hidden)]
pub fn arguments<L: ArgumentList>(json: &[u8], names: &'static Names) -> Result<L, OperationFailure> {
    let json = match json {
        b"" | b"null" => b"{}",
        json => json,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let list = deserializer
        .deserialize_map(ListVisitor {
            list: L::default(),
            names,
        })
        .and_then(|list| deserializer.end().map(|()| list));
    list.map_err(|reason| OperationFailure::Arguments(reason.to_string()))
}

/// Checks the arguments of an operation that takes none.
///
/// # Errors
/// [`OperationFailure::Arguments`] if they are no JSON object.
#[doc(hidden)]
pub fn no_arguments(json: &[u8]) -> Result<(), OperationFailure> {
    match json {
        b"" | b"{}" | b"null" => Ok(()),
        json => arguments::<()>(json, &[]),
    }
}

/// Takes an argument that has no default.
///
/// # Errors
/// [`OperationFailure::Arguments`] if it was not given and its type is no `Option`.
#[doc(hidden)]
pub fn required<T: Argument>(argument: Option<T>, name: &'static str) -> Result<T, OperationFailure> {
    argument
        .or_else(T::absent)
        .ok_or_else(|| OperationFailure::Arguments(format!("the argument `{name}` is missing")))
}

/// The arguments of one operation while they are read: a tuple of `Option`s, in the order of the parameters.
#[doc(hidden)]
pub trait ArgumentList: Default {
    /// Reads the value of the parameter at `index`; `false` if it was read before.
    ///
    /// # Errors
    /// The decoder's error.
    fn read<'de, A: MapAccess<'de>>(&mut self, index: usize, map: &mut A) -> Result<bool, A::Error>;
}

impl ArgumentList for () {
    fn read<'de, A: MapAccess<'de>>(&mut self, _: usize, map: &mut A) -> Result<bool, A::Error> {
        map.next_value::<IgnoredAny>().map(|_| true)
    }
}

macro_rules! argument_lists {
    ($($first:ident:$at:tt $($rest:ident:$index:tt)*;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<$first: Argument, $($rest: Argument),*> ArgumentList for (Option<$first>, $(Option<$rest>),*) {
            fn read<'de, Map: MapAccess<'de>>(&mut self, index: usize, map: &mut Map) -> Result<bool, Map::Error> {
                match index {
                    $at => fill(&mut self.$at, map),
                    $($index => fill(&mut self.$index, map),)*
                    _ => map.next_value::<IgnoredAny>().map(|_| true),
                }
            }
        }
    )*};
}

// A tuple has a `Default` up to twelve fields.
argument_lists! {
    A:0;
    A:0 B:1;
    A:0 B:1 C:2;
    A:0 B:1 C:2 D:3;
    A:0 B:1 C:2 D:3 E:4;
    A:0 B:1 C:2 D:3 E:4 F:5;
    A:0 B:1 C:2 D:3 E:4 F:5 G:6;
    A:0 B:1 C:2 D:3 E:4 F:5 G:6 H:7;
    A:0 B:1 C:2 D:3 E:4 F:5 G:6 H:7 I:8;
    A:0 B:1 C:2 D:3 E:4 F:5 G:6 H:7 I:8 J:9;
    A:0 B:1 C:2 D:3 E:4 F:5 G:6 H:7 I:8 J:9 K:10;
    A:0 B:1 C:2 D:3 E:4 F:5 G:6 H:7 I:8 J:9 K:10 L:11;
}

fn fill<'de, T: Argument, A: MapAccess<'de>>(argument: &mut Option<T>, map: &mut A) -> Result<bool, A::Error> {
    let is_first = argument.is_none();
    *argument = Some(T::next(map)?);
    Ok(is_first)
}

struct ListVisitor<L> {
    list: L,
    names: &'static Names,
}

impl<'de, L: ArgumentList> Visitor<'de> for ListVisitor<L> {
    type Value = L;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the arguments by name")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<L, A::Error> {
        while let Some(place) = map.next_key_seed(NameVisitor(self.names))? {
            match place {
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
                Some(index) => {
                    if !self.list.read(index, &mut map)? {
                        let name = self.names[index].first().unwrap_or(&"");
                        return Err(A::Error::custom(format_args!("the argument `{name}` is given twice")));
                    }
                }
            }
        }
        Ok(self.list)
    }
}

/// Finds the place of a name without copying it.
struct NameVisitor(&'static Names);

impl<'de> DeserializeSeed<'de> for NameVisitor {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for NameVisitor {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an argument")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|names| names.contains(&name)))
    }
}
