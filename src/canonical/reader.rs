//! Reads a JSON text into a flat list of nodes, strictly following the grammar of RFC 8259.

use std::borrow::Cow;

use super::{Node, number, string};

/// The length of a value without contents in the text, and its canonical form.
pub(super) type Scalar<'a> = (usize, Cow<'a, str>);

/// The next expected token.
enum Expected {
    Value,
    /// A value, or the end of an array that has just begun.
    ValueOrEnd,
    Name,
    /// A name, or the end of an object that has just begun.
    NameOrEnd,
    /// The token after a value: a comma, the end of its container or the end of the text.
    Rest,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    nodes: Vec<Node<'a>>,
    /// The containers that have not ended, as indices of their nodes.
    open: Vec<usize>,
}

/// Reads a text. Returns `None` if it is invalid JSON.
pub(super) fn read(text: &str) -> Option<Vec<Node<'_>>> {
    let mut reader = Reader {
        text,
        at: 0,
        nodes: Vec::new(),
        open: Vec::new(),
    };
    let mut expected = Expected::Value;
    loop {
        reader.skip_blanks();
        expected = match (expected, reader.peek()) {
            (Expected::Rest, None) if reader.open.is_empty() => return Some(reader.nodes),
            (Expected::Rest | Expected::ValueOrEnd, Some(b']')) => reader.close(false)?,
            (Expected::Rest | Expected::NameOrEnd, Some(b'}')) => reader.close(true)?,
            (Expected::Rest, Some(b',')) => reader.comma()?,
            (Expected::Name | Expected::NameOrEnd, Some(b'"')) => reader.name()?,
            (Expected::Value | Expected::ValueOrEnd, Some(first)) => reader.value(first)?,
            _ => return None,
        };
    }
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, first: u8) -> Option<Expected> {
        match first {
            b'{' | b'[' => {
                self.open.push(self.nodes.len());
                self.at += 1;
                // The end is set once it is known.
                let (node, expected) = if first == b'{' {
                    (Node::Object { end: 0 }, Expected::NameOrEnd)
                } else {
                    (Node::Array { end: 0 }, Expected::ValueOrEnd)
                };
                self.nodes.push(node);
                Some(expected)
            }
            b'"' => self.scalar(string::canonical),
            b'-' | b'0'..=b'9' => self.scalar(number::canonical),
            _ => self.scalar(literal),
        }
    }

    /// Consumes a value without contents. `read` returns its length in the text and its canonical form.
    fn scalar(&mut self, read: fn(&'a str) -> Option<Scalar<'a>>) -> Option<Expected> {
        let (length, canonical) = read(self.text.get(self.at..)?)?;
        self.at += length;
        self.nodes.push(Node::Scalar(canonical));
        Some(Expected::Rest)
    }

    fn name(&mut self) -> Option<Expected> {
        self.scalar(string::canonical)?;
        self.skip_blanks();
        if self.peek() != Some(b':') {
            return None;
        }
        self.at += 1;
        Some(Expected::Value)
    }

    fn comma(&mut self) -> Option<Expected> {
        self.at += 1;
        match self.nodes.get(*self.open.last()?)? {
            Node::Object { .. } => Some(Expected::Name),
            _ => Some(Expected::Value),
        }
    }

    fn close(&mut self, object: bool) -> Option<Expected> {
        self.at += 1;
        let begun = self.open.pop()?;
        let after = self.nodes.len();
        match self.nodes.get_mut(begun)? {
            Node::Object { end } if object => *end = after,
            Node::Array { end } if !object => *end = after,
            _ => return None,
        }
        Some(Expected::Rest)
    }
}

fn literal(text: &str) -> Option<Scalar<'_>> {
    let literal = ["null", "true", "false"]
        .into_iter()
        .find(|literal| text.starts_with(literal))?;
    Some((literal.len(), Cow::Borrowed(literal)))
}
