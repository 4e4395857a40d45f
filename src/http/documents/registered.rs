//! The document that describes a hub and what its program has registered.

use std::collections::BTreeSet;
use std::time::SystemTime;

use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::Registered;
use crate::http::documents::time;
use crate::http::security::Scope;

/// A hub and what its program has registered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct HubDocument {
    /// Version of the library.
    version: &'static str,
    /// `true` for the directory of a stopped hub, which cannot be changed and whose code is unknown.
    read_only: bool,
    /// `true` if this process runs the hub; `false` for a node that waits, and for the directory of a stopped hub.
    runs_hub: bool,
    /// Access of the token of the request: `read` or `operate`.
    scope: &'static str,
    /// Time of the hub.
    #[schema(format = DateTime)]
    now: String,
    /// Time at which the hub was opened; `null` if it is stopped.
    #[schema(required = true, format = DateTime)]
    opened_at: Option<String>,
    entities: Vec<RegisteredEntityDocument>,
    orchestrations: Vec<RegisteredOrchestrationDocument>,
    /// Names of the activities.
    activities: Vec<String>,
    /// Unregistered names that were requested since the hub was opened.
    unregistered: BTreeSet<String>,
}

/// A registered entity type.
#[derive(Debug, Serialize, ToSchema)]
struct RegisteredEntityDocument {
    name: String,
    operations: Vec<RegisteredOperationDocument>,
}

/// An operation of a registered entity type.
#[derive(Debug, Serialize, ToSchema)]
struct RegisteredOperationDocument {
    name: String,
    /// Names of the parameters, in order.
    parameters: Vec<String>,
}

/// A registered orchestration.
#[derive(Debug, Serialize, ToSchema)]
struct RegisteredOrchestrationDocument {
    name: String,
    /// Versions, newest last. An empty string stands for no version.
    versions: Vec<String>,
}

impl HubDocument {
    pub(in crate::http) fn new(registered: Registered, scope: Scope, now: SystemTime) -> Self {
        let entities = registered.entities.into_iter().map(|entity| RegisteredEntityDocument {
            name: entity.name,
            operations: entity
                .operations
                .into_iter()
                .map(|operation| RegisteredOperationDocument {
                    name: operation.name,
                    parameters: operation.parameters,
                })
                .collect(),
        });
        let orchestrations = registered.orchestrations.into_iter();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            read_only: false,
            runs_hub: false,
            scope: match scope {
                Scope::Read => "read",
                Scope::Operate => "operate",
            },
            now: time(now),
            opened_at: None,
            entities: entities.collect(),
            orchestrations: orchestrations
                .map(|orchestration| RegisteredOrchestrationDocument {
                    name: orchestration.name,
                    versions: orchestration.versions,
                })
                .collect(),
            activities: registered.activities,
            unregistered: BTreeSet::new(),
        }
    }

    pub(in crate::http) fn of_open_hub(
        mut self,
        runs_hub: bool,
        opened: SystemTime,
        unregistered: BTreeSet<String>,
    ) -> Self {
        self.runs_hub = runs_hub;
        self.opened_at = Some(time(opened));
        self.unregistered = unregistered;
        self
    }

    pub(in crate::http) fn of_stopped_hub(mut self) -> Self {
        self.read_only = true;
        self
    }
}
