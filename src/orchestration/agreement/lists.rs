//! Lists in payloads, some of which are sets.

use std::collections::BTreeSet;

use super::{DEPTH, Through};
use crate::canonical::{Canonical, Kind, View};

/// Maximum number of times that a payload is passed through its type in one comparison. For a set of two elements, one
/// of two passes keeps the order, and a payload may contain thousands of such sets.
const PASSES: usize = 32;

/// A position in a payload: the index of each child among its siblings.
type Path = Vec<usize>;

/// Compares two payloads of one type, in which the elements of a `HashSet` may be in a different order.
///
/// In JSON, a set looks like a list. But a type that reads a list and writes it again keeps its order, and a set does
/// not. Where the orders differ, the payload is therefore passed through its type, by turns unchanged and with those
/// lists reversed. A list whose order changes is unordered. A list whose order never changes is ordered, and its order
/// is a difference.
pub(super) fn agree_but_for_order(was: View<'_>, is: View<'_>, normalize: Through<'_>) -> bool {
    let mut suspects = BTreeSet::new();
    find_suspects(was, is, &mut Vec::new(), &mut suspects);
    if !agree(was, is, &mut Vec::new(), &suspects) {
        return false;
    }
    let none = BTreeSet::new();
    let probes = [Probe::new(is, &none), Probe::new(is, &suspects)];
    let mut unordered = BTreeSet::new();
    probes.iter().cycle().take(PASSES).any(|probe| {
        probe.pass(normalize, &mut unordered);
        agree(was, is, &mut Vec::new(), &unordered)
    })
}

/// Finds the lists that have the same elements in a different order.
fn find_suspects(was: View<'_>, is: View<'_>, path: &mut Path, suspects: &mut BTreeSet<Path>) {
    if path.len() == DEPTH || was.kind() != is.kind() || was.to_bytes() == is.to_bytes() {
        return;
    }
    if is.kind() == Kind::Array && sorted(was) == sorted(is) {
        suspects.insert(path.clone());
    }
    for (place, (was, is)) in was.children().into_iter().zip(is.children()).enumerate() {
        path.push(place);
        find_suspects(was, is, path, suspects);
        path.pop();
    }
}

/// Returns whether two values are equal, except for the order of unordered lists.
fn agree(was: View<'_>, is: View<'_>, path: &mut Path, unordered: &BTreeSet<Path>) -> bool {
    if path.len() == DEPTH {
        return was.to_bytes() == is.to_bytes();
    }
    match (was.kind(), is.kind()) {
        (Kind::Scalar(was), Kind::Scalar(is)) => was == is,
        (Kind::Array, Kind::Array) if unordered.contains(path) => sorted(was) == sorted(is),
        (Kind::Array, Kind::Array) => children_agree(was, is, path, unordered),
        (Kind::Object, Kind::Object) => names(was) == names(is) && children_agree(was, is, path, unordered),
        _ => false,
    }
}

fn children_agree(was: View<'_>, is: View<'_>, path: &mut Path, unordered: &BTreeSet<Path>) -> bool {
    let (was, is) = (was.children(), is.children());
    was.len() == is.len()
        && was.into_iter().zip(is).enumerate().all(|(place, (was, is))| {
            path.push(place);
            let agree = agree(was, is, path, unordered);
            path.pop();
            agree
        })
}

/// A payload that is passed through its type to find the lists whose order changes.
struct Probe<'a> {
    payload: Vec<u8>,
    /// The lists that are reversed in it. All positions are those in the original payload.
    turned: &'a BTreeSet<Path>,
}

impl<'a> Probe<'a> {
    fn new(value: View<'_>, turned: &'a BTreeSet<Path>) -> Self {
        let turn = |path: &Path, elements: &mut Vec<Vec<u8>>| {
            if turned.contains(path) {
                elements.reverse();
            }
        };
        let payload = arranged(value, &mut Vec::new(), &turn);
        Self { payload, turned }
    }

    /// Records the lists whose order changes.
    fn pass(&self, normalize: Through<'_>, unordered: &mut BTreeSet<Path>) {
        let back = normalize(&self.payload);
        let back = back.as_deref().and_then(Canonical::read);
        if let (Some(given), Some(back)) = (Canonical::read(&self.payload), back) {
            self.compare(View::of(&given), View::of(&back), &mut Vec::new(), unordered);
        }
    }

    fn compare(&self, given: View<'_>, back: View<'_>, path: &mut Path, unordered: &mut BTreeSet<Path>) {
        if path.len() == DEPTH || given.kind() != back.kind() || names(given) != names(back) {
            return;
        }
        let is_list = given.kind() == Kind::Array;
        if is_list {
            // A list of sets keeps its order even if the order of each set changes.
            let (mut went_in, mut came_out) = (settled(given), settled(back));
            if went_in != came_out {
                went_in.sort_unstable();
                came_out.sort_unstable();
                if went_in == came_out {
                    unordered.insert(path.clone());
                }
                return;
            }
        }
        let mut children: Vec<_> = given.children().into_iter().zip(back.children()).collect();
        if is_list && self.turned.contains(path) {
            children.reverse();
        }
        for (place, (given, back)) in children.into_iter().enumerate() {
            path.push(place);
            self.compare(given, back, path, unordered);
            path.pop();
        }
    }
}

/// Returns the elements of a list, sorted.
fn sorted(list: View<'_>) -> Vec<Vec<u8>> {
    let mut elements: Vec<Vec<u8>> = list.children().into_iter().map(View::to_bytes).collect();
    elements.sort_unstable();
    elements
}

/// Returns the elements of a list in their order, with all lists within them sorted.
fn settled(list: View<'_>) -> Vec<Vec<u8>> {
    let settle = |element| arranged(element, &mut Vec::new(), &|_, elements| elements.sort_unstable());
    list.children().into_iter().map(settle).collect()
}

/// Writes a value after its lists are arranged. `arrange` receives the position of a list and its elements.
fn arranged(value: View<'_>, path: &mut Path, arrange: &dyn Fn(&Path, &mut Vec<Vec<u8>>)) -> Vec<u8> {
    let [open, close] = match value.kind() {
        _ if path.len() == DEPTH => return value.to_bytes(),
        Kind::Scalar(text) => return text.into(),
        Kind::Array => *b"[]",
        Kind::Object => *b"{}",
    };
    let names = names(value);
    let mut children = Vec::new();
    for (place, child) in value.children().into_iter().enumerate() {
        path.push(place);
        let mut json = Vec::new();
        if let Some(name) = names.get(place) {
            json.extend_from_slice(name.as_bytes());
            json.push(b':');
        }
        json.extend(arranged(child, path, arrange));
        children.push(json);
        path.pop();
    }
    if value.kind() == Kind::Array {
        arrange(path, &mut children);
    }
    let mut json = vec![open];
    json.extend(children.join(&b','));
    json.push(close);
    json
}

/// Returns the names of an object's members, in order.
fn names(object: View<'_>) -> Vec<&str> {
    object.members().into_iter().map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests;
