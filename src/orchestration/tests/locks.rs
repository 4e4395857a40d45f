//! Critical sections and their rules.

use std::time::Duration;

use futures::FutureExt;
use futures::future::join;

use super::driver::{Driver, short, text};
use super::stage::{Account, Double, orchestration};
use crate::entity::CallError;
use crate::id::InstanceId;
use crate::model::Outcome;
use crate::model::history::{Command, Incoming};
use crate::prelude::*;
use crate::{Error, ErrorKind};

orchestration!(Transfer(ctx, cents: i64) -> i64, Failure {
    let (from, to) = (ctx.entity::<Account>("b"), ctx.entity::<Account>("a"));
    let lock = ctx.lock_entities((&from, &to, &from)).await?;
    from.deposit(-cents).await?;
    let now = to.deposit(cents).await?;
    drop(lock);
    ctx.entity::<Account>("a").deposit(0).signal();
    from.deposit(0).await?;
    Ok(now)
});

/// Ids are sorted and deduplicated, calls inside name the lock, and dropping the guard releases it.
#[test]
fn a_critical_section_locks_calls_and_releases() {
    let mut driver = Driver::started::<Transfer>("5");
    let Command::Lock { sequence: 1, entities } = &driver.history[0].commands[0] else {
        panic!("{:?}", driver.history[0].commands);
    };
    assert_eq!(entities, &["@account@a", "@account@b"].map(InstanceId::from));
    let commands = driver.answer(1, "null");
    let [
        Command::CallEntity {
            sequence: 2,
            target,
            arguments,
            lock: Some(1),
            ..
        },
    ] = &commands[..]
    else {
        panic!("{commands:?}");
    };
    assert_eq!(
        (target.as_str(), text(arguments).as_str()),
        ("@account@b", r#"{"cents":-5}"#)
    );
    driver.answer(2, "0");
    let commands = driver.answer(3, "5");
    assert_eq!(short(&commands), ["cancel 1", "signal 4", "call 5"]);
    assert!(matches!(commands[2], Command::CallEntity { lock: None, .. }));
    assert_eq!(short(&driver.answer(5, "0")), ["complete 5"]);
}

orchestration!(Impatient(ctx, _nothing: ()) -> (), Failure {
    let a = ctx.entity::<Account>("a");
    let request = ctx.lock_entities(&a);
    ctx.create_timer(Duration::from_secs(1)).await;
    drop(request);
    let ids = vec!["@account@x".parse::<EntityId>()?, "@account@w".parse()?];
    let _kept = ctx.lock_entities(&ids).await?;
    ctx.create_timer(Duration::from_secs(1)).await;
    Ok(())
});

/// A request that is dropped before the grant is canceled as not granted. A guard that lives to the end is released by
/// the end.
#[test]
fn a_request_can_be_withdrawn() {
    let mut driver = Driver::started::<Impatient>("null");
    assert_eq!(short(&driver.fire(2)), ["cancel 1", "lock 3"]);
    driver.answer(3, "null");
    assert_eq!(short(&driver.fire(4)), ["cancel 3", "complete null"]);
}

fn kind<T>(result: Result<T, CallError>) -> ErrorKind {
    match result {
        Err(CallError::Runtime(error)) => error.kind(),
        Err(CallError::Returned(never)) => match never {},
        Ok(_) => panic!("a rule was not enforced"),
    }
}

orchestration!(Rules(ctx, _nothing: ()) -> Vec<String>, Failure {
    let (a, b) = (ctx.entity::<Account>("a"), ctx.entity::<Account>("b"));
    let request = ctx.lock_entities([&a]);
    let mut errors = vec![kind(a.deposit(1).await)];
    let lock = request.await?;
    errors.push(kind(ctx.lock_entities([&b]).await));
    errors.push(kind(b.deposit(1).await));
    let (first, second) = join(a.deposit(1), a.deposit(2)).await;
    first?;
    errors.push(kind(second));
    let child = ctx.call_sub_orchestration::<Transfer>(1).await;
    errors.push(match child {
        Err(CallError::Runtime(error)) => error.kind(),
        _ => panic!("a rule was not enforced"),
    });
    // These are allowed inside.
    ctx.call_activity::<Double>(1).await?;
    b.deposit(3).signal();
    ctx.start_orchestration::<Transfer>(1);
    // A dropped call does not block the next one.
    assert!(a.deposit(4).now_or_never().is_none());
    a.deposit(5).await?;
    drop(lock);
    b.deposit(6).await?;
    let empty: [EntityId; 0] = [];
    errors.push(kind(ctx.lock_entities(empty).await));
    Ok(errors.iter().map(|kind| format!("{kind:?}")).collect())
});

/// Every rule has an error of its own, and allowed operations succeed.
#[test]
fn each_rule_has_its_error() {
    let mut driver = Driver::started::<Rules>("null");
    assert_eq!(short(&driver.history[0].commands), ["lock 1"]);
    // The nested lock, the wrong entity and the second call leave gaps.
    assert_eq!(short(&driver.answer(1, "null")), ["call 5"]);
    assert_eq!(short(&driver.answer(5, "1")), ["activity 8"]);
    assert_eq!(short(&driver.answer(8, "2")), ["signal 9", "start 10", "call 12"]);
    assert_eq!(short(&driver.answer(12, "1")), ["cancel 1", "call 13"]);
    driver.answer(13, "1");
    assert_eq!(
        driver.ended().unwrap(),
        r#"["LockNotGranted","NestedLock","NotLocked","CallPending","ChildInLock","InvalidArguments"]"#
    );
}

orchestration!(LocksMany(ctx, size: (usize, usize)) -> String, Failure {
    let (count, length) = size;
    let id = |n: usize| format!("{n:0length$}");
    let ids: Vec<_> = (0..count).map(|n| ctx.entity::<Account>(id(n))).collect();
    match ctx.lock_entities(&ids).await {
        Ok(_lock) => Ok("locked".to_owned()),
        Err(CallError::Runtime(error)) => Ok(format!("{:?}: {error}", error.kind())),
        Err(CallError::Returned(never)) => match never {},
    }
});

/// A critical section has a limit, and the error contains the size and the limit. A refused request opens no section.
#[test]
fn a_critical_section_has_a_limit() {
    let mut driver = Driver::started::<LocksMany>("[1000,4]");
    assert_eq!(short(&driver.history[0].commands), ["lock 1"]);
    driver.answer(1, "null");
    assert_eq!(driver.ended().unwrap(), r#""locked""#);
    for (input, count, bytes) in [
        ("[1001,4]", "1001 entities", "13013 bytes"),
        ("[200,400]", "200 entities", "81800 bytes"),
    ] {
        let driver = Driver::started::<LocksMany>(input);
        let ended = driver.ended().unwrap();
        for part in [
            "TooLarge",
            count,
            bytes,
            "the limit is 1000 entities and 65536 bytes",
            "lock fewer entities at once",
        ] {
            assert!(ended.contains(part), "{ended}");
        }
    }
}

orchestration!(SignalsInside(ctx, _nothing: ()) -> (), Failure {
    let a = ctx.entity::<Account>("a");
    let _lock = ctx.lock_entities(&a).await?;
    a.deposit(1).signal();
    ctx.create_timer(Duration::from_secs(1)).await;
    Ok(())
});

/// A signal has no answer. A signal to a locked entity fails the orchestration, which releases its locks.
#[test]
fn a_signal_to_a_locked_entity_fails_the_orchestration() {
    let mut driver = Driver::started::<SignalsInside>("null");
    let commands = driver.answer(1, "null");
    assert_eq!(commands.len(), 2);
    assert!(matches!(commands[0], Command::Cancel { sequence: 1, .. }));
    assert!(driver.ended().unwrap().starts_with("!SignalToLocked: `@account@a`"));
}

orchestration!(Robbed(ctx, _nothing: ()) -> Vec<String>, Failure {
    let (a, b) = (ctx.entity::<Account>("a"), ctx.entity::<Account>("b"));
    let lock = ctx.lock_entities((&a, &b)).await?;
    let mut errors = vec![kind(a.deposit(1).await)];
    errors.push(kind(a.deposit(1).await));
    b.deposit(2).await?;
    a.deposit(3).signal();
    drop(lock);
    a.deposit(4).await?;
    Ok(errors.iter().map(|kind| format!("{kind:?}")).collect())
});

/// After a lock was released by force, the pending call and the next one fail. The other entities stay locked.
#[test]
fn a_lost_lock_fails_the_next_call() {
    let mut driver = Driver::started::<Robbed>("null");
    assert_eq!(short(&driver.answer(1, "null")), ["call 2"]);
    let lost = |entity: &str| Incoming::LockLost {
        lock: 1,
        entity: entity.into(),
    };
    assert_eq!(short(&driver.turn(vec![lost("@account@a")])), ["call 4"]);
    assert!(!driver.wants(2));
    assert_eq!(short(&driver.answer(4, "2")), ["signal 5", "cancel 1", "call 6"]);
    driver.answer(6, "4");
    assert_eq!(driver.ended().unwrap(), r#"["LockLost","LockLost"]"#);
}

orchestration!(Unlucky(ctx, _nothing: ()) -> String, Failure {
    let a = ctx.entity::<Account>("a");
    let refused = ctx.lock_entities(&a).await.map(drop).unwrap_err();
    // The failed request opens no section.
    a.deposit(1).await?;
    Ok(refused.to_string())
});

/// A request that fails on its way is canceled, and the code continues outside of a section.
#[test]
fn a_failed_request_is_withdrawn() {
    let mut driver = Driver::started::<Unlucky>("null");
    let failed = Outcome::Runtime(Error::new(ErrorKind::Unregistered, "no such entity"));
    let commands = driver.end(1, failed);
    assert_eq!(short(&commands), ["cancel 1", "call 2"]);
    driver.answer(2, "1");
    assert_eq!(driver.ended().unwrap(), "\"no such entity\"");
}

orchestration!(Careless(ctx, how: u8) -> (), Failure {
    let account = ctx.entity::<Account>("a");
    match how {
        0 => drop(ctx.lock_entities(&account).await?),
        1 => {
            let _guard = ctx.lock_entities(&account).await?;
            account.deposit(1).await?;
        }
        2 => {
            let _guard = ctx.lock_entities(&account).await?;
            ctx.create_timer(Duration::from_secs(1)).await;
        }
        _ => {
            let _guard = ctx.lock_entities(&account).await?;
            futures::future::pending::<()>().await;
        }
    }
    ctx.wait_for_external_event::<()>("go").await?;
    Ok(())
});

/// A guard that is dropped before anything was done under it is logged once. A guard that was in use is not logged, and
/// neither is one of an execution that stops.
#[test]
fn a_guard_that_held_nothing_is_logged() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let writer = std::sync::Arc::new(log.reopen().unwrap());
    let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
    let warnings = |how: &str| {
        log.as_file().set_len(0).unwrap();
        let mut driver = Driver::started::<Careless>(how);
        let granted = Incoming::Completed {
            sequence: 1,
            outcome: Outcome::Answer(b"null".to_vec()),
        };
        let _ = driver.try_turn(vec![granted]);
        driver.unload();
        driver.replayed(driver.history.len()).ok();
        let log = std::fs::read_to_string(log.path()).unwrap();
        log.matches("ended as soon as it began").count()
    };
    tracing::subscriber::with_default(subscriber, || {
        assert_eq!(["0", "1", "2", "3"].map(warnings), [1, 0, 0, 0]);
    });
}
