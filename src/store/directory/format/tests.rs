//! Valid and invalid contents of a `FORMAT` file.

use std::fs;

use super::*;

fn fixed() -> Format {
    Format {
        hub: Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
        partitions: 64,
        incarnation: 2,
        copy: true,
    }
}

/// The file is part of the stored format: every later build reads this one.
#[test]
fn the_file_is_pinned() {
    insta::assert_snapshot!(fixed().encode().unwrap(), @r#"
    {
      "magic": "abide hub",
      "version": 10,
      "hub": "01234567-89ab-cdef-0123-456789abcdef",
      "partitions": 64,
      "incarnation": 2,
      "copy": true,
      "crc32": 3914992372
    }
    "#);
}

#[test]
fn what_was_written_is_found() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(Format::find(place.path()).unwrap(), None);
    fixed().write(place.path()).unwrap();
    assert_eq!(Format::find(place.path()).unwrap(), Some(fixed()));
    let files: Vec<_> = fs::read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(files, [FORMAT]);
}

/// With any other content, the hub is refused with a reason.
#[test]
fn another_content_is_refused() {
    let good = fixed().encode().unwrap();
    let cases = [
        (
            good.replace("\"version\": 10", "\"version\": 1"),
            ErrorKind::Format,
            "version 1, but this build supports version 10",
        ),
        (
            good.replace("\"version\": 10", "\"version\": 0"),
            ErrorKind::Format,
            "use an older build",
        ),
        // A later version may have any other fields.
        (
            "{\"magic\": \"abide hub\", \"version\": 11, \"x\": []}".to_owned(),
            ErrorKind::Format,
            "use a newer build",
        ),
        (good.replace("64", "65"), ErrorKind::Corrupted, "checksum"),
        (good.replace("true", "false"), ErrorKind::Corrupted, "checksum"),
        (
            good.replace("abide hub", "other hub"),
            ErrorKind::Format,
            "belongs to another program",
        ),
        (
            good[..40].to_owned(),
            ErrorKind::Format,
            "is broken or does not belong to a hub",
        ),
        (
            String::new(),
            ErrorKind::Format,
            "is broken or does not belong to a hub",
        ),
    ];
    for (content, kind, text) in cases {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join(FORMAT), &content).unwrap();
        let error = Format::find(place.path()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.to_string().contains(place.path().to_str().unwrap()), "{error}");
        assert_eq!(fs::read_to_string(place.path().join(FORMAT)).unwrap(), content);
    }
}

/// A file with a valid checksum may still have invalid values. The error names each such field, and nothing else
/// happens.
#[test]
fn every_field_is_checked() {
    let crafted = [
        (
            Format {
                partitions: 0,
                ..fixed()
            },
            "0 partitions, but a hub has 1 to 4096",
        ),
        (
            Format {
                partitions: u16::MAX,
                ..fixed()
            },
            "65535 partitions",
        ),
        (
            Format {
                incarnation: 0,
                ..fixed()
            },
            "incarnation 0",
        ),
        (
            Format {
                hub: Uuid::nil(),
                ..fixed()
            },
            "the nil UUID",
        ),
    ];
    let place = tempfile::tempdir().unwrap();
    for (format, text) in crafted {
        format.write(place.path()).unwrap();
        let error = Format::find(place.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.to_string().contains("a backup of this hub"), "{error}");
    }
    let good = fixed().encode().unwrap();
    for (from, to) in [
        ("\"copy\": true", "\"copy\": true, \"more\": 1"),
        ("\"partitions\": 64", "\"partitions\": 65600"),
        ("\"partitions\": 64", "\"partitions\": -1"),
        ("\"copy\": true", "\"copy\": 1"),
        ("\"incarnation\": 2,", ""),
    ] {
        fs::write(place.path().join(FORMAT), good.replace(from, to)).unwrap();
        let error = Format::find(place.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format, "{error}");
        assert!(
            error.to_string().contains("is broken or does not belong to a hub"),
            "{error}"
        );
    }
}
