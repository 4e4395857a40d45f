//! Locks of entities for critical sections of orchestrations.
