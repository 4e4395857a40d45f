//! The end of a place: the rest of the work is done, and what is there is compared with what must be there.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use abide::prelude::*;

use super::{Ledger, Plan, audit, builder, client};

/// Time that the audit may take for each request that was answered. It reads one thing after the other, and a read of a hub
/// over PostgreSQL waits for a write of the database, which takes milliseconds on a busy machine.
const READS_OF_A_REQUEST: Duration = Duration::from_millis(10);

/// The reason why a place is not as it should be.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The hub did not open, or failed later, and said why. Nothing is lost silently.
    Refused(Error),
    /// Promises that were broken.
    Violated(Vec<String>),
}

impl Broken {
    pub(crate) fn one(violation: impl fmt::Display) -> Self {
        Self::Violated(vec![violation.to_string()])
    }
}

impl From<Error> for Broken {
    /// A hub that has opened may only fail because of what it cannot read or write. Every other error, such as a missing
    /// orchestration, is a broken promise.
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Corrupted | ErrorKind::Io | ErrorKind::Poisoned | ErrorKind::Closed | ErrorKind::Replaced => {
                Self::Refused(error)
            }
            kind => Self::one(format!("{kind:?}: {error}")),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "the hub refused: {error}"),
            Self::Violated(violations) => write!(f, "{}", violations.join("; ")),
        }
    }
}

/// As [`finish`], on this thread. Returns the number of acknowledged requests.
pub(crate) fn finish_now(place: &Path, plan: &Plan, patience: Duration) -> Result<u64, Broken> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let finished = runtime.block_on(finish(place, plan, patience));
    // A thread that hangs is a violation, for which no one should wait again.
    runtime.shutdown_background();
    finished
}

/// Opens the hub of a place after something has happened to it, has each client ask its next request, which the last
/// process may have asked already, waits until everything that was begun has ended, and checks that the hub has exactly
/// the effects of everything that was acknowledged, once each.
async fn finish(place: &Path, plan: &Plan, patience: Duration) -> Result<u64, Broken> {
    let before = Arc::new(Ledger::open(place));
    let opening = builder(place, plan).open();
    let hub = within(patience, "open", opening).await?.map_err(Broken::Refused)?;
    let client = hub.client();
    if plan.ticks {
        within(patience, "schedule", client::ensure_schedule(&client)).await??;
    }
    let done = tokio::time::timeout(patience, complete(&hub, plan, &before)).await;
    let done = match done {
        Ok(done) => done,
        Err(_) => return Err(Broken::one(stuck(&client, patience).await)),
    };
    done?;
    let ledger = Ledger::open(place);
    let answered: u64 = ledger.answers.values().map(|answers| answers.len() as u64).sum();
    let reading = patience + READS_OF_A_REQUEST * u32::try_from(answered).unwrap_or(u32::MAX);
    let violations = within(reading, "read", audit::audit(&client, plan, place, &ledger)).await??;
    within(patience, "shut down", hub.shutdown()).await??;
    if violations.is_empty() {
        Ok(answered)
    } else {
        Err(Broken::Violated(violations))
    }
}

/// Waits for something that the hub does. Taking too long breaks a promise.
async fn within<T>(patience: Duration, what: &str, doing: impl Future<Output = T>) -> Result<T, Broken> {
    let done = tokio::time::timeout(patience, doing).await;
    done.map_err(|_| Broken::one(format!("the hub did not {what} within {} s", patience.as_secs())))
}

/// Asks the next request of each client, and waits for everything that was begun.
async fn complete(hub: &Hub, plan: &Plan, before: &Arc<Ledger>) -> Result<(), Error> {
    let client = &hub.client();
    client::ask(client, plan, before, |number| before.acknowledged(number) + 1).await?;
    if client.schedules().get("tick").await?.is_some() {
        client.schedules().delete("tick").await?;
    }
    loop {
        // No message is on its way any more, but timers may be open.
        hub.idle().await?;
        if unfinished(client).await? == 0 && !audit::waits_for_signals(client, plan, before).await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn unfinished(client: &Client) -> Result<u64, Error> {
    let mut count = 0;
    for status in [OrchestrationStatus::Pending, OrchestrationStatus::Running] {
        count += client.orchestrations().status(status).count().await?;
    }
    Ok(count)
}

/// Says what the hub still waits for.
async fn stuck(client: &Client, patience: Duration) -> String {
    let mut waits = Vec::new();
    if let Ok(page) = client
        .orchestrations()
        .status(OrchestrationStatus::Running)
        .page()
        .await
    {
        waits.extend(page.items.iter().map(|info| info.id.to_string()));
    }
    format!(
        "not finished after {} s; still running: {}",
        patience.as_secs(),
        waits.join(", ")
    )
}
