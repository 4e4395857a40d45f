//! The entities in memory, as a cache of two generations that is bounded in bytes.

use std::ops::Range;

use crate::engine::audit::Audit;
use crate::engine::code::EntityObject;
use crate::id::InstanceId;
use crate::maps::{self, InstanceMap};

/// An entity in memory.
pub(crate) struct Entity {
    /// `None` if the entity has no state.
    pub(crate) object: Option<Box<dyn EntityObject>>,
    /// True if a row of the state exists in the store or in an earlier step.
    pub(crate) stored: bool,
    /// True if this step has to write the row.
    pub(crate) dirty: bool,
    /// Range of the newest encoding in the step's memory.
    pub(crate) encoding: Range<usize>,
    /// Memory of the object, as [`memory_of`] estimates it from the last known encoding.
    pub(crate) bytes: u32,
    /// The places of its stored changes, once they are known. Only for types that keep them.
    pub(super) audit: Option<Box<Audit>>,
    /// True if `bytes` is outdated, because the state was encoded or deleted.
    pub(crate) has_changed: bool,
}

impl Entity {
    /// Creates an entity without state.
    pub(crate) fn absent() -> Self {
        Self {
            object: None,
            stored: false,
            dirty: false,
            encoding: 0..0,
            bytes: 0,
            has_changed: false,
            audit: None,
        }
    }

    /// Creates an entity whose state was read from its row.
    pub(crate) fn present(object: Box<dyn EntityObject>, json: &[u8]) -> Self {
        Self {
            object: Some(object),
            stored: true,
            dirty: false,
            encoding: 0..0,
            bytes: memory_of(json),
            has_changed: false,
            audit: None,
        }
    }

    /// Creates an entity whose row exists but does not decode at present. Its state can only be replaced as a whole.
    pub(crate) fn unreadable() -> Self {
        Self {
            stored: true,
            ..Self::absent()
        }
    }

    /// Returns `true` if the entity in memory equals the state that its row contains.
    pub(crate) fn is_readable(&self) -> bool {
        self.object.is_some() || !self.stored || self.dirty
    }

    /// Updates [`bytes`](Self::bytes), once for all operations of a turn.
    pub(crate) fn weigh(&mut self, encodings: &[u8]) {
        if std::mem::take(&mut self.has_changed) {
            let json = &encodings[self.encoding.clone()];
            self.bytes = if self.object.is_some() { memory_of(json) } else { 0 };
        }
    }

    /// Returns its estimated memory, including its share of the maps.
    fn weight(&self) -> usize {
        self.bytes as usize + 320
    }
}

/// Estimates the memory of an object and of its copy from before the last operation: the texts, and a slot for each
/// value. The JSON of a short value is smaller than its slot: an empty string takes 3 bytes as JSON and 24 in memory.
fn memory_of(json: &[u8]) -> u32 {
    let values = json.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    u32::try_from(2 * (json.len() + 24 * values)).unwrap_or(u32::MAX)
}

/// An entity, or `None` while its turn runs, so its slot need not be created again.
type Slot = Option<Entity>;

/// The entities in memory. An entity is dropped if it was not used while the younger generation filled half of the
/// budget.
#[derive(Default)]
pub(crate) struct States {
    young: InstanceMap<Slot>,
    old: InstanceMap<Slot>,
    young_bytes: usize,
    budget: usize,
}

impl States {
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            budget,
            ..Self::default()
        }
    }

    pub(crate) fn contains(&self, id: &InstanceId) -> bool {
        let is_present = |states: &InstanceMap<Slot>| states.get(id).is_some_and(Slot::is_some);
        is_present(&self.young) || is_present(&self.old)
    }

    /// Takes an entity for its turn. [`put`](Self::put) returns it.
    pub(crate) fn take(&mut self, id: &InstanceId) -> Option<Entity> {
        if let Some(entity) = self.young.get_mut(id).and_then(Slot::take) {
            self.young_bytes = self.young_bytes.saturating_sub(entity.weight());
            return Some(entity);
        }
        self.old.remove(id).flatten()
    }

    /// Adds or returns an entity.
    pub(crate) fn put(&mut self, id: &InstanceId, entity: Entity) {
        self.young_bytes += entity.weight();
        match self.young.get_mut(id) {
            Some(slot) => *slot = Some(entity),
            None => {
                self.young.insert(id.clone(), Some(entity));
            }
        }
    }

    pub(crate) fn get_mut(&mut self, id: &InstanceId) -> Option<&mut Entity> {
        match self.young.get_mut(id) {
            Some(slot) => slot.as_mut(),
            None => self.old.get_mut(id).and_then(Slot::as_mut),
        }
    }

    /// Removes an entity.
    pub(crate) fn remove(&mut self, id: &InstanceId) {
        self.take(id);
        self.young.remove(id);
    }

    /// Ages the cache if it exceeds its budget. Must be called between two steps, because the cache contains the
    /// changed entities of a step.
    pub(crate) fn age(&mut self) {
        if self.young_bytes > self.budget / 2 {
            maps::age(&mut self.young, &mut self.old);
            self.young_bytes = 0;
        }
    }

    /// Panics if the counted bytes are wrong or exceed the budget.
    #[cfg(test)]
    pub(crate) fn recount(&self) {
        let mut held = 0;
        for entity in self.young.values().flatten() {
            held += entity.weight();
            let mut json = Vec::new();
            if let Some(object) = &entity.object {
                object.encode(&mut json).expect("a cached state was encoded before");
            }
            assert_eq!(entity.bytes, memory_of(&json), "the bytes of an entity");
        }
        assert_eq!(self.young_bytes, held, "the bytes of all entities");
        assert!(
            held <= self.budget / 2,
            "{held} bytes are held, and the budget is {}",
            self.budget
        );
    }

    /// Returns the number of slots in memory.
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> InstanceId {
        InstanceId::trusted(format!("@a@{n}"))
    }

    /// The estimate is at least the minimum memory of two objects, whatever their JSON.
    #[test]
    fn short_values_count_with_their_places() {
        fn counts<T: serde::Serialize>(list: &Vec<T>, heap: usize) {
            let json = serde_json::to_vec(list).unwrap();
            let least = 2 * (list.len() * size_of::<T>() + heap);
            assert!(
                (least..4 * least).contains(&(memory_of(&json) as usize)),
                "{least}, {}",
                memory_of(&json)
            );
        }
        counts(&vec![String::new(); 1_000], 0);
        counts(&vec![0_u64; 1_000], 0);
        counts(&vec![Some(0_u64); 1_000], 0);
        counts(&vec!["x".repeat(100); 1_000], 100_000);
    }

    /// The cache stays within its budget regardless of the number of entities that pass through it. Used entities stay
    /// in it.
    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut states = States::new(320 * 100);
        for n in 0..10_000 {
            states.put(&id(n), Entity::absent());
            let hot = states.take(&id(0)).expect("an entity in use stays");
            states.put(&id(0), hot);
            states.age();
            assert!(states.len() <= 102, "{} entities", states.len());
        }
        assert!(!states.contains(&id(1)));
    }

    /// An entity is absent while its turn runs, even if it is removed or the cache ages in the meantime.
    #[test]
    fn what_is_taken_is_not_there() {
        let mut states = States::new(0);
        states.put(&id(1), Entity::absent());
        let entity = states.take(&id(1)).expect("it was put in");
        assert!(!states.contains(&id(1)));
        assert!(states.take(&id(1)).is_none() && states.get_mut(&id(1)).is_none());
        states.put(&id(1), entity);
        assert!(states.get_mut(&id(1)).is_some());
        states.take(&id(1));
        states.remove(&id(1));
        assert_eq!(states.len(), 0);
    }
}
