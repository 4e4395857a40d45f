//! Two values have the same bytes if and only if they are equal.

use super::*;

#[track_caller]
fn canonical(json: &str) -> String {
    let canonical = Canonical::read(json.as_bytes()).expect("valid JSON");
    String::from_utf8(canonical.to_bytes()).unwrap()
}

/// The canonical form is part of the stored format, because the fingerprints of requests depend on it.
#[test]
fn the_canonical_form_is_pinned() {
    let pinned = [
        ("null", "null"),
        (" [ true , false ] ", "[true,false]"),
        ("[]", "[]"),
        ("{ }", "{}"),
        (r#"{"b":2,"a":{"d":[],"c":{}}}"#, r#"{"a":{"c":{},"d":[]},"b":2}"#),
        (r#"{"aa":1,"a":2,"":3}"#, r#"{"":3,"a":2,"aa":1}"#),
        ("[3,1,2]", "[3,1,2]"),
        ("0", "0"),
        ("-12", "-12"),
        ("1.50", "15e-1"),
        ("-0", "-0e0"),
        ("1e21", "1e21"),
        (r#""\u0041\/\n\u001F\"\\é""#, "\"A/\\u000a\\u001f\\\"\\\\é\""),
        (r#""\ud83d\ude00""#, "\"😀\""),
        (r#""\uD800x""#, r#""\ud800x""#),
    ];
    for (json, form) in pinned {
        assert_eq!(canonical(json), form, "{json}");
    }
}

#[test]
fn equal_values_are_the_same() {
    let equal = [
        (r#"{"a":1,"b":2}"#, "{ \"b\" : 2,\r\n\t\"a\" : 1 }"),
        (
            r#"[{"x":{"b":1,"a":[{"d":1,"c":2}]}}]"#,
            r#"[{"x":{"a":[{"c":2,"d":1}],"b":1}}]"#,
        ),
        ("1.0", "1.00"),
        ("1.0", "10e-1"),
        ("100.0", "1E+2"),
        ("0.001", "1e-3"),
        ("0.0", "0e99"),
        ("-0", "-0.0"),
        ("1e21", "1e+21"),
        ("1e99999999999999999999999", "1e99999999999999999999999"),
        (r#""a""#, r#""\u0061""#),
        (r#"{"\u0061":1}"#, r#"{"a":1}"#),
        (r#""/""#, r#""\/""#),
        (r#""\b\f\n\r\t""#, r#""\u0008\u000C\u000a\u000D\u0009""#),
    ];
    for (one, other) in equal {
        assert!(same(one.as_bytes(), other.as_bytes()), "{one} {other}");
    }
}

/// Numbers are not rounded, the order of arrays is significant, and values that only look alike differ.
#[test]
fn other_values_differ() {
    let different = [
        ("18446744073709551617", "18446744073709551619"),
        (
            "340282366920938463463374607431768211455",
            "340282366920938463463374607431768211456",
        ),
        ("1", "1.0"),
        ("100", "1e2"),
        ("0.1", "0.10000000000000001"),
        ("1", "-1"),
        ("0", "-0"),
        ("[1,2]", "[2,1]"),
        ("[[1],2]", "[[1,2]]"),
        ("{}", "[]"),
        ("null", r#""null""#),
        (r#"{"a":null}"#, "{}"),
        (r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#),
        (r#"{"a":"b"}"#, r#"["a","b"]"#),
        (r#""a\u0000""#, r#""a""#),
        (r#""\ud800""#, r#""\\ud800""#),
        (r#""\"""#, r#""\\""#),
    ];
    for (one, other) in different {
        assert!(!same(one.as_bytes(), other.as_bytes()), "{one} {other}");
    }
}

#[test]
fn what_is_no_json_is_not_read() {
    let broken: [&[u8]; 32] = [
        b"",
        b" ",
        b"{",
        b"[",
        b"]",
        b"}",
        b"[1",
        b"[1,]",
        b"[,1]",
        b"[1 2]",
        b"[1}",
        b"{1:2}",
        b"{\"a\"}",
        b"{\"a\":}",
        b"{\"a\":1,}",
        b"{\"a\":1]",
        b"{,}",
        b"1 2",
        b"01",
        b"-",
        b"1.",
        b".5",
        b"1e",
        b"1e+",
        b"nul",
        b"nullx",
        b"\"",
        b"\"\\\"",
        b"\"\\x\"",
        b"\"\\u12g4\"",
        b"\"\n\"",
        b"\"\xff\"",
    ];
    for bytes in broken {
        let shown = bytes.escape_ascii();
        assert!(Canonical::read(bytes).is_none(), "{shown}");
        assert!(same(bytes, bytes), "{shown}");
        let mut written = Vec::new();
        write_canonical(bytes, |piece| written.extend_from_slice(piece));
        assert_eq!(written, bytes, "{shown}");
    }
    assert!(!same(b"{\"a\":1", b"{ \"a\":1"));
}

/// Values with 100,000 levels are read, compared and dropped on a small stack.
#[test]
fn no_depth_exhausts_the_stack() {
    let deep = |inner: &str| {
        let levels = 100_000;
        [&r#"{"b":0,"a":["#.repeat(levels), inner, &"]}".repeat(levels)]
            .concat()
            .into_bytes()
    };
    let thread = std::thread::Builder::new().stack_size(128 * 1024);
    let compare = move || same(&deep("1"), &deep(" 1")) && !same(&deep("1"), &deep("2"));
    assert!(thread.spawn(compare).unwrap().join().unwrap());
}

/// The canonical form of a value that Serde reads and writes is read as the same value, and is its own canonical form.
#[test]
fn the_form_is_the_same_value_and_stays() {
    let texts = [
        r#"{"z":[1,2.5,-3e-7,1e300,"\u00e9\n",null,true],"y":{"x":{},"w":[]},"":""}"#,
        "[123456789012345678901234567890,0.1,-0.0,5e-324]",
    ];
    for text in texts {
        let form = canonical(text);
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(text), read(&form), "{form}");
        assert_eq!(canonical(&form), form);
    }
}
