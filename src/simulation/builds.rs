//! Builds of the program that opens the hub: a complete one, and some that lack something.

use std::sync::Arc;

use super::orchestration::{self, Versions};
use super::workload::{Archive, Ledger, Register};
use crate::engine::Registry;
use crate::engine::code::{EntityCode, EntityObject, OperationSpec};
use crate::entity::entity_code;

/// Number of changes of a register that are kept.
pub(super) const AUDITED: usize = 3;

/// A build of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Build {
    Good,
    /// Cannot decode the states of ledgers.
    CannotReadLedgers,
    /// Panics when it decodes a register.
    PanicsAtRegisters,
    /// Lacks the operation `work_slowly` of ledgers.
    LacksAnOperation,
    /// Does not register the entity type `register`.
    LacksRegisters,
    /// Does not register the archive.
    LacksTheArchive,
    /// Does not register the orchestration.
    LacksOrchestrations,
    /// Does not register the activities.
    LacksActivities,
}

impl Build {
    pub(super) const BAD: [Self; 5] = [
        Self::CannotReadLedgers,
        Self::PanicsAtRegisters,
        Self::LacksAnOperation,
        Self::LacksRegisters,
        Self::LacksTheArchive,
    ];

    /// Builds that lack something of orchestrations only.
    pub(super) const BAD_FOR_ORCHESTRATIONS: [Self; 2] = [Self::LacksOrchestrations, Self::LacksActivities];

    /// Returns whether the build lacks the entity type `name`.
    pub(super) fn lacks(self, name: &str) -> bool {
        match self {
            Self::LacksRegisters => name == "register",
            Self::LacksTheArchive => name == "archive",
            _ => false,
        }
    }

    /// Returns whether the build has the entity type `name` without this operation.
    pub(super) fn lacks_operation(self, name: &str, operation: &str) -> bool {
        self == Self::LacksAnOperation && name == "ledger" && operation == "work_slowly"
    }

    pub(super) fn registry(self, versions: Versions) -> Arc<Registry> {
        let mut registry = Registry::default();
        let codes = [
            entity_code::<Ledger>(),
            entity_code::<Register>(),
            entity_code::<Archive>(),
        ];
        for code in codes {
            if !self.lacks(code.name()) {
                registry.add_entity(Arc::new(Changed { code, build: self })).unwrap();
            }
        }
        orchestration::register(&mut registry, self, versions);
        Arc::new(registry)
    }
}

/// The code of an entity type in one build.
struct Changed {
    code: Arc<dyn EntityCode>,
    build: Build,
}

impl EntityCode for Changed {
    fn name(&self) -> &str {
        self.code.name()
    }

    fn operations(&self) -> &'static [&'static str] {
        self.code.operations()
    }

    fn find(&self, operation: &str) -> Option<OperationSpec> {
        if self.build.lacks_operation(self.name(), operation) {
            return None;
        }
        self.code.find(operation)
    }

    fn parameters(&self, spec: OperationSpec) -> &'static [&'static str] {
        self.code.parameters(spec)
    }

    fn audit(&self) -> usize {
        if self.name() == "register" { AUDITED } else { 0 }
    }

    fn check_arguments(&self, spec: OperationSpec, arguments: &[u8]) -> Result<(), String> {
        self.code.check_arguments(spec, arguments)
    }

    fn create(&self, key: &str) -> Box<dyn EntityObject> {
        self.code.create(key)
    }

    fn decode(&self, state: &[u8]) -> Result<Box<dyn EntityObject>, String> {
        match self.build {
            Build::CannotReadLedgers if self.name() == "ledger" => Err("this build cannot read it".to_owned()),
            Build::PanicsAtRegisters if self.name() == "register" => {
                std::panic::resume_unwind(Box::new("this build panics on it"))
            }
            _ => self.code.decode(state),
        }
    }
}
