//! Calls through typed references, by a caller that runs the operation immediately.

use std::error::Error as _;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};

use super::stage::{Stage, block_on};
use crate::engine::code::OperationFailure;
use crate::entity::caller::Request;
use crate::entity::caller::sealed::{Due, Prepared, Sealed};
use crate::entity::error::CallFailure;
use crate::entity::reference::reference;
use crate::prelude::*;
use crate::{
    Cause, Error, ErrorKind, Operations,
    entity::{Caller, CanCall, ClientCaller},
};

#[derive(Entity, Default, Clone, Serialize, Deserialize, Debug, PartialEq)]
struct Account {
    cents: i64,
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize, PartialEq)]
#[error("short by {short_by}")]
struct Overdrawn {
    short_by: i64,
}

#[operations]
impl Account {
    pub fn deposit(&mut self, cents: i64) -> i64 {
        self.cents += cents;
        self.cents
    }

    pub fn withdraw(&mut self, cents: i64) -> Result<i64, Overdrawn> {
        match self.cents - cents {
            left @ 0.. => Ok(left),
            left => Err(Overdrawn { short_by: -left }),
        }
    }

    pub fn audit(&self, limit: u8) -> Result<(), Failure> {
        u8::try_from(self.cents)?;
        match limit {
            0 => Err(Failure::message("no limit").non_retriable()),
            _ => Ok(()),
        }
    }
}

/// An older interface of the same entity, as the build of another client may have it.
#[derive(Entity, Default, Serialize, Deserialize)]
#[entity(name = "account")]
struct OldAccount {
    name: String,
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("denied by {who}")]
struct Denied {
    who: String,
}

#[operations]
impl OldAccount {
    pub fn deposit(&mut self, cents: i64) -> String {
        cents.to_string()
    }

    #[operation(name = "withdraw")]
    pub fn withdraw_or_denied(&mut self, cents: i64) -> Result<i64, Denied> {
        Ok(cents)
    }

    #[operation(name = "audit")]
    pub fn audit_without_error(&self, limit: u8) {
        let _ = limit;
    }
}

/// Runs every operation immediately and records the requests.
#[derive(Clone)]
struct Loopback {
    stage: Arc<Mutex<Stage>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Loopback {
    fn new<E: Entity + Operations>() -> Self {
        Self {
            stage: Arc::new(Mutex::new(Stage::new::<E>("alice"))),
            asked: Arc::default(),
        }
    }

    fn run(&self, request: Prepared) -> Result<Vec<u8>, CallFailure> {
        let Request {
            target,
            operation,
            arguments,
            parameters: _,
            request_id,
            refuse_when_full,
            claim: _,
        } = request.0.map_err(CallFailure::Runtime)?;
        let arguments = String::from_utf8(arguments).unwrap();
        self.asked.lock().unwrap().push(format!(
            "{target} {operation} {arguments} {request_id:?} {refuse_when_full}"
        ));
        let outcome = self.stage.lock().unwrap().run(&operation, &arguments);
        outcome.map_err(|failure| match failure {
            OperationFailure::Returned(failure) => CallFailure::Returned(failure),
            OperationFailure::Arguments(text) => CallFailure::Runtime(Error::new(ErrorKind::InvalidArguments, text)),
            OperationFailure::Answer(text) => CallFailure::Runtime(Error::new(ErrorKind::Serialization, text)),
        })
    }
}

impl Sealed for Loopback {}

impl Caller for Loopback {
    type Signaled = Ready<crate::Result<()>>;
    type Scheduled = ();
    type Canceled = ();
    type Answer = Ready<Result<Vec<u8>, CallFailure>>;

    fn call(self, request: Prepared) -> Self::Answer {
        ready(self.run(request))
    }

    fn signal(self, request: Prepared) -> Self::Signaled {
        match self.run(request) {
            Err(CallFailure::Runtime(error)) => ready(Err(error)),
            _ => ready(Ok(())),
        }
    }

    fn schedule(self, _: Prepared, _: Due, _: Option<String>) {}

    fn cancel(self, _: crate::Result<EntityId>, _: String) {}
}

impl CanCall for Loopback {}

impl ClientCaller for Loopback {
    type State = Ready<crate::Result<Option<Vec<u8>>>>;

    fn read_state(self, target: crate::Result<EntityId>) -> Self::State {
        ready(target.map(|id| match id.key() {
            "absent" => None,
            _ => Some(self.stage.lock().unwrap().state().into_bytes()),
        }))
    }
}

/// A call returns the result, or the operation's own error with its type.
#[test]
fn answers_and_errors_keep_their_types() {
    let client = Loopback::new::<Account>();
    let account = reference::<Account, _>(client, "alice");
    assert_eq!(block_on(account.deposit(5)).unwrap(), 5);
    assert_eq!(block_on(account.withdraw(2)).unwrap(), 3);
    match block_on(account.withdraw(9)) {
        Err(CallError::Returned(error)) => assert_eq!(error, Overdrawn { short_by: 4 }),
        other => panic!("{other:?}"),
    }
    block_on(account.audit(1)).unwrap();
    match block_on(account.audit(0)) {
        Err(CallError::Returned(failure)) => assert_eq!(failure, Failure::message("no limit").non_retriable()),
        other => panic!("{other:?}"),
    }
    block_on(account.deposit(300)).unwrap();
    match block_on(account.audit(1)) {
        Err(CallError::Returned(failure)) => assert_eq!(failure.error_type, "TryFromIntError"),
        other => panic!("{other:?}"),
    }
}

/// The options that a client sets are part of the request.
#[test]
fn a_request_carries_its_options() {
    let client = Loopback::new::<Account>();
    let account = reference::<Account, _>(client.clone(), "alice");
    block_on(account.deposit(1).request_id("r-1")).unwrap();
    block_on(account.deposit(2).refuse_when_full()).unwrap();
    block_on(account.deposit(3).request_id("r-2").refuse_when_full().signal()).unwrap();
    block_on(account.deposit(4).signal()).unwrap();
    drop(account.deposit(5));
    assert_eq!(
        *client.asked.lock().unwrap(),
        [
            r#"@account@alice deposit {"cents":1} Some("r-1") false"#,
            r#"@account@alice deposit {"cents":2} None true"#,
            r#"@account@alice deposit {"cents":3} Some("r-2") true"#,
            r#"@account@alice deposit {"cents":4} None false"#,
        ]
    );
    assert_eq!(account.id().unwrap().as_str(), "@account@alice");
    assert_eq!(account.key().unwrap(), "alice");
    assert_eq!(block_on(account.state()).unwrap(), Some(Account { cents: 10 }));
    let absent = reference::<Account, _>(client, "absent");
    assert_eq!(block_on(absent.state()).unwrap(), None);
}

/// Calls, signals and reads report an invalid key.
#[test]
fn an_invalid_key_is_reported_where_the_reference_is_used() {
    let broken = reference::<Account, _>(Loopback::new::<Account>(), "a/b");
    let is_invalid_id =
        |error: Error| error.kind() == ErrorKind::InvalidId && error.to_string().contains("@account@a/b");
    assert!(is_invalid_id(
        block_on(broken.deposit(1).request_id("r")).unwrap_err().into()
    ));
    assert!(is_invalid_id(
        block_on(broken.deposit(1).refuse_when_full().signal()).unwrap_err()
    ));
    assert!(is_invalid_id(block_on(broken.state()).unwrap_err()));
    assert!(is_invalid_id(broken.key().unwrap_err()));
}

/// A result, an error or a state that does not decode in this build is an error that names it.
#[test]
fn values_that_do_not_decode_are_reported() {
    let client = Loopback::new::<Account>();
    let account = reference::<OldAccount, _>(client, "alice");
    let text_of = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Serialization);
        error.to_string()
    };
    let text = text_of(block_on(account.deposit(1)).unwrap_err().into());
    assert!(
        text.contains("does not decode into `alloc::string::String`: invalid type"),
        "{text}"
    );

    let text = text_of(block_on(account.withdraw_or_denied(9)).unwrap_err().into());
    assert!(
        text.starts_with("the operation returned the error `Overdrawn` (short by 8), which does not"),
        "{text}"
    );
    assert!(text.contains("Denied`: missing field `who`"), "{text}");

    let text = text_of(block_on(account.audit_without_error(0)).unwrap_err().into());
    assert!(
        text.contains("the error `Failure` (no limit)") && text.contains("without details"),
        "{text}"
    );

    let text = text_of(block_on(account.state()).err().unwrap());
    assert!(
        text.starts_with("the stored state of an entity `account` does not decode: missing field `name`"),
        "{text}"
    );
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("the charge failed")]
struct ChargeError {
    #[source]
    reason: Overdrawn,
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize, FromCallError)]
enum TransferError {
    #[error(transparent)]
    Overdrawn(#[from] Overdrawn),
    #[error(transparent)]
    Charge(#[from] ChargeError),
    #[error(transparent)]
    Runtime(#[from] CallError),
}

/// `?` converts the error of every call to the error of the function: a custom type, `Failure` or `abide::Error`.
#[test]
fn a_call_error_converts() {
    let client = Loopback::new::<Account>();
    let account = &reference::<Account, _>(client.clone(), "alice");
    let broken = &reference::<Account, _>(client, "a/b");

    let own = |account: &AccountRef<Loopback>| -> Result<i64, TransferError> {
        block_on(account.deposit(1))?;
        Ok(block_on(account.withdraw(9))?)
    };
    assert!(matches!(
        own(account),
        Err(TransferError::Overdrawn(Overdrawn { short_by: 8 }))
    ));
    assert!(matches!(
        own(broken),
        Err(TransferError::Runtime(CallError::Runtime(_)))
    ));

    let failure = || -> Result<i64, Failure> { Ok(block_on(account.withdraw(9))?) };
    assert_eq!(failure().unwrap_err().message, "short by 8");

    let passed_on = || -> Result<(), Failure> { Ok(block_on(account.audit(0))?) };
    assert_eq!(passed_on().unwrap_err(), Failure::message("no limit").non_retriable());

    let main = || -> crate::Result<i64> {
        block_on(account.deposit(0))?;
        Ok(block_on(account.withdraw(9))?)
    };
    let error = main().unwrap_err();
    assert_eq!(
        (error.kind(), &*error.to_string()),
        (ErrorKind::OperationFailed, "short by 8")
    );

    let reason = Overdrawn { short_by: 1 };
    let error = Error::from(CallError::Returned(ChargeError { reason }));
    assert_eq!(error.source().unwrap().to_string(), "short by 1");
    let boxed: Box<dyn std::error::Error> = CallError::Returned(Failure::message("no")).into();
    assert_eq!(boxed.to_string(), "no");
}

/// An error that wraps the error of another call, and was itself returned by a call, keeps its own type and details.
#[test]
fn the_outermost_record_is_kept() {
    #[derive(Debug, thiserror::Error, Serialize, Deserialize)]
    #[error(transparent)]
    struct Passed(#[from] CallError<Overdrawn>);

    let inner = CallError::Returned(Overdrawn { short_by: 8 });
    let failure = Failure::from(CallError::Returned(Passed(inner)));
    assert_eq!((&*failure.error_type, &*failure.message), ("Passed", "short by 8"));
    assert_eq!(failure.details.as_deref(), Some(r#"{"Returned":{"short_by":8}}"#));
}

/// An error of the runtime keeps its kind, its details and its sources when `?` converts it to a `Failure`, directly or
/// inside an error that wraps it. Converting it back restores it completely.
#[test]
fn what_the_runtime_met_keeps_its_kind_in_a_failure() {
    #[derive(Debug, thiserror::Error, Serialize, Deserialize)]
    #[error(transparent)]
    struct Through(#[from] CallError);

    let error = || Error::new(ErrorKind::TimedOut, "too long").with_source(Overdrawn { short_by: 1 });
    let call: CallError<Overdrawn> = CallError::Runtime(error());
    let through = Through(CallError::Runtime(error()));
    let nested: CallError<Failure> = CallError::Runtime(error());
    for failure in [
        Failure::from(call),
        Failure::from(through),
        Failure::from(nested),
        Failure::from(error()),
    ] {
        assert_eq!((&*failure.error_type, &*failure.message), ("TimedOut", "too long"));
        assert_eq!(failure.causes, [Cause::message("short by 1")]);
        assert!(!failure.non_retriable);
        assert_eq!(failure.decode::<Error>(), Some(error()));
        assert!(failure.decode::<Overdrawn>().is_none());
        let back = Error::from(failure);
        assert_eq!((back.kind(), &*back.to_string()), (ErrorKind::TimedOut, "too long"));
        assert_eq!(back.source().unwrap().to_string(), "short by 1");
    }
}

/// A failure decodes into the error that it was created from, and into no other type that accepts the same JSON.
#[test]
fn a_failure_gives_its_typed_error_back() {
    #[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
    #[error("short by {short_by}")]
    struct Lookalike {
        short_by: i64,
    }

    let failure = Failure::from(CallError::Returned(Overdrawn { short_by: 8 }));
    assert_eq!(failure.decode(), Some(Overdrawn { short_by: 8 }));
    assert_eq!(failure.decode::<Lookalike>(), None);
    assert_eq!(failure.decode::<Error>(), None);
    assert_eq!(Error::from(failure).kind(), ErrorKind::OperationFailed);
    assert_eq!(Failure::message("no").decode::<Overdrawn>(), None);
}

/// An error enum takes a failure, which is not a `std::error::Error`, through an attribute of its own.
#[test]
fn an_error_enum_takes_a_failure() {
    #[derive(Debug, thiserror::Error, FromCallError)]
    enum OrderError {
        #[error("{reason}")]
        Failed {
            #[from_call_error]
            reason: Failure,
        },
        #[error(transparent)]
        Runtime(#[from] CallError),
    }
    let converted = |call: Result<(), CallError<Failure>>| -> Result<(), OrderError> { Ok(call?) };
    let failed = converted(Err(CallError::Returned(Failure::message("no"))));
    assert!(matches!(failed, Err(OrderError::Failed { reason }) if reason.message == "no"));
    let runtime = converted(Err(CallError::Runtime(Error::new(ErrorKind::Closed, "closed"))));
    assert!(matches!(runtime, Err(OrderError::Runtime(CallError::Runtime(_)))));
    let plain = || -> Result<(), OrderError> { Err(Failure::message("no"))? };
    assert!(matches!(plain(), Err(OrderError::Failed { .. })));
}

/// A `CallError` inside a user's error is stored, and is restored with its kind and its sources.
#[test]
fn a_call_error_is_stored() {
    let source = Overdrawn { short_by: 1 };
    let error = Error::new(ErrorKind::TimedOut, "too long").with_source(source);
    let stored = serde_json::to_string(&TransferError::Runtime(CallError::Runtime(error))).unwrap();
    assert_eq!(
        stored,
        r#"{"Runtime":{"Runtime":{"kind":"TimedOut","message":"too long","sources":["short by 1"]}}}"#
    );
    match serde_json::from_str(&stored).unwrap() {
        TransferError::Runtime(CallError::Runtime(error)) => {
            assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::TimedOut, "too long"));
            assert_eq!(error.source().unwrap().to_string(), "short by 1");
        }
        other => panic!("{other:?}"),
    }
}
