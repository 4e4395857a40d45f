//! For every kind of type, a failed operation changes nothing, and a successful one keeps its state.

use super::stage::Stage;
use crate::engine::code::{OperationFailure, OperationMode, OperationSpec};
use crate::prelude::*;

#[derive(Debug, thiserror::Error, Serialize, Deserialize, PartialEq)]
#[error("short by {short_by}")]
struct Overdrawn {
    short_by: i64,
}

macro_rules! account {
    ($module:ident, $($derive:ident),*) => {
        mod $module {
            use super::*;

            #[derive(Entity, Serialize, Deserialize, $($derive),*)]
            pub(super) struct Account {
                cents: i64,
            }

            #[operations]
            impl Account {
                pub fn deposit(&mut self, cents: i64) -> i64 {
                    self.cents += cents;
                    self.cents
                }

                /// Withdraws first and checks later, so that only a rollback restores the state.
                pub fn withdraw(&mut self, cents: i64, ctx: &mut EntityContext) -> Result<i64, Overdrawn> {
                    self.cents -= cents;
                    ctx.entity::<Account>("bob").deposit(cents).signal();
                    if self.cents < 0 {
                        return Err(Overdrawn { short_by: -self.cents });
                    }
                    Ok(self.cents)
                }

                pub fn balance(&self) -> i64 {
                    self.cents
                }

                pub async fn collect(&mut self, cents: i64) -> Result<(), Failure> {
                    self.cents += cents;
                    std::future::ready(()).await;
                    if cents < 0 {
                        return Err(Failure::message("nothing to collect"));
                    }
                    Ok(())
                }
            }
        }
    };
}

account!(cloned, Default, Clone);
account!(encoded, Default);

/// A failed operation is rolled back, including its outbox, whether or not the type is `Clone`.
#[test]
fn a_failed_operation_leaves_no_trace() {
    for mut stage in [
        Stage::new::<cloned::Account>("alice"),
        Stage::new::<encoded::Account>("alice"),
    ] {
        assert_eq!(stage.answer("deposit", r#"{"cents":5}"#), "5");
        assert_eq!(stage.answer("withdraw", r#"{"cents":2}"#), "3");
        assert_eq!(stage.outbox.messages.len(), 1);

        let failure = match stage.run("withdraw", r#"{"cents":10}"#) {
            Err(OperationFailure::Returned(failure)) => failure,
            other => panic!("{other:?}"),
        };
        assert_eq!(failure.error_type, "Overdrawn");
        assert_eq!(failure.message, "short by 7");
        assert_eq!(failure.details.as_deref(), Some(r#"{"short_by":7}"#));
        assert!(stage.outbox.messages.is_empty());
        assert_eq!(stage.state(), r#"{"cents":3}"#);
        assert_eq!(stage.answer("balance", ""), "3");
    }
}

/// An `async` operation changes a copy. The state stays unchanged until the copy replaces it.
#[test]
fn an_async_operation_runs_on_a_copy() {
    for mut stage in [
        Stage::new::<cloned::Account>("alice"),
        Stage::new::<encoded::Account>("alice"),
    ] {
        assert_eq!(stage.answer("collect", r#"{"cents":5}"#), "null");
        assert_eq!(stage.state(), r#"{"cents":5}"#);
        assert!(matches!(
            stage.run("collect", r#"{"cents":-5}"#),
            Err(OperationFailure::Returned(failure)) if failure == Failure::message("nothing to collect")
        ));
        assert_eq!(stage.state(), r#"{"cents":5}"#);
    }
}

/// The table contains the stored names in order, each with the mode of its operation.
#[test]
fn operations_are_found_by_their_names() {
    let stage = Stage::new::<cloned::Account>("alice");
    assert_eq!(stage.code.name(), "account");
    assert_eq!(stage.code.operations(), ["deposit", "withdraw", "balance", "collect"]);
    let spec = |index, mode| Some(OperationSpec { index, mode });
    assert_eq!(stage.code.find("deposit"), spec(0, OperationMode::Write));
    assert_eq!(stage.code.find("balance"), spec(2, OperationMode::Read));
    assert_eq!(stage.code.find("collect"), spec(3, OperationMode::Async));
    assert_eq!(stage.code.find("Deposit"), None);
    assert_eq!(stage.code.find("delete"), None);
}

/// A stored state is restored, and one that does not decode reports the reason.
#[test]
fn a_state_is_decoded() {
    let stage = Stage::new::<cloned::Account>("alice");
    let mut json = Vec::new();
    stage.code.decode(br#"{"cents":9}"#).unwrap().encode(&mut json).unwrap();
    assert_eq!(json, br#"{"cents":9}"#);
    let reason = stage.code.decode(b"{}").err().unwrap();
    assert!(reason.contains("missing field `cents`"), "{reason}");
}
