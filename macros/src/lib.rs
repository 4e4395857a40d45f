//! The procedural macros of `abide`. Use them through that crate; its documentation describes them.
//!
//! Each macro goes the same way: attributes, an own model of what the user wrote, checks that collect all errors on the
//! user's own tokens, and the expansion. The user's item is always emitted, also beside errors.

mod activity;
mod call_error;
mod crate_path;
mod entity;
mod errors;
mod function;
mod hygiene;
mod kind;
mod names;
mod operations;
mod orchestration;
mod qualifiers;
mod resource;
mod returns;
mod settings;
mod types;

use proc_macro::TokenStream;

/// Makes a struct or an enum the state of a type of entities.
///
/// See the trait `abide::Entity` for what it means and for the attributes.
#[proc_macro_derive(Entity, attributes(entity))]
pub fn derive_entity(item: TokenStream) -> TokenStream {
    entity::derive(item.into()).into()
}

/// Makes the `pub fn`s of an inherent impl the operations of an entity.
///
/// See the trait `abide::Operations` for what it means and for the rules.
#[proc_macro_attribute]
pub fn operations(arguments: TokenStream, item: TokenStream) -> TokenStream {
    operations::expand(arguments.into(), item.into()).into()
}

/// Lets `?` turn the `CallError<E>` of any operation into this error, where `E` converts into it.
///
/// It stands beside `thiserror`'s derive, on an enum with one variant `#[from] CallError`: that one takes what the
/// runtime met, and what an operation returned goes the way of `From<E>`.
///
/// A variant `Failed(#[from_call_error] Failure)` takes a `Failure`, which thiserror's `#[from]` cannot take, as it is no
/// `std::error::Error`.
///
/// `#[from_call_error(crate = path)]` above the enum says where `abide` is found.
#[proc_macro_derive(FromCallError, attributes(from_call_error))]
pub fn derive_from_call_error(item: TokenStream) -> TokenStream {
    call_error::derive(item.into()).into()
}

/// Makes a function an activity: the work that an orchestration asks for and that is done outside of it.
///
/// ```ignore
/// #[activity(timeout = "30s", retry(max_attempts = 3, first_interval = "1s", backoff = 2.0))]
/// async fn charge_card(ctx: ActivityContext, card: Card) -> Result<Receipt, ChargeError> {
///     bank().charge(&card, ctx.idempotency_key()).await
/// }
///
/// let hub = Hub::builder("./data").activity::<charge_card>().open().await?;
/// // ... and in an orchestration:
/// let receipt = ctx.call_activity::<charge_card>(card).await?;
/// ```
///
/// The function stays what it is and can be called in a unit test, with a context from `ActivityContext::for_test`. Beside it
/// stands a type of the same name, which implements the trait `abide::Activity`; one `use` imports both.
///
/// # Forms
///
/// * The parameters are the context, which may be left out, and one input, which may be left out as well: then it is `()`.
///   Several values go into a struct or a tuple. The context is known by the name of its type, `ActivityContext`.
/// * Any number of parameters `Resource<T>` take what was given to the hub with `HubBuilder::resource`: a connection pool, an
///   HTTP client, a configuration. A hub that lacks one of them does not open.
/// * An `async fn` waits without blocking its thread, and its future has to be `Send`. A plain `fn` with
///   `#[activity(blocking)]` runs on one of the threads that tokio has for blocking work. One without the other is refused,
///   so that nobody blocks tokio by forgetting a word.
/// * It returns `Result<T, E>`, where `E` is an error with serde or `Failure`; or any other type, and then it cannot fail
///   and its error is `NoError`. An alias of `Result` has to be named `Result`.
/// * Input, output and error are owned types that serde writes and reads. Generics, lifetimes, references, `impl Trait` and
///   patterns are refused.
///
/// # Attributes
///
/// | attribute | meaning |
/// |---|---|
/// | `name = "..."` | the stored name; the function's own without it. Set it before the function is renamed: what the store mentions and nobody registered waits |
/// | `timeout = "30s"` | how long one attempt may run |
/// | `limit = 8` | the most attempts that run at one time in the hub |
/// | `blocking` | the function blocks its thread |
/// | `retry(max_attempts = 3, ...)` | the retry policy, unless a call has its own: `max_attempts` counts the first one; `first_interval = "1s"`, `backoff = 2.0`, `max_interval = "1m"` and `timeout = "10m"` are those of `abide::RetryPolicy`. Changing it stops running orchestrations in which an attempt has failed: their histories hold the old waits |
/// | `retry_if = PayError::is_transient` | selects the errors that are worth another attempt: a `fn(&PayError) -> bool`, or a closure of that form. Other errors are stored as non-retriable, whatever policy a call has |
/// | `crate = path` | where `abide` is found, if not as `::abide` |
///
/// Times are whole numbers with the units `ms`, `s`, `m`, `h` and `d`, the larger ones first: `"1h30m"`.
///
/// # Limits
///
/// * A module, a struct or another type of the function's name in the same scope is an error, as the name is taken.
/// * A `pub` activity needs types that are as visible as itself.
/// * Names that begin with `__abide` are reserved.
/// * It cannot stand in an `impl` or a `trait`: it is a free function.
#[proc_macro_attribute]
pub fn activity(arguments: TokenStream, item: TokenStream) -> TokenStream {
    activity::expand(arguments.into(), item.into()).into()
}

/// Makes an `async fn` an orchestration: a workflow that survives any crash, because it is replayed from its history.
///
/// ```ignore
/// #[orchestration]
/// async fn transfer(ctx: OrchestrationContext, transfer: Transfer) -> Result<Receipt, TransferError> {
///     let (from, to) = (ctx.entity::<Account>(&transfer.from), ctx.entity::<Account>(&transfer.to));
///     let lock = ctx.lock_entities((&from, &to)).await?;
///     from.withdraw(transfer.cents).await?;
///     to.deposit(transfer.cents).await?;
///     drop(lock);
///     Ok(ctx.call_activity::<charge_card>(transfer.card).await?)
/// }
///
/// let hub = Hub::builder("./data").orchestration::<transfer>().open().await?;
/// let run = hub.client().start::<transfer>(input).await?;
/// ```
///
/// The function stays what it is. Beside it stands a type of the same name, which implements the trait
/// `abide::Orchestration`; one `use` imports both.
///
/// # Forms
///
/// * The first parameter is the context, known by the name of its type, `OrchestrationContext`. One input may follow; without
///   it, it is `()`. Several values go into a struct or a tuple.
/// * It returns `Result<T, E>`, where `E` is an error with serde or `Failure`; or any other type, and then it cannot fail
///   and its error is `NoError`. An alias of `Result` has to be named `Result`.
/// * Input, output and error are owned types that serde writes and reads. Generics, lifetimes, references, `impl Trait` and
///   patterns are refused. The future need not be `Send`.
///
/// # Attributes
///
/// | attribute | meaning |
/// |---|---|
/// | `name = "..."` | the stored name; the function's own without it. Two functions may have one name and different versions |
/// | `version = "..."` | the stored version; without it, none. An instance keeps the one with which it began |
/// | `crate = path` | where `abide` is found, if not as `::abide` |
///
/// # Limits
///
/// * A module, a struct or another type of the function's name in the same scope is an error, as the name is taken.
/// * A `pub` orchestration needs types that are as visible as itself.
/// * It cannot stand in an `impl` or a `trait`: it is a free function.
///
/// # The determinism lint
///
/// After a restart the function runs again from its beginning and is given the recorded results. So between two awaits it may
/// only compute, and always the same. The attribute refuses what it can see in the body, nested functions, closures and
/// invocations of macros included, and names what to use:
///
/// | refused | instead |
/// |---|---|
/// | `SystemTime::now()`, `Instant::now()`, `Utc::now()`, `.elapsed()` and their like | `ctx.current_utc_time()` |
/// | `Uuid::new_v4()` and its like | `ctx.new_guid()` |
/// | `rand::`, `fastrand::`, `getrandom::`, `thread_rng()`, `random()`, a `RandomState` | `ctx.random()`; a `BTreeMap` |
/// | `tokio::time::sleep` and other timers, `sleep(...)` | `ctx.create_timer(duration)` |
/// | `tokio::spawn`, `tokio::join!`, everything else that begins with `tokio::`; `async_std::`, `smol::` | `ctx.call_activity` and sub-orchestrations, which run from the call on; `futures::join!`, `join_all` |
/// | `select!`, unless it begins with `biased;` | `futures::select_biased!`, `futures::future::select` |
/// | `std::thread`, `std::fs`, `std::net`, `std::env`, `std::process`, `reqwest::`, `ureq::`, `block_on` | an activity |
///
/// It knows names and not types. It does not see into functions that are called, it does not know what `use` at the head of
/// the file renamed, and it cannot see that somebody iterates over a `HashMap` or a `HashSet`, whose order is another one in
/// every process: use a `BTreeMap`, or sort. What it misses is met at run time: a wait that no history knows of fails at
/// once, and a replay that asks for another step stops as non-deterministic.
///
/// `println!` and `tracing` are allowed. Records of `tracing` are dropped during a replay, so that each appears once. `println!`
/// writes again in every replay, unless the code checks `ctx.is_replaying()` first.
///
/// # Further checks
///
/// * `let _ = ctx.lock_entities(...).await?` is refused: `_` keeps no guard, so that nothing would be locked.
/// * The argument of `ctx.continue_as_new(...).await` has the type of the orchestration's input.
///
/// Where something that the lint refuses can change nothing that is recorded, `#[allow(nondeterminism)]` lets one statement pass:
/// a `let`, an expression, a block, a macro, an item or the arm of a `match`. Say beside it why, in a comment or as the
/// reason:
///
/// ```ignore
/// #[allow(nondeterminism, reason = "it goes to the metrics and nowhere else")]
/// let begin = Instant::now();
/// ```
#[proc_macro_attribute]
pub fn orchestration(arguments: TokenStream, item: TokenStream) -> TokenStream {
    orchestration::expand(arguments.into(), item.into()).into()
}
