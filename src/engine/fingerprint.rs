//! Fingerprints, which distinguish requests with the same request id.

use xxhash_rust::xxh3::Xxh3;

use crate::canonical::{self, write_canonical};
use crate::model::Action;
use crate::model::orchestration::Order;

/// Returns a number that distinguishes requests with the same id. Payloads are compared as values, because another
/// process may serialize the same map in another order. The result is part of the stored format.
pub(super) fn fingerprint(action: &Action) -> u64 {
    let mut hash = Hash(Xxh3::new());
    match action {
        Action::Operation { operation, arguments } => {
            hash.part(b"operation");
            hash.part(operation.as_bytes());
            hash.arguments(arguments);
        }
        Action::Schedule {
            timer,
            operation,
            arguments,
            ..
        } => {
            // The due time is excluded, because a retry of "in five minutes" is sent later and means the same.
            hash.part(b"schedule");
            hash.part(timer.as_bytes());
            hash.part(operation.as_bytes());
            hash.arguments(arguments);
        }
        Action::Cancel { timer } => {
            hash.part(b"cancel");
            hash.part(timer.as_bytes());
        }
        Action::Lock(order) => {
            hash.part(b"lock");
            hash.part(&postcard::to_stdvec(order).unwrap_or_default());
        }
        Action::Order(order) => {
            hash.part(b"order");
            hash.part(&postcard::to_stdvec(&asked(order)).unwrap_or_default());
        }
    }
    hash.0.digest()
}

struct Hash(Xxh3);

impl Hash {
    fn part(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Adds the last part, whose canonical form has no known length before it is written. Empty arguments are an object
    /// without members.
    fn arguments(&mut self, json: &[u8]) {
        let json = if json.is_empty() { b"{}" } else { json };
        write_canonical(json, |piece| self.0.update(piece));
    }
}

/// Returns the order without the parts that differ between attempts: the times that the client calculated from the time
/// of the attempt, and the trace. A retry of "in five minutes" is sent later and means the same.
fn asked(order: &Order) -> Order {
    let mut order = order.clone();
    match &mut order {
        Order::Start(start) => {
            start.at = None;
            start.trace = None;
            // Each name occurs once. A program may take tags from a map, whose order differs between processes.
            start.tags.sort_unstable();
            start.input = canonical::to_bytes(&start.input);
        }
        Order::Raise {
            name,
            keep_until,
            payload,
        } => {
            *name = name.to_lowercase();
            *keep_until = None;
            *payload = canonical::to_bytes(payload);
        }
        _ => {}
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::orchestration::StartRecord;
    use crate::time::Timestamp;

    fn operation(arguments: &str) -> Action {
        Action::Operation {
            operation: "note".into(),
            arguments: arguments.into(),
        }
    }

    /// A request id that was used before an update is recognized after it.
    #[test]
    fn fingerprints_are_pinned() {
        let schedule = Action::Schedule {
            timer: "t".into(),
            due: Timestamp(1),
            operation: "note".into(),
            arguments: br#"{"n":1}"#.to_vec(),
        };
        let cancel = Action::Cancel { timer: "t".into() };
        assert_eq!(
            [operation(r#"{"n":1}"#), schedule, cancel].map(|action| fingerprint(&action)),
            [
                1_258_180_719_063_033_868,
                8_306_488_363_897_250_211,
                353_131_775_903_093_175
            ]
        );
    }

    /// Tags are compared without their order, because a map has another order in another process. Another value makes
    /// another request.
    #[test]
    fn tags_count_as_a_map() {
        let start = |tags: &[(&str, &str)]| {
            let tags = tags.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            let start = StartRecord {
                tags: tags.collect(),
                ..StartRecord::default()
            };
            fingerprint(&Action::Order(Box::new(Order::Start(Box::new(start)))))
        };
        assert_eq!(start(&[("a", "1"), ("b", "2")]), start(&[("b", "2"), ("a", "1")]));
        assert_ne!(start(&[("a", "1"), ("b", "2")]), start(&[("a", "2"), ("b", "1")]));
        assert_ne!(start(&[("a", "1")]), start(&[]));
    }

    /// Names of events are compared without case.
    #[test]
    fn names_of_events_count_without_case() {
        let raise = |name: &str| {
            fingerprint(&Action::Order(Box::new(Order::Raise {
                name: name.into(),
                payload: b"1".to_vec(),
                keep_until: None,
            })))
        };
        assert_eq!(raise("Approved"), raise("approved"));
        assert_ne!(raise("approved"), raise("refused"));
    }

    /// Payloads are compared as values: the order of a map and whitespace are ignored. Different numbers make different
    /// requests, however large they are, and so does another order of an array.
    #[test]
    fn payloads_count_as_values() {
        let start = |input: &str| {
            let start = StartRecord {
                name: "play".into(),
                input: input.into(),
                ..StartRecord::default()
            };
            Action::Order(Box::new(Order::Start(Box::new(start))))
        };
        let raise = |payload: &str| {
            Action::Order(Box::new(Order::Raise {
                name: "go".into(),
                payload: payload.into(),
                keep_until: Some(Timestamp(payload.len() as u64)),
            }))
        };
        let schedule = |arguments: &str| Action::Schedule {
            timer: "t".into(),
            due: Timestamp(arguments.len() as u64),
            operation: "note".into(),
            arguments: arguments.into(),
        };
        let ways: [&dyn Fn(&str) -> Action; 4] = [&operation, &start, &raise, &schedule];
        for way in ways {
            let of = |json: &str| fingerprint(&way(json));
            assert_eq!(
                of(r#"{"a":1,"b":[{"c":2,"d":3}]}"#),
                of(r#"{ "b": [{"d":3,"c":2}], "a": 1 }"#)
            );
            assert_ne!(of(r#"{"a":[1,2]}"#), of(r#"{"a":[2,1]}"#));
            assert_ne!(of("18446744073709551617"), of("18446744073709551619"));
            assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":1.0}"#));
            assert_ne!(of("{\"a\":1"), of("{ \"a\":1"));
        }
        assert_eq!(fingerprint(&operation("")), fingerprint(&operation("{ }")));
    }
}
