//! Agreement of current payloads with recorded ones.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::driver::{Driver, text};
use super::stage::orchestration;
use crate::activity::{Activity, ActivityContext, ActivityOptions, BoxFuture};
use crate::model::history::Command;
use crate::model::orchestration::StopKind;
use crate::prelude::*;

/// One build of a shop, whose items have the given fields.
macro_rules! build {
    ($module:ident, { $($field:tt)* }, $item:expr) => {
        mod $module {
            use super::*;

            #[derive(Clone, Serialize, Deserialize)]
            pub(super) struct Item { $($field)* }

            fn item() -> Item {
                $item
            }

            #[derive(Entity, Default, Clone, Serialize, Deserialize)]
            #[entity(name = "shelf")]
            struct Shelf {}

            #[operations]
            impl Shelf {
                pub fn put(&mut self, item: Item) {
                    let _ = item;
                }

                pub fn put_all(&mut self, items: Vec<Item>) {
                    let _ = items;
                }

                pub fn put_each(&mut self, items: &[Item]) {
                    let _ = items;
                }

                pub fn look(&mut self, item: &Item) {
                    let _ = item;
                }

                pub fn sort(&mut self, #[serde(alias = "by_name")] items: BTreeMap<String, Option<Item>>) {
                    let _ = items;
                }
            }

            orchestration!(Shop(ctx, how: String) -> Vec<Item>, Failure {
                let shelf = ctx.entity::<Shelf>("a");
                match how.as_str() {
                    "call" => shelf.put(item()).await?,
                    "signal" => shelf.put(item()).signal(),
                    "signal later" => drop(shelf.put(item()).signal_after(Duration::from_secs(9))),
                    "signal by name" => drop(shelf.put(item()).timer_id("t").signal_after(Duration::from_secs(9))),
                    "list" => shelf.put_all(vec![item(), item()]).await?,
                    "slice" => shelf.put_each(&[item()]).await?,
                    "reference" => shelf.look(&item()).await?,
                    "map" => shelf.sort(BTreeMap::from([("x".to_owned(), Some(item()))])).await?,
                    "event" => ctx.send_event("other", "item", item()),
                    "events" => ctx.send_event("other", "items", vec![Some(item())]),
                    "start" => drop(ctx.start_orchestration::<Sink>(item())),
                    "child" => ctx.call_sub_orchestration::<Sink>(item()).await?,
                    "output" => return Ok(vec![item()]),
                    _ => (),
                }
                ctx.wait_for_external_event::<()>("go").await?;
                Ok(Vec::new())
            });

            orchestration!(Sink(_ctx, item: Item) -> (), Failure {
                let _ = item;
                Ok(())
            });
        }
    };
}

build!(first, { name: String, count: u32 }, Item { name: "lamp".into(), count: 1 });
build!(grown, { name: String, count: u32, #[serde(default)] color: Option<String> }, Item { name: "lamp".into(), count: 1, color: None });
build!(shrunk, { name: String }, Item { name: "lamp".into() });
build!(other, { name: String, count: u32 }, Item { name: "lamp".into(), count: 2 });
build!(strict, { name: String, count: u32, color: String }, Item { name: "lamp".into(), count: 1, color: "red".into() });

const WAYS: [&str; 13] = [
    "call",
    "signal",
    "signal later",
    "signal by name",
    "list",
    "slice",
    "reference",
    "map",
    "event",
    "events",
    "start",
    "child",
    "output",
];

/// A field with a default that a later build added is no difference, wherever it is in a payload, nor is a field that
/// the build no longer has. A different value is one, however it is sent.
#[test]
fn fields_may_come_and_go_in_every_payload() {
    for way in WAYS {
        let driver = Driver::started::<first::Shop>(&format!("\"{way}\""));
        driver
            .replay_with::<grown::Shop>()
            .unwrap_or_else(|stopped| panic!("{way}: {stopped:?}"));
        driver
            .replay_with::<shrunk::Shop>()
            .unwrap_or_else(|stopped| panic!("{way}: {stopped:?}"));
        let stopped = driver.replay_with::<other::Shop>().map(drop).unwrap_err();
        assert_eq!(stopped.kind, StopKind::NonDeterministic, "{way}");
        // A field without a default cannot be decoded.
        if !way.starts_with("event") {
            assert!(driver.replay_with::<strict::Shop>().is_err(), "{way}");
        }
        let driver = Driver::started::<grown::Shop>(&format!("\"{way}\""));
        driver
            .replay_with::<first::Shop>()
            .unwrap_or_else(|stopped| panic!("{way}: {stopped:?}"));
    }
}

orchestration!(Approves(ctx, _nothing: ()) -> (), Failure {
    ctx.send_event("order", "Approved", 1);
    Ok(ctx.wait_for_external_event("Go").await?)
});
orchestration!(ApprovesInLowerCase(ctx, _nothing: ()) -> (), Failure {
    ctx.send_event("order", "approved", 1);
    Ok(ctx.wait_for_external_event("go").await?)
});
orchestration!(Refuses(ctx, _nothing: ()) -> (), Failure {
    ctx.send_event("order", "refused", 1);
    Ok(ctx.wait_for_external_event("go").await?)
});

/// Names of events are case-insensitive, both where they are sent and where they are awaited.
#[test]
fn the_case_of_an_event_is_no_difference() {
    let driver = Driver::started::<Approves>("null");
    driver.replay_with::<ApprovesInLowerCase>().unwrap();
    let stopped = driver.replay_with::<Refuses>().map(drop).unwrap_err();
    assert_eq!(stopped.kind, StopKind::NonDeterministic);
}

/// An argument is found under its former name.
#[test]
fn an_argument_may_get_another_name() {
    let mut driver = Driver::started::<first::Shop>("\"map\"");
    let Command::CallEntity { arguments, .. } = &mut driver.history[0].commands[0] else {
        panic!()
    };
    *arguments = text(arguments).replace("\"items\"", "\"by_name\"").into_bytes();
    driver.replay_with::<grown::Shop>().unwrap();
}

macro_rules! echo {
    ($name:ident: $type:ty) => {
        struct $name;

        impl Activity for $name {
            const NAME: &'static str = "echo";
            const OPTIONS: ActivityOptions = ActivityOptions::new();
            type Input = $type;
            type Output = ();
            type Error = Failure;

            fn run(_: ActivityContext, _: $type) -> BoxFuture<Result<(), Failure>> {
                Box::pin(async { Ok(()) })
            }
        }
    };
}

echo!(Huge: u128);
echo!(Signed: i128);
echo!(Float: f64);
echo!(Words: HashSet<String>);
echo!(Pair: HashSet<u8>);
echo!(List: Vec<String>);
echo!(Nested: Nest);

/// Sets and lists at several positions.
#[derive(Serialize, Deserialize)]
struct Nest {
    by_name: HashMap<String, HashSet<u32>>,
    in_order: Vec<HashSet<(u32, u32)>>,
    lists: Vec<Vec<u32>>,
}

orchestration!(CallsHuge(ctx, _nothing: ()) -> (), Failure {
    Ok(ctx.call_activity::<Huge>((1 << 64) + 1).await?)
});
orchestration!(CallsSigned(ctx, _nothing: ()) -> (), Failure {
    Ok(ctx.call_activity::<Signed>(-(1 << 100) - 1).await?)
});
orchestration!(CallsFloat(ctx, _nothing: ()) -> (), Failure {
    Ok(ctx.call_activity::<Float>(100.0).await?)
});

/// Returns whether a history of one call replays after its recorded input was replaced.
fn replays<O: crate::Orchestration>(recorded: &str) -> bool {
    let mut driver = Driver::started::<O>("null");
    let Command::CallActivity { input, .. } = &mut driver.history[0].commands[0] else {
        panic!()
    };
    *input = recorded.into();
    driver.replayed(1).is_ok()
}

/// Numbers are compared by value, with all their digits and in any notation.
#[test]
fn numbers_are_compared_exactly() {
    assert!(replays::<CallsHuge>("18446744073709551617"));
    assert!(!replays::<CallsHuge>("18446744073709551619"));
    assert!(!replays::<CallsHuge>("1.8446744073709552e19"));
    assert!(replays::<CallsSigned>("-1267650600228229401496703205377"));
    assert!(!replays::<CallsSigned>("-1267650600228229401496703205376"));
    for hundred in ["100.0", "1e2", "1.00E+2", " 100.000 ", "100"] {
        assert!(replays::<CallsFloat>(hundred), "{hundred}");
    }
    for other in ["100.00000000000001", "1e3", "-100.0", "\"100.0\"", ""] {
        assert!(!replays::<CallsFloat>(other), "{other}");
    }
}

fn words() -> impl Iterator<Item = String> {
    "a b c d e f g h i j k l".split(' ').map(str::to_owned)
}

fn nest(lists: Vec<Vec<u32>>) -> Nest {
    Nest {
        by_name: ["x", "y"].map(|name| (name.to_owned(), (0..12).collect())).into(),
        in_order: vec![(0..12).map(|n| (n, n + 1)).collect(), HashSet::new()],
        lists,
    }
}

orchestration!(CallsWords(ctx, _nothing: ()) -> (), Failure {
    Ok(ctx.call_activity::<Words>(words().collect()).await?)
});
orchestration!(CallsPair(ctx, _nothing: ()) -> (), Failure {
    Ok(ctx.call_activity::<Pair>([1, 2].into()).await?)
});
orchestration!(CallsNested(ctx, _nothing: ()) -> (), Failure {
    Ok(ctx.call_activity::<Nested>(nest(vec![vec![1, 2], vec![3]])).await?)
});
orchestration!(CallsTurned(ctx, _nothing: ()) -> (), Failure {
    Ok(ctx.call_activity::<Nested>(nest(vec![vec![2, 1], vec![3]])).await?)
});
orchestration!(CallsList(ctx, _nothing: ()) -> (), Failure {
    Ok(ctx.call_activity::<List>(words().collect()).await?)
});

/// The order of a set is no difference, wherever it is in a payload. The order of a list is one, and so is another
/// element.
#[test]
fn the_order_of_a_set_is_no_difference() {
    for _ in 0..4 {
        Driver::started::<CallsWords>("null")
            .replay_with::<CallsWords>()
            .unwrap();
        Driver::started::<CallsNested>("null")
            .replay_with::<CallsNested>()
            .unwrap();
        assert!(replays::<CallsPair>("[1,2]") && replays::<CallsPair>("[2,1]"));
    }
    assert!(
        Driver::started::<CallsNested>("null")
            .replay_with::<CallsTurned>()
            .is_err()
    );
    let list: Vec<String> = words().collect();
    let mut turned = list.clone();
    turned.reverse();
    assert!(replays::<CallsList>(&serde_json::to_string(&list).unwrap()));
    assert!(!replays::<CallsList>(&serde_json::to_string(&turned).unwrap()));
    assert!(replays::<CallsWords>(&serde_json::to_string(&turned).unwrap()));
    turned[0] = "other".into();
    assert!(!replays::<CallsWords>(&serde_json::to_string(&turned).unwrap()));
    assert!(!replays::<CallsPair>("[1,3]") && !replays::<CallsPair>("[1,2,3]"));
}
