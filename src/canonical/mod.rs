//! The canonical form of JSON, in which all texts of the same value have the same bytes.
//!
//! Members of objects are sorted by name, whitespace between tokens is omitted, and strings are escaped as little as
//! possible. Each number has a single notation. Numbers are compared by their digits, so none is rounded: an integer of
//! any length stays exact, and `1` differs from `1.0`, as in Serde.
//!
//! Nothing here recurses, so deep nesting cannot exhaust the stack.

mod number;
mod reader;
mod string;
mod view;

use std::borrow::Cow;

pub(crate) use view::{Kind, View};

/// A parsed JSON text, ready to be written in its canonical form.
#[derive(Debug)]
pub(crate) struct Canonical<'a> {
    /// All values in the order of the text. A container precedes its contents, and a name precedes its value.
    nodes: Vec<Node<'a>>,
}

#[derive(Debug)]
enum Node<'a> {
    /// A value without contents, or the name of a member, in its canonical form.
    Scalar(Cow<'a, str>),
    /// An array whose contents end before the node of this index.
    Array { end: usize },
    /// An object whose contents end before the node of this index.
    Object { end: usize },
}

/// An item that is still to be written.
enum Pending {
    Node(usize),
    Text(&'static str),
}

impl<'a> Canonical<'a> {
    /// Parses a text. Returns `None` if it is invalid JSON.
    pub(crate) fn read(json: &'a [u8]) -> Option<Self> {
        let nodes = reader::read(std::str::from_utf8(json).ok()?)?;
        Some(Self { nodes })
    }

    /// Writes the canonical form, piece by piece.
    pub(crate) fn write(&self, sink: impl FnMut(&[u8])) {
        self.write_node(0, sink);
    }

    fn write_node(&self, at: usize, mut sink: impl FnMut(&[u8])) {
        let mut pending = vec![Pending::Node(at)];
        while let Some(next) = pending.pop() {
            match next {
                Pending::Text(text) => sink(text.as_bytes()),
                Pending::Node(at) => match self.nodes.get(at) {
                    Some(Node::Scalar(text)) => sink(text.as_bytes()),
                    Some(Node::Array { end }) => {
                        sink(b"[");
                        self.push_array(at + 1, *end, &mut pending);
                    }
                    Some(Node::Object { end }) => {
                        sink(b"{");
                        self.push_object(at + 1, *end, &mut pending);
                    }
                    None => {}
                },
            }
        }
    }

    /// Returns the canonical form in one piece.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(|piece| bytes.extend_from_slice(piece));
        bytes
    }

    /// Pushes the pieces that follow an opening bracket, the first piece last.
    fn push_array(&self, first: usize, end: usize, pending: &mut Vec<Pending>) {
        let bottom = pending.len();
        let mut at = first;
        while at < end {
            if at > first {
                pending.push(Pending::Text(","));
            }
            pending.push(Pending::Node(at));
            at = self.after(at);
        }
        pending.push(Pending::Text("]"));
        pending[bottom..].reverse();
    }

    /// Pushes the pieces that follow an opening brace, the first piece last. Members of the same name keep their order,
    /// because some readers use the first one and others the last.
    fn push_object(&self, first: usize, end: usize, pending: &mut Vec<Pending>) {
        let mut members = Vec::new();
        let mut at = first;
        while at < end {
            members.push(at);
            at = self.after(at + 1);
        }
        members.sort_by_key(|at| self.name(*at));
        pending.push(Pending::Text("}"));
        for (index, at) in members.into_iter().enumerate().rev() {
            let pieces = [Pending::Node(at + 1), Pending::Text(":"), Pending::Node(at)];
            pending.extend(pieces);
            if index > 0 {
                pending.push(Pending::Text(","));
            }
        }
    }

    fn name(&self, at: usize) -> &str {
        match self.nodes.get(at) {
            Some(Node::Scalar(name)) => name,
            _ => "",
        }
    }

    /// Returns the index of the node that follows a value and all its contents.
    fn after(&self, at: usize) -> usize {
        match self.nodes.get(at) {
            Some(Node::Array { end } | Node::Object { end }) => *end,
            _ => at + 1,
        }
    }
}

/// Writes the canonical form of a text into `sink`. Invalid JSON is written unchanged.
pub(crate) fn write_canonical(json: &[u8], mut sink: impl FnMut(&[u8])) {
    match Canonical::read(json) {
        Some(canonical) => canonical.write(sink),
        None => sink(json),
    }
}

/// Returns the canonical form of a text in one piece. Invalid JSON is returned unchanged.
pub(crate) fn to_bytes(json: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(json.len());
    write_canonical(json, |piece| bytes.extend_from_slice(piece));
    bytes
}

/// Returns whether two texts represent the same value. Invalid JSON is equal only to itself.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    if one == other {
        return true;
    }
    match (Canonical::read(one), Canonical::read(other)) {
        (Some(one), Some(other)) => one.to_bytes() == other.to_bytes(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
