//! The id of a node, which stays with its copy.

use std::path::Path;

use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::files::{read_if_present, replace};
use crate::log::postgres::Node;
use crate::random;

const NODE: &str = "NODE";

/// Reads the node of a directory, or creates one.
pub(super) fn read_or_create(directory: &Path) -> Result<Node> {
    let path = directory.join(NODE);
    let id = match read_if_present(&path)? {
        Some(bytes) => parse(&bytes).ok_or_else(|| {
            Error::new(
                ErrorKind::Corrupted,
                format!(
                    "{} has no id; remove the directory, which only has a copy",
                    path.display()
                ),
            )
        })?,
        None => {
            let id = random::uuid();
            replace(&path, format!("{id}\n").as_bytes())?;
            id
        }
    };
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let name = format!("{}:{}", host.trim(), std::process::id());
    Ok(Node { id, name })
}

fn parse(bytes: &[u8]) -> Option<Uuid> {
    std::str::from_utf8(bytes).ok()?.trim().parse().ok()
}
