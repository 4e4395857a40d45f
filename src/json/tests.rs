//! Properties of written values: they are read back unchanged, or are refused.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{write, write_list, write_value};

/// Returns the value after a round trip, or the reason for its refusal.
fn back<T: Serialize + DeserializeOwned + 'static>(value: &T) -> Result<T, String> {
    let mut json = b"before".to_vec();
    write(value, &mut json).map_err(|reason| reason.to_string())?;
    Ok(serde_json::from_slice(&json[6..]).expect("an accepted value can be read"))
}

fn refused<T: Serialize + DeserializeOwned + 'static>(value: &T) -> String {
    match back(value) {
        Ok(_) => panic!("the value was accepted"),
        Err(reason) => reason,
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Dot,
    Line(f64),
    Box(f32, i128),
    Named {
        width: Option<f64>,
        tags: Vec<Option<String>>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    small: f32,
    large: f64,
    signed: i128,
    unsigned: u128,
    letter: char,
    text: String,
    maybe: Option<f64>,
    by_text: HashMap<String, f64>,
    by_number: BTreeMap<i64, Shape>,
    pair: (u64, Option<i64>),
    unit: (),
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Dot),
        any::<u64>().prop_map(|bits| Shape::Line(f64::from_bits(bits))),
        (any::<u32>(), any::<i128>()).prop_map(|(bits, n)| Shape::Box(f32::from_bits(bits), n)),
        (any::<Option<u64>>(), any::<Vec<Option<String>>>()).prop_map(|(bits, tags)| Shape::Named {
            width: bits.map(f64::from_bits),
            tags,
        }),
    ]
}

prop_compose! {
    fn everything()(
        numbers in any::<(u32, u64, i128, u128, Option<u64>)>(),
        texts in any::<(char, String)>(),
        by_text in proptest::collection::hash_map(any::<String>(), any::<f64>(), 0..4),
        by_number in proptest::collection::btree_map(any::<i64>(), shape(), 0..4),
        pair in any::<(u64, Option<i64>)>(),
    ) -> Everything {
        let (small, large, signed, unsigned, maybe) = numbers;
        let (letter, text) = texts;
        Everything {
            small: f32::from_bits(small),
            large: f64::from_bits(large),
            signed, unsigned, letter, text,
            maybe: maybe.map(f64::from_bits),
            by_text, by_number, pair,
            unit: (),
        }
    }
}

impl Everything {
    fn is_finite(&self) -> bool {
        let shape = |shape: &Shape| match shape {
            Shape::Dot => true,
            Shape::Line(length) => length.is_finite(),
            Shape::Box(width, _) => width.is_finite(),
            Shape::Named { width, .. } => width.is_none_or(f64::is_finite),
        };
        self.small.is_finite()
            && self.large.is_finite()
            && self.maybe.is_none_or(f64::is_finite)
            && self.by_text.values().all(|number| number.is_finite())
            && self.by_number.values().all(shape)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Every finite f64 round-trips bit by bit, including negative zero. All other values are refused.
    #[test]
    fn a_float_comes_back_to_the_bit(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        match back(&value) {
            Ok(read) => prop_assert_eq!(read.to_bits(), bits),
            Err(_) => prop_assert!(!value.is_finite()),
        }
    }

    /// Every finite f32 round-trips bit by bit, and all other values are refused.
    #[test]
    fn a_small_float_comes_back_to_the_bit(bits in any::<u32>()) {
        let value = f32::from_bits(bits);
        match back(&value) {
            Ok(read) => prop_assert_eq!(read.to_bits(), bits),
            Err(_) => prop_assert!(!value.is_finite()),
        }
    }

    /// Quotients round-trip bit by bit. A reader with an inexact fast path gets every tenth of them wrong.
    #[test]
    fn a_quotient_comes_back_to_the_bit(n in 0_u32..1_000_000, by in 1_u32..1_000) {
        let value = f64::from(n) / 100.0 / f64::from(by);
        prop_assert_eq!(back(&value).unwrap().to_bits(), value.to_bits());
    }

    /// A value of many types round-trips, unless it contains a refused float.
    #[test]
    fn a_value_comes_back_equal(value in everything()) {
        match back(&value) {
            Ok(read) => prop_assert_eq!(read, value),
            Err(reason) => prop_assert!(!value.is_finite(), "{}", reason),
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Node {
    next: Option<Box<Node>>,
}

fn chain(levels: usize) -> Node {
    let mut node = Node::default();
    for _ in 1..levels {
        node = Node {
            next: Some(Box::new(node)),
        };
    }
    node
}

#[derive(Debug, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Branch(Box<Tree>),
}

/// Exactly the nesting depth that can be read is accepted, for objects, lists and variants.
#[test]
fn depth_is_accepted_as_far_as_it_is_read() {
    for levels in 1..=127 {
        back(&chain(levels)).unwrap();
    }
    let reason = refused(&chain(128));
    assert!(reason.contains("127 levels deep"), "{reason}");
    // A value that cannot be read is not written to its end either.
    refused(&chain(10_000));

    let tree = |levels| (0..levels).fold(Tree::Leaf, |tree, _| Tree::Branch(Box::new(tree)));
    back(&tree(127)).unwrap();
    refused(&tree(128));

    let value = |levels| (0..levels).fold(serde_json::Value::Null, |value, _| vec![value].into());
    back(&value(127)).unwrap();
    refused(&value(128));
    write_value(&value(128), &mut Vec::new()).unwrap_err();
}

/// Raw JSON keeps its digits. It is accepted only if every tool can read it, wherever it occurs in a value.
#[test]
fn raw_json_is_held_to_the_same_rules() {
    #[derive(Serialize, Deserialize)]
    struct Holder {
        raw: Box<RawValue>,
    }
    let raw = |json: String| RawValue::from_string(json).unwrap();
    let nested = |levels: usize| raw(["[".repeat(levels), "]".repeat(levels)].concat());
    let exact = r#"[340282366920938463463374607431768211456, 1.50, "\u00e9\ud83d\ude00"]"#;
    assert_eq!(back(&raw(exact.to_owned())).unwrap().get(), exact);
    back(&nested(127)).unwrap();
    refused(&nested(128));
    back(&Holder { raw: nested(126) }).unwrap();
    let reason = refused(&Holder { raw: nested(127) });
    assert!(reason.contains("raw JSON that cannot be read back"), "{reason}");
    write_value(&nested(20_000), &mut Vec::new()).unwrap_err();
    for unreadable in ["1e999", r#""\ud800""#] {
        refused(&raw(unreadable.to_owned()));
    }
}

/// The error for a refused float contains its path.
#[test]
fn a_refused_float_is_named() {
    #[derive(Serialize, Deserialize)]
    struct Sheet {
        name: Option<String>,
        rows: HashMap<String, Vec<Shape>>,
    }
    let nan = Shape::Named {
        width: Some(f64::NAN),
        tags: Vec::new(),
    };
    let sheet = Sheet {
        name: None,
        rows: HashMap::from([("first".to_owned(), vec![Shape::Dot, nan])]),
    };
    let reason = refused(&sheet);
    assert!(reason.starts_with(r#"`rows["first"][1].width` is NaN"#), "{reason}");
    assert!(refused(&Some(f64::INFINITY)).starts_with("is inf"));
    assert!(refused(&f32::NEG_INFINITY).starts_with("is -inf"));
    write_list(&[1.0, f64::NAN], &mut Vec::new()).unwrap_err();
    write_value(&[1.0, f64::NAN], &mut Vec::new()).unwrap_err();
}

/// A value that its own type cannot deserialize is refused, for whatever reason.
#[test]
fn what_its_type_does_not_read_is_refused() {
    #[derive(Serialize, Deserialize)]
    struct Skipping {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        rows: Vec<u8>,
    }
    back(&Skipping { rows: vec![1] }).unwrap();
    let reason = refused(&Skipping { rows: Vec::new() });
    assert!(reason.contains("missing field `rows`"), "{reason}");

    #[derive(Serialize, Deserialize)]
    struct Flat {
        id: u32,
        #[serde(flatten)]
        more: BTreeMap<String, u32>,
    }
    let flat = |key: &str| Flat {
        id: 1,
        more: BTreeMap::from([(key.to_owned(), 2)]),
    };
    back(&flat("other")).unwrap();
    let reason = refused(&flat("id"));
    assert!(reason.contains("duplicate field `id`"), "{reason}");

    #[derive(Clone, Copy, Debug, Serialize, Deserialize)]
    #[serde(try_from = "u32")]
    struct Percent(u32);
    impl TryFrom<u32> for Percent {
        type Error = String;
        fn try_from(number: u32) -> Result<Self, String> {
            if number <= 100 {
                Ok(Self(number))
            } else {
                Err(format!("{number} is over 100"))
            }
        }
    }
    back(&Percent(100)).unwrap();
    let reason = refused(&Percent(101));
    assert!(reason.contains("101 is over 100"), "{reason}");
    write_list(&[Percent(1)], &mut Vec::new()).unwrap();
    write_list(&[Percent(1), Percent(101)], &mut Vec::new()).unwrap_err();

    #[derive(Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Large { number: u128 },
    }
    refused(&Tagged::Large { number: 7 });

    refused(&HashMap::from([((1, 2), 3)]));
}

/// JSON has only one null, so `None` and `Some(None)` are equal after a round trip, as documented for `derive(Entity)`.
#[test]
fn an_option_in_an_option_is_flattened() {
    assert_eq!(back(&Some(None::<u8>)).unwrap(), None);
    assert_eq!(back(&Some(Some(1))).unwrap(), Some(Some(1)));
}
