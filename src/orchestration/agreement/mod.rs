//! Agreement of a recorded payload with the payload of the current code.

mod lists;

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::canonical::{self, Canonical, Kind, View};
use crate::entity::argument::Parameter;
use crate::orchestration::payload::Normalize;

/// Returns whether a payload of the current code agrees with the recorded one.
///
/// Numbers are compared by their digits. The recorded payload is first passed through the current types. A field that
/// only these types have, with a default, is therefore no difference, and neither is a field that they no longer have.
pub(super) fn agree(recorded: &[u8], asked: &[u8], normalize: Option<Normalize>) -> bool {
    if canonical::same(recorded, asked) {
        return true;
    }
    match normalize {
        None => false,
        Some(Normalize::Value(normalize)) => agree_as(recorded, asked, &normalize),
        Some(Normalize::Arguments(parameters)) => {
            let normalize = |arguments: &[u8]| normalize_arguments(arguments, parameters);
            // An argument that only the record has is a difference. An argument that only the current code passes is
            // new.
            match normalize(recorded).and_then(|recorded| Some((only(asked, &recorded)?, recorded))) {
                Some((asked, recorded)) => agree_as(&recorded, &asked, &normalize),
                None => false,
            }
        }
        Some(Normalize::Written) => {
            let (Some(recorded), Some(asked)) = (Canonical::read(recorded), Canonical::read(asked)) else {
                return false;
            };
            agree_where_both_speak(View::of(&recorded), View::of(&asked), 0)
        }
    }
}

/// Maximum depth of the comparison. Deeper values have to be identical.
const DEPTH: usize = 128;

type Through<'n> = &'n dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// Compares the recorded payload, passed through the current type, with the current payload.
fn agree_as(recorded: &[u8], asked: &[u8], normalize: Through<'_>) -> bool {
    let Some(recorded) = normalize(recorded) else {
        return false;
    };
    if canonical::same(&recorded, asked) {
        return true;
    }
    let (Some(was), Some(is)) = (Canonical::read(&recorded), Canonical::read(asked)) else {
        return false;
    };
    lists::agree_but_for_order(View::of(&was), View::of(&is), normalize)
}

/// Passes each argument through its parameter, under the parameter's own name. Arguments without a parameter are kept.
fn normalize_arguments(arguments: &[u8], parameters: &[Parameter]) -> Option<Vec<u8>> {
    let mut normalized = BTreeMap::new();
    for (name, value) in members(arguments)? {
        let parameter = parameters
            .iter()
            .find(|parameter| parameter.names.contains(&name.as_str()));
        match parameter {
            Some(parameter) => {
                let json = String::from_utf8((parameter.normalize)(value.get().as_bytes())?).ok()?;
                normalized.insert(parameter.names[0].to_owned(), RawValue::from_string(json).ok()?);
            }
            None => {
                normalized.insert(name, value);
            }
        }
    }
    serde_json::to_vec(&normalized).ok()
}

/// Returns the members of an object that another object has as well.
fn only(object: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    let other = members(other)?;
    let mut members = members(object)?;
    members.retain(|name, _| other.contains_key(name));
    serde_json::to_vec(&members).ok()
}

/// Reads the members of an object. Empty input is an object without members, as in the arguments of operations.
fn members(object: &[u8]) -> Option<BTreeMap<String, Box<RawValue>>> {
    match object {
        b"" => Some(BTreeMap::new()),
        object => serde_json::from_slice(object).ok(),
    }
}

/// Compares values of unknown types. Fields that only one side has are ignored, but two objects without a common field
/// differ.
fn agree_where_both_speak(was: View<'_>, is: View<'_>, depth: usize) -> bool {
    if depth == DEPTH {
        return was.to_bytes() == is.to_bytes();
    }
    match (was.kind(), is.kind()) {
        (Kind::Scalar(was), Kind::Scalar(is)) => was == is,
        (Kind::Array, Kind::Array) => {
            let (was, is) = (was.children(), is.children());
            let mut pairs = was.iter().zip(&is);
            was.len() == is.len() && pairs.all(|(was, is)| agree_where_both_speak(*was, *is, depth + 1))
        }
        (Kind::Object, Kind::Object) => {
            let (was, is) = (was.members(), is.members());
            let is_empty = was.is_empty() || is.is_empty();
            let is: BTreeMap<&str, View<'_>> = is.into_iter().collect();
            let mut common = was
                .into_iter()
                .filter_map(|(name, was)| Some((was, *is.get(name)?)))
                .peekable();
            (is_empty || common.peek().is_some()) && common.all(|(was, is)| agree_where_both_speak(was, is, depth + 1))
        }
        _ => false,
    }
}
