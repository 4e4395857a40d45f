//! The connections of a node to the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use uuid::Uuid;

use crate::log::postgres::{Endpoint, NodeView};
use crate::runtime::roles::OtherNode;
use crate::transport::{Fingerprint, Identity, Peer};

/// Connects to each node once, whatever number of shards it runs.
#[derive(Debug)]
pub(super) struct Peers {
    identity: Identity,
    nodes: Mutex<HashMap<Uuid, (Endpoint, Weak<OtherNode>)>>,
}

impl Peers {
    /// `identity` is that of this node.
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            identity,
            nodes: Mutex::default(),
        }
    }

    /// Returns the connections to a node, if it listens.
    pub(super) fn of(&self, node: &NodeView) -> Option<Arc<OtherNode>> {
        let endpoint = node.endpoint.as_ref()?;
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|_, (_, node)| node.strong_count() > 0);
        let known = nodes.get(&node.id).filter(|(known, _)| known == endpoint);
        if let Some(known) = known.and_then(|(_, node)| node.upgrade()) {
            return Some(known);
        }
        let fingerprint = Fingerprint::from(endpoint.fingerprint);
        let connect = || Peer::new(endpoint.address.clone(), fingerprint, &self.identity);
        let connected = Arc::new(OtherNode {
            requests: connect(),
            waits: connect(),
        });
        nodes.insert(node.id, (endpoint.clone(), Arc::downgrade(&connected)));
        Some(connected)
    }
}
