//! Arguments: by name, by value and by reference, with defaults.

use super::stage::Stage;
use crate::engine::code::OperationFailure;
use crate::prelude::*;

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
#[entity(name = "Basket", init = Self::opened)]
struct ShoppingBasket {
    owner: String,
    lines: Vec<Line>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Line {
    what: String,
    count: u32,
}

fn one() -> u32 {
    1
}

type Result<T, E = Failure> = std::result::Result<T, E>;

#[operations]
impl ShoppingBasket {
    pub(crate) fn opened(key: &str) -> Self {
        Self {
            owner: key.to_owned(),
            lines: Vec::new(),
        }
    }

    pub fn put(&mut self, what: &str, #[serde(default = "one")] count: u32, note: Option<String>) -> String {
        self.add(what, count);
        format!("{count} {what} {note:?}")
    }

    pub fn put_all(&mut self, lines: &[Line], #[serde(default)] twice: bool) -> usize {
        for line in lines {
            self.add(&line.what, line.count * (1 + u32::from(twice)));
        }
        lines.len()
    }

    pub fn merge(&mut self, other: &Self, #[serde(rename = "type", alias = "kind")] r#type: char) -> Result<char> {
        self.lines.extend(other.lines.iter().cloned());
        Ok(r#type)
    }

    #[operation(name = "count-all")]
    pub fn count(&self) -> u32 {
        self.lines.iter().map(|line| line.count).sum()
    }

    pub fn unwritable(&self) -> Vec<std::collections::BTreeMap<(u8, u8), u8>> {
        vec![[((1, 2), 3)].into()]
    }

    fn add(&mut self, what: &str, count: u32) {
        let what = what.to_owned();
        self.lines.push(Line { what, count });
    }
}

/// The attributes set the name of the type, and the function in `init` creates the initial state from the key.
#[test]
fn the_first_state_is_made_from_the_key() {
    let stage = Stage::new::<ShoppingBasket>("alice");
    assert_eq!(stage.code.name(), "basket");
    assert_eq!(stage.state(), r#"{"owner":"alice","lines":[]}"#);
}

/// Arguments are found by name in any order, unknown ones are ignored, and one with a default or an `Option` may be
/// omitted.
#[test]
fn arguments_are_found_by_name() {
    let mut stage = Stage::new::<ShoppingBasket>("alice");
    for (operation, arguments, answer) in [
        ("put", r#"{"what":"tea"}"#, r#""1 tea None""#),
        (
            "put",
            r#"{"count":3,"note":"hot","what":"tea","new":[1]}"#,
            r#""3 tea Some(\"hot\")""#,
        ),
        ("put", r#"{"what":"\u0074ea\n","note":null}"#, r#""1 tea\n None""#),
        ("put_all", r#"{"lines":[{"what":"milk","count":2}]}"#, "1"),
        ("put_all", r#"{"lines":[{"what":"milk","count":2}],"twice":true}"#, "1"),
        (
            "merge",
            r#"{"other":{"owner":"","lines":[{"what":"a","count":1}]},"type":"x"}"#,
            r#""x""#,
        ),
        ("merge", r#"{"other":{"owner":"","lines":[]},"kind":"y"}"#, r#""y""#),
        ("count-all", "", "12"),
        (
            "put",
            "  {\t\"new\" : {\"a\":[1 ,2]} , \"wh\\u0061t\"\n:\r\"a\" , \"count\":0}  ",
            r#""0 a None""#,
        ),
        ("count-all", "null", "12"),
        ("count-all", "{}", "12"),
        ("count-all", r#"{"unknown":1}"#, "12"),
    ] {
        assert_eq!(stage.answer(operation, arguments), answer, "{operation} {arguments}");
    }
}

/// Arguments that do not match are rejected with a text that names the problem.
#[test]
fn unfit_arguments_are_refused_with_the_reason() {
    let mut stage = Stage::new::<ShoppingBasket>("alice");
    for (operation, arguments, reason) in [
        ("put", "", "argument `what` is missing"),
        ("put", r#"{"count":1}"#, "argument `what` is missing"),
        ("put", r#"{"what":1}"#, "invalid type: integer `1`, expected a string"),
        (
            "put",
            r#"{"what":"a","count":-1}"#,
            "argument `count`: invalid value: integer `-1`, expected u32",
        ),
        ("put", r#"{"what":"a","what":"b"}"#, "argument `what` is given twice"),
        (
            "put",
            r#"["tea",1,null]"#,
            "not a JSON object with the parameter names as keys",
        ),
        ("put", r#"{"what":"tea"} 1"#, "trailing data after the object"),
        ("put", r#"{"what":"tea"}}"#, "trailing data after the object"),
        ("put", r#"{"what":"#, "the value is missing"),
        ("put", r#"{"what":"tea""#, "expected `,` or `}`"),
        ("put", r#"{"what":"tea" "count":1}"#, "expected `,` or `}`"),
        ("put", r#"{"what":"tea",}"#, "expected a name in quotes"),
        ("put", r#"{,"what":"tea"}"#, "expected a name in quotes"),
        ("put", r#"{"what" "tea"}"#, "expected `:`"),
        ("put", r#"{"what":"tea","new":[}"#, "argument `new`"),
        ("put", r#"{"what":"tea","new":1x}"#, "trailing characters"),
        ("put", r#"{"what":"tea","new":1 2}"#, "expected `,` or `}`"),
        ("put", r#"{"what":tea}"#, "argument `what`: expected ident"),
        ("put", "{", "expected a name in quotes"),
        ("put", "{}{}", "trailing data after the object"),
        ("put", "tea", "not a JSON object"),
        ("count-all", "{}}", "trailing data after the object"),
        ("count-all", "[]", "not a JSON object with the parameter names as keys"),
        (
            "merge",
            r#"{"other":{"owner":"","lines":[]}}"#,
            "argument `type` is missing",
        ),
    ] {
        let refusal = stage.refusal(operation, arguments);
        assert!(refusal.contains(reason), "{operation} {arguments}: {refusal}");
    }
    assert_eq!(stage.answer("count-all", ""), "0");
}

/// A return value that does not serialize is an error of its own kind.
#[test]
fn a_return_value_that_does_not_serialize_is_an_error() {
    let mut stage = Stage::new::<ShoppingBasket>("alice");
    match stage.run("unwritable", "") {
        Err(OperationFailure::Answer(reason)) => assert!(reason.contains("key must be a string"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

/// The methods remain ordinary methods.
#[test]
fn operations_are_ordinary_methods() {
    let mut basket = ShoppingBasket::opened("bob");
    basket.put("tea", 2, None);
    assert_eq!(basket.count(), 2);
}
