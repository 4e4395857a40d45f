//! The id of a node, which stays with its copy.

use std::path::Path;

use uuid::Uuid;

use crate::error::Result;
use crate::files::{read_if_present, replace};
use crate::log::postgres::{Endpoint, Node};
use crate::random;

const NODE: &str = "NODE";

/// Reads the node of a directory, or creates one. `endpoint` is where the other nodes reach it. A file that is damaged is
/// replaced: the hub gets a new node.
pub(super) fn read_or_create(directory: &Path, endpoint: Option<Endpoint>) -> Result<Node> {
    match read_if_present(&directory.join(NODE))?.and_then(|bytes| parse(&bytes)) {
        Some(id) => Ok(node(id, endpoint)),
        None => create(directory, endpoint),
    }
}

/// Gives a directory a new node.
pub(super) fn create(directory: &Path, endpoint: Option<Endpoint>) -> Result<Node> {
    let id = random::uuid();
    replace(&directory.join(NODE), format!("{id}\n").as_bytes())?;
    Ok(node(id, endpoint))
}

fn node(id: Uuid, endpoint: Option<Endpoint>) -> Node {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let name = format!("{}:{}", host.trim(), std::process::id());
    Node { id, name, endpoint }
}

fn parse(bytes: &[u8]) -> Option<Uuid> {
    std::str::from_utf8(bytes).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_node_and_a_damaged_id_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let node = || read_or_create(directory.path(), None).unwrap().id;
        let first = node();
        assert_eq!(node(), first);
        std::fs::write(directory.path().join(NODE), "no id").unwrap();
        let second = node();
        assert_ne!(second, first);
        assert_eq!(node(), second);
    }
}
