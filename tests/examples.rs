//! Each example runs in its own process, as a reader would run it, and does what its module documentation describes.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

#[cfg(all(feature = "http", feature = "cluster"))]
#[path = "cluster/server.rs"]
mod server;

/// Returns the command of an example. Examples are in `examples`, next to the `deps` directory of this test.
/// `cargo test` builds both.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("this test has a path");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("cargo puts tests into `deps`");
    let path = profile
        .join("examples")
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.exists(),
        "{} does not exist; `cargo test` or `cargo build --examples` builds it",
        path.display()
    );
    Command::new(path)
}

/// Runs a command to its end and returns its standard output.
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    let Output { status, stdout, stderr } = output;
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

/// The counter continues where the last run stopped.
#[test]
fn the_counter_continues_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("counter");
    for runs_before in 0..3 {
        let found = runs_before * 2;
        let printed = run(example("counter").arg(&path));
        let expected = format!(
            "found: {found}\nafter a signal and a call: {}\nafter a restart: {}\n",
            found + 2,
            found + 2
        );
        assert_eq!(printed, expected);
    }
}

/// A sequence of activities runs once, and its result is on disk.
#[test]
fn a_sequence_of_activities_runs_once() {
    let directory = tempfile::tempdir().unwrap();
    let printed = run(example("hello_sequence").arg(directory.path().join("hello")));
    let expected = "Hello, Tokyo!\nHello, Seattle!\nHello, London!\nactivities so far: 4\n\
                    after a restart the card has 3 lines\nactivities so far: 4\n";
    assert_eq!(printed, expected);
}

/// Every file of a tree is hashed as in a sequential walk, and the total number of bytes is that of `du`.
#[test]
fn a_tree_is_hashed_in_parallel() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src")
        .canonicalize()
        .unwrap();
    let printed = run(example("fan_out").arg(&directory));
    let mut files = files_below(&directory);
    files.sort();
    let mut expected = String::new();
    let mut hashes = Vec::new();
    for path in &files {
        let content = std::fs::read(path).unwrap();
        let hash = xxhash_rust::xxh3::xxh3_64(&content);
        hashes.extend(hash.to_be_bytes());
        expected += &format!("{hash:016x} {:>9} {}\n", content.len(), path.display());
    }
    let bytes = run(Command::new("sh")
        .args([
            "-c",
            r#"find "$1" -type f -print0 | du -b -l -c --files0-from=- | tail -n 1 | cut -f 1"#,
            "sh",
        ])
        .arg(&directory));
    let hash = xxhash_rust::xxh3::xxh3_64(&hashes);
    expected += &format!("{hash:016x} {:>9} in {} files\n", bytes.trim(), files.len());
    assert_eq!(printed, expected);
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// Returns a file of the repository.
fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Each deployment sets exactly the variables that the service reads, and asks for its health at a route that exists.
#[test]
fn a_deployment_sets_what_the_service_reads() {
    let service = file("examples/service.rs");
    let read = service.split("setting(\"").skip(1);
    let read: BTreeSet<&str> = read.map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(read.len() >= 5, "the service reads {read:?}");
    for path in ["deploy/compose.yaml", "deploy/kubernetes.yaml"] {
        let deployment = file(path);
        // `NAME: value` in one of the files, and `- name: NAME` in the other.
        let words = deployment.lines().map(|line| line.trim_start());
        let words = words.map(|line| line.strip_prefix("- name: ").unwrap_or(line));
        let names = words.map(|line| line.split(':').next().unwrap());
        let set: BTreeSet<&str> = names.filter(|name| name.starts_with("ABIDE_")).collect();
        assert_eq!(set, read, "{path}");
        let health = "/runtime/webhooks/durabletask/health";
        assert!(deployment.contains(health), "{path} does not ask {health}");
    }
    let image = file("deploy/Dockerfile");
    for part in [
        "--example service",
        "abide-examples/cluster,abide-examples/http",
        "[\"service\"]",
    ] {
        assert!(image.contains(part), "the image lacks {part}");
    }
}

/// The monitor polls until the job is done, and the history of its last execution contains one round.
#[test]
fn a_monitor_polls_until_the_job_is_done() {
    let printed = run(example("monitor").args(["50", "400"]));
    let after = |text: &str| {
        let found = printed.lines().find_map(|line| line.strip_prefix(text));
        found.unwrap_or_else(|| panic!("the monitor did not print {text:?}:\n{printed}"))
    };
    let rounds: u32 = after("the job is done, detected in round ").parse().unwrap();
    assert!(rounds > 1, "{printed}");
    assert_eq!(after("custom status: "), "\"100 %\"");
    assert_eq!(after("execution id changed: "), "true");
    // The start, the call of the activity, its result, and the end.
    assert_eq!(after("events in the last history: "), "4");
}

/// The first approver decides on an expense, or the next one, or the request lapses.
#[test]
fn an_approval_waits_for_people_and_no_longer_than_it_may() {
    let printed = run(example("approval").arg("1000"));
    let expected = "chair: Approved { by: \"the team lead\" }\ncar: Refused { by: \"the team lead\" }\n\
                    trip: Approved { by: \"the manager\" }\nplant: Lapsed\n";
    assert_eq!(printed, expected);
}

/// Every message of clients, orchestrations and entities to an entity is counted once.
#[test]
fn an_aggregator_counts_everything_once() {
    let printed = run(&mut example("aggregator"));
    let price = |number: u64| 100 + number * 7_919 % 9_901;
    let (mut expected, mut all) = (String::new(), Vec::new());
    for (shop, name) in ["Berlin", "Lagos", "Quito"].into_iter().enumerate() {
        let tills = (0..4).flat_map(|till| (0..50).map(move |sale| 1_000 * till + sale));
        let paper = (0..25).map(|sale| 100 * shop as u64 + sale);
        let sales: Vec<u64> = tills.chain(paper).map(price).collect();
        expected += &format!("{name}: {}\n", figures(&sales));
        all.extend(sales);
    }
    expected += &format!("all: {}\n", figures(&all));
    expected += &format!("expected: {} cents\n", all.iter().sum::<u64>());
    assert_eq!(printed, expected);
}

fn figures(sales: &[u64]) -> String {
    let (cents, largest) = (sales.iter().sum::<u64>(), sales.iter().max().unwrap());
    format!("{} sales, {cents} cents, largest {largest}", sales.len())
}

/// The completed steps of a failed order are undone in reverse order, and a payment that is requested twice is taken
/// once.
#[test]
fn an_order_is_processed_or_undone_in_reverse_order() {
    let expected = "\
good: confirmed
    validated
    took 2 lamp
    took 4 bulb
    paid 3000
    confirmed
declined: the card of Mallory was declined
    validated
    took 1 lamp
    took 2 bulb
    failed: the card of Mallory was declined
    put back 2 bulb
    put back 1 lamp
sold-out: insufficient stock of lamp: 8 left
    validated
    took 3 bulb
    failed: insufficient stock of lamp: 8 left
    put back 3 bulb
no-address: no address for Nemo
    validated
    took 3 lamp
    took 6 bulb
    paid 4500
    failed: no address for Nemo
    refunded 4500
    put back 6 bulb
    put back 3 lamp
empty: invalid order: no lines
    failed: invalid order: no lines
lamp: 8 in stock
bulb: 21 in stock
the provider's books:
payment Alice 3000
payment Nemo 4500
refund Nemo 4500
";
    assert_eq!(run(&mut example("order_processing")), expected);
}

/// The bank kills its worker five times and checks that nothing was lost or applied twice.
#[test]
fn the_bank_survives_its_kills() {
    let printed = run(&mut example("bank"));
    let row = |name: &str| {
        let line = printed.lines().find(|line| line.contains(name));
        let line = line.unwrap_or_else(|| panic!("the bank did not print {name:?}:\n{printed}"));
        line.split('┆')
            .nth(1)
            .unwrap_or_default()
            .trim_matches(['│', ' '])
            .to_owned()
    };
    assert!(row("transfers answered").starts_with("50000 "), "{printed}");
    assert_eq!(row("kills survived"), "5", "{printed}");
    // Some kills happened in the middle of a transfer: accounts were locked, and the money was in neither.
    assert_ne!(row("transfers resumed after a kill"), "0", "{printed}");
    assert_eq!(row("money before"), row("money after"), "{printed}");
    assert_eq!(row("each acknowledged transfer"), "happened exactly once", "{printed}");
}

/// The word counts of real texts are those of a shell pipeline.
#[test]
fn words_are_counted_as_in_the_shell() {
    let directory = tempfile::tempdir().unwrap();
    let texts = licenses();
    let printed = run(&mut wordcount(&directory.path().join("hub"), &texts));
    assert_eq!(printed, counted_by_the_shell(&texts));

    // Everything is counted already, so another run adds nothing.
    let printed_again = run(&mut wordcount(&directory.path().join("hub"), &texts));
    assert_eq!(printed_again, printed);
}

/// A count that is repeatedly killed and restarted returns the same result.
#[test]
fn words_are_counted_once_over_kills() {
    let directory = tempfile::tempdir().unwrap();
    let hub = directory.path().join("hub");
    let text = directory.path().join("text");
    write_long_text(&text);
    let mut kills = 0;
    // Each run lives a little longer than the previous one. So the kills hit the start of a run as well as its middle,
    // and the last run completes on a machine of any speed.
    for milliseconds in (20..).step_by(20) {
        let mut process = wordcount(&hub, [&text]).stdout(Stdio::piped()).spawn().unwrap();
        if let Some(printed) = ended_within(&mut process, Duration::from_millis(milliseconds)) {
            assert_eq!(printed, counted_by_the_shell([&text]));
            break;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        kills += 1;
    }
    assert!(kills >= 3, "the text is too short: {kills} kills");
}

fn wordcount(hub: &Path, texts: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = example("wordcount");
    command.arg(hub).args(texts);
    command
}

/// Returns the output of a process if it exits within `time`.
fn ended_within(process: &mut Child, time: Duration) -> Option<String> {
    let mut stdout = process.stdout.take().expect("stdout is piped");
    let (sender, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut printed = String::new();
        let _ = stdout.read_to_string(&mut printed);
        let _ = sender.send(printed);
    });
    let printed = ended.recv_timeout(time).ok()?;
    assert!(process.wait().unwrap().success());
    Some(printed)
}

/// Returns the licenses of this project and those of Debian.
fn licenses() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = vec![root.join("LICENSE-APACHE"), root.join("LICENSE-MIT")];
    for name in ["GPL-3", "GFDL-1.3", "MPL-2.0", "Artistic"] {
        let text = Path::new("/usr/share/common-licenses").join(name);
        if text.exists() {
            texts.push(text);
        }
    }
    texts
}

/// Writes a text that takes long enough to count that the process can be killed meanwhile.
fn write_long_text(path: &Path) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    for round in 0..40 {
        for text in licenses() {
            file.write_all(&std::fs::read(text).unwrap()).unwrap();
        }
        // Words that are unique to the round, so that the number of entities grows too.
        let letters: String = format!("{round:02}")
            .bytes()
            .map(|digit| char::from(digit - b'0' + b'a'))
            .collect();
        for other in 'a'..='z' {
            writeln!(file, "round{letters}{other}").unwrap();
        }
    }
    file.flush().unwrap();
}

fn counted_by_the_shell(texts: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    // If the text begins with a space, `tr` prints an empty line, which is not a word.
    let pipeline =
        r#"cat "$@" | LC_ALL=C tr -cs A-Za-z '\n' | LC_ALL=C tr A-Z a-z | sed '/^$/d' | LC_ALL=C sort | uniq -c"#;
    run(Command::new("sh").args(["-c", pipeline, "sh"]).args(texts))
}

/// The examples that serve HTTP receive requests over a real socket, and end by Ctrl-C or a crash.
#[cfg(feature = "http")]
mod served {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpStream;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use serde_json::{Value, json};

    /// The process of an example and its URL.
    struct Served {
        process: Child,
        stdout: BufReader<std::process::ChildStdout>,
        /// The URL prefix of every route, as printed by the example.
        url: String,
    }

    /// An HTTP response.
    struct Answer {
        status: u16,
        head: String,
        body: String,
    }

    impl Served {
        /// Starts an example and reads the URL from its first line: the word that begins with `http://`, without `end`.
        fn start(command: &mut Command, end: &str) -> Self {
            let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
            let mut process = command.spawn().unwrap();
            let mut stdout = BufReader::new(process.stdout.take().unwrap());
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            let url = line.split_whitespace().find(|word| word.starts_with("http://"));
            let url = url.unwrap_or_else(|| panic!("no URL in {line:?}"));
            let url = url.strip_suffix(end).unwrap().to_owned();
            Self { process, stdout, url }
        }

        fn service(data: &Path) -> Self {
            let mut command = super::example("service");
            Self::start(command.args(["--port", "0", "--data"]).arg(data), "")
        }

        /// Sends a request to a route, or to a complete URL from a `Location` header.
        fn ask(&self, verb: &str, route: &str, body: &str) -> Answer {
            let url = match route.starts_with("http://") {
                true => route.to_owned(),
                false => format!("{}{route}", self.url),
            };
            let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
            let mut stream = TcpStream::connect(host).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            let length = body.len();
            write!(
                stream,
                "{verb} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
                 content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            Answer {
                status: head.split(' ').nth(1).unwrap().parse().unwrap(),
                head: head.to_owned(),
                body: body.to_owned(),
            }
        }

        /// Polls the `Location` of a start until the response is no longer 202.
        fn follow(&self, started: &Answer) -> Answer {
            assert_eq!(started.status, 202, "{}", started.body);
            assert!(started.header("retry-after").is_some(), "{}", started.head);
            let location = started.header("location").unwrap();
            let deadline = Instant::now() + Duration::from_secs(30);
            loop {
                let answer = self.ask("GET", location, "");
                if answer.status != 202 {
                    return answer;
                }
                assert!(
                    Instant::now() < deadline,
                    "the orchestration is not done: {}",
                    answer.body
                );
                std::thread::sleep(Duration::from_millis(10));
            }
        }

        /// Kills the process, like a crash.
        fn kill(mut self) {
            self.process.kill().unwrap();
            self.process.wait().unwrap();
        }

        /// Sends SIGINT, like Ctrl-C, and waits until the process exits.
        fn interrupt(self) {
            self.end("-INT");
        }

        fn end(mut self, signal: &str) {
            let process = self.process.id().to_string();
            wait_until_ctrl_c_is_handled(&process);
            let sent = Command::new("kill").args([signal, &process]).status().unwrap();
            assert!(sent.success());
            let mut rest = String::new();
            self.stdout.read_to_string(&mut rest).unwrap();
            assert!(self.process.wait().unwrap().success(), "{rest}");
            assert!(rest.ends_with("closed\n"), "{rest}");
        }
    }

    /// Waits until the service handles Ctrl-C. It prints its URL earlier, and the signal would kill it until then.
    fn wait_until_ctrl_c_is_handled(process: &str) {
        const SIGINT: u64 = 1 << 1;
        if !cfg!(target_os = "linux") {
            return;
        }
        loop {
            let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
            if u64::from_str_radix(caught.trim(), 16).unwrap() & SIGINT != 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Kills the process if a test fails.
    impl Drop for Served {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    impl Answer {
        fn header(&self, name: &str) -> Option<&str> {
            self.head.lines().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then(|| value.trim())
            })
        }

        fn json(&self) -> Value {
            serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
        }
    }

    /// Orders are placed, watched, approved and paid over HTTP, and they continue after a crash.
    #[test]
    fn the_service_keeps_its_orders() {
        let directory = tempfile::tempdir().unwrap();
        let service = Served::service(directory.path());
        let order = |customer: &str, n: u32| json!({"customer": customer, "article": "lamp", "n": n}).to_string();

        let small = service.ask("POST", "/orchestrators/process_order/small", &order("Alice", 2));
        let paid = service.follow(&small);
        assert_eq!(paid.status, 200);
        assert_eq!(paid.json()["output"], json!({"paid_cents": 3_000, "left_in_stock": 98}));

        let declined = service.ask("POST", "/orchestrators/process_order/declined", &order("Mallory", 3));
        assert_eq!(service.follow(&declined).json()["runtimeStatus"], "Failed");

        // The large order waits for an approval while its process is killed.
        let large = service.ask("POST", "/orchestrators/process_order/large", &order("Bob", 40));
        assert_eq!(large.status, 202);
        service.kill();
        let service = Served::service(directory.path());
        let approved = service.ask("POST", "/instances/large/raiseEvent/approved", "true");
        assert_eq!(approved.status, 202);
        let large = service.ask("GET", "/instances/large", "");
        let paid = match large.status {
            202 => service.follow(&large),
            _ => large,
        };
        assert_eq!(
            paid.json()["output"],
            json!({"paid_cents": 60_000, "left_in_stock": 58})
        );

        let stock = service.ask("GET", "/entities/stock/lamp", "");
        assert_eq!(stock.json(), json!({"free": 58}));
        let metrics = service.ask("GET", "/metrics", "");
        assert!(metrics.body.contains("abide_commits"), "{}", metrics.body);
        service.interrupt();
    }

    /// Two nodes run the service with the variables of a deployment. The second one forwards to the first, and continues
    /// with its orders when the first one is ended as Docker and Kubernetes do.
    #[cfg(feature = "cluster")]
    #[test]
    fn the_service_runs_on_several_nodes() {
        use super::server::{Server, port_of, reserve_port};

        let Some(database) = Server::start() else { return };
        let directory = tempfile::tempdir().unwrap();
        // They stay reserved until both nodes have ended.
        let ports = [reserve_port(), reserve_port()];
        let node = |number: usize, name: &str, token: &str| {
            let port = port_of(&ports[number]);
            let mut command = super::example("service");
            command
                .env("ABIDE_DATABASE", database.url())
                .env("ABIDE_DIRECTORY", directory.path().join(name))
                .env("ABIDE_LISTEN", format!("127.0.0.1:{port}"))
                .env("ABIDE_ADVERTISE", format!("localhost:{port}"))
                .env("ABIDE_HTTP", "127.0.0.1:0")
                .env("ABIDE_TOKEN", token)
                .env_remove("ABIDE_PUBLIC_URL");
            Served::start(&mut command, "")
        };
        let first = node(0, "first", "token-of-the-first-node");
        let second = node(1, "second", "");
        // The probes of a deployment have no token.
        assert_eq!(first.ask("GET", "/health", "").status, 200);
        assert_eq!(first.ask("GET", "/cluster", "").status, 401);
        assert_eq!(second.ask("GET", "/health", "").status, 200);

        let order = json!({"customer": "Bob", "article": "lamp", "n": 40}).to_string();
        let order = second.ask("POST", "/orchestrators/process_order/large", &order);
        assert_eq!(order.status, 202, "{}", order.body);
        first.end("-TERM");
        let approved = second.ask("POST", "/instances/large/raiseEvent/approved", "true");
        assert_eq!(approved.status, 202, "{}", approved.body);
        let paid = json!({"paid_cents": 60_000, "left_in_stock": 60});
        assert_eq!(second.follow(&order).json()["output"], paid);
        second.end("-TERM");
    }

    /// A custom handler responds with 202 and a `Location` that leads to the output.
    #[test]
    fn a_handler_responds_with_a_location() {
        let service = Served::start(&mut super::example("async_http"), "/orders");
        let order = json!({"customer": "Alice", "pieces": 10}).to_string();
        let placed = service.ask("POST", "/orders", &order);
        let done = service.follow(&placed);
        assert_eq!(done.status, 200);
        assert_eq!(done.json()["output"], "3 boxes for Alice");
        assert_eq!(placed.json()["id"], done.json()["instanceId"]);

        // Invalid requests are errors of the program's own router and do not reach the router of the hub.
        assert_eq!(service.ask("POST", "/orders", "not an order").status, 400);
        assert_eq!(service.ask("GET", "/nothing", "").status, 404);
        service.interrupt();
    }
    /// The session in the README shows the real output.
    #[test]
    fn the_session_of_the_readme_works() {
        const PORT: &str = "127.0.0.1:7071";
        let curl = Command::new("curl").args(["--help", "all"]).output();
        if !curl.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("--json")) {
            // Written to stderr directly, because the captured output of a passing test is not shown.
            let notice = b"\nNOT TESTED: the session of the README, because curl with --json is missing\n";
            std::io::stderr().write_all(notice).unwrap();
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let service = Served::service(directory.path());
        let here = service.url.strip_prefix("http://").unwrap().split('/').next().unwrap();
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let readme = std::fs::read_to_string(readme).unwrap();
        let session = readme.split("```").find(|block| block.contains("$ URL=")).unwrap();
        // Each part is a command and its output.
        let (_, session) = session.split_once("$ ").unwrap();
        let (url, session) = session.split_once("\n$ ").unwrap();
        let url = url.replace(PORT, here);
        for part in session.split("\n$ ") {
            let (command, shown) = part.split_once('\n').unwrap_or((part, ""));
            let shown = unchanging(shown);
            // The effects of a start may take a moment. This test is faster than a reader who types, so it repeats
            // requests that only read.
            let reads = !command.contains("--json");
            let deadline = Instant::now() + Duration::from_secs(30);
            loop {
                let script = format!("{url}; {}", command.replacen("curl", "curl -s", 1));
                let printed = super::run(Command::new("sh").args(["-c", &script]));
                let printed = unchanging(&printed.replace(here, PORT));
                let is_shown = match shown.split_once('…') {
                    Some((beginning, _)) => printed.starts_with(beginning),
                    None => printed == shown,
                };
                if is_shown {
                    break;
                }
                assert!(
                    reads && Instant::now() < deadline,
                    "{command}\n{printed}\nis not\n{shown}"
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        service.interrupt();
    }

    /// Returns `text` without the parts that differ between runs: dates, times, lengths that depend on the port, and
    /// execution IDs.
    fn unchanging(text: &str) -> String {
        let is_time = |word: &str| word.starts_with("20") && word.ends_with('Z');
        let is_execution = |word: &str| word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let lines = text.trim_end().lines().filter(|line| {
            let line = line.trim_end();
            !line.starts_with("date: ") && !line.starts_with("content-length: ")
        });
        let lines = lines.map(|line| {
            let words = line.trim_end().split('"');
            let words = words.map(|word| if is_time(word) || is_execution(word) { "~" } else { word });
            words.collect::<Vec<_>>().join("\"")
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}
