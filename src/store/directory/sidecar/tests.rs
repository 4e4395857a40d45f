//! The content of the sidecar after writes, torn writes and bit flips.

use std::fs;

use super::*;

fn at(commit: u64) -> Acknowledged {
    Acknowledged {
        commit,
        clean: false,
        left: false,
        calm_since: 3,
    }
}

/// A slot is part of the stored format: every later build reads this one.
#[test]
fn a_slot_is_pinned() {
    let slot = encode(
        258,
        Acknowledged {
            clean: true,
            left: true,
            ..at(770)
        },
    );
    let hex: Vec<_> = slot
        .chunks(8)
        .map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        .collect();
    insta::assert_debug_snapshot!(hex, @r#"
    [
        "569cb91403030000",
        "0000000000000102",
        "0000000000000302",
        "0000000000000003",
    ]
    "#);
}

/// The newest commit can be read back after every write and every reopen.
#[test]
fn the_newest_is_read() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(Sidecar::read(place.path()).unwrap(), None);
    for round in [0, 10] {
        let mut sidecar = Sidecar::begin(place.path(), at(round)).unwrap();
        for commit in round + 1..round + 6 {
            sidecar.write(at(commit)).unwrap();
            assert_eq!(Sidecar::read(place.path()).unwrap(), Some(at(commit)));
        }
    }
}

/// The newest slot is due for a sync after an interval, unless it is already synced.
#[test]
fn a_written_slot_is_due_after_an_interval() {
    let place = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::begin(place.path(), at(1)).unwrap();
    let due = |sidecar: &Sidecar| [Duration::ZERO, SYNC_INTERVAL].map(|since| sidecar.is_due(since));
    assert_eq!(due(&sidecar), [false, false]);
    sidecar.write(at(2)).unwrap();
    assert_eq!(due(&sidecar), [false, true]);
    sidecar.sync().unwrap();
    assert_eq!(due(&sidecar), [false, false]);
}

/// A broken bit in the newest slot leaves the previous slot. Broken bits in both slots cause an error.
#[test]
fn a_torn_slot_leaves_the_other() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join(ACKNOWLEDGED);
    let mut sidecar = Sidecar::begin(place.path(), at(1)).unwrap();
    sidecar.write(at(2)).unwrap();
    sidecar.write(at(3)).unwrap();
    let good = fs::read(&path).unwrap();
    let newest = usize::try_from(SLOT_OFFSETS[(sidecar.generation % 2) as usize]).unwrap();
    let other = 4096 - newest;
    for bit in 0..SLOT_BYTES * 8 {
        let mut bytes = good.clone();
        bytes[newest + bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        assert_eq!(Sidecar::read(place.path()).unwrap(), Some(at(2)), "bit {bit}");
        bytes[other + bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        let error = Sidecar::read(place.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted);
        assert!(error.to_string().contains("ACKNOWLEDGED is broken"), "{error}");
        assert!(error.to_string().contains("accept_loss"), "{error}");
    }
}

/// A file with any other length or content is broken and is not read beyond its end.
#[test]
fn a_short_file_is_broken() {
    let place = tempfile::tempdir().unwrap();
    for length in [0, 1, SLOT_BYTES - 1, SLOT_BYTES, 4096] {
        fs::write(place.path().join(ACKNOWLEDGED), vec![0; length]).unwrap();
        assert_eq!(Sidecar::read(place.path()).unwrap_err().kind(), ErrorKind::Corrupted);
    }
}
