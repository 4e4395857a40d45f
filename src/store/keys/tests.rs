use super::*;

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
    let pinned: [(Vec<u8>, &[u8]); 25] = [
        (partition(PARTITION), b"\x00\x07\x01"),
        (state(PARTITION, &id), b"\x00\x07\x10@a@k"),
        (
            message(PARTITION, &id, message_id),
            b"\x00\x07\x20@a@k\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03",
        ),
        (
            timer(PARTITION, time, &id, "t"),
            b"\x00\x07\x30\x00\x00\x00\x00\x01\x02\x03\x04@a@k\x00t",
        ),
        (timer_name(PARTITION, &id, "t"), b"\x00\x07\x31@a@k\x00t"),
        (request(PARTITION, &id, "r"), b"\x00\x07\x40@a@k\x00r"),
        (
            request_age(PARTITION, place, &id, "r"),
            b"\x00\x07\x41\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03\x00\x00\x00\x00\x01\x02\x03\x04@a@k\x00r",
        ),
        (
            dead_letter_age(PARTITION, place, "@a@k"),
            b"\x00\x07\x51\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03\x00\x00\x00\x00\x01\x02\x03\x04@a@k",
        ),
        (
            dead_letter(PARTITION, message_id),
            b"\x00\x07\x50\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03",
        ),
        (quarantine(PARTITION, &id), b"\x00\x07\x60@a@k"),
        (
            urgent(PARTITION, &id, message_id),
            b"\x00\x07\x1f@a@k\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03",
        ),
        (lock(PARTITION, &id), b"\x00\x07\x61@a@k"),
        (instance(PARTITION, &id), b"\x00\x07\x70@a@k"),
        (
            turn(PARTITION, &id, execution, 258),
            b"\x00\x07\x71@a@k\x000123456789abcdef\x00\x00\x01\x02",
        ),
        (start(PARTITION, &id), b"\x00\x07\x78@a@k"),
        (end(PARTITION, &id), b"\x00\x07\x72@a@k"),
        (custom_status(PARTITION, &id), b"\x00\x07\x73@a@k"),
        (
            status(PARTITION, OrchestrationStatus::Failed, time, &id),
            b"\x00\x07\x74\x03\x00\x00\x00\x00\x01\x02\x03\x04@a@k",
        ),
        (
            activity(PARTITION, &id, execution, 258),
            b"\x00\x07\x75@a@k\x000123456789abcdef\x00\x00\x00\x00\x00\x00\x01\x02",
        ),
        (
            early_event(PARTITION, &id, message_id),
            b"\x00\x07\x76@a@k\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03",
        ),
        (
            early_place(PARTITION, &id, message_id),
            b"\x00\x07\x79@a@k\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03",
        ),
        (
            early_expiry(PARTITION, time, &id, message_id),
            b"\x00\x07\x7a\x00\x00\x00\x00\x01\x02\x03\x04@a@k\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x03",
        ),
        (early_count(PARTITION, &id), b"\x00\x07\x7b@a@k"),
        (early_left(PARTITION, &id), b"\x00\x07\x7c@a@k"),
        (
            child(
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
    let row = message(PARTITION, &id, message_id);
    assert_eq!(id_of(&row), Some("@a@k"));
    assert_eq!(message_id_of(&row), Some(message_id));
    assert_eq!(message_id_of(&dead_letter(PARTITION, message_id)), Some(message_id));
    assert_eq!(
        timer_parts(&timer(PARTITION, Timestamp(9), &id, "a b")),
        Some((Timestamp(9), "@a@k", "a b"))
    );
    let place = Place {
        number: message_id,
        since: Timestamp(9),
    };
    assert_eq!(
        request_age_parts(&request_age(PARTITION, place, &id, "a b")),
        Some((place, "@a@k", "a b"))
    );
    assert_eq!(
        early_expiry_parts(&early_expiry(PARTITION, Timestamp(9), &id, message_id)),
        Some((Timestamp(9), "@a@k", message_id))
    );
    assert_eq!(
        dead_letter_age_parts(&dead_letter_age(PARTITION, place, "@a@k")),
        Some((place, "@a@k"))
    );
    let parent = InstanceId::trusted("p");
    assert_eq!(
        child_parts(&child(PARTITION, &parent, &InstanceId::trusted("kid"), message_id)),
        Some(("p", "kid", message_id))
    );
    let row = urgent(PARTITION, &id, message_id);
    assert_eq!((id_of(&row), message_id_of(&row)), (Some("@a@k"), Some(message_id)));
    assert_eq!(id_of(&lock(PARTITION, &id)), Some("@a@k"));
    assert_eq!(
        status_parts(&status(PARTITION, OrchestrationStatus::Failed, Timestamp(9), &id)),
        Some((Timestamp(9), "@a@k"))
    );
    let execution = ExecutionId([0; 16]);
    assert_eq!(
        activity_parts(&activity(PARTITION, &id, execution, 5)),
        Some(("@a@k", execution, 5))
    );
}

/// A scan over all messages returns those that bypass the queue first, and can skip the rows of an instance to reach
/// the next.
#[test]
fn urgent_messages_come_before_the_others() {
    let (short, long) = (InstanceId::trusted("@a@k"), InstanceId::trusted("@a@kk"));
    let last = MessageId {
        batch: u64::MAX,
        index: u32::MAX,
    };
    let walk = [
        urgent(PARTITION, &short, last),
        after_id(&urgent(PARTITION, &short, last)),
        urgent(PARTITION, &long, MessageId::MIN),
        message(PARTITION, &short, MessageId::MIN),
        after_id(&message(PARTITION, &short, MessageId::MIN)),
        message(PARTITION, &long, last),
    ];
    assert!(walk.is_sorted());
    assert!(walk.iter().all(|key| all_messages(PARTITION).contains(key)));
    assert!(!urgents_of(PARTITION, &short).contains(&walk[1]));
    assert!(urgents_of(PARTITION, &short).contains(&walk[0]));
    assert_eq!(walk[1], urgents_of(PARTITION, &short).end);
    assert_eq!(walk[4], after_messages_of(PARTITION, &short));
}

/// An id whose prefix is another id has its own messages, and the range of an id ends before the next id.
#[test]
fn ranges_hold_one_instance_only() {
    let short = InstanceId::trusted("@a@k");
    let long = InstanceId::trusted("@a@kk");
    let range = messages_of(PARTITION, &short, MessageId::MIN);
    let last = MessageId {
        batch: u64::MAX,
        index: u32::MAX,
    };
    assert!(range.contains(&message(PARTITION, &short, last)));
    assert!(!range.contains(&message(PARTITION, &long, MessageId::MIN)));
    assert!(after_messages_of(PARTITION, &short) <= message(PARTITION, &long, MessageId::MIN));
}
