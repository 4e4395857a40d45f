//! Adapter from a user's entity type to the code that the engine runs.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::engine::code::{
    AsyncOperation, EntityCode, EntityObject, OperationFailure, OperationOutcome, OperationSpec,
};
use crate::engine::outbox::Outbox;
use crate::engine::scope::Scope;
use crate::entity::context::EntityContext;
use crate::entity::kind::Entity;
use crate::entity::operations::{Operations, ReadTurn, Turn};
use crate::json;
use crate::resource::{ResourceNeed, Resources};

/// Returns the code of entity type `E` for the engine.
pub(crate) fn entity_code<E: Entity + Operations>() -> Arc<dyn EntityCode> {
    Arc::new(TypedCode::<E>(PhantomData))
}

struct TypedCode<E>(PhantomData<fn() -> E>);

impl<E: Entity + Operations> EntityCode for TypedCode<E> {
    fn name(&self) -> &str {
        E::NAME
    }

    fn audit(&self) -> usize {
        E::AUDIT
    }

    fn operations(&self) -> &'static [&'static str] {
        E::NAMES
    }

    fn find(&self, operation: &str) -> Option<OperationSpec> {
        E::find(operation)
    }

    fn resources(&self) -> &'static [(&'static str, ResourceNeed)] {
        E::RESOURCES
    }

    fn parameters(&self, spec: OperationSpec) -> &'static [&'static str] {
        E::parameters(spec.index)
    }

    fn check_arguments(&self, spec: OperationSpec, arguments: &[u8]) -> Result<(), String> {
        match E::check(spec.index, arguments) {
            Err(OperationFailure::Arguments(reason)) => Err(reason),
            _ => Ok(()),
        }
    }

    fn create(&self, key: &str) -> Box<dyn EntityObject> {
        Box::new(TypedObject::new(E::first(key)))
    }

    fn decode(&self, state: &[u8]) -> Result<Box<dyn EntityObject>, String> {
        match E::from_json(state) {
            Ok(state) => Ok(Box::new(TypedObject::new(state))),
            Err(reason) => Err(reason.to_string()),
        }
    }
}

/// The state of one entity and its restore point.
pub(crate) struct TypedObject<E> {
    state: E,
    /// The restore point of a type that is `Clone`. It is kept so that the next clone can reuse its memory.
    saved: Option<E>,
    /// The restore point of any other type, as JSON.
    encoded: Vec<u8>,
}

impl<E: Entity + Operations> TypedObject<E> {
    pub(crate) fn new(state: E) -> Self {
        Self {
            state,
            saved: None,
            encoded: Vec::new(),
        }
    }

    /// Returns a copy of the state for an `async` operation.
    fn copy(&self) -> serde_json::Result<E> {
        let mut copy = None;
        self.state.clone_to(&mut copy);
        match copy {
            Some(copy) => Ok(copy),
            None => {
                let mut json = Vec::new();
                self.state.to_json(&mut json)?;
                E::from_json(&json)
            }
        }
    }
}

impl<E: Entity + Operations> EntityObject for TypedObject<E> {
    fn read(&self, operation: usize, arguments: &[u8], scope: &Scope) -> OperationOutcome {
        E::read(&self.state, operation, arguments, ReadTurn { scope })
    }

    fn write(&mut self, operation: usize, arguments: &[u8], scope: &Scope, outbox: &mut Outbox) -> OperationOutcome {
        E::write(&mut self.state, operation, arguments, Turn { scope, outbox })
    }

    fn start(
        &self,
        operation: usize,
        arguments: Vec<u8>,
        scope: Scope,
        resources: Resources,
    ) -> Result<AsyncOperation, String> {
        let copy = self.copy().map_err(|reason| reason.to_string())?;
        let context = EntityContext::with_resources(scope, resources);
        Ok(E::start(copy, operation, arguments, context).0)
    }

    fn save_restore_point(&mut self) -> Result<(), String> {
        if self.state.clone_to(&mut self.saved) {
            return Ok(());
        }
        self.encoded.clear();
        self.state
            .to_json(&mut self.encoded)
            .map_err(|reason| reason.to_string())
    }

    fn roll_back(&mut self) -> Result<(), String> {
        self.state = match self.saved.take() {
            Some(saved) => saved,
            None => E::from_json(&self.encoded).map_err(|reason| reason.to_string())?,
        };
        Ok(())
    }

    fn encode(&self, json: &mut Vec<u8>) -> Result<(), String> {
        let start = json.len();
        let written = self.state.to_json(json);
        // The state is read back here because the operation can still fail. Later, an unreadable state would be lost.
        written
            .and_then(|()| json::read_back(|| E::from_json(&json[start..])))
            .map_err(|reason| reason.to_string())
    }
}
