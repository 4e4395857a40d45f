//! The orchestration that executes a program, written as user code.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::padding::Note;
use super::program::{Act, Errand, Finish, Job, Program, Retry, Told, Trouble, number_of};
use crate::activity::{Activity, ActivityContext, ActivityOptions, BoxFuture};
use crate::entity::CallError;
use crate::id::EntityId;
use crate::orchestration::{LocalBoxFuture, Orchestration, OrchestrationContext};
use crate::retry::RetryPolicy;
use crate::simulation::plan::Kind;
use crate::simulation::workload::{Ledger, Receipt, Refused, Register};

/// Executes a program.
pub(super) struct Play;

impl Orchestration for Play {
    const NAME: &'static str = "play";
    const VERSION: &'static str = "";
    type Input = Program;
    type Output = Told;
    type Error = Trouble;

    fn run(context: OrchestrationContext, program: Program) -> LocalBoxFuture<Result<Told, Trouble>> {
        Box::pin(play(context, program))
    }
}

macro_rules! job {
    ($type:ident, $name:literal, $options:expr) => {
        /// An activity. The simulation replaces the pool that would run it.
        pub(super) struct $type;

        impl Activity for $type {
            const NAME: &'static str = $name;
            const OPTIONS: ActivityOptions = $options;
            type Input = Job;
            type Output = u64;
            type Error = Trouble;

            fn run(_: ActivityContext, _: Job) -> BoxFuture<Result<u64, Trouble>> {
                unreachable!("the simulation replaces the activity pool")
            }
        }
    };
}

job!(Wide, "wide", ActivityOptions::new());
job!(Narrow, "narrow", ActivityOptions::new().limit(1));

async fn play(ctx: OrchestrationContext, program: Program) -> Result<Told, Trouble> {
    let told = each(&ctx, &program.acts).await?;
    if program.rounds > 0 {
        let mut next = ctx.continue_as_new(program.next());
        if let Some(version) = &program.next_version {
            next = next.version(version);
        }
        match program.keeps_events {
            true => next.await,
            false => next.discard_events().await,
        }
    }
    match program.end {
        Finish::Return => Ok(program.output(told, ctx.version())),
        Finish::Fail => Err(Trouble("as planned".to_owned())),
        Finish::Panic => std::panic::resume_unwind(Box::new("as planned")),
    }
}

async fn each(ctx: &OrchestrationContext, acts: &[Act]) -> Result<Told, Trouble> {
    let mut told = Vec::new();
    for act in acts {
        told.push(perform(ctx.clone(), act.clone()).await?);
    }
    Ok(Told::List(told))
}

fn perform(ctx: OrchestrationContext, act: Act) -> LocalBoxFuture<Result<Told, Trouble>> {
    Box::pin(async move {
        match act {
            Act::Each(acts) => each(&ctx, &acts).await,
            Act::Join(acts) => join(begin_all(&ctx, acts)).await,
            Act::Race(acts) => {
                let (winner, told) = race(begin_all(&ctx, acts)).await;
                Ok(Told::Won(winner, Box::new(told?)))
            }
            Act::Job {
                job,
                narrow,
                retry,
                fatal,
            } => {
                let done = match narrow {
                    true => run_job::<Narrow>(&ctx, job, retry).await,
                    false => run_job::<Wide>(&ctx, job, retry).await,
                };
                judge(done.map(Told::Number).map_err(|error| describe(&error)), fatal)
            }
            Act::Timer(millis) => {
                ctx.create_timer(Duration::from_millis(millis)).await;
                Ok(Told::Nothing)
            }
            Act::Event { name, timeout } => {
                let event = ctx.wait_for_external_event::<Note>(name);
                let received = match timeout {
                    None => event.await.map(Some),
                    Some(millis) => event.timeout(Duration::from_millis(millis)).await,
                };
                let told = received.map(|note| Told::Event(note.map(|note| note.number())));
                judge(told.map_err(|error| describe(&error)), false)
            }
            Act::Call(errand) => {
                let done = call(&ctx, &errand).await;
                judge(
                    done.map(|receipt| Told::Number(receipt.id))
                        .map_err(|error| describe(&error)),
                    false,
                )
            }
            Act::Signal { errand, after } => {
                signal(&ctx, &errand, after);
                Ok(Told::Nothing)
            }
            Act::Lock { entities, inside } => {
                let ids: Vec<EntityId> = entities.iter().map(|(kind, key)| id_of(*kind, key)).collect();
                match ctx.lock_entities(&ids).await {
                    Ok(guard) => {
                        let told = each(&ctx, &inside).await?;
                        drop(guard);
                        Ok(told)
                    }
                    Err(error) => Ok(Told::Failed(describe(&error))),
                }
            }
            Act::Child {
                program,
                id,
                version,
                retry,
                fatal,
            } => {
                let mut child = ctx.call_sub_orchestration::<Play>(program.filled());
                if let Some(id) = id {
                    child = child.instance_id(id);
                }
                if let Some(version) = version {
                    child = child.version(version);
                }
                if let Some(retry) = retry {
                    child = child.retry(retry.policy());
                }
                judge(child.await.map_err(|error| describe(&error)), fatal)
            }
            Act::Start { program, id, version } => {
                let mut start = ctx.start_orchestration::<Play>(program.filled());
                if let Some(id) = id {
                    start = start.instance_id(id);
                }
                if let Some(version) = version {
                    let _ = start.version(version);
                }
                Ok(Told::Nothing)
            }
            Act::Send { to, name, note, bytes } => {
                ctx.send_event(to, name, Note::new(note, bytes));
                Ok(Told::Nothing)
            }
            Act::Status(status) => {
                ctx.set_custom_status(status);
                Ok(Told::Nothing)
            }
        }
    })
}

fn begin_all(ctx: &OrchestrationContext, acts: Vec<Act>) -> Vec<LocalBoxFuture<Result<Told, Trouble>>> {
    acts.into_iter().map(|act| perform(ctx.clone(), act)).collect()
}

async fn run_job<A: Activity<Input = Job, Output = u64, Error = Trouble>>(
    ctx: &OrchestrationContext,
    job: Job,
    retry: Option<Retry>,
) -> Result<u64, CallError<Trouble>> {
    let call = ctx.call_activity::<A>(job.filled());
    match retry {
        Some(retry) => call.retry(retry.policy()).await,
        None => call.await,
    }
}

async fn call(ctx: &OrchestrationContext, errand: &Errand) -> Result<Receipt, CallError<Refused>> {
    let work = errand.with(number_of(ctx.random().next_u64())).filled();
    match (errand.kind, work.pauses) {
        (Kind::Ledger, None) => ctx.entity::<Ledger>(&errand.key).work(work).await,
        (Kind::Ledger, Some(_)) => ctx.entity::<Ledger>(&errand.key).work_slowly(work).await,
        (Kind::Register, None) => ctx.entity::<Register>(&errand.key).work(work).await,
        (Kind::Register, Some(_)) => ctx.entity::<Register>(&errand.key).work_slowly(work).await,
    }
}

fn signal(ctx: &OrchestrationContext, errand: &Errand, after: Option<u64>) {
    let work = errand.with(number_of(ctx.random().next_u64())).filled();
    let operation = match (errand.kind, work.pauses) {
        (Kind::Ledger, None) => ctx.entity::<Ledger>(&errand.key).work(work),
        (Kind::Ledger, Some(_)) => ctx.entity::<Ledger>(&errand.key).work_slowly(work),
        (Kind::Register, None) => ctx.entity::<Register>(&errand.key).work(work),
        (Kind::Register, Some(_)) => ctx.entity::<Register>(&errand.key).work_slowly(work),
    };
    match after {
        None => operation.signal(),
        Some(millis) => {
            operation.signal_after(Duration::from_millis(millis));
        }
    }
}

fn id_of(kind: Kind, key: &str) -> EntityId {
    match kind {
        Kind::Ledger => EntityId::new("ledger", key),
        Kind::Register => EntityId::new("register", key),
    }
    .expect("the keys of the simulation are valid")
}

/// Ends the program if a failure is fatal.
fn judge(done: Result<Told, String>, fatal: bool) -> Result<Told, Trouble> {
    match done {
        Ok(told) => Ok(told),
        Err(failure) if fatal => Err(Trouble(failure)),
        Err(failure) => Ok(Told::Failed(failure)),
    }
}

fn describe<E: std::fmt::Display>(error: &CallError<E>) -> String {
    match error {
        CallError::Returned(error) => format!("returned: {error}"),
        CallError::Runtime(error) => format!("runtime: {:?}", error.kind()),
    }
}

impl Retry {
    pub(super) fn policy(&self) -> RetryPolicy {
        let policy = RetryPolicy::new(self.attempts)
            .first_interval(Duration::from_millis(self.first))
            .backoff(if self.doubles { 2.0 } else { 1.0 });
        match self.overall {
            Some(overall) => policy.timeout(Duration::from_millis(overall)),
            None => policy,
        }
    }
}

type Part = LocalBoxFuture<Result<Told, Trouble>>;

/// Waits for all parts, or for the first [`Trouble`].
async fn join(mut parts: Vec<Part>) -> Result<Told, Trouble> {
    let mut told: Vec<Option<Told>> = vec![None; parts.len()];
    let trouble = poll_fn(|cx| {
        for (part, told) in parts.iter_mut().zip(&mut told) {
            if told.is_none() {
                match poll(part, cx) {
                    Poll::Ready(Ok(done)) => *told = Some(done),
                    Poll::Ready(Err(trouble)) => return Poll::Ready(Some(trouble)),
                    Poll::Pending => {}
                }
            }
        }
        match told.iter().all(Option::is_some) {
            true => Poll::Ready(None),
            false => Poll::Pending,
        }
    })
    .await;
    match trouble {
        Some(trouble) => Err(trouble),
        None => Ok(Told::List(told.into_iter().flatten().collect())),
    }
}

/// Waits for the first part. If several have ended, the first in their order wins.
async fn race(mut parts: Vec<Part>) -> (usize, Result<Told, Trouble>) {
    poll_fn(|cx| {
        for (at, part) in parts.iter_mut().enumerate() {
            if let Poll::Ready(done) = poll(part, cx) {
                return Poll::Ready((at, done));
            }
        }
        Poll::Pending
    })
    .await
}

fn poll(part: &mut Part, cx: &mut Context<'_>) -> Poll<Result<Told, Trouble>> {
    Pin::new(part).poll(cx)
}
