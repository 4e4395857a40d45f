//! Every command that the README and the pages of the book in `docs` show is run, in its order, as a reader would run
//! it: against the example that they name, with the program that they name. What it prints is what the page shows, but
//! for times, drawn ids and addresses.
#![cfg(all(feature = "http", feature = "cli"))]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Blocks of text that hold no command.
const NO_COMMANDS: [&str; 1] = ["/runtime/webhooks/durabletask"];

/// How long a command is repeated that looks at what is still on its way.
const PATIENCE: Duration = Duration::from_secs(30);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README, the index in `docs` and every page of the book in `docs/src`.
fn pages() -> Vec<(String, String)> {
    let folders = ["docs", "docs/src"].map(|folder| std::fs::read_dir(root().join(folder)).unwrap());
    let mut paths: Vec<PathBuf> = folders
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    paths.insert(0, root().join("README.md"));
    let page = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        (name, std::fs::read_to_string(path).unwrap())
    };
    paths.into_iter().map(page).collect()
}

/// The blocks of a page that are in no language of programs or data.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let inside: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if matches!(language, "" | "text" | "sh" | "bash" | "console" | "shell") {
            blocks.push(inside.join("\n"));
        }
    }
    blocks
}

/// A command of a page and what it shows.
#[derive(Debug)]
struct Shown {
    command: String,
    output: Vec<String>,
}

/// The commands of a block: lines that begin with a dollar, each with what stands below it.
fn commands(block: &str) -> Vec<Shown> {
    let mut commands: Vec<Shown> = Vec::new();
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push(Shown {
                command: command.to_owned(),
                output: Vec::new(),
            });
        } else if let Some(last) = commands.last_mut() {
            last.output.push(line.to_owned());
        }
    }
    commands
}

/// The example service on a port of its own.
struct Service {
    process: Child,
    /// What it prints has somewhere to go.
    _stdout: BufReader<ChildStdout>,
    _data: tempfile::TempDir,
    url: String,
}

impl Service {
    fn start() -> Self {
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().and_then(Path::parent).unwrap();
        let example = profile.join("examples").join("service");
        let data = tempfile::tempdir().unwrap();
        let mut process = Command::new(&example)
            .args(["--port", "0", "--data"])
            .arg(data.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; `cargo test` builds it", example.display()));
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.split("http://").nth(1).unwrap();
        let url = format!("http://{}", url.split('/').next().unwrap());
        Self {
            process,
            _stdout: stdout,
            _data: data,
            url,
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What is between two pages of a reader: a shell with the settings that were made in it.
struct Shell<'a> {
    service: &'a Service,
    settings: Vec<(String, String)>,
}

impl Shell<'_> {
    /// Runs a line with the service's address in the place of the one that pages name, and this build in the place of
    /// one that cargo would make.
    fn run(&self, line: &str) -> Output {
        let line = match line.strip_prefix("cargo run ") {
            Some(rest) => {
                let (options, arguments) = rest.split_once(" -- ").unwrap_or((rest, ""));
                assert_eq!(
                    options, "--features cli --bin abide",
                    "another program is run by `{line}`"
                );
                format!("abide {arguments}")
            }
            None => line.to_owned(),
        };
        let abide = Path::new(env!("CARGO_BIN_EXE_abide")).parent().unwrap();
        let path = format!("{}:{}", abide.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.args(["-c", &line]).env("PATH", path);
        command.env("ABIDE_HUB", &self.service.url).env_remove("ABIDE_TOKEN");
        command.envs(self.settings.iter().cloned()).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// Runs a command until it prints what is shown. What changes something is run once.
    fn expect(&mut self, page: &str, shown: &Shown) {
        let command = shown.command.as_str();
        if let Some((name, value)) = command.split_once('=').filter(|(name, _)| !name.contains(' ')) {
            let value = value.replace("http://127.0.0.1:7071", &self.service.url);
            self.settings.push((name.to_owned(), value));
            return;
        }
        let program = command.split(' ').next().unwrap();
        assert!(
            matches!(program, "curl" | "cargo" | "abide"),
            "{page}: nothing here knows how to run `{command}`"
        );
        let looks_only = ![
            "--json", "-X", "-d ", "--data", "POST", "start", "resume", "release", "signal",
        ]
        .iter()
        .any(|part| command.contains(part));
        let began = Instant::now();
        loop {
            let Output { status, stdout, stderr } = self.run(&command.replace("curl ", "curl --fail-with-body "));
            let printed = String::from_utf8(stdout).unwrap();
            let lines: Vec<String> = printed.lines().map(str::to_owned).collect();
            if status.success() && matches(&shown.output, &lines) {
                return;
            }
            let stderr = String::from_utf8_lossy(&stderr);
            assert!(
                looks_only && began.elapsed() < PATIENCE,
                "{page}: `{command}` ended with {status} and printed\n{printed}\n{stderr}\nthe page shows\n{}",
                shown.output.join("\n")
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Whether lines are as a page shows them, but for what differs from run to run; it may leave out how a line ends.
fn matches(shown: &[String], printed: &[String]) -> bool {
    shown.len() == printed.len()
        && shown
            .iter()
            .zip(printed)
            .all(|(shown, printed)| match shown.strip_suffix('…') {
                Some(beginning) => masked(printed).starts_with(&masked(beginning)),
                None => form_of_line(shown) == form_of_line(printed),
            })
}

/// A line without what differs from run to run.
fn form_of_line(line: &str) -> String {
    if let Ok(document) = serde_json::from_str::<Value>(line) {
        return masked_value(document).to_string();
    }
    let header = line.to_ascii_lowercase();
    if header.starts_with("date:") || header.starts_with("content-length:") {
        return header.split(':').next().unwrap().to_owned();
    }
    // A row of a table: its cells are two blanks apart at least.
    let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
    let cells: Vec<String> = cells.map(masked).collect();
    cells.join(" | ")
}

fn masked_value(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(masked(&text)),
        Value::Array(items) => items.into_iter().map(masked_value).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, masked_value(value)))
            .collect(),
        other => other,
    }
}

/// A text, or what it is if it differs from run to run.
fn masked(text: &str) -> String {
    let is_time = text.parse::<jiff::Timestamp>().is_ok() || text.parse::<jiff::civil::DateTime>().is_ok();
    let is_drawn = text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if is_time {
        return "[time]".to_owned();
    }
    if is_drawn {
        return "[id]".to_owned();
    }
    let mut text = text.to_owned();
    let mut from = 0;
    while let Some(at) = text[from..].find("http://127.0.0.1:") {
        let begin = from + at + "http://127.0.0.1:".len();
        let digits = text[begin..]
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len() - begin);
        text.replace_range(begin..begin + digits, "PORT");
        from = begin;
    }
    text
}

/// The transcripts of each page, one after the other, against a fresh service for each page.
#[test]
fn every_command_of_the_pages_does_what_they_show() {
    let mut run = 0;
    for (page, text) in pages() {
        let all: Vec<Shown> = blocks(&text).iter().flat_map(|block| commands(block)).collect();
        if all.is_empty() {
            continue;
        }
        let service = Service::start();
        let mut shell = Shell {
            service: &service,
            settings: Vec::new(),
        };
        for shown in &all {
            shell.expect(&page, shown);
            run += 1;
        }
    }
    assert!(run >= 15, "only {run} commands were found");
}

/// No block of text is left out: it holds commands that are run, targets of the Makefile, or is known to hold none.
#[test]
fn every_block_of_the_pages_is_known() {
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    for (page, text) in pages() {
        for block in blocks(&text) {
            if !commands(&block).is_empty() || NO_COMMANDS.contains(&block.trim()) {
                continue;
            }
            for line in block.lines() {
                let target = line.strip_prefix("make ").and_then(|rest| rest.split(' ').next());
                let target = target.unwrap_or_else(|| panic!("{page} shows `{line}`, which no test runs"));
                assert!(
                    makefile.contains(&format!("\n{target}:")),
                    "{page}: there is no `make {target}`"
                );
            }
        }
    }
}

/// What the prose names as a command of the program or of make is one.
#[test]
fn every_command_in_the_prose_is_there() {
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let mut seen = 0;
    for (page, text) in pages() {
        // Spans of code do not go over the ends of paragraphs.
        for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.contains("```")) {
            for span in paragraph.split('`').skip(1).step_by(2) {
                let words: Vec<&str> = span.split_whitespace().collect();
                match words.as_slice() {
                    ["make", target, ..] => {
                        assert!(makefile.contains(&format!("\n{target}:")), "{page}: `{span}`");
                    }
                    ["abide", words @ ..] if !words.is_empty() => {
                        let words = words
                            .iter()
                            .take_while(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
                        let help = Command::new(env!("CARGO_BIN_EXE_abide"))
                            .args(words)
                            .arg("--help")
                            .output()
                            .unwrap();
                        assert!(help.status.success(), "{page}: `{span}`");
                    }
                    _ => continue,
                }
                seen += 1;
            }
        }
    }
    assert!(seen >= 5, "only {seen} were found");
}
