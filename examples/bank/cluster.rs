//! The bank on three nodes, which share a hub over PostgreSQL.
//!
//! ```text
//! cargo run --features cluster --example bank -- cluster        (or `make cluster`)
//! ```
//!
//! The program starts a PostgreSQL server in a temporary directory, and itself three times as a node. Each node requests a
//! third of the transfers. The hub has three shards, and each node runs one of them at the beginning. So most transfers use
//! several nodes, and most requests are forwarded to another node. The program kills a node, closes one, stops one for longer
//! than the others wait, and kills the server. When a node fails, the others run its shards, and the transfers continue. The
//! node comes back, goes on with its requests, and runs shards again when the next node fails.
//!
//! Ledger, books and audit are those of the bank on one node. The hub that is audited is a fourth node, which has no
//! copy: it knows only what is in the database.

#[path = "../../tests/cluster/server.rs"]
mod server;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process;

use server::Server;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::ChildStdin;
use tokio::sync::{mpsc, oneshot};

use super::*;

const NODES: usize = 3;
const SHARDS: u16 = 3;

/// Number of transfers. There are fewer than on one node, so that all faults together take less than a minute.
const SHARED_TRANSFERS: u64 = 20_000;

/// What happens, in this order.
const FAULTS: [Fault; 6] = [
    Fault::Kill,
    Fault::Kill,
    Fault::Close,
    Fault::Stop,
    Fault::Kill,
    Fault::Database,
];

/// Time after which a hub that does not serve again fails the demonstration.
const PATIENCE: Duration = Duration::from_secs(120);

/// Time for which a node remains stopped after another one has taken over.
const SLEEP: Duration = Duration::from_secs(1);

/// Time between two looks at the nodes and the ledger.
const LOOK: Duration = Duration::from_millis(1);

/// The report of a node begins with this, followed by the numbers of the shards that it runs now.
const RUNS: &str = "runs";

/// The file in which the nodes note how many requests they have forwarded.
const FORWARDED: &str = "forwarded";

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// A node is killed.
    Kill,
    /// It closes the hub and ends.
    Close,
    /// It stops for longer than the others wait for it, and then goes on.
    Stop,
    /// The database is killed and starts again.
    Database,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "killed (SIGKILL)",
            Self::Close => "shut down",
            Self::Stop => "stopped (SIGSTOP)",
            Self::Database => "killed and started again",
        }
    }
}

// ---- A node ---------------------------------------------------------------------------------------------------------

fn joined(url: &str, directory: &Path) -> HubBuilder {
    let hub = Hub::cluster(url, "bank").shards(SHARDS);
    hub.directory(directory).listen("127.0.0.1:0")
}

/// Executes the transfers of this node, and answers the other nodes until the input of this process ends.
///
/// # Errors
/// Returns any error of the hub.
pub(super) async fn node(number: u64, url: &str, directory: &Path) -> Result<()> {
    let (may_begin, mut is_over) = input();
    let joined = joined(url, &directory.join(format!("node-{}", number + 1)));
    let hub = open(joined, directory).await?;
    let client = hub.client();
    let reporting = tokio::spawn(report(client.clone(), directory.to_owned()));
    let share = (0..SHARED_TRANSFERS).filter(|transfer| transfer % NODES as u64 == number);
    let executing = async {
        let _ = may_begin.await;
        execute(&client, directory, share).await
    };
    tokio::select! {
        executed = executing => {
            executed?;
            // The other nodes may not be done.
            let _ = is_over.await;
        }
        _ = &mut is_over => {}
    }
    reporting.abort();
    Ok(hub.shutdown().await?)
}

/// Reports the shards that this node runs whenever they change, and how many requests it has forwarded.
async fn report(client: Client, directory: PathBuf) -> Result<()> {
    let (life, mut runs, mut count) = (process::id(), Vec::new(), 0);
    let mut notes = OpenOptions::new().append(true).open(directory.join(FORWARDED))?;
    loop {
        let runs_now = client.running_shards();
        if runs != runs_now {
            println!(
                "{RUNS}{}",
                runs_now.iter().map(|number| format!(" {number}")).collect::<String>()
            );
            runs = runs_now;
        }
        let count_now = client.admin().stats()?.forwarded;
        if std::mem::replace(&mut count, count_now) != count_now {
            notes.write_all(format!("{life} {count}\n").as_bytes())?;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Returns the number of requests that were forwarded: the last number of each process.
fn count_forwarded(directory: &Path) -> Result<u64> {
    let mut counts = HashMap::new();
    for line in std::fs::read_to_string(directory.join(FORWARDED))?.lines() {
        let (life, count) = line
            .split_once(' ')
            .ok_or("the file of the nodes has an invalid line")?;
        counts.insert(life.to_owned(), count.parse::<u64>()?);
    }
    Ok(counts.values().sum())
}

/// Returns what completes after the first line of the input of this process, and what completes when the input has ended. A
/// thread reads it, for which the exit does not wait.
fn input() -> (oneshot::Receiver<()>, oneshot::Receiver<()>) {
    let (tell_first, first) = oneshot::channel();
    let (tell_end, end) = oneshot::channel();
    std::thread::spawn(move || {
        // An input that cannot be read has ended as well.
        let _ = std::io::stdin().read_line(&mut String::new());
        let _ = tell_first.send(());
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = tell_end.send(());
    });
    (first, end)
}

// ---- The nodes ------------------------------------------------------------------------------------------------------

/// The process of a node. Dropping it kills the process.
struct Node {
    child: Child,
    /// The node closes its hub and ends when this is dropped.
    input: Option<ChildStdin>,
}

/// A line of a node, with the number of its process in `lives`.
struct Report {
    node: usize,
    life: u32,
    line: String,
}

/// The nodes and what they have reported.
struct Cluster<'a> {
    directory: &'a Path,
    url: String,
    /// The process group of the nodes.
    group: u32,
    nodes: [Option<Node>; NODES],
    /// Grows with each start and each end of a process. Reports with another number are of a former process.
    lives: [u32; NODES],
    /// The shards that each node runs, as far as it has said, and how often it has said so.
    runs: [Vec<u16>; NODES],
    told: [u32; NODES],
    /// The number of nodes that have died in a row while they ran a shard, by shard.
    deaths: [u32; SHARDS as usize],
    tell: mpsc::UnboundedSender<Report>,
    reports: mpsc::UnboundedReceiver<Report>,
    begin: Instant,
}

impl<'a> Cluster<'a> {
    fn start(directory: &'a Path, url: String, group: u32) -> Result<Self> {
        let (tell, reports) = mpsc::unbounded_channel();
        let mut cluster = Self {
            directory,
            url,
            group,
            nodes: [const { None }; NODES],
            lives: [0; NODES],
            runs: [const { Vec::new() }; NODES],
            told: [0; NODES],
            deaths: [0; SHARDS as usize],
            tell,
            reports,
            begin: Instant::now(),
        };
        for number in 0..NODES {
            cluster.start_node(number)?;
        }
        cluster.say(format!("{NODES} nodes start"));
        Ok(cluster)
    }

    fn say(&self, what: impl std::fmt::Display) {
        println!("{:6.1} s  {what}", self.begin.elapsed().as_secs_f64());
    }

    fn answered(&self) -> Result<u64> {
        Ok(count_answers(self.directory)?)
    }

    fn start_node(&mut self, number: usize) -> Result<()> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["node", &number.to_string(), &self.url])
            .arg(self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(self.group as i32)
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().ok_or("the output of a node is not piped")?;
        let (input, tell) = (child.stdin.take(), self.tell.clone());
        self.lives[number] += 1;
        let life = self.lives[number];
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                // Nobody listens any more at the end of the demonstration.
                let node = number;
                let _ = tell.send(Report { node, life, line });
            }
        });
        self.nodes[number] = Some(Node { child, input });
        Ok(())
    }

    /// Returns a node that runs.
    fn running(&mut self, number: usize) -> Result<&mut Node> {
        let node = self.nodes[number].as_mut();
        node.ok_or_else(|| format!("node {} has ended", number + 1).into())
    }

    /// Takes in what the nodes have reported, and fails if one of them has ended by itself before all was done.
    fn look(&mut self) -> Result<()> {
        while let Ok(Report { node, life, line }) = self.reports.try_recv() {
            let list = line.strip_prefix(RUNS).unwrap_or_default();
            let shards: Result<Vec<u16>, _> = list.split_whitespace().map(str::parse).collect();
            let shards = shards.map_err(|_| format!("node {} reported {line:?}", node + 1))?;
            if life == self.lives[node] {
                self.say(format!("node {} runs {}", node + 1, shards_text(&shards)));
                self.runs[node] = shards;
                self.told[node] += 1;
            }
        }
        let answered = self.answered()?;
        for (number, slot) in self.nodes.iter_mut().enumerate() {
            let Some(status) = slot.as_mut().map(|node| node.child.try_wait()).transpose()?.flatten() else {
                continue;
            };
            let is_closed = slot.take().is_some_and(|node| node.input.is_none());
            if !status.success() || !is_closed && answered < SHARED_TRANSFERS {
                return Err(format!("node {} ended unexpectedly: {status}", number + 1).into());
            }
        }
        Ok(())
    }

    /// Looks at the nodes until `is_reached`.
    async fn wait_until(&mut self, what: &str, is_reached: impl Fn(&Self) -> Result<bool>) -> Result<()> {
        let mut newest = (self.answered()?, Instant::now());
        while !is_reached(self)? {
            let answered = self.answered()?;
            if answered > newest.0 {
                newest = (answered, Instant::now());
            }
            if newest.1.elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                return Err(format!("{what}: nothing was acknowledged for {seconds} s").into());
            }
            tokio::time::sleep(LOOK).await;
            self.look()?;
        }
        Ok(())
    }

    /// Returns the node that runs a shard.
    fn owner(&self, shard: u16) -> Option<usize> {
        self.runs.iter().position(|shards| shards.contains(&shard))
    }

    /// Waits until all shards run, and for a result after that.
    async fn wait_for_service(&mut self) -> Result<()> {
        let all_run = |cluster: &Cluster<'_>| Ok((0..SHARDS).all(|shard| cluster.owner(shard).is_some()));
        self.wait_until("a shard does not run", all_run).await?;
        let before = self.answered()?;
        self.wait_until("the hub does not serve", |cluster| Ok(cluster.answered()? > before))
            .await
    }

    /// Waits until each node runs a shard, and lets all of them begin.
    async fn begin(&mut self) -> Result<()> {
        let each_runs_one = |cluster: &Cluster<'_>| Ok(cluster.runs.iter().all(|shards| !shards.is_empty()));
        self.wait_until("no shard moves to a node that has none", each_runs_one)
            .await?;
        self.begin = Instant::now();
        self.say("the transfers begin");
        for number in 0..NODES {
            self.let_begin(number).await?;
        }
        Ok(())
    }

    /// Lets a node begin with its transfers.
    async fn let_begin(&mut self, number: usize) -> Result<()> {
        let input = self.running(number)?.input.as_mut();
        let input = input.ok_or("the node is closed")?;
        Ok(input.write_all(b"\n").await?)
    }

    /// Returns the node on which something fails, from the node `first` on in turn.
    ///
    /// After the second death in a row of a node that runs a shard, the next one would wait for ten seconds and more, in case
    /// an operation is the cause. So the shards with the fewest deaths lose their nodes, and the close, which ends the count,
    /// hits the shard with the most.
    fn victim(&self, fault: Fault, first: usize) -> usize {
        let in_turn = (0..NODES).map(|offset| (first + offset) % NODES);
        let mut running = in_turn.filter(|node| !self.runs[*node].is_empty());
        let deaths = |node: &usize| {
            self.runs[*node]
                .iter()
                .map(|shard| self.deaths[usize::from(*shard)])
                .max()
        };
        let victim = match fault {
            Fault::Close => running.max_by_key(deaths),
            Fault::Database => running.next(),
            Fault::Kill | Fault::Stop => running.min_by_key(deaths),
        };
        victim.unwrap_or(first)
    }

    async fn signal(&mut self, number: usize, signal: &str) -> Result<()> {
        let id = self.running(number)?.child.id().ok_or("the node has ended")?;
        let sent = Command::new("kill").args([signal, &id.to_string()]).status().await?;
        if !sent.success() {
            return Err(format!("`kill {signal}` of node {} failed: {sent}", number + 1).into());
        }
        Ok(())
    }
}

// ---- The faults -----------------------------------------------------------------------------------------------------

/// What has failed, and when the hub served again.
struct Failover {
    /// Time from the first transfer to the fault.
    at: Duration,
    what: String,
    /// The shards that ran on what has failed, and the nodes that ran them afterwards.
    shards: Vec<u16>,
    nodes: Vec<usize>,
    /// Time from the fault until all shards run, and the next result. A node that is closed, and a server that starts, take
    /// a part of it.
    away: Duration,
}

/// Lets every fault happen, and waits until all transfers are answered. Returns the faults and the time of all of it.
async fn fail_and_finish(cluster: &mut Cluster<'_>, server: &mut Server) -> Result<(Vec<Failover>, Duration)> {
    cluster.begin().await?;
    cluster.wait_for_service().await?;
    let mut failovers = Vec::new();
    for (done, fault) in FAULTS.into_iter().enumerate() {
        let share = SHARED_TRANSFERS / (FAULTS.len() as u64 + 1) * (done as u64 + 1);
        let is_reached = |cluster: &Cluster<'_>| Ok(cluster.answered()? >= share);
        cluster.wait_until("the transfers do not proceed", is_reached).await?;
        let node = cluster.victim(fault, done % NODES);
        failovers.push(endure(cluster, server, fault, node).await?);
    }
    let is_reached = |cluster: &Cluster<'_>| Ok(cluster.answered()? >= SHARED_TRANSFERS);
    cluster.wait_until("the transfers do not end", is_reached).await?;
    let elapsed = cluster.begin.elapsed();
    cluster.say("all transfers are answered; the nodes end");
    for node in cluster.nodes.iter_mut().flatten() {
        node.input = None;
    }
    let is_over = |cluster: &Cluster<'_>| Ok(cluster.nodes.iter().all(Option::is_none));
    cluster.wait_until("the nodes do not end", is_over).await?;
    Ok((failovers, elapsed))
}

/// Lets something fail, waits until the hub serves again, and lets the node come back.
async fn endure(cluster: &mut Cluster<'_>, server: &mut Server, fault: Fault, node: usize) -> Result<Failover> {
    let (what, shards) = match fault {
        Fault::Database => (format!("PostgreSQL {}", fault.name()), (0..SHARDS).collect()),
        _ => (
            format!("node {} {}", node + 1, fault.name()),
            cluster.runs[node].clone(),
        ),
    };
    cluster.say(format!("{} transfers answered; {what}", cluster.answered()?));
    let (at, begin) = (cluster.begin.elapsed(), Instant::now());
    fail(cluster, server, fault, node).await?;
    for shard in &shards {
        let deaths = &mut cluster.deaths[usize::from(*shard)];
        match fault {
            Fault::Kill | Fault::Stop => *deaths += 1,
            Fault::Close => *deaths = 0,
            Fault::Database => {}
        }
    }
    if fault != Fault::Database {
        cluster.look()?;
        // A process that has ended says no more, and one that was stopped says more when it goes on.
        if fault != Fault::Stop {
            cluster.lives[node] += 1;
        }
        cluster.runs[node].clear();
    }
    cluster.wait_for_service().await?;
    let away = begin.elapsed();
    cluster.say(format!(
        "all shards run, and the next result comes {} after the fault",
        seconds(away)
    ));
    let mut nodes: Vec<usize> = shards.iter().filter_map(|shard| cluster.owner(*shard)).collect();
    nodes.sort_unstable();
    nodes.dedup();
    come_back(cluster, fault, node).await?;
    Ok(Failover {
        at,
        what,
        shards,
        nodes,
        away,
    })
}

async fn fail(cluster: &mut Cluster<'_>, server: &mut Server, fault: Fault, node: usize) -> Result<()> {
    match fault {
        Fault::Kill => {
            cluster.running(node)?.child.kill().await?;
            cluster.nodes[node] = None;
        }
        Fault::Close => {
            cluster.running(node)?.input = None;
            // It hands its shards over first.
            let has_ended = move |cluster: &Cluster<'_>| Ok(cluster.nodes[node].is_none());
            cluster.wait_until("the node does not end", has_ended).await?;
        }
        Fault::Stop => cluster.signal(node, "-STOP").await?,
        Fault::Database => {
            let begin = Instant::now();
            server.kill();
            server.resume();
            cluster.say(format!(
                "PostgreSQL accepts connections after {}",
                seconds(begin.elapsed())
            ));
        }
    }
    Ok(())
}

/// Lets the node on which something has failed wait for shards again.
async fn come_back(cluster: &mut Cluster<'_>, fault: Fault, node: usize) -> Result<()> {
    match fault {
        Fault::Kill | Fault::Close => {
            cluster.start_node(node)?;
            cluster.let_begin(node).await?;
            cluster.say(format!("node {} starts again", node + 1));
        }
        Fault::Stop => {
            tokio::time::sleep(SLEEP).await;
            let (told, begin) = (cluster.told[node], Instant::now());
            cluster.signal(node, "-CONT").await?;
            let has_noticed = move |cluster: &Cluster<'_>| Ok(cluster.told[node] > told);
            cluster
                .wait_until("the node does not notice that it was replaced", has_noticed)
                .await?;
            let after = seconds(begin.elapsed());
            cluster.say(format!(
                "node {} goes on (SIGCONT), and learns after {after} that it was replaced",
                node + 1
            ));
        }
        Fault::Database => {}
    }
    Ok(())
}

fn shards_text(shards: &[u16]) -> String {
    let numbers: Vec<String> = shards.iter().map(u16::to_string).collect();
    match numbers.as_slice() {
        [] => "no shard".to_owned(),
        [number] => format!("shard {number}"),
        _ => format!("shards {}", numbers.join(", ")),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

// ---- What remains if this program is killed -------------------------------------------------------------------------

/// Waits until the program has ended, in whichever way, and then ends the nodes and the server and removes their files.
/// The argument is the directory of all of them. The nodes are in the process group of this shell. One of them may be
/// stopped, and ends when it goes on.
const CLEAN_UP: &str = r#"
cat >/dev/null
trap '' TERM
kill -TERM 0
kill -CONT 0
for server in "$1"/*/data/postmaster.pid; do
    if [ -e "$server" ]; then kill -KILL "$(head -n 1 "$server")"; fi
done
until rm -rf "$1"; do sleep 0.1; done
"#;

/// A process that cleans up after this one. Dropping it cleans up.
struct Cleaner(process::Child);

impl Cleaner {
    fn start(directory: &Path) -> Result<Self> {
        let mut command = process::Command::new("sh");
        command.args(["-c", CLEAN_UP, "sh"]).arg(directory);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Ctrl-C is sent to the process group of the terminal.
        Ok(Self(command.process_group(0).spawn()?))
    }
}

impl Drop for Cleaner {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

// ---- The demonstration ----------------------------------------------------------------------------------------------

pub(super) async fn demo() -> Result<()> {
    if !Server::is_installed() {
        return Err("PostgreSQL is not installed; `scripts/postgres` installs it, or prints the command".into());
    }
    let place = shared_directory()?;
    let cleaner = Cleaner::start(place.path())?;
    let directory = place.path().join("bank");
    std::fs::create_dir(&directory)?;
    create_files(&directory)?;
    File::create(directory.join(FORWARDED))?;
    println!(
        "{SHARED_TRANSFERS} transfers between {ACCOUNTS} accounts on {NODES} nodes with {SHARDS} shards; PostgreSQL starts"
    );

    let mut server = Server::start().ok_or("PostgreSQL did not start")?;
    let mut cluster = Cluster::start(&directory, server.url(), cleaner.0.id())?;
    let (failovers, elapsed) = fail_and_finish(&mut cluster, &mut server).await?;

    let log = log_of(&server)?;
    let hub = open(joined(&server.url(), &directory.join("audit")), &directory).await?;
    let audited = audit_all(&hub.client(), &directory, SHARED_TRANSFERS).await?;
    hub.shutdown().await?;
    print_failovers(&failovers);
    let mut rows = log.rows().to_vec();
    rows.push((
        "requests that were forwarded to another node",
        count_forwarded(&directory)?.to_string(),
    ));
    print_result(elapsed, &audited, &rows);
    Ok(())
}

/// Creates the directory of everything that the demonstration writes. The server, which has another user if this one is
/// root, can have its directory in it.
fn shared_directory() -> Result<TempDir> {
    let place = tempfile::Builder::new().prefix("abide-bank-").tempdir()?;
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o711))?;
    tempfile::env::override_temp_dir(place.path())
        .map_err(|other| format!("temporary files are already written to {}", other.display()))?;
    Ok(place)
}

/// The size of the log in the database.
struct Log {
    /// Number of records. Each was one append.
    appends: u64,
    commits: u64,
    bytes: u64,
}

impl Log {
    fn rows(&self) -> [(&'static str, String); 3] {
        let per_append = self.commits as f64 / self.appends.max(1) as f64;
        let mib = self.bytes as f64 / f64::from(1 << 20);
        [
            ("appends to the log in PostgreSQL", self.appends.to_string()),
            ("commits per append", format!("{per_append:.2}")),
            ("size of the log in PostgreSQL", format!("{mib:.1} MiB")),
        ]
    }
}

/// Returns the size of the logs. Records and commits of a shard have consecutive numbers, and `abide.shard` has the newest
/// ones.
fn log_of(server: &Server) -> Result<Log> {
    let number = |column: &str, table: &str| -> Result<u64> {
        let text = server.run(&format!("SELECT {column} FROM abide.{table}"));
        let number = text.parse();
        Ok(number.map_err(|_| format!("`{column}` of `abide.{table}` is {text:?} instead of a number"))?)
    };
    Ok(Log {
        appends: number("sum(head)", "shard")?,
        commits: number("sum(commit)", "shard")?,
        bytes: number("sum(octet_length(body))", "log")?,
    })
}

fn print_failovers(failovers: &[Failover]) {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_header(["at", "fault", "ran", "run afterwards by", "serves again after"]);
    for failover in failovers {
        let by: Vec<String> = failover.nodes.iter().map(|node| format!("node {}", node + 1)).collect();
        table.add_row([
            seconds(failover.at),
            failover.what.clone(),
            shards_text(&failover.shards),
            by.join(", "),
            seconds(failover.away),
        ]);
    }
    println!("{table}");
}
