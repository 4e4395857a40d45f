//! A bank that is killed repeatedly and does not lose a cent.
//!
//! ```text
//! cargo run --example bank        (or `make demo`)
//! ```
//!
//! The bank has 1 000 accounts and executes 50 000 random transfers, 256 at a time. Each transfer is an orchestration.
//! It locks both accounts, withdraws the money from one, has the transfer cleared outside of the bank, and deposits the
//! money into the other. The program starts itself a second time as a worker. It kills that worker with SIGKILL several
//! times, while transfers are in progress and accounts are locked. A new worker resumes, and so does every transfer in
//! progress.
//!
//! The ledger, an ordinary file outside the hub, contains what the bank acknowledged: a worker writes a line for each
//! result. After a kill, the next worker requests the unanswered transfers again with the same request ids. A transfer
//! that had started without an acknowledgment therefore does not start twice.
//!
//! At the end, the accounts are audited against the ledger. Every account keeps the numbers of the transfers that it
//! sent and received, so the audit checks more than the sum: every acknowledged transfer left one account once and
//! reached the other once, every refused one did neither, and nothing else happened. The clearing house also keeps its
//! books in a file. An activity runs at least once: a kill may hit it after it wrote its line and before the hub
//! recorded its result. The books therefore contain exactly the transfers that were done, a few of them twice.
//!
//! With the feature `cluster` and the argument `cluster` (or `make cluster`), three nodes run the same bank over a
//! PostgreSQL server; see `bank/cluster.rs`.

use std::collections::HashMap;
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use abide::prelude::*;
use abide::{HubBuilder, OrchestrationStatus};
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

const ACCOUNTS: u64 = 1_000;
const OPENING_CENTS: i64 = 100_000;
const TRANSFERS: u64 = 50_000;
const CALLERS: usize = 256;
const KILLS: u64 = 5;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

// ---- The bank -------------------------------------------------------------------------------------------------------

#[derive(Entity, Clone, Serialize, Deserialize)]
struct Account {
    cents: i64,
    /// The numbers of the transfers that this account sent, for the audit.
    sent: Vec<u64>,
    /// The numbers of the transfers that this account received, for the audit.
    received: Vec<u64>,
}

/// The initial state of an account, created at its first access.
impl Default for Account {
    fn default() -> Self {
        Self {
            cents: OPENING_CENTS,
            sent: Vec::new(),
            received: Vec::new(),
        }
    }
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("short by {short_by} cents")]
struct Overdrawn {
    short_by: i64,
}

#[operations]
impl Account {
    pub fn withdraw(&mut self, number: u64, cents: i64) -> Result<(), Overdrawn> {
        if self.cents < cents {
            return Err(Overdrawn {
                short_by: cents - self.cents,
            });
        }
        self.cents -= cents;
        self.sent.push(number);
        Ok(())
    }

    pub fn deposit(&mut self, number: u64, cents: i64) {
        self.cents += cents;
        self.received.push(number);
    }

    /// Returns the complete state, for the audit.
    pub fn statement(&self) -> Account {
        self.clone()
    }
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize, FromCallError)]
enum TransferError {
    #[error(transparent)]
    Overdrawn(#[from] Overdrawn),
    #[error(transparent)]
    NotCleared(#[from] NotCleared),
    /// An error of the runtime.
    #[error(transparent)]
    Runtime(#[from] CallError),
}

/// The books of the clearing house, outside the hub. They are a resource of the hub.
struct Clearing(File);

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("failed to notify the clearing house: {0}")]
struct NotCleared(String);

/// Notifies the clearing house. It never starts before the withdrawal is on disk.
#[activity]
async fn clear(clearing: Resource<Clearing>, number: u64) -> Result<(), NotCleared> {
    let mut books = &clearing.0;
    // Writing a few bytes into the memory of the kernel does not need a separate thread.
    let written = books.write_all(format!("{number:08}\n").as_bytes());
    written.map_err(|error| NotCleared(error.to_string()))
}

/// Transfers money. While the lock is held, no other caller can access the accounts, so none can observe the money
/// missing from both.
#[orchestration]
async fn transfer(ctx: OrchestrationContext, order: Transfer) -> Result<(), TransferError> {
    let from = ctx.entity::<Account>(order.from);
    let to = ctx.entity::<Account>(order.to);
    let lock = ctx.lock_entities((&from, &to)).await?;
    from.withdraw(order.number, order.cents).await?;
    ctx.call_activity::<clear>(order.number).await?;
    to.deposit(order.number, order.cents).await?;
    drop(lock);
    Ok(())
}

/// One planned transfer. The plan is a function of the number, so every process can compute it.
#[derive(Serialize, Deserialize)]
struct Transfer {
    number: u64,
    from: u64,
    to: u64,
    cents: i64,
}

impl Transfer {
    fn planned(number: u64) -> Self {
        // SplitMix64 scatters neighboring numbers.
        let mut bits = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        let from = bits % ACCOUNTS;
        // An account other than `from`, and at most half of the opening balance.
        let to = (from + 1 + (bits >> 16) % (ACCOUNTS - 1)) % ACCOUNTS;
        let cents = 1 + ((bits >> 32) % (OPENING_CENTS as u64 / 2)) as i64;
        Self {
            number,
            from,
            to,
            cents,
        }
    }
}

/// Adds everything that the bank needs to a hub, and opens it.
async fn open(hub: HubBuilder, directory: &Path) -> Result<Hub> {
    let clearing = OpenOptions::new().append(true).open(clearing_path(directory))?;
    let hub = hub
        .resource(Clearing(clearing))
        .entity::<Account>()
        .activity::<clear>()
        .orchestration::<transfer>()
        .open()
        .await?;
    Ok(hub)
}

fn builder(directory: &Path) -> HubBuilder {
    Hub::builder(directory.join("hub"))
}

// ---- The ledger -----------------------------------------------------------------------------------------------------

/// The result of a transfer.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Done,
    Refused,
}

/// The length of a line: the number of a transfer in eight digits, `+` for done or `-` for refused, and a line break.
const LINE_BYTES: u64 = 10;

fn ledger_path(directory: &Path) -> PathBuf {
    directory.join("ledger")
}

fn clearing_path(directory: &Path) -> PathBuf {
    directory.join("clearing")
}

/// Returns the path of the file in which each worker records the number of transfers that it resumes.
fn resumed_path(directory: &Path) -> PathBuf {
    directory.join("resumed")
}

fn create_files(directory: &Path) -> Result<()> {
    for path in [
        ledger_path(directory),
        resumed_path(directory),
        clearing_path(directory),
    ] {
        File::create(path)?;
    }
    Ok(())
}

/// Returns the number of results in the ledger.
fn count_answers(directory: &Path) -> std::io::Result<u64> {
    Ok(std::fs::metadata(ledger_path(directory))?.len() / LINE_BYTES)
}

/// Appends one result with one system call. A kill cannot split it: the kernel has the whole line or nothing.
fn note(mut ledger: &File, number: u64, answer: Answer) -> std::io::Result<()> {
    let sign = if answer == Answer::Done { '+' } else { '-' };
    ledger.write_all(format!("{number:08}{sign}\n").as_bytes())
}

/// Reads a file with one number per line.
fn read_numbers(path: &Path) -> Result<Vec<u64>> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.lines().map(str::parse).collect::<Result<_, _>>()?)
}

fn read_ledger(directory: &Path) -> Result<HashMap<u64, Answer>> {
    let mut answers = HashMap::new();
    for line in std::fs::read_to_string(ledger_path(directory))?.lines() {
        let (number, sign) = line.split_at_checked(8).ok_or("the ledger has an invalid line")?;
        let answer = if sign == "+" { Answer::Done } else { Answer::Refused };
        let before = answers.insert(number.parse()?, answer);
        // A node that was stopped between an answer and its line notes it later than the node that replaced it.
        if before.is_some_and(|before| before != answer) {
            return Err(format!("transfer {number} is in the ledger with two different results").into());
        }
    }
    Ok(answers)
}

// ---- The worker -----------------------------------------------------------------------------------------------------

/// Opens the hub and executes the transfers that are not in the ledger. This is the process that is killed.
async fn work(directory: &Path) -> Result<()> {
    let hub = open(builder(directory), directory).await?;
    note_resumed(&hub.client(), directory).await?;
    execute(&hub.client(), directory, 0..TRANSFERS).await?;
    hub.shutdown().await?;
    Ok(())
}

/// Notes how many transfers the last worker left in progress. They resume by themselves, and some may end before they are
/// counted here.
async fn note_resumed(client: &Client, directory: &Path) -> Result<()> {
    let running = client.orchestrations().status(OrchestrationStatus::Running);
    let mut resumed = OpenOptions::new().append(true).open(resumed_path(directory))?;
    writeln!(resumed, "{}", running.count().await?)?;
    Ok(())
}

/// Executes those of the given transfers that are not in the ledger.
async fn execute(client: &Client, directory: &Path, numbers: impl Iterator<Item = u64>) -> Result<()> {
    let answered = read_ledger(directory)?;
    let left: Arc<Vec<u64>> = Arc::new(numbers.filter(|number| !answered.contains_key(number)).collect());
    let next = Arc::new(AtomicUsize::new(0));
    let ledger = Arc::new(OpenOptions::new().append(true).open(ledger_path(directory))?);

    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (client, left, next, ledger) = (client.clone(), left.clone(), next.clone(), ledger.clone());
        callers.spawn(async move {
            while let Some(&number) = left.get(next.fetch_add(1, Ordering::Relaxed)) {
                note(&ledger, number, ask(&client, number).await?)?;
            }
            Result::<()>::Ok(())
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    Ok(())
}

/// Requests one transfer and waits for its end. The request id makes a repeated request after a kill safe.
async fn ask(client: &Client, number: u64) -> Result<Answer> {
    let run = loop {
        let start = client.start::<transfer>(Transfer::planned(number));
        match start.request_id(format!("transfer-{number}")).await {
            // Only on several nodes: the one that ran the hub has ended before it answered.
            Err(error) if error.kind() == ErrorKind::Unconfirmed => {}
            started => break started?,
        }
    };
    match run.result().await {
        Ok(()) => Ok(Answer::Done),
        Err(CallError::Returned(TransferError::Overdrawn(_))) => Ok(Answer::Refused),
        Err(error) => Err(error.into()),
    }
}

// ---- The supervisor -------------------------------------------------------------------------------------------------

/// The measurements of the supervisor.
struct Run {
    elapsed: Duration,
    kills: u64,
    restarts: Vec<Duration>,
}

fn start_worker(directory: &Path) -> Result<Child> {
    let worker = Command::new(std::env::current_exe()?)
        .arg("worker")
        .arg(directory)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    Ok(worker)
}

/// Starts workers until all transfers are answered. Kills each worker but the last when it has done its share.
async fn supervise(directory: &Path, progress: &ProgressBar) -> Result<Run> {
    let begin = Instant::now();
    let answered = || count_answers(directory);
    let (mut kills, mut restarts) = (0, Vec::new());
    let mut worker = start_worker(directory)?;
    // The time at which the last worker was killed, and the number of results at that time.
    let mut killed: Option<(Instant, u64)> = None;
    loop {
        let now = answered()?;
        progress.set_position(now);
        if let Some((at, before)) = killed
            && now > before
        {
            restarts.push(at.elapsed());
            killed = None;
        }
        if kills < KILLS && now >= TRANSFERS / (KILLS + 1) * (kills + 1) {
            // On Unix this is SIGKILL: the worker cannot catch it, and none of its code runs afterwards.
            worker.kill().await?;
            kills += 1;
            progress.set_message(format!("killed {kills} times"));
            killed = Some((Instant::now(), answered()?));
            worker = start_worker(directory)?;
        } else if let Some(status) = worker.try_wait()? {
            if !status.success() {
                return Err(format!("the worker exited unexpectedly: {status}").into());
            }
            progress.finish();
            return Ok(Run {
                elapsed: begin.elapsed(),
                kills,
                restarts,
            });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

// ---- The audit ------------------------------------------------------------------------------------------------------

/// The bank after all transfers, in which the audit has found no difference.
struct Audited {
    accounts: Vec<Account>,
    ledger: HashMap<u64, Answer>,
    /// Number of transfers that were cleared more than once.
    cleared_twice: usize,
}

/// Compares the accounts and the books of the clearing house with the ledger after `count` transfers.
async fn audit_all(client: &Client, directory: &Path, count: u64) -> Result<Audited> {
    let ledger = read_ledger(directory)?;
    let accounts = statements(client).await?;
    audit(&accounts, &ledger, count)?;
    let cleared_twice = audit_clearing(&read_numbers(&clearing_path(directory))?, &ledger)?;
    Ok(Audited {
        accounts,
        ledger,
        cleared_twice,
    })
}

/// Returns the statements of all accounts. All transfers have ended, so no account is locked.
async fn statements(client: &Client) -> Result<Vec<Account>> {
    let locks = client.admin().locks().await?;
    if !locks.is_empty() {
        return Err(format!("all transfers have ended, but these locks are still held: {locks:?}").into());
    }
    let statements = (0..ACCOUNTS).map(async |key| client.entity::<Account>(key).statement().await);
    Ok(futures::future::try_join_all(statements).await?)
}

/// Returns the accounts that have each transfer in their lists, by the number of the transfer.
fn holders<'a>(accounts: &'a [Account], list: impl Fn(&'a Account) -> &'a [u64]) -> HashMap<u64, Vec<u64>> {
    let mut holders: HashMap<u64, Vec<u64>> = HashMap::new();
    for (key, account) in accounts.iter().enumerate() {
        for &number in list(account) {
            holders.entry(number).or_default().push(key as u64);
        }
    }
    holders
}

/// Compares the accounts with the ledger and the plan, and fails at the first difference.
fn audit(accounts: &[Account], ledger: &HashMap<u64, Answer>, count: u64) -> Result<()> {
    let sent = holders(accounts, |account| &account.sent);
    let received = holders(accounts, |account| &account.received);
    let mut balances = vec![OPENING_CENTS; accounts.len()];
    for number in 0..count {
        let Transfer { from, to, cents, .. } = Transfer::planned(number);
        let (should_send, should_receive) = match ledger.get(&number) {
            Some(Answer::Done) => (vec![from], vec![to]),
            Some(Answer::Refused) => (vec![], vec![]),
            None => return Err(format!("transfer {number} was never answered").into()),
        };
        let did_send = sent.get(&number).cloned().unwrap_or_default();
        let did_receive = received.get(&number).cloned().unwrap_or_default();
        if (&did_send, &did_receive) != (&should_send, &should_receive) {
            return Err(format!(
                "transfer {number} should have been sent by {should_send:?} and received by {should_receive:?}, \
                 but was sent by {did_send:?} and received by {did_receive:?}"
            )
            .into());
        }
        if !should_send.is_empty() {
            balances[from as usize] -= cents;
            balances[to as usize] += cents;
        }
    }
    for (key, account) in accounts.iter().enumerate() {
        if account.cents != balances[key] {
            return Err(format!("account {key} has {} cents instead of {}", account.cents, balances[key]).into());
        }
    }
    Ok(())
}

/// Compares the books of the clearing house with the ledger, and returns the number of transfers that were cleared more
/// than once.
fn audit_clearing(cleared: &[u64], ledger: &HashMap<u64, Answer>) -> Result<usize> {
    let mut times: HashMap<u64, usize> = HashMap::new();
    for &number in cleared {
        *times.entry(number).or_default() += 1;
    }
    for (number, answer) in ledger {
        if times.contains_key(number) != (*answer == Answer::Done) {
            return Err(format!("transfer {number} was cleared but not done, or done but not cleared").into());
        }
    }
    Ok(times.values().filter(|times| **times > 1).count())
}

// ---- The entry points -----------------------------------------------------------------------------------------------

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => demo().await,
        ["worker", directory] => work(Path::new(directory)).await,
        #[cfg(feature = "cluster")]
        ["cluster"] => cluster::demo().await,
        #[cfg(feature = "cluster")]
        ["node", number, url, directory] => cluster::node(number.parse()?, url, Path::new(directory)).await,
        _ => Err("usage: bank [cluster]; `cluster` needs the feature `cluster`".into()),
    }
}

async fn demo() -> Result<()> {
    let directory = tempfile::tempdir()?;
    create_files(directory.path())?;
    println!("{TRANSFERS} transfers between {ACCOUNTS} accounts; the worker will be killed {KILLS} times");

    let progress = ProgressBar::new(TRANSFERS).with_style(ProgressStyle::with_template(
        "{bar:40} {human_pos}/{human_len} transfers, {msg}",
    )?);
    let run = supervise(directory.path(), &progress).await?;

    let hub = open(builder(directory.path()), directory.path()).await?;
    let audited = audit_all(&hub.client(), directory.path(), TRANSFERS).await?;
    hub.shutdown().await?;
    let longest = run.restarts.iter().max().copied().unwrap_or_default();
    let mean = run.restarts.iter().sum::<Duration>() / run.restarts.len().max(1) as u32;
    let times = format!("{} ms, at most {} ms", mean.as_millis(), longest.as_millis());
    let resumed: u64 = read_numbers(&resumed_path(directory.path()))?.iter().sum();
    let kills = [
        ("transfers resumed after a kill", resumed.to_string()),
        ("kills survived", run.kills.to_string()),
        ("time from a kill to the next result", times),
    ];
    print_result(run.elapsed, &audited, &kills);
    Ok(())
}

/// Prints what the audit has found, and what the supervisor has measured.
fn print_result(elapsed: Duration, audited: &Audited, measured: &[(&str, String)]) {
    let Audited { accounts, ledger, .. } = audited;
    let euros = |cents: i64| format!("{}.{:02}", cents / 100, cents % 100);
    let refused = ledger.values().filter(|answer| **answer == Answer::Refused).count();
    let per_s = ledger.len() as f64 / elapsed.as_secs_f64();
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    for (name, value) in [
        ("transfers answered", format!("{} ({refused} refused)", ledger.len())),
        ("transfers per second, interruptions included", format!("{per_s:.0}")),
        ("concurrent callers of a process", CALLERS.to_string()),
        ("transfers cleared more than once", audited.cleared_twice.to_string()),
    ] {
        table.add_row([name, &value]);
    }
    for (name, value) in measured {
        table.add_row([name, value.as_str()]);
    }
    for (name, value) in [
        ("money before", euros(OPENING_CENTS * ACCOUNTS as i64)),
        ("money after", euros(accounts.iter().map(|account| account.cents).sum())),
        ("each acknowledged transfer", "happened exactly once".to_owned()),
    ] {
        table.add_row([name, &value]);
    }
    println!("{table}");
}

#[cfg(feature = "cluster")]
#[path = "bank/cluster.rs"]
mod cluster;

#[cfg(test)]
#[path = "tests/cases/bank.rs"]
mod tests;
