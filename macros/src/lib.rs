//! The procedural macros of `abide`. Use them through that crate, which documents them.
//!
//! Each macro follows the same steps: it reads the attributes, builds a model of the user's code, collects all errors
//! at the user's tokens, and expands the model. The user's item is always emitted, even with errors.

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

/// Makes a struct or an enum the state of an entity type.
///
/// The trait `abide::Entity` documents entity types and the attributes.
#[proc_macro_derive(Entity, attributes(entity))]
pub fn derive_entity(item: TokenStream) -> TokenStream {
    entity::derive(item.into()).into()
}

/// Makes the `pub fn`s of an inherent impl the operations of an entity.
///
/// The trait `abide::Operations` documents operations and their rules.
#[proc_macro_attribute]
pub fn operations(arguments: TokenStream, item: TokenStream) -> TokenStream {
    operations::expand(arguments.into(), item.into()).into()
}

/// Lets `?` convert the `CallError<E>` of any operation to this error type, if `E` converts into it.
///
/// Derive it together with `thiserror::Error` for an enum with one variant `#[from] CallError`. That variant takes
/// errors of the runtime. Errors that an operation returned are converted with `From<E>`.
///
/// A variant `Failed(#[from_call_error] Failure)` takes a `Failure`. The `#[from]` attribute of `thiserror` cannot take
/// it, because a `Failure` is not a `std::error::Error`.
///
/// `#[from_call_error(crate = path)]` on the enum sets the path of `abide`.
#[proc_macro_derive(FromCallError, attributes(from_call_error))]
pub fn derive_from_call_error(item: TokenStream) -> TokenStream {
    call_error::derive(item.into()).into()
}

/// Makes a function an activity: work that an orchestration requests and that runs outside of it.
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
/// The function itself is unchanged. A unit test can call it with a context from `ActivityContext::for_test`. The macro
/// adds a type with the same name, which implements the trait `abide::Activity`. One `use` imports both.
///
/// # Forms
///
/// * The parameters are an optional context and an optional input. Without an input parameter, the input is `()`.
///   Combine several values into a struct or a tuple. The context is recognized by the name of its type,
///   `ActivityContext`.
/// * Any number of parameters of type `Resource<T>` take resources that were added to the hub with
///   `HubBuilder::resource`: a connection pool, an HTTP client, a configuration. A hub that lacks one of them does not
///   open.
/// * An `async fn` waits without blocking its thread, and its future must be `Send`. A plain `fn` with
///   `#[activity(blocking)]` runs on one of tokio's threads for blocking work. A plain `fn` without `blocking` and an
///   `async fn` with it are rejected, so that a forgotten keyword cannot block tokio.
/// * It returns `Result<T, E>`, where `E` is a `Failure` or an error that implements `Serialize` and `Deserialize`.
///   With any other return type, the activity cannot fail, and its error type is `NoError`. An alias of `Result` must
///   be named `Result`.
/// * Input, output and error are owned types that implement `Serialize` and `Deserialize`. Generics, lifetimes,
///   references, `impl Trait` and patterns are rejected.
///
/// # Attributes
///
/// | attribute | meaning |
/// |---|---|
/// | `name = "..."` | stored name (default: the name of the function). Set it before you rename the function: stored work for an unregistered name waits |
/// | `timeout = "30s"` | maximum duration of one attempt |
/// | `limit = 8` | maximum number of attempts that run concurrently in the hub |
/// | `blocking` | the function blocks its thread |
/// | `retry(max_attempts = 3, ...)` | retry policy of calls that do not set their own. `max_attempts` includes the first attempt; `first_interval = "1s"`, `backoff = 2.0`, `max_interval = "1m"` and `timeout = "10m"` are those of `abide::RetryPolicy`. A changed policy stops running orchestrations in which an attempt has failed, because their histories contain the old waits |
/// | `retry_if = PayError::is_transient` | selects the errors that are worth another attempt: a `fn(&PayError) -> bool`, or a closure of that form. Other errors are stored as non-retriable, regardless of the policy of the call |
/// | `crate = path` | path of `abide` (default: `::abide`) |
///
/// Durations are whole numbers with the units `ms`, `s`, `m`, `h` and `d`, larger units first: `"1h30m"`.
///
/// # Limits
///
/// * The name of the function is also taken as a type name. A module, a struct or another type with that name in the
///   same scope is an error.
/// * The types of a `pub` activity must be at least as visible as the activity.
/// * Names that begin with `__abide` are reserved.
/// * An activity is a free function. It cannot be in an `impl` or a `trait`.
#[proc_macro_attribute]
pub fn activity(arguments: TokenStream, item: TokenStream) -> TokenStream {
    activity::expand(arguments.into(), item.into()).into()
}

/// Makes an `async fn` an orchestration: a workflow that survives any crash because it is replayed from its history.
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
/// The function itself is unchanged. The macro adds a type with the same name, which implements the trait
/// `abide::Orchestration`. One `use` imports both.
///
/// # Forms
///
/// * The first parameter is the context, recognized by the name of its type, `OrchestrationContext`. One input may
///   follow. Without an input parameter, the input is `()`. Combine several values into a struct or a tuple.
/// * It returns `Result<T, E>`, where `E` is a `Failure` or an error that implements `Serialize` and `Deserialize`.
///   With any other return type, the orchestration cannot fail, and its error type is `NoError`. An alias of `Result`
///   must be named `Result`.
/// * Input, output and error are owned types that implement `Serialize` and `Deserialize`. Generics, lifetimes,
///   references, `impl Trait` and patterns are rejected. The future need not be `Send`.
///
/// # Attributes
///
/// | attribute | meaning |
/// |---|---|
/// | `name = "..."` | stored name (default: the name of the function). Two functions may have the same name and different versions |
/// | `version = "..."` | stored version (default: none). An instance keeps the version with which it started |
/// | `crate = path` | path of `abide` (default: `::abide`) |
///
/// # Limits
///
/// * The name of the function is also taken as a type name. A module, a struct or another type with that name in the
///   same scope is an error.
/// * The types of a `pub` orchestration must be at least as visible as the orchestration.
/// * An orchestration is a free function. It cannot be in an `impl` or a `trait`.
///
/// # The determinism lint
///
/// After a restart, the function runs again from its beginning with the recorded results. Between two awaits it may
/// therefore only compute, and must always produce the same results. The attribute rejects what it can detect in the
/// body, including nested functions, closures and macro invocations, and names the alternative:
///
/// | rejected | instead |
/// |---|---|
/// | `SystemTime::now()`, `Instant::now()`, `Utc::now()`, `.elapsed()` and similar | `ctx.current_utc_time()` |
/// | `Uuid::new_v4()` and similar | `ctx.new_guid()` |
/// | `rand::`, `fastrand::`, `getrandom::`, `thread_rng()`, `random()`, a `RandomState` | `ctx.random()`; a `BTreeMap` |
/// | `tokio::time::sleep` and other timers, `sleep(...)` | `ctx.create_timer(duration)` |
/// | `tokio::spawn`, `tokio::join!`, everything else that begins with `tokio::`; `async_std::`, `smol::` | `ctx.call_activity` and sub-orchestrations, which start at the end of the turn, awaited or not; `futures::join!`, `join_all` |
/// | `select!`, unless it begins with `biased;` | `futures::select_biased!`, `futures::future::select` |
/// | `std::thread`, `std::fs`, `std::net`, `std::env`, `std::process`, `reqwest::`, `ureq::`, `block_on` | an activity |
///
/// The lint knows names, not types. It does not check the functions that the body calls, and it does not resolve names
/// that a `use` at the top of the file renamed. It cannot detect iteration over a `HashMap` or a `HashSet`, whose order
/// differs between processes: use a `BTreeMap`, or sort. The runtime detects what the lint misses: a wait that is not
/// part of the history stops the orchestration once nothing durable is left to wait for, and a replay that requests a
/// different step stops as non-deterministic.
///
/// `println!` and `tracing` are allowed. Records of `tracing` are dropped during a replay, so each appears once.
/// `println!` writes again in every replay, unless the code checks `ctx.is_replaying()` first.
///
/// # Further checks
///
/// * `let _ = ctx.lock_entities(...).await?` is rejected: `_` does not keep the guard, so nothing would be locked.
/// * The argument of `ctx.continue_as_new(...).await` must have the type of the orchestration's input.
///
/// If code that the lint rejects cannot affect anything that is recorded, `#[allow(nondeterminism)]` allows it for one
/// statement: a `let`, an expression, a block, a macro, an item or a `match` arm. Explain the reason in a comment or in
/// the attribute:
///
/// ```ignore
/// #[allow(nondeterminism, reason = "used only for metrics")]
/// let begin = Instant::now();
/// ```
#[proc_macro_attribute]
pub fn orchestration(arguments: TokenStream, item: TokenStream) -> TokenStream {
    orchestration::expand(arguments.into(), item.into()).into()
}
