use std::cell::Cell;
use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;

/// Compares two payloads of a type. Returns whether they agree, and how often they were passed through the type.
fn compared<T: Serialize + DeserializeOwned>(was: &str, is: &str) -> (bool, usize) {
    let passes = Cell::new(0);
    let normalize = |json: &[u8]| {
        passes.set(passes.get() + 1);
        let value: T = serde_json::from_slice(json).ok()?;
        serde_json::to_vec(&value).ok()
    };
    let (was, is) = (
        Canonical::read(was.as_bytes()).unwrap(),
        Canonical::read(is.as_bytes()).unwrap(),
    );
    let agree = agree_but_for_order(View::of(&was), View::of(&is), &normalize);
    (agree, passes.get())
}

fn agree<T: Serialize + DeserializeOwned>(was: &str, is: &str) -> bool {
    compared::<T>(was, is).0
}

/// A payload may contain thousands of sets whose orders differ, and each pass covers all of them.
#[test]
fn the_number_of_passes_does_not_grow_with_the_payload() {
    let sets = |count, order: fn(u32) -> [u32; 2]| {
        let sets: HashMap<String, [u32; 2]> = (0..count).map(|n| (format!("key-{n}"), order(n))).collect();
        serde_json::to_string(&sets).unwrap()
    };
    let (was, is) = (sets(10_000, |n| [n, n + 1]), sets(10_000, |n| [n + 1, n]));
    let (agree, passes) = compared::<HashMap<String, HashSet<u32>>>(&was, &is);
    assert!(agree && passes <= PASSES, "{agree}, {passes} passes");
    let (was, is) = (sets(100, |n| [n, n + 1]), sets(100, |n| [n + 1, n]));
    assert_eq!(compared::<HashMap<String, Vec<u32>>>(&was, &is), (false, PASSES));
    let other = was.replacen("[17,18]", "[17,19]", 1);
    assert_ne!(other, was);
    assert_eq!(compared::<HashMap<String, HashSet<u32>>>(&other, &is), (false, 0));
}

/// A list is not a set, even next to sets and within them.
#[test]
fn a_list_in_another_order_is_a_difference() {
    for _ in 0..16 {
        assert!(agree::<(HashSet<u32>, Vec<u32>)>("[[1,2],[1,2]]", "[[2,1],[1,2]]"));
        assert!(!agree::<(HashSet<u32>, Vec<u32>)>("[[1,2],[1,2]]", "[[1,2],[2,1]]"));
        assert!(!agree::<(HashSet<u32>, Vec<u32>)>("[[1,2],[1,2]]", "[[2,1],[2,1]]"));
        // Two sets are equal, so only the third shows that the list has an order.
        let (was, is) = ("[[1,2],[2,1],[3,4]]", "[[3,4],[1,2],[2,1]]");
        assert!(!agree::<Vec<HashSet<u32>>>(was, is));
        assert!(agree::<HashSet<Vec<u32>>>(was, is));
        assert!(agree::<HashSet<(u32, u32)>>("[[1,2],[2,1]]", "[[2,1],[1,2]]"));
        let (was, is) = ("[[1,2,3],[2,1,3],[4,5,6]]", "[[2,3,1],[3,2,1],[4,5,6]]");
        assert!(agree::<Vec<HashSet<u32>>>(was, is));
        assert!(!agree::<Vec<Vec<u32>>>(was, is));
    }
}

/// A set that is always written in the same order is recognized as a set, too.
#[test]
fn a_set_may_have_an_order_of_its_own() {
    assert!(agree::<BTreeSet<u32>>("[3,1,2]", "[2,1,3]"));
    assert!(agree::<BTreeSet<u32>>("[3,2,1]", "[1,2,3]"));
    assert!(agree::<Vec<BTreeSet<u32>>>("[[3,2,1],[1,2]]", "[[1,2,3],[2,1]]"));
    assert!(agree::<HashMap<String, BTreeSet<BTreeSet<u32>>>>(
        r#"{"a":[[3],[1,2]],"b":[[1]]}"#,
        r#"{"b":[[1]],"a":[[1,2],[3]]}"#
    ));
}
