//! The command line: every command on a running hub and on the directory of a stopped one, its output for people and
//! for scripts, its exit codes and its error messages.

#[path = "it/fixtures.rs"]
mod fixtures;
#[path = "it/lost_signals.rs"]
mod lost_signals;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use abide::history::RecordedHistory;
use abide::http::{HttpConfig, HttpServer, Token};
use abide::prelude::*;
use abide::{OrchestrationContext, OrchestrationStatus, orchestration, schedule::Recurrence};
use fixtures::contents;
use lost_signals::Sender;
use serde_json::{Value, json};

const TOKEN: &str = "operator-of-the-test-hub";

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("no more than {most}")]
struct TooMuch {
    most: u32,
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
#[entity(audit = 2)]
struct Counter {
    n: u32,
}

#[operations]
impl Counter {
    pub fn add(&mut self, n: u32) -> Result<u32, TooMuch> {
        if n > 1_000 {
            return Err(TooMuch { most: 1_000 });
        }
        self.n += n;
        Ok(self.n)
    }

    pub fn set(&mut self, n: u32, factor: u32) {
        self.n = n * factor;
    }
}

/// An entity whose state the build `after` cannot read.
mod before {
    use abide::prelude::*;

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    pub(super) struct Shelf {
        books: u32,
    }

    #[operations]
    impl Shelf {
        pub fn put(&mut self, books: u32) {
            self.books += books;
        }
    }
}

mod after {
    use abide::prelude::*;

    #[derive(Entity, Default, Clone, Serialize, Deserialize)]
    pub(super) struct Shelf {
        books: Vec<String>,
    }

    #[operations]
    impl Shelf {
        pub fn put(&mut self, books: u32) {
            self.books.push(books.to_string());
        }
    }
}

/// Locks a counter, waits for the event `go`, and returns its input followed by the payload of the event.
#[orchestration]
async fn waits(ctx: OrchestrationContext, prefix: String) -> Result<String, Failure> {
    let counter = ctx.entity::<Counter>(&prefix);
    let lock = ctx.lock_entities(&counter).await?;
    ctx.set_custom_status("waiting");
    let event = ctx.wait_for_external_event::<String>("go").await?;
    drop(lock);
    Ok(prefix + &event)
}

#[orchestration]
async fn refuses(_ctx: OrchestrationContext, n: u32) -> Result<(), TooMuch> {
    Err(TooMuch { most: n })
}

#[orchestration]
async fn panics(_ctx: OrchestrationContext) {
    panic!("this code is broken");
}

/// Calls an activity that fails until `file` exists.
#[orchestration]
async fn fails_at_first(ctx: OrchestrationContext, file: PathBuf) -> Result<u32, Failure> {
    Ok(ctx.call_activity::<needs_a_file>(file).await?)
}

#[activity]
async fn needs_a_file(file: PathBuf) -> Result<u32, Failure> {
    match fs::exists(&file) {
        Ok(true) => Ok(7),
        _ => Err(Failure::message("there is no file")),
    }
}

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Ledger {
    total: u128,
}

#[operations]
impl Ledger {
    pub fn put(&mut self, total: u128) -> u128 {
        self.total = total;
        total
    }
}

#[orchestration]
async fn echoes(ctx: OrchestrationContext, n: u128) -> u128 {
    ctx.set_custom_status(n);
    n
}

fn builder(directory: &Path) -> abide::HubBuilder {
    Hub::builder(directory)
        .partitions(4)
        .executors(2)
        .entity::<Counter>()
        .entity::<Sender>()
        .entity::<after::Shelf>()
        .entity::<Ledger>()
        .orchestration::<echoes>()
        .orchestration::<waits>()
        .orchestration::<refuses>()
        .orchestration::<panics>()
        .orchestration::<fails_at_first>()
        .activity::<needs_a_file>()
}

/// A hub that contains every kind of record, served on loopback.
struct Served {
    place: tempfile::TempDir,
    hub: Hub,
    server: HttpServer,
}

impl Served {
    async fn open() -> Self {
        let place = tempfile::tempdir().unwrap();
        let old = Hub::builder(place.path()).partitions(4).entity::<before::Shelf>();
        let old = old.open().await.unwrap();
        old.client().entity::<before::Shelf>("a").put(1).await.unwrap();
        old.shutdown().await.unwrap();
        free(place.path());

        let hub = builder(place.path()).open().await.unwrap();
        let client = hub.client();
        for n in 0..5 {
            client.entity::<Counter>(n.to_string()).add(n).await.unwrap();
        }
        client.entity::<Sender>("s").send(vec![3]).await.unwrap();
        client.entity::<after::Shelf>("a").put(1).await.unwrap_err();
        for n in 0..3 {
            let start = client.start::<waits>(format!("p{n}")).instance_id(format!("w-{n}"));
            start.tag("n", n.to_string()).await.unwrap();
        }
        client
            .start::<refuses>(3)
            .instance_id("f")
            .await
            .unwrap()
            .result()
            .await
            .unwrap_err();
        let period = Recurrence::Every(Duration::from_secs(7_200));
        let schedule = client.schedules().create::<refuses>("late", period, 3);
        schedule.paused().tag("n", "1").await.unwrap();
        while client.admin().locks().await.unwrap().len() < 3
            || client.admin().dead_letters().await.unwrap().is_empty()
            || client.admin().quarantined().await.unwrap().is_empty()
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let config = HttpConfig::new()
            .bind(([127, 0, 0, 1], 0))
            .token(Token::operate(TOKEN))
            .token(Token::read("only-reads-the-test-hub"));
        let server = hub.serve_http(config).await.unwrap();
        Self { place, hub, server }
    }

    fn abide(&self) -> Abide {
        Abide {
            hub: format!("http://{}", self.server.address()),
            token: Some(TOKEN.to_owned()),
        }
    }

    /// Stops the hub and returns its directory.
    async fn stop(self) -> tempfile::TempDir {
        self.server.shutdown().await.unwrap();
        self.hub.shutdown().await.unwrap();
        free(self.place.path());
        self.place
    }
}

/// Waits until the lock of a closed hub is free. A process that another test starts at this moment inherits the open
/// lock file until it executes its program.
fn free(directory: &Path) {
    while Hub::inspect(directory).summary().unwrap().open_by.is_some() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The program `abide` with the hub and the token to pass to it.
struct Abide {
    hub: String,
    token: Option<String>,
}

/// The result of one run of the program.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Abide {
    fn of(directory: &Path) -> Self {
        Self {
            hub: directory.to_str().unwrap().to_owned(),
            token: None,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_abide"));
        command
            .env_clear()
            .env("RUST_BACKTRACE", "0")
            .env("ABIDE_HUB", &self.hub);
        if let Some(token) = &self.token {
            command.env("ABIDE_TOKEN", token);
        }
        command.args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let ran = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ran = Ran {
            code: ran.status.code().unwrap(),
            out: text(ran.stdout),
            err: text(ran.stderr),
        };
        assert!(!ran.err.contains("panicked at"), "{arguments:?}: {}", ran.err);
        assert!(
            !ran.out.contains(TOKEN) && !ran.err.contains(TOKEN),
            "{arguments:?} printed the token"
        );
        assert!(!ran.out.contains('\u{1b}'), "{arguments:?} wrote colors to a pipe");
        ran
    }

    /// Returns the output of a command that succeeds.
    fn out(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        ran.out
    }

    /// Returns the output of a command that succeeds, as JSON.
    fn json(&self, arguments: &[&str]) -> Value {
        let out = self.out(&[arguments, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}"))
    }

    /// Returns the error message of a command that fails with `code`. With `--json` it has to fail with the same code.
    fn refused(&self, arguments: &[&str], code: i32) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        let scripted = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(scripted.code, code, "{arguments:?}: {scripted:?}");
        let last = scripted.err.lines().last().unwrap_or_default();
        let document: Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("{arguments:?}: {scripted:?}"));
        assert_eq!(document["error"]["exitCode"], json!(code));
        ran.err
    }
}

/// Commands that only read work on a running hub as well as on a directory.
fn everything_that_reads(abide: &Abide) {
    let instances = abide.json(&["instances", "list"]);
    assert_eq!(instances.as_array().unwrap().len(), 4);
    let table = abide.out(&["instances", "list", "--prefix", "w-"]);
    assert!(table.lines().next().unwrap().trim_start().starts_with("ID"), "{table}");
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(
        table.contains("w-1") && table.contains("waits") && table.contains("\"waiting\""),
        "{table}"
    );
    let failed = abide.json(&["instances", "list", "--status", "failed,completed"]);
    assert_eq!(failed[0]["instanceId"], "f");
    assert_eq!(
        abide
            .json(&["instances", "list", "--name", "refuses"])
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        abide
            .json(&["instances", "list", "--created-from", "1h"])
            .as_array()
            .unwrap()
            .len(),
        4
    );
    assert_eq!(abide.json(&["instances", "list", "--created-to", "1h"]), json!([]));
    assert_eq!(abide.json(&["instances", "list", "--stopped"]), json!([]));
    assert_eq!(abide.json(&["instances", "list", "--unregistered"]), json!([]));
    assert_eq!(
        abide.out(&["instances", "list", "--created-to", "1h"]),
        "no orchestrations match\n"
    );

    let shown = abide.json(&["instances", "show", "w-1"]);
    assert_eq!(
        (&shown["input"], &shown["runtimeStatus"]),
        (&json!("p1"), &json!("Running"))
    );
    let shown = abide.out(&["instances", "show", "w-1"]);
    for part in ["Running", "input", "\"p1\"", "n=1", "\"waiting\""] {
        assert!(shown.contains(part), "{shown}");
    }
    let history = abide.json(&["instances", "history", "w-1"]);
    assert_eq!(history[0]["event"], "ExecutionStarted");
    let history = abide.out(&["instances", "history", "w-1"]);
    assert!(
        history.contains("lock @counter@p1") || history.contains("@counter@p1"),
        "{history}"
    );
    assert!(history.contains("event go"), "{history}");
    let why = abide.json(&["instances", "why", "w-1"]);
    assert_eq!(
        (&why["id"], &why["steps"][0]["waitsFor"]),
        (&"w-1".into(), &"event".into())
    );
    let tree = abide.json(&["instances", "tree", "w-1"]);
    assert_eq!((&tree["instanceId"], &tree["children"]), (&json!("w-1"), &json!([])));
    let tree = abide.out(&["instances", "tree", "w-1"]);
    assert!(tree.starts_with("w-1 (waits): Running, last changed "), "{tree}");
    let replay = abide.out(&["instances", "replay", "w-1"]);
    assert!(
        replay.contains("fits the history") || replay.contains("has no code"),
        "{replay}"
    );
    assert!(abide.json(&["activities", "summary"])["activities"].is_array());
    abide.out(&["activities", "summary"]);
    assert_eq!(abide.json(&["activities", "list", "needs_a_file"]), json!([]));
    let none = abide.out(&["activities", "list", "needs_a_file"]);
    assert_eq!(none, "no activity with this name is open\n");
    let failures = abide.json(&["failures"]);
    assert_eq!(
        (&failures["groups"][0]["count"], &failures["groups"][0]["name"]),
        (&json!(1), &json!("refuses"))
    );
    let failures = abide.out(&["failures", "--name", "refuses"]);
    assert!(failures.contains("no more than 3"), "{failures}");
    let why = abide.out(&["instances", "why", "w-1"]);
    assert!(why.starts_with("w-1 (waits) is Running, last changed "), "{why}");
    assert!(why.contains("waits for the event `go`, since "), "{why}");

    assert_eq!(
        abide.json(&["entities", "list", "counter"]).as_array().unwrap().len(),
        5
    );
    let states = abide.out(&["entities", "list", "--states"]);
    assert!(
        states.contains("@counter@3") && states.contains("{\"n\":3}"),
        "{states}"
    );
    assert_eq!(abide.json(&["entities", "show", "@counter@3"]), json!({"n": 3}));
    let details = abide.json(&["entities", "details", "@counter@3"]);
    assert_eq!(details["state"], json!({"n": 3}));
    assert_eq!(details["changes"][0]["state"], json!({"n": 3}));

    assert_eq!(abide.json(&["schedules", "list"])[0]["orchestration"], "refuses");
    let schedules = abide.out(&["schedules", "list"]);
    for part in ["late", "refuses", "every 7200 s", "paused"] {
        assert!(schedules.contains(part), "{schedules}");
    }
    assert_eq!(abide.json(&["schedules", "show", "late"])["everySeconds"], 7_200.0);
    let schedule = abide.out(&["schedules", "show", "late"]);
    for part in ["every 7200 s", "paused", "RunOnce", "{\"n\":\"1\"}"] {
        assert!(schedule.contains(part), "{schedule}");
    }
    assert_eq!(abide.json(&["locks", "list"]).as_array().unwrap().len(), 3);
    let locks = abide.out(&["locks", "list"]);
    assert!(locks.contains("@counter@p2") && locks.contains("w-2"), "{locks}");
    let letters = abide.json(&["dead-letters", "list"]);
    assert_eq!(letters[0]["operation"], "lose");
    let letters = abide.out(&["dead-letters", "list"]);
    assert!(
        letters.contains("@counter@lost") && letters.contains("@sender@s"),
        "{letters}"
    );
    let quarantine = abide.json(&["quarantine", "list"]);
    assert_eq!(quarantine[0]["entityId"], json!({"name": "shelf", "key": "a"}));
    assert!(abide.out(&["quarantine", "list"]).contains("@shelf@a"));

    assert!(abide.json(&["stats"])["durable"].as_u64().unwrap() > 0);
    assert!(abide.out(&["stats"]).contains("wal live bytes"));
    let counts = abide.json(&["stats", "--counts"]);
    assert!(counts.to_string().contains("\"refuses\""), "{counts}");
    assert!(abide.out(&["stats", "--counts"]).contains("refuses"));

    let export = abide.out(&["export"]);
    assert_eq!(export.lines().count(), 4);
    for line in abide.out(&["export", "--recorded"]).lines() {
        let document: Value = serde_json::from_str(line).unwrap();
        let recorded: RecordedHistory = serde_json::from_value(document["recorded"].clone()).unwrap();
        assert_eq!(recorded.instance_id(), document["instanceId"]);
    }
    for line in export.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["history"][0]["event"], "ExecutionStarted", "{line}");
        assert!(line["input"] != Value::Null);
    }
    assert_eq!(
        abide
            .out(&["export", "--limit", "1", "--name", "refuses"])
            .lines()
            .count(),
        1
    );

    // An invalid ID is rejected rather than mapped to another entity.
    for id in ["@counter@$", "@counter@.."] {
        let ran = abide.run(&["entities", "show", id]);
        assert!(ran.code == 2 && ran.err.contains("is not valid"), "{ran:?}");
    }

    for (arguments, code, text) in [
        (&["instances", "show", "missing"][..], 3, "`missing`"),
        (&["schedules", "show", "missing"], 3, "`missing`"),
        (&["instances", "history", "missing"], 3, "`missing`"),
        (&["instances", "why", "missing"], 3, "`missing`"),
        (&["instances", "tree", "missing"], 3, "`missing`"),
        (&["instances", "replay", "missing"], 3, "`missing`"),
        (&["instances", "wait", "missing"], 3, "`missing`"),
        (&["entities", "show", "@counter@missing"], 3, "@counter@missing"),
        (&["instances", "show", "@counter@3"], 2, "`@`"),
        (&["instances", "wait", "f"], 8, "no more than 3"),
    ] {
        let message = abide.refused(arguments, code);
        assert!(message.contains(text), "{arguments:?}: {message}");
    }
}

/// Every reading command works on a running hub, for people and for scripts.
#[tokio::test(flavor = "multi_thread")]
async fn a_running_hub_is_read() {
    let served = Served::open().await;
    everything_that_reads(&served.abide());
    let with_path = Abide {
        hub: served.server.url() + "/",
        ..served.abide()
    };
    assert_eq!(with_path.json(&["entities", "show", "@counter@3"]), json!({"n": 3}));
    served.stop().await;
}

/// Numbers in payloads are printed with all their digits, for a running hub and for a directory.
#[tokio::test(flavor = "multi_thread")]
async fn every_digit_is_printed() {
    let shown = |abide: &Abide| {
        let digits = u128::MAX.to_string();
        for (arguments, times) in [
            (&["instances", "show", "large"][..], 3),
            (&["instances", "list", "--name", "echoes"], 1),
            (&["instances", "wait", "large"], 1),
            (&["instances", "history", "large"], 2),
            (&["entities", "show", "@ledger@l"], 1),
            (&["entities", "list", "ledger", "--states"], 1),
            (&["export", "--name", "echoes"], 5),
        ] {
            for format in [&[][..], &["--json"]] {
                let printed = abide.out(&[format, arguments].concat());
                assert!(printed.matches(&digits).count() >= times, "{arguments:?}: {printed}");
                assert!(!printed.contains("e+"), "{arguments:?}: {printed}");
            }
        }
    };
    let served = Served::open().await;
    let client = served.hub.client();
    client.entity::<Ledger>("l").put(u128::MAX).await.unwrap();
    let run = client.start::<echoes>(u128::MAX).instance_id("large").await.unwrap();
    assert_eq!(run.result().await.unwrap(), u128::MAX);
    shown(&served.abide());
    let put = &["entities", "call", "@ledger@m", "put", &u128::MAX.to_string()];
    assert_eq!(served.abide().out(put).trim(), u128::MAX.to_string());
    let place = served.stop().await;
    shown(&Abide::of(place.path()));
}

/// Every reading command works on the directory of a stopped hub without changing a byte. Commands that would change it
/// fail with a hint, and so does every command on the directory of an open hub.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_read_and_not_changed() {
    let served = Served::open().await;
    let abide = Abide::of(served.place.path());
    let message = abide.refused(&["instances", "list"], 5);
    assert!(
        message.contains(&format!("process {}", std::process::id())),
        "{message}"
    );
    assert!(
        message.contains("--hub http://127.0.0.1:7071") && message.contains("checkpoint"),
        "{message}"
    );
    let message = abide.refused(&["check"], 5);
    assert!(message.contains("checkpoint"), "{message}");

    let place = served.stop().await;
    let before = contents(place.path());
    everything_that_reads(&abide);
    let letter = abide.json(&["dead-letters", "list"])[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for arguments in [
        &["instances", "start", "waits", "\"x\""][..],
        &["instances", "raise-event", "w-1", "go", "\"x\""],
        &["instances", "terminate", "w-1"],
        &["instances", "suspend", "w-1"],
        &["instances", "resume", "w-1"],
        &["instances", "rewind", "f"],
        &["instances", "restart", "f"],
        &["instances", "restart", "f", "--same-id"],
        &["instances", "purge", "f"],
        &["instances", "purge", "--created-from", "1h", "--yes"],
        &["entities", "signal", "@counter@3", "add", "1"],
        &["entities", "call", "@counter@3", "add", "1"],
        &["entities", "delete", "@counter@3"],
        &["entities", "delete-changes", "@counter@3"],
        &["locks", "release", "@counter@p1"],
        &["dead-letters", "redeliver", letter.as_str()],
        &["dead-letters", "drop", letter.as_str()],
        &["quarantine", "release", "@shelf@a"],
        &["schedules", "pause", "late"],
        &["schedules", "trigger", "late"],
        &["schedules", "set", "late", "refuses", "--every", "60", "--input", "3"],
        &["instances", "batch", "suspend", "--yes"],
    ] {
        let message = abide.refused(arguments, 4);
        assert!(
            message.contains("start the program that opens the hub"),
            "{arguments:?}: {message}"
        );
    }
    let message = abide.refused(&["instances", "wait", "w-1"], 4);
    assert!(message.contains("runs no orchestrations"), "{message}");
    let checked = abide.out(&["check"]);
    assert!(checked.contains("everything can be read"), "{checked}");
    let report = abide.json(&["check", place.path().to_str().unwrap()]);
    assert_eq!((&report["partitions"], &report["problemCount"]), (&json!(4), &json!(0)));
    assert!(report["records"].as_u64().unwrap() > 20);
    assert!(contents(place.path()) == before, "a file was changed");

    // A damaged directory is reported as a problem.
    fs::remove_file(place.path().join("ACKNOWLEDGED")).unwrap();
    let ran = abide.run(&["check"]);
    assert_eq!(ran.code, 6);
    assert!(
        ran.err.contains("ACKNOWLEDGED is missing") && ran.err.contains("1 problem"),
        "{}",
        ran.err
    );
    let ran = abide.run(&["check", "--json"]);
    assert_eq!(ran.code, 6);
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap()["problemCount"], 1);
    let message = abide.refused(&["instances", "list"], 1);
    assert!(message.contains("abide check"), "{message}");
}

/// Orchestrations are started, waited for and managed.
#[tokio::test(flavor = "multi_thread")]
async fn orchestrations_are_managed() {
    let served = Served::open().await;
    let (abide, client) = (served.abide(), served.hub.client());
    let status = async |id: &str| client.untyped_orchestration(id).status().await.unwrap().unwrap();

    let started = abide.json(&[
        "instances",
        "start",
        "waits",
        "\"x\"",
        "--id",
        "one",
        "--idempotency-key",
        "k",
    ]);
    assert_eq!(started["id"], "one");
    let again = abide.out(&[
        "instances",
        "start",
        "waits",
        "\"x\"",
        "--id",
        "one",
        "--idempotency-key",
        "k",
    ]);
    assert_eq!(again, "one\n");
    let message = abide.refused(&["instances", "start", "waits", "\"x\"", "--id", "one"], 4);
    assert!(message.contains("one"), "{message}");
    let drawn = abide.out(&["instances", "start", "waits", "\"y\""]);
    assert_eq!(status(drawn.trim()).await.status, OrchestrationStatus::Running);

    let message = abide.refused(&["instances", "wait", "one", "--timeout", "100ms"], 7);
    assert!(message.contains("to wait again"), "{message}");
    let waiting = abide
        .command(&["instances", "wait", "one"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(
        abide.json(&["instances", "raise-event", "one", "go", "\"!\""])["event"],
        "go"
    );
    let waited = waiting.wait_with_output().unwrap();
    assert_eq!(
        (waited.status.code(), waited.stdout.as_slice()),
        (Some(0), b"\"x!\"\n".as_slice())
    );
    assert_eq!(abide.json(&["instances", "wait", "one"])["output"], "x!");
    let message = abide.refused(&["instances", "raise-event", "one", "go"], 4);
    assert!(message.contains("one"), "{message}");
    let message = abide.refused(&["instances", "start", "refuses", "9", "--wait"], 8);
    assert!(message.contains("no more than 9"), "{message}");

    abide.out(&["instances", "suspend", "w-0", "--reason", "lunch & a nap"]);
    assert_eq!(status("w-0").await.status, OrchestrationStatus::Suspended);
    abide.out(&["instances", "resume", "w-0"]);
    assert_eq!(status("w-0").await.status, OrchestrationStatus::Running);
    let done = abide.json(&["instances", "terminate", "w-0", "--reason", "no more"]);
    assert_eq!(done, json!({"instanceId": "w-0", "done": "terminated"}));
    assert_eq!(status("w-0").await.reason.as_deref(), Some("no more"));
    let message = abide.refused(&["instances", "wait", "w-0"], 8);
    assert!(
        message.contains("Terminated") && message.contains("no more"),
        "{message}"
    );
    abide.refused(&["instances", "terminate", "w-0"], 4);
    abide.refused(&["instances", "rewind", "w-0"], 4);

    // The list distinguishes stopped instances from running ones.
    abide.out(&["instances", "start", "panics", "--id", "s"]);
    while status("s").await.stopped.is_none() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let table = abide.out(&["instances", "list", "--stopped"]);
    assert!(
        table.contains("Stopped") && table.contains("this code is broken"),
        "{table}"
    );
    let ran = abide.run(&["instances", "wait", "s", "--timeout", "100ms"]);
    assert_eq!(ran.code, 7);
    assert!(
        ran.err.contains("is stopped until it is resumed") && ran.err.contains("will not end by itself"),
        "{}",
        ran.err
    );

    // A rewind resumes at the failed activity, whose file now exists.
    let file = served.place.path().join("created later");
    let input = json!(file).to_string();
    abide.refused(
        &["instances", "start", "fails_at_first", &input, "--id", "r", "--wait"],
        8,
    );
    fs::write(&file, "").unwrap();
    abide.out(&["instances", "rewind", "r", "--reason", "the file exists"]);
    assert_eq!(abide.out(&["instances", "wait", "r"]), "7\n");

    let restarted = abide.json(&["instances", "restart", "r"])["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(restarted, "r");
    assert_eq!(abide.out(&["instances", "wait", &restarted]), "7\n");
    assert_eq!(abide.out(&["instances", "restart", "r", "--same-id"]), "r\n");
    assert_eq!(abide.out(&["instances", "wait", "r"]), "7\n");

    abide.refused(&["instances", "purge", "w-1"], 4);
    assert_eq!(abide.out(&["instances", "purge", "r"]), "r is purged\n");
    abide.refused(&["instances", "purge", "r"], 3);
    let message = abide.refused(&["instances", "purge", "--created-from", "1h"], 2);
    assert!(message.contains("--yes"), "{message}");
    let purged = abide.json(&[
        "instances",
        "purge",
        "--created-from",
        "1h",
        "--status",
        "failed",
        "--yes",
    ]);
    assert!(purged["instancesDeleted"].as_u64().unwrap() >= 2);
    abide.refused(
        &[
            "instances",
            "purge",
            "--created-from",
            "1h",
            "--status",
            "failed",
            "--yes",
        ],
        3,
    );
    served.stop().await;
}

/// A start with an ID in use follows its reuse policy, and a policy without an ID is a usage error.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_follows_its_reuse_policy() {
    let served = Served::open().await;
    let (abide, client) = (served.abide(), served.hub.client());
    let execution = async || {
        client
            .untyped_orchestration("once")
            .status()
            .await
            .unwrap()
            .unwrap()
            .execution_id
    };
    let start = |policy: &'static str| {
        let start = ["instances", "start", "waits", "\"x\"", "--id", "once", "--reuse"];
        start.into_iter().chain([policy]).collect::<Vec<_>>()
    };
    assert_eq!(abide.out(&start("reject-duplicate")), "once\n");
    let first = execution().await;
    abide.refused(&start("error"), 4);
    assert_eq!(abide.out(&start("ignore")), "once\n");
    assert_eq!(execution().await, first);
    assert_eq!(abide.out(&start("terminate")), "once\n");
    let second = execution().await;
    assert_ne!(second, first);
    abide.out(&["instances", "terminate", "once"]);
    let message = abide.refused(&start("reject-duplicate"), 4);
    assert!(message.contains("once"), "{message}");
    assert_eq!(execution().await, second);
    assert_eq!(abide.out(&start("error")), "once\n");
    assert_ne!(execution().await, second);

    let ran = abide.run(&start("always"));
    assert!(ran.code == 2 && ran.err.contains("reject-duplicate"), "{ran:?}");
    let ran = abide.run(&["instances", "start", "waits", "\"x\"", "--reuse", "ignore"]);
    assert!(ran.code == 2 && ran.err.contains("--id"), "{ran:?}");
    served.stop().await;
}

/// Entities are signaled, called and deleted, and locks, dead letters and quarantines are managed.
#[tokio::test(flavor = "multi_thread")]
async fn entities_are_managed() {
    let served = Served::open().await;
    let (abide, client) = (served.abide(), served.hub.client());
    assert_eq!(abide.out(&["entities", "call", "@counter@3", "add", "4"]), "7\n");
    abide.out(&["entities", "signal", "@counter@3", "set", "{\"n\": 6, \"factor\": 7}"]);
    assert_eq!(abide.json(&["entities", "call", "@counter@3", "add", "0"]), json!(42));
    for _ in 0..2 {
        let arguments = ["entities", "call", "@counter@3", "add", "1", "--idempotency-key", "k"];
        assert_eq!(abide.out(&arguments), "43\n");
    }
    let deleted = abide.out(&["entities", "delete-changes", "@counter@3"]);
    assert_eq!(deleted, "the kept changes of @counter@3 are deleted\n");
    let message = abide.refused(&["entities", "delete-changes", "@counter@3"], 3);
    assert!(
        message.contains("no changes of the entity `@counter@3` are kept"),
        "{message}"
    );
    assert_eq!(abide.json(&["entities", "details", "@counter@3"])["changes"], json!([]));
    let message = abide.refused(
        &["entities", "call", "@counter@3", "add", "2", "--idempotency-key", "k"],
        4,
    );
    assert!(message.contains("new"), "{message}");
    let message = abide.refused(&["entities", "call", "@counter@3", "add", "2000"], 8);
    assert!(message.contains("no more than 1000"), "{message}");
    let message = abide.refused(&["entities", "call", "@counter@3", "add"], 2);
    assert!(message.contains("the value of `n` as JSON"), "{message}");
    let message = abide.refused(&["entities", "signal", "@counter@3", "steal", "1"], 2);
    assert!(message.contains("it has add, set"), "{message}");
    let message = abide.refused(&["entities", "call", "@counter@3", "add", "one"], 2);
    assert!(message.contains("a string needs its quotes"), "{message}");

    // An empty key, and an input from a file and from standard input.
    assert_eq!(abide.out(&["entities", "call", "@counter@", "add", "1"]), "1\n");
    let file = served.place.path().join("input.json");
    fs::write(&file, "2").unwrap();
    let input = format!("@{}", file.display());
    assert_eq!(abide.out(&["entities", "call", "@counter@", "add", &input]), "3\n");
    let mut piped = abide.command(&["entities", "call", "@counter@", "add", "-"]);
    let ran = piped.stdin(fs::File::open(&file).unwrap()).output().unwrap();
    assert_eq!(ran.stdout, b"5\n");

    abide.out(&["entities", "delete", "@counter@3"]);
    client.entity::<Counter>("4").add(0).await.unwrap();
    while client.entity::<Counter>("3").state().await.unwrap().is_some() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    abide.refused(&["entities", "show", "@counter@3"], 3);

    let released = abide.json(&["locks", "release", "@counter@p1"]);
    assert_eq!(released["done"], "released");
    assert_eq!(client.admin().locks().await.unwrap().len(), 2);
    abide.refused(&["locks", "release", "@counter@p1"], 3);

    let letter = client.admin().dead_letters().await.unwrap().remove(0).id;
    abide.out(&["dead-letters", "redeliver", &letter]);
    let letter = loop {
        // The message is dead-lettered again, because the receiver is unchanged.
        if let Some(letter) = client
            .admin()
            .dead_letters()
            .await
            .unwrap()
            .into_iter()
            .find(|other| other.id != letter)
        {
            break letter.id;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    assert_eq!(
        abide.out(&["dead-letters", "drop", &letter]),
        format!("{letter} is dropped\n")
    );
    assert!(client.admin().dead_letters().await.unwrap().is_empty());
    abide.refused(&["dead-letters", "drop", &letter], 3);
    abide.refused(&["dead-letters", "drop", "nonsense"], 2);

    assert_eq!(abide.json(&["quarantine", "release", "@shelf@a"])["done"], "released");
    abide.refused(&["quarantine", "release", "@counter@4"], 3);

    for (order, done) in [("resume", "resumed"), ("pause", "paused"), ("delete", "deleted")] {
        assert_eq!(abide.json(&["schedules", order, "late"])["done"], done);
    }
    assert!(client.schedules().list().await.unwrap().is_empty());
    abide.refused(&["schedules", "delete", "late"], 3);
    served.stop().await;
}

/// A list follows its pages up to the limit and says when there is more. A reader that closes the pipe early does not
/// make it panic.
#[tokio::test(flavor = "multi_thread")]
async fn lists_end_at_their_limit() {
    let served = Served::open().await;
    let (abide, client) = (served.abide(), served.hub.client());
    let mut adding = tokio::task::JoinSet::new();
    for n in 0..2_300 {
        let add = client.entity::<Counter>(format!("many-{n:05}")).add(1);
        adding.spawn(async move { add.await.map(drop) });
    }
    while let Some(added) = adding.join_next().await {
        added.unwrap().unwrap();
    }
    let length = |list: Value| list.as_array().unwrap().len();
    let ran = abide.run(&["entities", "list", "counter", "--json"]);
    assert_eq!(length(serde_json::from_str(&ran.out).unwrap()), 100);
    assert!(ran.err.contains("--all"), "{}", ran.err);
    assert_eq!(
        length(abide.json(&["entities", "list", "counter", "--limit", "2100"])),
        2_100
    );
    let all = abide.json(&["entities", "list", "counter", "--all"]);
    let ids: Vec<&str> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|entity| entity["entityId"]["key"].as_str().unwrap())
        .collect();
    assert_eq!(ids.iter().filter(|key| key.starts_with("many-")).count(), 2_300);
    assert!(ids.is_sorted());

    for arguments in [
        &["entities", "list", "--all"][..],
        &["entities", "list", "--all", "--json"],
    ] {
        let mut head = abide
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(head.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let mut errors = String::new();
        head.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!((head.wait().unwrap().code(), errors.as_str()), (Some(0), ""));
    }
    served.stop().await;
}

/// Errors name the way out and end with their exit code.
#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_to_do() {
    let served = Served::open().await;
    let abide = served.abide();
    let with = |hub: &str, token: Option<&str>| Abide {
        hub: hub.to_owned(),
        token: token.map(str::to_owned),
    };

    let message = with(&abide.hub, None).refused(&["stats"], 5);
    assert!(message.contains("ABIDE_TOKEN"), "{message}");
    let message = with(&abide.hub, Some("a-token-of-somebody-else")).refused(&["stats"], 5);
    assert!(
        message.contains("ABIDE_TOKEN") && !message.contains("somebody-else"),
        "{message}"
    );
    let reader = with(&abide.hub, Some("only-reads-the-test-hub"));
    assert!(reader.json(&["stats"]).is_object());
    let message = reader.refused(&["instances", "terminate", "w-1"], 5);
    assert!(message.contains("operate"), "{message}");

    let nowhere = tempfile::tempdir().unwrap();
    let directory = nowhere.path().to_str().unwrap();
    let message = with(directory, None).refused(&["instances", "list"], 3);
    assert!(
        message.contains("no hub in") && message.contains("abide hubs"),
        "{message}"
    );
    assert_eq!(fs::read_dir(directory).unwrap().count(), 0);
    with(directory, None).refused(&["check"], 3);
    let message = with("localhost:7071", None).refused(&["stats"], 3);
    assert!(message.contains("http://localhost:7071"), "{message}");
    let message = with("ftp://localhost", None).refused(&["stats"], 2);
    assert!(message.contains("http://"), "{message}");
    for secret in ["http://me:secret@localhost:1", "http://localhost:1?code=secret"] {
        let message = with(secret, None).refused(&["stats"], 2);
        assert!(
            message.contains("ABIDE_TOKEN") && !message.contains("secret"),
            "{message}"
        );
    }
    let message = abide.refused(&["check"], 2);
    assert!(message.contains("abide check DIRECTORY"), "{message}");

    // No process listens on a port that was just released.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let message = with(&format!("http://{free}"), None).refused(&["stats"], 5);
    assert!(message.contains("check that the program is running"), "{message}");
    // The server answers, but not with the API of a hub.
    let message = with(&format!("{}/elsewhere", abide.hub), None).refused(&["stats"], 5);
    assert!(
        message.contains("--hub") || message.contains("ABIDE_TOKEN"),
        "{message}"
    );

    for wrong in [
        &["instances", "show"][..],
        &["instances", "list", "--status", "asleep"],
        &["instances", "list", "--limit", "0"],
        &["instances", "list", "--created-from", "yesterday"],
        &["entities", "show", "counter"],
        &["instances", "wait", "w-1", "--timeout", "5"],
        &["instances", "start", "waits", "--timeout", "5s"],
        &["nonsense"],
        &[],
    ] {
        let ran = abide.run(wrong);
        assert_eq!(ran.code, 2, "{wrong:?}");
        assert!(
            ran.err.contains("Usage") || ran.err.contains("--help"),
            "{wrong:?}: {}",
            ran.err
        );
    }
    served.stop().await;
}

/// The command `hubs` finds open, closed, broken and copied hubs, and ignores other directories.
#[tokio::test(flavor = "multi_thread")]
async fn hubs_are_found() {
    let place = tempfile::tempdir().unwrap();
    let below = place.path().join("a").join("b");
    fs::create_dir_all(&below).unwrap();
    fs::create_dir_all(place.path().join("empty")).unwrap();
    let open = builder(&below.join("open")).open().await.unwrap();
    builder(&place.path().join("closed"))
        .open()
        .await
        .unwrap()
        .shutdown()
        .await
        .unwrap();
    free(&place.path().join("closed"));
    open.checkpoint(place.path().join("copy")).await.unwrap();
    fs::create_dir_all(place.path().join("broken")).unwrap();
    fs::write(place.path().join("broken").join("FORMAT"), "nonsense").unwrap();

    let abide = Abide::of(place.path());
    let hubs = abide.json(&["hubs"]);
    let states: Vec<_> = hubs
        .as_array()
        .unwrap()
        .iter()
        .map(|hub| hub["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["open", "broken", "closed", "copy"]);
    assert_eq!(hubs[0]["openBy"], format!("process {}", std::process::id()));
    let table = abide.out(&["hubs", place.path().to_str().unwrap()]);
    assert!(
        table.contains("open by process") && table.contains("broken:"),
        "{table}"
    );
    assert_eq!(abide.json(&["hubs", "--depth", "1"]).as_array().unwrap().len(), 3);
    assert_eq!(
        abide.out(&["hubs", place.path().join("empty").to_str().unwrap()]),
        "no hub was found\n"
    );
    abide.refused(&["hubs", "/nowhere/at/all"], 3);
    open.shutdown().await.unwrap();
}

/// The help lists the exit codes and never shows the token. Completions exist for every shell.
#[test]
fn the_help_helps() {
    let abide = Abide {
        hub: "http://127.0.0.1:9".to_owned(),
        token: Some(TOKEN.to_owned()),
    };
    let help = abide.out(&["--help"]);
    for part in [
        "Exit codes:",
        "7  `wait` timed out",
        "ABIDE_TOKEN",
        "ABIDE_HUB",
        "dead-letters",
    ] {
        assert!(help.contains(part), "{help}");
    }
    for noun in ["instances", "entities", "locks", "dead-letters", "quarantine"] {
        assert!(abide.out(&[noun, "--help"]).contains("list"));
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = abide.out(&["completions", shell]);
        assert!(script.contains("raise-event") && script.contains("abide"), "{shell}");
    }
    assert!(abide.out(&["--version"]).contains(env!("CARGO_PKG_VERSION")));
}

/// A batch reaches every orchestration that matches, after a confirmation.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_reaches_every_match() {
    let served = Served::open().await;
    let (abide, client) = (served.abide(), served.hub.client());
    let message = abide.refused(&["instances", "batch", "suspend", "--prefix", "w-"], 2);
    assert!(message.contains("--yes"), "{message}");
    let done = abide.out(&["instances", "batch", "suspend", "--prefix", "w-", "--yes"]);
    assert_eq!(done, "3 matched: 3 done, 0 skipped, 0 failed\n");
    let suspended = client.orchestrations().status(OrchestrationStatus::Suspended);
    assert_eq!(suspended.count().await.unwrap(), 3);
    abide.out(&["instances", "batch", "resume", "--tag", "n=1", "--yes"]);
    let suspended = client.orchestrations().status(OrchestrationStatus::Suspended);
    assert_eq!(suspended.count().await.unwrap(), 2);
    let report = abide.json(&[
        "instances",
        "batch",
        "raise-event",
        "--event",
        "go",
        "--payload",
        "\"!\"",
        "--status",
        "running",
        "--yes",
    ]);
    assert_eq!(
        (&report["succeeded"], &report["state"]),
        (&json!(1), &json!("completed"))
    );
    assert_eq!(abide.out(&["instances", "wait", "w-1"]), "\"p1!\"\n");
    let report = abide.json(&["instances", "batch", "purge", "--error-type", "NoSuchError", "--yes"]);
    assert_eq!(report["matched"], 0);
    let ran = abide.run(&["instances", "batch", "raise-event", "--yes"]);
    assert!(ran.code == 2 && ran.err.contains("--event"), "{ran:?}");
    served.stop().await;
}

/// The requests of a batch, answered by a hub whose batch runs until it is canceled. Each request for its progress is
/// reported.
fn endless_batch(asked: tokio::sync::mpsc::UnboundedSender<()>) -> axum::Router {
    use axum::Json;
    use axum::routing::{get, post};
    let is_canceled = Arc::new(AtomicBool::new(false));
    let document = |state: &str| {
        Json(json!({"id": "b", "state": state, "matched": 4, "succeeded": 3, "skipped": 1, "failed": 0, "errors": []}))
    };
    let canceled = Arc::clone(&is_canceled);
    let progress = move || {
        let _ = asked.send(());
        let state = if canceled.load(Ordering::SeqCst) {
            "canceled"
        } else {
            "running"
        };
        async move { document(state) }
    };
    let cancel = move || {
        is_canceled.store(true, Ordering::SeqCst);
        async move { document("running") }
    };
    let begin = move || async move { document("running") };
    axum::Router::new()
        .route(&format!("{}/batches", abide::http::BASE_PATH), post(begin))
        .route(
            &format!("{}/batches/b", abide::http::BASE_PATH),
            get(progress).delete(cancel),
        )
}

fn interrupt(process: &Child) {
    let mut kill = Command::new("kill");
    assert!(
        kill.arg("-INT")
            .arg(process.id().to_string())
            .status()
            .unwrap()
            .success()
    );
}

/// Ctrl-C cancels a batch. The command then reports what the batch did before, and fails.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_cancels_a_batch() {
    let (asked, mut asks) = tokio::sync::mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let abide = Abide {
        hub: format!("http://{}", listener.local_addr().unwrap()),
        token: None,
    };
    let server = tokio::spawn(axum::serve(listener, endless_batch(asked)).into_future());
    let mut command = abide.command(&["instances", "batch", "suspend", "--yes"]);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    asks.recv().await.unwrap();
    interrupt(&command);
    let ended = command.wait_with_output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr),
    );
    assert_eq!(ended.status.code(), Some(1), "{err}");
    assert_eq!(out, "4 matched: 3 done, 1 skipped, 0 failed\n");
    assert!(
        err.contains("ctrl-c to cancel it") && err.contains("the batch was canceled"),
        "{err}"
    );
    server.abort();
}

/// Schedules are set and triggered, and an orchestration is restarted with another input.
#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_set_and_triggered() {
    let served = Served::open().await;
    let abide = served.abide();
    let set = [
        "schedules",
        "set",
        "nightly",
        "echoes",
        "--cron",
        "0 3 * * *",
        "--input",
        "7",
        "--tag",
        "of=test",
    ];
    assert_eq!(abide.out(&set), "the schedule nightly is set\n");
    let shown = abide.json(&["schedules", "show", "nightly"]);
    assert_eq!(
        (&shown["cron"], &shown["input"], &shown["tags"]),
        (&json!("0 3 * * *"), &json!(7), &json!({"of": "test"}))
    );
    let run = abide.out(&["schedules", "trigger", "nightly"]);
    assert_eq!(abide.out(&["instances", "wait", run.trim()]), "7\n");
    abide.out(&["schedules", "set", "nightly", "echoes", "--every", "90", "--input", "7"]);
    assert_eq!(abide.json(&["schedules", "show", "nightly"])["everySeconds"], 90.0);
    let ran = abide.run(&["schedules", "set", "nightly", "echoes"]);
    assert!(ran.code == 2 && ran.err.contains("--cron"), "{ran:?}");
    abide.refused(&["schedules", "trigger", "none"], 3);

    let again = abide.json(&["instances", "restart", run.trim(), "--input", "8"])["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(abide.out(&["instances", "wait", &again]), "8\n");
    served.stop().await;
}

/// The dashboard of a running hub is found, and that of a directory is served until the program is interrupted.
#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_is_opened() {
    let served = Served::open().await;
    let abide = served.abide();
    let url = format!("{}/ui/", served.server.url());
    assert_eq!(abide.json(&["ui", "--no-open"])["url"], url);
    assert_eq!(
        abide.out(&["ui", &served.server.url(), "--no-open"]),
        format!("dashboard: {url}\n")
    );
    let message = Abide {
        hub: "x".to_owned(),
        token: None,
    }
    .refused(&["ui", "/no/hub/here", "--no-open"], 3);
    assert!(message.contains("no hub in /no/hub/here"), "{message}");

    let place = served.stop().await;
    let before = contents(place.path());
    let mut command = Abide::of(place.path()).command(&["ui", "--port", "0", "--no-open", "--json"]);
    let mut serving = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(serving.stdout.take().unwrap());
    while !line.ends_with("}\n") {
        assert!(out.read_line(&mut line).unwrap() > 0, "{line}");
    }
    let url = serde_json::from_str::<Value>(&line).unwrap()["url"]
        .as_str()
        .unwrap()
        .to_owned();
    let page = ureq::get(format!("{url}index.html"))
        .call()
        .unwrap()
        .body_mut()
        .read_to_string()
        .unwrap();
    assert!(page.contains("<script"), "{page}");
    let hub = ureq::get(url.replace("/ui/", "/hub"))
        .call()
        .unwrap()
        .body_mut()
        .read_to_string()
        .unwrap();
    assert!(hub.contains("\"readOnly\":true"), "{hub}");
    // A dashboard of a directory changes nothing.
    let refused = ureq::post(url.replace("/ui/", "/instances/w-1/terminate")).send_empty();
    assert!(matches!(refused, Err(ureq::Error::StatusCode(403))), "{refused:?}");
    interrupt(&serving);
    assert_eq!(serving.wait().unwrap().code(), Some(0));
    assert!(contents(place.path()) == before, "a file was changed");
}
