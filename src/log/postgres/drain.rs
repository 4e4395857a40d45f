//! Nodes that an operator drains.

use std::time::Duration;

use super::session::{Connected, Session};
use super::status::{NodeRow, hub_named};
use crate::error::{Error, ErrorKind, Result};

/// Makes a node leave the hub to the others.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::NotFound`] if there is no such hub or node, of kind [`ErrorKind::Configuration`] if
/// the node does not listen or no other node could take over, or any error of [`Session::run`].
pub(crate) fn drain(session: &Session, name: &str, node: &str, patience: Duration) -> Result<()> {
    let hub = hub_named(session, name, patience)?;
    let found = find(&hub.nodes, node)?;
    if found.address.is_none() {
        return Err(refused(format!(
            "the node `{}` does not listen, so it cannot forward requests; shut it down instead",
            found.name
        )));
    }
    let can_take_over = |other: &NodeRow| other.id != found.id && other.is_connected && !other.is_draining;
    if !hub.nodes.iter().any(can_take_over) {
        return Err(refused(format!(
            "no other node of `{name}` could take over from `{}`; start one first",
            found.name
        )));
    }
    set(session, hub.hub, found, true, patience)
}

/// Lets a node run the hub again.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::NotFound`] if there is no such hub or node, or any error of [`Session::run`].
pub(crate) fn undrain(session: &Session, name: &str, node: &str, patience: Duration) -> Result<()> {
    let hub = hub_named(session, name, patience)?;
    set(session, hub.hub, find(&hub.nodes, node)?, false, patience)
}

/// Returns the node with this id or this name. A process that has ended may have had the same name.
fn find<'a>(nodes: &'a [NodeRow], node: &str) -> Result<&'a NodeRow> {
    let is_meant = |row: &&NodeRow| row.name == node || row.id.to_string() == node;
    let found = nodes.iter().filter(is_meant).max_by_key(|row| row.is_connected);
    found.ok_or_else(|| {
        let names: Vec<&str> = nodes.iter().map(|row| row.name.as_str()).collect();
        let text = format!("there is no node `{node}`; the nodes are {}", names.join(", "));
        Error::new(ErrorKind::NotFound, text)
    })
}

fn set(session: &Session, hub: i32, node: &NodeRow, is_draining: bool, patience: Duration) -> Result<()> {
    let text = "UPDATE abide.node SET draining = $3 WHERE hub = $1 AND node = $2";
    session.run(patience, async |connected: &Connected| {
        connected
            .client
            .execute(text, &[&hub, &node.id, &is_draining])
            .await
            .map(drop)
    })
}

fn refused(text: String) -> Error {
    Error::new(ErrorKind::Configuration, text)
}
