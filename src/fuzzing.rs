//! The decoders of Abide as functions of bytes, for the targets in `fuzz/` and for `tests/it/fuzzing.rs`. This is not for
//! programs.
//!
//! A decoder returns an error or a value for any bytes, but never panics. A value that it returns is encoded to bytes
//! that it decodes to the same value.

use std::path::Path;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::{self, Canonical};
use crate::history::RecordedHistory;
use crate::hub::Hub;
use crate::id::{EntityId, InstanceId, PartitionId, check_name, check_path_name, check_version};
use crate::model::history::TurnRecord;
use crate::model::orchestration::{
    ActivityRecord, EarlyCountRecord, EarlyEventRecord, EarlyPlaceRecord, EndRecord, LockRecord, OrchestrationRecord,
    OrchestrationStatus, StartRecord,
};
use crate::model::{
    self, AuditRecord, CommitRecord, DeadLetterRecord, MessageRecord, PartitionRecord, QuarantineRecord, RequestRecord,
    StateRecord, TimerRecord,
};
use crate::schema::{activity, child, dead_letter, early, message, orchestration, request, timer};
use crate::store::directory::{Format, sidecar};
use crate::store::{Batch, Change, Changes};
use crate::trace::TraceContext;
use crate::{http, http_client, json, log, schema, testing};

/// Checks that a key that is built from the parts of `$bytes` has the same parts.
macro_rules! same_parts {
    ($bytes:ident, $parts:path, |$pattern:pat_param| $key:expr) => {
        if let Some(parts) = $parts($bytes) {
            let $pattern = parts;
            let key = $key;
            assert_eq!($parts(&key), Some(parts));
        }
    };
}

/// The keys of all tables.
pub fn keys(bytes: &[u8]) {
    let partition = PartitionId(bytes.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes)));
    let id = InstanceId::trusted;
    same_parts!(bytes, activity::parts, |(instance, execution, sequence)| {
        activity::key(partition, &id(instance), execution, sequence)
    });
    same_parts!(bytes, child::parts, |(parent, kid, order)| {
        child::key(partition, &id(parent), &id(kid), order)
    });
    same_parts!(bytes, dead_letter::age_parts, |(place, target)| {
        dead_letter::age_key(partition, place, target)
    });
    same_parts!(bytes, early::expiry_parts, |(expires, instance, message)| {
        early::expiry_key(partition, expires, &id(instance), message)
    });
    same_parts!(bytes, message::id_of, |message| {
        message::key(partition, &id("instance"), message)
    });
    same_parts!(bytes, orchestration::status_parts, |(time, instance)| {
        orchestration::status_key(partition, OrchestrationStatus::Running, time, &id(instance))
    });
    same_parts!(bytes, orchestration::name_parts, |(name, version)| {
        orchestration::name_key(partition, name, version)
    });
    same_parts!(bytes, request::age_parts, |(place, instance, request)| {
        request::age_key(partition, place, &id(instance), request)
    });
    same_parts!(bytes, timer::parts, |(due, instance, name)| {
        timer::key(partition, due, &id(instance), name)
    });
    if let Some(instance) = schema::id_of(bytes) {
        let key = message::key(partition, &instance, crate::id::MessageId::MIN);
        assert_eq!(schema::id_of(&key), Some(instance.clone()));
        assert!(key < schema::after_id(&key));
        timer::name_of(bytes, &instance);
    }
    let _ = timer::due_of(bytes);
    assert!(bytes < &schema::behind(bytes.to_vec())[..]);
}

/// Decodes a record, encodes it, and decodes it again.
fn record<'a, R: Serialize + Deserialize<'a>>(bytes: &'a [u8]) -> Option<Vec<u8>> {
    let record: R = model::decode(bytes, "record").ok()?;
    Some(model::encode(&record).expect("a decoded record can be encoded"))
}

fn same_record<R: Serialize + DeserializeOwned>(bytes: &[u8]) {
    if let Some(encoded) = record::<R>(bytes) {
        let again = record::<R>(&encoded).expect("an encoded record can be decoded");
        assert_eq!(encoded, again);
    }
}

/// The records of all tables. The first byte chooses the record.
pub fn records(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else {
        return;
    };
    match kind % 18 {
        0 => same_record::<CommitRecord>(bytes),
        1 => {
            if let Some(encoded) = record::<StateRecord<'_>>(bytes) {
                assert_eq!(record::<StateRecord<'_>>(&encoded).as_ref(), Some(&encoded));
            }
        }
        2 => same_record::<AuditRecord>(bytes),
        3 => same_record::<MessageRecord>(bytes),
        4 => same_record::<TimerRecord>(bytes),
        5 => same_record::<RequestRecord>(bytes),
        6 => same_record::<DeadLetterRecord>(bytes),
        7 => same_record::<QuarantineRecord>(bytes),
        8 => same_record::<PartitionRecord>(bytes),
        9 => same_record::<OrchestrationRecord>(bytes),
        10 => same_record::<TurnRecord>(bytes),
        11 => same_record::<EndRecord>(bytes),
        12 => same_record::<StartRecord>(bytes),
        13 => same_record::<ActivityRecord>(bytes),
        14 => same_record::<LockRecord>(bytes),
        15 => same_record::<EarlyEventRecord>(bytes),
        16 => same_record::<EarlyPlaceRecord>(bytes),
        _ => same_record::<EarlyCountRecord>(bytes),
    }
}

/// The changes of a commit, as the log stores them.
pub fn changes(bytes: &[u8]) {
    let mut batch = Batch::default();
    let mut changes = Changes::of(bytes);
    for change in &mut changes {
        match change {
            Change::Put { key, value } => batch.put(key, value),
            Change::Insert { key, value } => batch.insert(key, value),
            Change::Delete { key } => batch.delete(key),
        }
    }
    let is_whole = changes.is_at_end();
    assert!(batch.changes().eq(Changes::of(bytes)));
    assert!(batch.bytes() <= bytes.len(), "an encoding is the shortest one");
    assert!(!is_whole || Changes::of(bytes).count() == batch.len());
}

/// A segment of the log.
pub fn log_segments(bytes: &[u8]) {
    log::fuzzing::fuzz(bytes);
}

/// A file of recorded histories, which is restored and replayed.
pub fn recorded_histories(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(histories) = testing::parse(text) else { return };
    for history in histories {
        let line = serde_json::to_string(&history).expect("a recorded history is a document");
        let again: RecordedHistory = serde_json::from_str(&line).expect("and is read again");
        assert_eq!(again, history);
        // The code is unknown, which is an outcome of a replay.
        let _ = testing::replay(Hub::in_memory(), [history]);
    }
}

/// A JSON text, and its canonical form.
pub fn json_texts(bytes: &[u8]) {
    let parsed = serde_json::from_slice::<Value>(bytes);
    let Some(text) = Canonical::read(bytes) else {
        assert!(parsed.is_err(), "a text that serde_json reads has a canonical form");
        assert_eq!(canonical::to_bytes(bytes), bytes);
        return;
    };
    let form = text.to_bytes();
    assert_eq!(canonical::to_bytes(&form), form);
    assert!(canonical::same(bytes, &form));
    walk(canonical::View::of(&text));
    if let Ok(parsed) = parsed {
        let again: Value = serde_json::from_slice(&form).expect("a canonical form is JSON");
        assert_eq!(again, parsed);
        let _ = json::read::<Value>(bytes);
        let mut written = Vec::new();
        if json::write_value(&parsed, &mut written).is_ok() {
            assert_eq!(json::read::<Value>(&written).ok(), Some(parsed));
        }
    }
}

fn walk(root: canonical::View<'_>) {
    // A loop, because a text may be nested deeply.
    let mut pending = vec![root];
    let mut left = 10_000;
    while let Some(view) = pending.pop()
        && left > 0
    {
        left -= 1;
        view.kind();
        pending.extend(view.members().into_iter().map(|(_, member)| member));
        pending.extend(view.children());
    }
}

/// The parameters of a URL, times, URLs and trace headers, which are lines of a text.
pub fn texts(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.lines();
    let mut next = || lines.next().unwrap_or_default();
    http::fuzz_query(next());
    http::parse_time(next());
    let (base, reference) = (next(), next());
    let url = http_client::resolve(base, reference);
    http_client::same_origin(&url, base);
    if let Some(trace) = TraceContext::parse(next(), Some(next())) {
        let again = TraceContext::parse(&trace.to_string(), trace.state());
        assert_eq!(again.as_ref(), Some(&trace));
    }
}

/// Ids and names.
pub fn ids(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let check = |id: &EntityId| assert_eq!(EntityId::new(id.name(), id.key()).ok().as_ref(), Some(id));
    if let Ok(id) = EntityId::from_str(text) {
        assert_eq!(id.to_string().parse::<EntityId>().as_ref().ok(), Some(&id));
        assert_eq!(EntityId::of_stored(id.as_str()).as_ref(), Some(&id));
        check(&id);
    }
    let (name, key) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(id) = EntityId::new(name, key) {
        // Names of entities are lower-case.
        assert_eq!((id.name(), id.key()), (&name.to_lowercase()[..], key));
        check(&id);
    }
    if let Ok(id) = InstanceId::orchestration(text) {
        assert_eq!(id.as_str(), text);
        assert!(!id.is_entity() && id.partition(64).0 < 64);
        assert_eq!(
            record::<String>(&model::encode(&id).expect("an id is a text")),
            model::encode(&id).ok()
        );
    }
    let _ = (
        check_name("name", text),
        check_path_name("name", text),
        check_version(text),
    );
}

/// The files `FORMAT` and `ACKNOWLEDGED`.
pub fn directory_files(bytes: &[u8]) {
    if let Ok(format) = Format::decode(Path::new("hub"), bytes) {
        let text = format.encode().expect("a format is a text");
        assert_eq!(Format::decode(Path::new("hub"), text.as_bytes()).ok(), Some(format));
    }
    if let Some((generation, acknowledged)) = sidecar::newest_slot(bytes) {
        let slot = sidecar::encode(generation, acknowledged);
        assert_eq!(sidecar::newest_slot(&slot), Some((generation, acknowledged)));
    }
    // With a valid checksum, which a mutation alone never finds.
    if let Some(slot) = bytes.get(4..32) {
        let slot = [&crc32fast::hash(slot).to_be_bytes(), slot].concat();
        if let Some((generation, acknowledged)) = sidecar::newest_slot(&slot) {
            assert_eq!(sidecar::encode(generation, acknowledged)[..], slot[..]);
        }
    }
}

/// A target, with its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("changes", changes),
    ("directory_files", directory_files),
    ("ids", ids),
    ("json_texts", json_texts),
    ("keys", keys),
    ("log_segments", log_segments),
    ("recorded_histories", recorded_histories),
    ("records", records),
    ("texts", texts),
];

/// Returns the bytes that a hub has stored, each with its target and a name: keys, records and the changes that write
/// them. They are the seeds of the corpora.
pub fn seeds(hub: &Hub) -> Vec<(&'static str, String, Vec<u8>)> {
    let rows = hub.client().rows().expect("an open hub in memory");
    let mut seeds = Vec::new();
    for (number, (key, value)) in rows.into_iter().enumerate() {
        let table = key.get(2).copied().unwrap_or_default();
        let name = format!("{table:02x}_{number}");
        let kind = match table {
            0x00 => 0,
            0x10 => 1,
            0x11 => 2,
            0x1f | 0x20 => 3,
            0x30 => 4,
            0x40 => 5,
            0x50 => 6,
            0x60 => 7,
            0x01 => 8,
            0x70 => 9,
            0x71 => 10,
            0x72 => 11,
            0x78 => 12,
            0x75 => 13,
            0x61 => 14,
            0x76 => 15,
            0x79 => 16,
            _ => 17,
        };
        let mut batch = Batch::default();
        batch.put(&key, &value);
        batch.insert(&key, &value);
        batch.delete(&key);
        seeds.push(("changes", name.clone(), batch.encoded().to_vec()));
        seeds.push(("records", name.clone(), [&[kind], &value[..]].concat()));
        seeds.push(("keys", name, key));
    }
    seeds
}
