//! Code that diverges from its history, and code that only seems to.

use std::time::Duration;

use super::driver::{Driver, raised};
use super::stage::{Account, Double, Text, orchestration};
use crate::model::orchestration::StopKind;
use crate::prelude::*;

orchestration!(Original(ctx, _nothing: ()) -> i64, Failure {
    ctx.create_timer(Duration::from_secs(1)).await;
    let a = ctx.call_activity::<Double>(5).await?;
    ctx.entity::<Account>("a").deposit(a).await?;
    Ok(a)
});

fn history() -> Driver {
    let mut driver = Driver::started::<Original>("null");
    driver.fire(1);
    driver.answer(2, "10");
    driver.answer(3, "10");
    driver
}

fn divergence<O: crate::Orchestration>(driver: &Driver) -> String {
    let stopped = driver.replay_with::<O>().unwrap_err();
    assert_eq!(stopped.kind, StopKind::NonDeterministic, "{stopped:?}");
    stopped.message
}

orchestration!(OtherTime(ctx, _nothing: ()) -> i64, Failure {
    ctx.create_timer(Duration::from_secs(2)).await;
    Ok(1)
});

orchestration!(OtherName(ctx, _nothing: ()) -> String, Failure {
    ctx.create_timer(Duration::from_secs(1)).await;
    Ok(ctx.call_activity::<Text>("5".into()).await?)
});

orchestration!(OtherInput(ctx, _nothing: ()) -> i64, Failure {
    ctx.create_timer(Duration::from_secs(1)).await;
    Ok(ctx.call_activity::<Double>(6).await?)
});

orchestration!(More(ctx, _nothing: ()) -> i64, Failure {
    ctx.create_timer(Duration::from_secs(1)).await;
    ctx.entity::<Account>("b").deposit(1).signal();
    Ok(ctx.call_activity::<Double>(5).await?)
});

orchestration!(Fewer(ctx, _nothing: ()) -> i64, Failure {
    ctx.create_timer(Duration::from_secs(1)).await;
    ctx.create_timer_at(std::time::UNIX_EPOCH + Duration::from_secs(1_001)).await;
    Ok(1)
});

orchestration!(Shorter(ctx, _nothing: ()) -> i64, Failure {
    ctx.create_timer(Duration::from_secs(1)).await;
    Ok(10)
});

orchestration!(OtherOutput(ctx, _nothing: ()) -> i64, Failure {
    ctx.create_timer(Duration::from_secs(1)).await;
    let a = ctx.call_activity::<Double>(5).await?;
    ctx.entity::<Account>("a").deposit(a).await?;
    Ok(a + 1)
});

/// The message contains the turn, the index in it, both sides in full, and the position of the call.
#[test]
fn a_divergence_shows_both_sides() {
    let driver = history();
    driver.replay_with::<Original>().unwrap();
    let text = divergence::<OtherTime>(&driver);
    assert!(text.contains("in turn 0, command 1 of 1\n"), "{text}");
    assert!(
        text.contains("\nrecorded in the history: timer, step 1, due 1001000 ms after the epoch\n"),
        "{text}"
    );
    assert!(
        text.contains("\nissued by the code:      timer, step 1, due 1002000 ms after the epoch\n"),
        "{text}"
    );
    assert!(text.contains("divergence.rs:"), "{text}");
    let text = divergence::<OtherName>(&driver);
    assert!(text.contains("turn 1, command 1 of 1\n"), "{text}");
    assert!(
        text.contains("history: activity call, step 2, name Double, attempt 1, payload 5\n"),
        "{text}"
    );
    assert!(
        text.contains("code:      activity call, step 2, name Text, attempt 1, payload \"5\"\n"),
        "{text}"
    );
    assert!(divergence::<OtherInput>(&driver).contains("payload 6\n"));
    let text = divergence::<More>(&driver);
    assert!(
        text.contains("code:      entity signal, step 2, entity @account@b, operation deposit, payload {\"cents\":1}")
    );
    assert!(divergence::<Fewer>(&driver).contains("code:      timer, step 2"));
    let text = divergence::<Shorter>(&driver);
    assert!(text.contains("code:      completion, payload 10"), "{text}");
    let text = divergence::<OtherOutput>(&driver);
    assert!(text.contains("in turn 3, command 1 of 1"), "{text}");
}

/// Code that issues more or fewer commands than a turn records diverges.
#[test]
fn a_missing_command_is_reported() {
    let mut driver = history();
    driver.history[1].commands.pop();
    assert!(divergence::<Original>(&driver).contains("recorded in the history: no further command\n"));
    let mut driver = history();
    let extra = driver.history[2].commands.clone();
    driver.history[1].commands.extend(extra);
    assert!(divergence::<Original>(&driver).contains("issued by the code:      no further command"));
}

/// A divergence does not unwind the history: nothing is canceled, and a fixed build resumes.
#[test]
fn a_fixed_build_resumes() {
    let mut driver = Driver::started::<Original>("null");
    driver.fire(1);
    divergence::<OtherName>(&driver);
    driver.unload();
    driver.answer(2, "10");
    driver.answer(3, "10");
    assert_eq!(driver.ended().unwrap(), "10");
}

mod before {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Order {
        pub(super) item: String,
        pub(super) obsolete: u32,
    }

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    pub(super) struct Shelf {}

    #[operations]
    impl Shelf {
        pub fn take(&mut self, item: String) {
            let _ = item;
        }
    }

    orchestration!(Shop(ctx, order: Order) -> Order, Failure {
        ctx.call_sub_orchestration::<Shop>(Order { item: "x".into(), obsolete: 1 }).await?;
        ctx.entity::<Shelf>("s").take(order.item.clone()).await?;
        ctx.wait_for_external_event::<()>("Go").await?;
        match order.obsolete {
            0 => ctx.continue_as_new(order).await,
            _ => Ok(order),
        }
    });

    pub(super) fn history(obsolete: u32) -> Driver {
        let mut driver = Driver::started::<Shop>(&format!(r#"{{ "obsolete": {obsolete}, "item": "y" }}"#));
        driver.answer(1, r#"{"item":"x","obsolete":1}"#);
        driver.answer(2, "null");
        driver.turn(vec![raised("go", "null")]);
        driver
    }
}

mod after {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Order {
        #[serde(default)]
        urgent: bool,
        item: String,
    }

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    struct Shelf {}

    #[operations]
    impl Shelf {
        pub fn take(&mut self, count: u32, item: String) {
            let _ = (count, item);
        }
    }

    macro_rules! shop {
        ($name:ident, $item:expr, $again:expr) => {
            orchestration!($name(ctx, order: Order) -> Order, Failure {
                ctx.call_sub_orchestration::<before::Shop>(before::Order { item: "x".into(), obsolete: 1 }).await?;
                ctx.entity::<Shelf>("s").take(1, $item).await?;
                ctx.wait_for_external_event::<()>("gO").await?;
                match $again {
                    true => ctx.continue_as_new(order).await,
                    false => Ok(order),
                }
            });
        };
    }
    shop!(Completes, "y".into(), false);
    shop!(Continues, "y".into(), true);
    shop!(Differs, "z".into(), true);

    /// A new field with a default, a removed field, a new argument, the case of an event's name and the order of fields
    /// are no divergence. A different value is one.
    #[test]
    fn a_new_field_with_a_default_is_no_divergence() {
        before::history(1).replay_with::<Completes>().unwrap();
        before::history(0).replay_with::<Continues>().unwrap();
        let text = divergence::<Differs>(&before::history(0));
        assert!(
            text.contains(r#"payload {"item":"y"}"#) && text.contains(r#""item":"z""#),
            "{text}"
        );
        divergence::<Completes>(&before::history(0));
        // An argument that only the record has is a difference.
        let mut driver = before::history(1);
        if let Some(crate::model::history::Command::CallEntity { arguments, .. }) =
            driver.history[1].commands.first_mut()
        {
            *arguments = br#"{"item":"y","force":true}"#.to_vec();
        }
        divergence::<Completes>(&driver);
    }
}
