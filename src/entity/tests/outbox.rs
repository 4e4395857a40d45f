//! Messages that an operation sends.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::stage::{Stage, scope};
use crate::ErrorKind;
use crate::engine::outbox::{Action, Outbox};
use crate::entity::context::EntityContext;
use crate::prelude::*;

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Audit {
    lines: Vec<String>,
}

#[operations]
impl Audit {
    pub fn noted(&mut self, who: &str, cents: &[i64], at: Option<u8>) {
        self.lines.push(format!("{who} {cents:?} {at:?}"));
    }

    pub fn ended(&mut self, ctx: &mut EntityContext) {
        ctx.delete_state();
    }
}

/// An operation named `delete` replaces the built-in one.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Locker;

#[operations]
impl Locker {
    pub fn delete(&mut self, why: String) -> bool {
        why.is_empty()
    }
}

fn context() -> EntityContext {
    EntityContext::new(scope("account", "close"), Outbox::default())
}

fn shown(context: EntityContext) -> Vec<String> {
    let outbox = context.into_outbox();
    assert!(outbox.error.is_none(), "{:?}", outbox.error);
    let show = |message: &crate::engine::outbox::Outgoing| {
        let action = match &message.action {
            Action::Operation { operation, arguments } => format!("{operation} {}", String::from_utf8_lossy(arguments)),
            Action::Schedule {
                timer,
                due,
                operation,
                arguments,
            } => format!(
                "{operation} {} at {} as {timer}",
                String::from_utf8_lossy(arguments),
                due.0
            ),
            Action::Cancel { timer } => format!("cancel {timer}"),
            Action::Lock(_) | Action::Order(_) => panic!("an entity sends no orders"),
        };
        format!("{} {action}", message.target)
    };
    outbox.messages.iter().map(show).collect()
}

/// Every form of a signal is one message, in order, with its named arguments as JSON.
#[test]
fn signals_wait_in_the_outbox() {
    let context = context();
    let audit = context.entity::<Audit>("main");
    audit.noted("al\"ice", &[1, -2], Some(3)).signal();
    audit.ended().signal();
    let drawn = audit.ended().signal_after(Duration::from_millis(5));
    let at = UNIX_EPOCH + Duration::from_millis(9_000);
    assert_eq!(audit.ended().timer_id("tea").signal_at(at), "tea");
    audit.cancel_signal(&drawn);
    audit.delete().signal();
    context.entity::<Locker>(7).delete("old".into()).signal();
    assert_eq!(drawn, "7-2-1");
    assert_eq!(
        shown(context),
        [
            r#"@audit@main noted {"who":"al\"ice","cents":[1,-2],"at":3}"#,
            "@audit@main ended ",
            "@audit@main ended  at 1005 as 7-2-1",
            "@audit@main ended  at 9000 as tea",
            "@audit@main cancel 7-2-1",
            "@audit@main delete ",
            r#"@locker@7 delete {"why":"old"}"#,
        ]
    );
}

/// Collects the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An operation that is dropped before it is signaled sends nothing and logs a warning. A signaled one logs nothing.
#[test]
fn a_dropped_operation_sends_nothing_and_warns() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let context = context();
    tracing::subscriber::with_default(subscriber, || {
        context.entity::<Audit>("signaled").ended().signal();
        context
            .entity::<Audit>("timed")
            .ended()
            .timer_id("tea")
            .signal_after(Duration::ZERO);
        drop(context.entity::<Audit>("dropped").ended());
        drop(context.entity::<Audit>("named").ended().timer_id("tea"));
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(
        lines[0].contains("WARN") && lines[0].contains("nothing was sent entity=@audit@dropped operation=ended"),
        "{log}"
    );
    assert!(lines[1].contains("entity=@audit@named"), "{log}");
    assert_eq!(shown(context).len(), 2);
}

/// An invalid key, or an argument that does not serialize, is recorded as the error of the operation. The first error
/// is kept.
#[test]
fn a_message_that_cannot_be_made_fails_the_operation() {
    #[derive(Serialize, Deserialize)]
    struct Unwritable(std::collections::BTreeMap<(u8, u8), u8>);

    #[derive(Entity, Default, Serialize, Deserialize)]
    struct Sink;

    #[operations]
    impl Sink {
        pub fn take(&mut self, first: u8, unwritable: Unwritable) {
            let _ = (first, unwritable);
        }
    }

    let context = context();
    let sink = context.entity::<Sink>("main");
    let bad = Unwritable([((1, 2), 3)].into());
    sink.take(1, bad).signal();
    context.entity::<Audit>("a/b").ended().signal();
    let error = context.into_outbox().error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Serialization);
    assert_eq!(
        error.to_string(),
        "argument `unwritable` of operation `take` does not serialize: key must be a string"
    );

    let context = self::context();
    let broken = context.entity::<Audit>("a/b");
    assert_eq!(broken.id().unwrap_err().kind(), ErrorKind::InvalidId);
    broken.ended().signal_after(Duration::ZERO);
    broken.cancel_signal("x");
    let outbox = context.into_outbox();
    assert_eq!(outbox.error.unwrap().kind(), ErrorKind::InvalidId);
    assert!(outbox.messages.is_empty());
}

/// The context describes the running operation, and forwards the request to delete the state.
#[test]
fn the_context_describes_its_operation() {
    let context = context();
    assert_eq!(context.id().as_str(), "@account@alice");
    assert_eq!((context.key(), context.operation()), ("alice", "close"));
    assert_eq!(context.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    assert_eq!(context.idempotency_key(), "hub-1/@account@alice/7-2");

    let mut stage = Stage::new::<Audit>("main");
    stage.answer("ended", "");
    assert!(stage.outbox.delete_state);
}

/// Keys are text, integers, UUIDs and custom types, also behind references.
#[test]
fn keys_are_written_as_text() {
    struct OrderNumber(u32, u64);

    impl Key for OrderNumber {
        fn write_key(&self, text: &mut String) {
            self.0.write_key(text);
            text.push('-');
            self.1.write_key(text);
        }
    }

    fn key(key: impl Key) -> String {
        let context = context();
        let audit = context.entity::<Audit>(key);
        audit.key().unwrap().to_owned()
    }

    let text = String::from("näm e");
    assert_eq!(key(&text), "näm e");
    assert_eq!(key(&*text), "näm e");
    assert_eq!(key(text), "näm e");
    assert_eq!(key(""), "");
    assert_eq!(key(std::borrow::Cow::from("cow")), "cow");
    assert_eq!(key(Arc::<str>::from("arc")), "arc");
    assert_eq!(key(-5_i32), "-5");
    assert_eq!(key(u128::MAX), u128::MAX.to_string());
    assert_eq!(key(Uuid::nil()), "00000000-0000-0000-0000-000000000000");
    assert_eq!(key(OrderNumber(1, 22)), "1-22");
}

/// A unit test sees every message of an operation, in order, with its payload as JSON.
#[test]
fn a_test_sees_what_an_operation_has_sent() {
    use crate::entity::SentMessage::{Cancel, Signal};
    let context = EntityContext::for_test::<Audit>("a", UNIX_EPOCH);
    assert_eq!(context.sent(), []);
    let audit = context.entity::<Audit>("main");
    audit.ended().signal();
    audit.ended().timer_id("t").signal_after(Duration::from_secs(60));
    audit.cancel_signal("t");
    let signal = |due| Signal {
        entity: "@audit@main".to_owned(),
        operation: "ended".to_owned(),
        arguments: "null".to_owned(),
        due,
    };
    let cancel = Cancel {
        entity: "@audit@main".to_owned(),
        timer: "t".to_owned(),
    };
    let minute = UNIX_EPOCH + Duration::from_secs(60);
    assert_eq!(context.sent(), [signal(None), signal(Some(minute)), cancel]);
}
