//! Whether a payload of today says what the recorded one says.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::canonical::{self, Canonical, Kind, View};
use crate::entity::argument::Parameter;
use crate::orchestration::payload::Normalize;

/// Whether a payload of today says what the recorded one says.
///
/// Numbers are compared by their digits. What is compared is what today's types make of the recorded payload: a field that
/// only they have, with a default, is no difference, and neither is one that they do not know any more.
pub(super) fn agree(recorded: &[u8], asked: &[u8], normalize: Option<Normalize>) -> bool {
    if canonical::same(recorded, asked) {
        return true;
    }
    match normalize {
        None => false,
        Some(Normalize::Value(normalize)) => agree_as(recorded, asked, &normalize),
        Some(Normalize::Arguments(parameters)) => {
            let normalize = |arguments: &[u8]| normalize_arguments(arguments, parameters);
            // What only the record has was not forgotten by accident; an argument that only today's code gives is new.
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

/// How deep values are looked into. What nests deeper has to be the same.
const DEPTH: usize = 128;

type Through<'n> = &'n dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// Compares what today's type makes of the recorded payload with that of today.
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
    let orders = Orders {
        asked: View::of(&is),
        normalize,
    };
    orders.agree(View::of(&was), View::of(&is), &mut Vec::new())
}

/// Passes each argument through its parameter, under the parameter's own name. What no parameter has stays as it is.
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

/// The members of an object that another object has as well.
fn only(object: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    let other = members(other)?;
    let mut members = members(object)?;
    members.retain(|name, _| other.contains_key(name));
    serde_json::to_vec(&members).ok()
}

/// Reads the members of an object. Nothing at all is one without members, as in the arguments of operations.
fn members(object: &[u8]) -> Option<BTreeMap<String, Box<RawValue>>> {
    match object {
        b"" => Some(BTreeMap::new()),
        object => serde_json::from_slice(object).ok(),
    }
}

/// Compares values of which no type is known: fields that only one side has are none of the other's business, but two objects
/// without a field in common are different things.
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

/// Compares two payloads of one type, in which the elements of a `HashSet` may stand in another order.
///
/// JSON does not tell a set from a list. But a type that reads a list and writes it again keeps its order, and a set does not
/// care: so a payload is passed through the type with and without a list turned round, and if what comes out stands in another
/// order than what went in, the order says nothing.
struct Orders<'a> {
    asked: View<'a>,
    normalize: Through<'a>,
}

/// How often a list is passed through its type. A set of two elements, whose order is random each time, looks like a
/// list in one of four.
const ROUNDS: usize = 16;

impl Orders<'_> {
    /// `path` leads to both values: the place of each child among its siblings.
    fn agree(&self, was: View<'_>, is: View<'_>, path: &mut Vec<usize>) -> bool {
        if path.len() == DEPTH {
            return was.to_bytes() == is.to_bytes();
        }
        match (was.kind(), is.kind()) {
            (Kind::Scalar(was), Kind::Scalar(is)) => was == is,
            (Kind::Array, Kind::Array) => {
                self.children_agree(&was.children(), &is.children(), path)
                    || (sorted(was) == sorted(is) && self.is_unordered(path))
            }
            (Kind::Object, Kind::Object) => {
                names(was) == names(is) && self.children_agree(&was.children(), &is.children(), path)
            }
            _ => false,
        }
    }

    fn children_agree(&self, was: &[View<'_>], is: &[View<'_>], path: &mut Vec<usize>) -> bool {
        was.len() == is.len()
            && was.iter().zip(is).enumerate().all(|(place, (was, is))| {
                path.push(place);
                let agree = self.agree(*was, *is, path);
                path.pop();
                agree
            })
    }

    /// Whether the type keeps no order of the list to which a path leads.
    fn is_unordered(&self, path: &[usize]) -> bool {
        let mut turned = Vec::new();
        turn_round(self.asked, path, &mut turned);
        let payloads = [self.asked.to_bytes(), turned];
        (0..ROUNDS).any(|_| payloads.iter().any(|payload| self.changes_order(payload, path)))
    }

    fn changes_order(&self, payload: &[u8], path: &[usize]) -> bool {
        let Some(back) = (self.normalize)(payload) else {
            return false;
        };
        let (Some(given), Some(back)) = (Canonical::read(payload), Canonical::read(&back)) else {
            return false;
        };
        match (follow(View::of(&given), path), follow(View::of(&back), path)) {
            (Some(given), Some(back)) => given.to_bytes() != back.to_bytes() && sorted(given) == sorted(back),
            _ => false,
        }
    }
}

fn follow<'c>(from: View<'c>, path: &[usize]) -> Option<View<'c>> {
    path.iter()
        .try_fold(from, |view, place| view.children().get(*place).copied())
}

/// The elements of a list in an order of their own.
fn sorted(list: View<'_>) -> Vec<Vec<u8>> {
    let mut elements: Vec<Vec<u8>> = list.children().into_iter().map(View::to_bytes).collect();
    elements.sort_unstable();
    elements
}

/// The names of an object's members, in order.
fn names(object: View<'_>) -> Vec<&str> {
    object.members().into_iter().map(|(name, _)| name).collect()
}

/// Writes a value in which the list to which a path leads is turned round.
fn turn_round(value: View<'_>, path: &[usize], json: &mut Vec<u8>) {
    let names = names(value);
    let mut children: Vec<(usize, View<'_>)> = value.children().into_iter().enumerate().collect();
    if path.is_empty() {
        children.reverse();
    }
    let [open, close] = if value.kind() == Kind::Object { *b"{}" } else { *b"[]" };
    json.push(open);
    for (written, (place, child)) in children.into_iter().enumerate() {
        if written > 0 {
            json.push(b',');
        }
        if let Some(name) = names.get(place) {
            json.extend_from_slice(name.as_bytes());
            json.push(b':');
        }
        match path.split_first() {
            Some((next, rest)) if *next == place => turn_round(child, rest, json),
            _ => json.extend(child.to_bytes()),
        }
    }
    json.push(close);
}
