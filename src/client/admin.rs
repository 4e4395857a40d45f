//! The administration of a hub.

use crate::client::handle::Client;

/// Administration of a hub: dead letters, locks, quarantine, registered types and statistics. Created by
/// [`Client::admin`].
#[derive(Clone, Debug)]
pub struct Admin {
    pub(super) client: Client,
}

impl Client {
    /// Returns the administrative view of the hub.
    pub fn admin(&self) -> Admin {
        Admin { client: self.clone() }
    }
}

impl Admin {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}
