use super::*;
use crate::id::{ExecutionId, ShardId};
use crate::model::orchestration::OrchestrationStatus;

const PARTITION: PartitionId = PartitionId(7);

/// The bytes of every key are part of the stored format and may never change.
#[test]
fn the_layout_of_keys_is_pinned() {
    let id = InstanceId::trusted("@a@k");
    let message_id = MessageId { batch: 258, index: 3 };
    let time = Timestamp(0x0102_0304);
    let execution = ExecutionId(*b"0123456789abcdef");
    let place = Place {
        number: message_id,
        since: time,
    };
    let pinned: [(Vec<u8>, &[u8]); 28] = [
        (partition::key(PARTITION), b"\x00\x07\x01"),
        (
            mail::key(ShardId(3), 258),
            b"\x00\x03\x02\x00\x00\x00\x00\x00\x00\x01\x02",
        ),
        (mail::sent(ShardId(3)), b"\x00\x03\x03"),
        (mail::taken(ShardId(3)), b"\x00\x03\x04"),
        (state::key(PARTITION, &id), b"\x00\x07\x10@a@k"),
        (
            message::key(PARTITION, &id, message_id),
            b"\x00\x07\x20@a@k\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03",
        ),
        (
            timer::key(PARTITION, time, &id, "t"),
            b"\x00\x07\x30\x00\x00\x00\x00\x01\x02\x03\x04@a@k\x00t",
        ),
        (timer::name_key(PARTITION, &id, "t"), b"\x00\x07\x31@a@k\x00t"),
        (request::key(PARTITION, &id, "r"), b"\x00\x07\x40@a@k\x00r"),
        (
            request::age_key(PARTITION, place, &id, "r"),
            b"\x00\x07\x41\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03\x00\x00\x00\x00\x01\x02\x03\x04@a@k\x00r",
        ),
        (
            dead_letter::age_key(PARTITION, place, "@a@k"),
            b"\x00\x07\x51\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03\x00\x00\x00\x00\x01\x02\x03\x04@a@k",
        ),
        (
            dead_letter::key(PARTITION, message_id),
            b"\x00\x07\x50\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03",
        ),
        (quarantine::key(PARTITION, &id), b"\x00\x07\x60@a@k"),
        (
            priority::key(PARTITION, &id, message_id),
            b"\x00\x07\x1f@a@k\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03",
        ),
        (lock::key(PARTITION, &id), b"\x00\x07\x61@a@k"),
        (orchestration::key(PARTITION, &id), b"\x00\x07\x70@a@k"),
        (
            orchestration::turn_key(PARTITION, &id, execution, 258),
            b"\x00\x07\x71@a@k\x000123456789abcdef\x00\x00\x01\x02",
        ),
        (orchestration::start_key(PARTITION, &id), b"\x00\x07\x78@a@k"),
        (orchestration::end_key(PARTITION, &id), b"\x00\x07\x72@a@k"),
        (orchestration::custom_status_key(PARTITION, &id), b"\x00\x07\x73@a@k"),
        (
            orchestration::status_key(PARTITION, OrchestrationStatus::Failed, time, &id),
            b"\x00\x07\x74\x03\x00\x00\x00\x00\x01\x02\x03\x04@a@k",
        ),
        (
            activity::key(PARTITION, &id, execution, 258),
            b"\x00\x07\x75@a@k\x000123456789abcdef\x00\x00\x00\x00\x00\x00\x01\x02",
        ),
        (
            early::event_key(PARTITION, &id, message_id),
            b"\x00\x07\x76@a@k\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03",
        ),
        (
            early::place_key(PARTITION, &id, message_id),
            b"\x00\x07\x79@a@k\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03",
        ),
        (
            early::expiry_key(PARTITION, time, &id, message_id),
            b"\x00\x07\x7a\x00\x00\x00\x00\x01\x02\x03\x04@a@k\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03",
        ),
        (early::count_key(PARTITION, &id), b"\x00\x07\x7b@a@k"),
        (early::left_key(PARTITION, &id), b"\x00\x07\x7c@a@k"),
        (
            child::key(
                PARTITION,
                &InstanceId::trusted("p"),
                &InstanceId::trusted("kid"),
                message_id,
            ),
            b"\x00\x07\x7dp\x00kid\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03",
        ),
    ];
    for (key, bytes) in pinned {
        assert_eq!(key.escape_ascii().to_string(), bytes.escape_ascii().to_string());
    }
}

/// The parts of a key can be read back from it.
#[test]
fn a_key_gives_back_its_parts() {
    let id = InstanceId::trusted("@a@k");
    let message_id = MessageId {
        batch: u64::MAX,
        index: 0,
    };
    let row = message::key(PARTITION, &id, message_id);
    assert_eq!(id_text(&row), Some("@a@k"));
    assert_eq!(mail::number_of(&mail::key(ShardId(3), 258)), Some(258));
    assert_eq!(message::id_of(&row), Some(message_id));
    assert_eq!(
        message::id_of(&dead_letter::key(PARTITION, message_id)),
        Some(message_id)
    );
    assert_eq!(
        timer::parts(&timer::key(PARTITION, Timestamp(9), &id, "a b")),
        Some((Timestamp(9), "@a@k", "a b"))
    );
    let place = Place {
        number: message_id,
        since: Timestamp(9),
    };
    assert_eq!(
        request::age_parts(&request::age_key(PARTITION, place, &id, "a b")),
        Some((place, "@a@k", "a b"))
    );
    assert_eq!(
        early::expiry_parts(&early::expiry_key(PARTITION, Timestamp(9), &id, message_id)),
        Some((Timestamp(9), "@a@k", message_id))
    );
    assert_eq!(
        dead_letter::age_parts(&dead_letter::age_key(PARTITION, place, "@a@k")),
        Some((place, "@a@k"))
    );
    let parent = InstanceId::trusted("p");
    assert_eq!(
        child::parts(&child::key(PARTITION, &parent, &InstanceId::trusted("kid"), message_id)),
        Some(("p", "kid", message_id))
    );
    let row = priority::key(PARTITION, &id, message_id);
    assert_eq!((id_text(&row), message::id_of(&row)), (Some("@a@k"), Some(message_id)));
    assert_eq!(id_text(&lock::key(PARTITION, &id)), Some("@a@k"));
    assert_eq!(
        orchestration::status_parts(&orchestration::status_key(
            PARTITION,
            OrchestrationStatus::Failed,
            Timestamp(9),
            &id
        )),
        Some((Timestamp(9), "@a@k"))
    );
    let execution = ExecutionId([0; 16]);
    assert_eq!(
        activity::parts(&activity::key(PARTITION, &id, execution, 5)),
        Some(("@a@k", execution, 5))
    );
}

/// A scan over all messages returns those that bypass the queue first, and can skip the rows of an instance to reach
/// the next.
#[test]
fn priority_messages_come_before_the_others() {
    let (short, long) = (InstanceId::trusted("@a@k"), InstanceId::trusted("@a@kk"));
    let last = MessageId {
        batch: u64::MAX,
        index: u32::MAX,
    };
    let walk = [
        priority::key(PARTITION, &short, last),
        after_id(&priority::key(PARTITION, &short, last)),
        priority::key(PARTITION, &long, MessageId::MIN),
        message::key(PARTITION, &short, MessageId::MIN),
        after_id(&message::key(PARTITION, &short, MessageId::MIN)),
        message::key(PARTITION, &long, last),
    ];
    assert!(walk.is_sorted());
    assert!(
        walk.iter()
            .all(|key| message::all_with_priority(PARTITION).contains(key))
    );
    assert!(!priority::of(PARTITION, &short).contains(&walk[1]));
    assert!(priority::of(PARTITION, &short).contains(&walk[0]));
    assert_eq!(walk[1], priority::of(PARTITION, &short).end);
    assert_eq!(walk[4], message::after(PARTITION, &short));
}

/// An id whose prefix is another id has its own messages, and the range of an id ends before the next id.
#[test]
fn ranges_hold_one_instance_only() {
    let short = InstanceId::trusted("@a@k");
    let long = InstanceId::trusted("@a@kk");
    let range = message::of(PARTITION, &short, MessageId::MIN);
    let last = MessageId {
        batch: u64::MAX,
        index: u32::MAX,
    };
    assert!(range.contains(&message::key(PARTITION, &short, last)));
    assert!(!range.contains(&message::key(PARTITION, &long, MessageId::MIN)));
    assert!(message::after(PARTITION, &short) <= message::key(PARTITION, &long, MessageId::MIN));
}
