//! Access to single values within a canonical text.

use super::{Canonical, Node};

/// A value within a canonical text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'c> {
    text: &'c Canonical<'c>,
    at: usize,
}

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind<'c> {
    /// A value without contents, in its canonical form.
    Scalar(&'c str),
    Array,
    Object,
}

impl<'c> View<'c> {
    /// Returns the value of the whole text.
    pub(crate) fn of(text: &'c Canonical<'c>) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) fn kind(self) -> Kind<'c> {
        match self.text.nodes.get(self.at) {
            Some(Node::Scalar(text)) => Kind::Scalar(text),
            Some(Node::Array { .. }) => Kind::Array,
            Some(Node::Object { .. }) => Kind::Object,
            None => Kind::Scalar(""),
        }
    }

    /// Returns the elements of an array, or the values of an object in the order of their names. A scalar has none.
    pub(crate) fn children(self) -> Vec<Self> {
        match self.kind() {
            Kind::Scalar(_) => Vec::new(),
            Kind::Array => self.items(),
            Kind::Object => self.members().into_iter().map(|(_, value)| value).collect(),
        }
    }

    /// Returns the members of an object in the order of their names. The names are quoted, as in the text.
    pub(crate) fn members(self) -> Vec<(&'c str, Self)> {
        let Some(Node::Object { end }) = self.text.nodes.get(self.at) else {
            return Vec::new();
        };
        let mut members = Vec::new();
        let mut at = self.at + 1;
        while at < *end {
            members.push((self.text.name(at), self.sibling(at + 1)));
            at = self.text.after(at + 1);
        }
        members.sort_by_key(|(name, _)| *name);
        members
    }

    /// Returns the canonical form of the value.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.text.write_node(self.at, |piece| bytes.extend_from_slice(piece));
        bytes
    }

    fn items(self) -> Vec<Self> {
        let mut items = Vec::new();
        let (mut at, end) = (self.at + 1, self.text.after(self.at));
        while at < end {
            items.push(self.sibling(at));
            at = self.text.after(at);
        }
        items
    }

    fn sibling(self, at: usize) -> Self {
        Self { text: self.text, at }
    }
}
