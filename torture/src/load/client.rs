//! The clients.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use abide::prelude::*;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::entities::{Journal, Relay};
use super::ledger::{Acknowledged, append};
use super::orchestrations::{Order, Transfer, order, tick, transfer};
use super::plan::{CALL, LATER, RELAY, Request, SIGNAL, SLOW, journal, request_id};
use super::visits::visit;
use super::{Ledger, Plan, builder};

/// Number of visitors of a node that listens.
const VISITORS: usize = 4;

/// Set while the clients of this process ask nothing. Its readers continue.
static RESTING: AtomicBool = AtomicBool::new(false);

/// Opens the hub of a place and has the clients continue, until each of them has asked all of its requests.
///
/// # Errors
/// Returns the error of the open, of the first request that failed, or of the shutdown.
pub(crate) async fn serve(place: &Path, plan: &Plan, opened: impl Fn() + Send + 'static) -> abide::Result<()> {
    let hub = builder(place, plan).open().await?;
    // Until then, another process may have added to it.
    let ledger = Arc::new(Ledger::open(place));
    let listening = plan.node.as_ref().filter(|node| node.listens.is_some());
    if listening.is_some() {
        tokio::spawn(report_tenures(hub.client(), opened));
    } else {
        opened();
    }
    if let Some(micros) = plan.exits_after {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(micros));
            std::process::exit(0);
        });
    }
    // Each of them ends only with an error.
    let mut others = JoinSet::new();
    for number in 0..plan.readers {
        let reader = Reader {
            client: hub.client(),
            ledger: ledger.clone(),
            acknowledged: Acknowledged::follow(place, plan),
            number,
            states: listening
                .filter(|_| number % 2 == 1)
                .map(|node| append(&states_path(&node.directory))),
        };
        others.spawn(reader.read(plan.clients));
    }
    if listening.is_some() {
        for _ in 0..VISITORS {
            others.spawn(visit(hub.client(), place.to_owned()));
        }
    }
    let client = hub.client();
    let asking = async {
        while plan.ticks
            && let Err(error) = ensure_schedule(&client).await
        {
            // It is there once, however often it is created.
            if !is_of_move(&error) {
                return Err(error);
            }
        }
        ask(&client, plan, &ledger, |_| plan.requests).await
    };
    match plan.node {
        None => asking.await?,
        Some(_) => tokio::select! {
            asked = asking => asked?,
            // Clients that rest do not notice that the hub has failed.
            Some(failed) = others.join_next() => return Err(failed.expect("a reader does not panic")),
            () = end_of_input() => {}
        },
    }
    others.shutdown().await;
    if !plan.closes {
        std::process::exit(0);
    }
    hub.shutdown().await
}

/// Reports each time that this node begins to run the hub.
async fn report_tenures(client: Client, opened: impl Fn()) {
    let (admin, mut runs) = (client.admin(), false);
    while let Ok(stats) = admin.stats() {
        let did_run = std::mem::replace(&mut runs, stats.written > 0);
        if runs && !did_run {
            opened();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the campaign closes the standard input of this process. A line before has the clients rest, and the next one
/// go on.
async fn end_of_input() {
    let (tell, end) = oneshot::channel();
    std::thread::spawn(move || {
        for _ in std::io::stdin().lines() {
            RESTING.fetch_not(Ordering::Relaxed);
        }
        let _ = tell.send(());
    });
    let _ = end.await;
}

/// Waits until the clients of this process do not rest.
pub(super) async fn rest() {
    while RESTING.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Reads the journals of all clients in turn.
struct Reader {
    client: Client,
    ledger: Arc<Ledger>,
    acknowledged: Acknowledged,
    number: u64,
    /// Set if it reads states, which a node that waits has itself. Each read adds a byte to this file.
    states: Option<File>,
}

impl Reader {
    /// Reads, and records what was read. A read shows everything that was acknowledged before it began, by whichever
    /// process. Returns the error with which a read failed.
    async fn read(mut self, clients: u64) -> Error {
        let mut before = vec![0; clients as usize];
        let mut turn = self.number;
        loop {
            let index = turn % clients;
            let key = journal(index, CALL);
            let called = self.acknowledged.calls(index);
            let (length, stamp) = match self.last(&key).await {
                Ok(last) => last,
                // The hub moves to another node.
                Err(failed) if is_of_move(&failed) => continue,
                Err(failed) => return failed,
            };
            if length < called {
                self.ledger.stale(&key, length, called);
            }
            if std::mem::replace(&mut before[index as usize], length) != length {
                self.ledger.read(&key, length, stamp);
            }
            turn += 1;
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
    }

    /// Returns how many numbers a journal has, and the stamp of the last one.
    async fn last(&self, key: &str) -> abide::Result<(u64, u64)> {
        let journal = self.client.entity::<Journal>(key);
        let Some(mut states) = self.states.as_ref() else {
            return journal.last().await.map_err(Error::from);
        };
        let state = journal.state().await?.unwrap_or_default();
        states.write_all(b".").expect("the place is writable");
        // A whole state takes longer to read than its end.
        tokio::time::sleep(Duration::from_millis(2)).await;
        Ok(state.last())
    }
}

/// Returns the path of the file that grows with each state that a node reads.
fn states_path(directory: &Path) -> PathBuf {
    directory.with_extension("states")
}

/// Returns the number of states that the node with a directory has read.
pub(crate) fn states_read(directory: &Path) -> u64 {
    std::fs::metadata(states_path(directory)).map_or(0, |file| file.len())
}

/// Returns `true` if a request of a node that listens has failed because the hub moves. It can be repeated, because it has a
/// request id or only reads.
fn is_of_move(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unconfirmed | ErrorKind::Unavailable)
}

/// Creates the schedule that ticks beside the clients.
pub(super) async fn ensure_schedule(client: &Client) -> abide::Result<()> {
    let every = Recurrence::Every(Duration::from_millis(25));
    client.schedules().ensure::<tick>("tick", every, ()).await?;
    Ok(())
}

/// Has every client ask its requests from the first unacknowledged one up to `end` of the client.
pub(super) async fn ask(
    client: &Client,
    plan: &Plan,
    ledger: &Arc<Ledger>,
    end: impl Fn(u64) -> u64,
) -> abide::Result<()> {
    let mut clients = JoinSet::new();
    let is_here = |number: &u64| plan.node.as_ref().is_none_or(|node| node.has(*number));
    for number in (0..plan.clients).filter(is_here) {
        let (from, to) = (ledger.acknowledged(number), end(number));
        let requests = plan.requests(number).enumerate();
        let requests = requests.skip(from as usize).take(to.saturating_sub(from) as usize);
        let asking = Asking {
            client: client.clone(),
            ledger: ledger.clone(),
            number,
            padding: plan.note_bytes,
        };
        clients.spawn(async move {
            for (n, request) in requests {
                rest().await;
                let answer = loop {
                    match asking.ask(n as u64, request).await {
                        Err(error) if is_of_move(&error) => {}
                        asked => break asked?,
                    }
                };
                asking.ledger.answer(number, n as u64, &answer);
            }
            Ok::<(), Error>(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("a client does not panic")?;
    }
    Ok(())
}

struct Asking {
    client: Client,
    ledger: Arc<Ledger>,
    number: u64,
    padding: usize,
}

impl Asking {
    /// Asks one request, which may have taken effect before. Returns the answer as one word.
    async fn ask(&self, n: u64, request: Request) -> abide::Result<String> {
        let id = request_id(self.number, n);
        let journal = |kind| self.client.entity::<Journal>(journal(self.number, kind));
        match request {
            Request::Call { n } => {
                let stamp = journal(CALL).note(n, self.padding).request_id(id).await?;
                Ok(stamp.to_string())
            }
            Request::Signal { n } => {
                journal(SIGNAL).note(n, self.padding).request_id(id).signal().await?;
                Ok("sent".to_owned())
            }
            Request::Slow { n } => {
                let stamp = journal(SLOW).note_slowly(n).request_id(id).await?;
                Ok(stamp.to_string())
            }
            Request::Relay { n } => {
                let relay = self.client.entity::<Relay>(self.number);
                let to = super::plan::journal(self.number, RELAY);
                Ok(relay.pass(n, &to).request_id(id).await?.to_string())
            }
            Request::Later { n, delay_ms } => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let due_ms = now.as_millis() as u64 + delay_ms;
                let due = UNIX_EPOCH + Duration::from_millis(due_ms);
                match journal(LATER).note_late(n, due_ms).request_id(id).signal_at(due).await {
                    Ok(_) => Ok("sent".to_owned()),
                    // It was sent before, for another time.
                    Err(error) if error.kind() == ErrorKind::RequestIdReused => Ok("sent".to_owned()),
                    Err(error) => Err(error),
                }
            }
            Request::Transfer { from, to, cents } => {
                let start = self.client.start::<transfer>(Transfer { from, to, cents });
                let run = start.instance_id(&id).request_id(&id).await?;
                Ok(run.result().await?.to_string())
            }
            Request::Order { n: order_n, refusals } => self.order(n, &id, order_n, refusals).await,
        }
    }

    async fn order(&self, number: u64, id: &str, n: u64, refusals: u32) -> abide::Result<String> {
        let client = self.number;
        let start = self.client.start::<order>(Order { client, n, refusals });
        let run = start.instance_id(id).request_id(id).await?;
        let info = run.status().await?;
        let execution = info.map(|info| info.execution_id.to_string());
        let execution = execution.unwrap_or_else(|| "missing".to_owned());
        self.ledger.start(client, number, &execution);
        // What was acknowledged needs no repetition. If the event is lost, the order never ends.
        if !self.ledger.paid.contains(&(client, number)) {
            let paid = run.raise_event("paid", format!("by {client}"));
            match paid.request_id(format!("{id}-paid")).await {
                Ok(()) => self.ledger.pay(client, number),
                // It was paid before.
                Err(error) if error.kind() == ErrorKind::Ended => {}
                Err(error) => return Err(error),
            }
        }
        Ok(run.result().await?.join(",").replace(' ', "_"))
    }
}
