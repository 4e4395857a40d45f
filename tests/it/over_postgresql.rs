//! The tests of this binary once more, with each hub in memory as a hub over PostgreSQL.

use std::process::{Command, Output};

#[path = "../cluster/server.rs"]
mod server;

use server::Server;

/// The tests that do not run over PostgreSQL.
const SKIPPED: [&str; 5] = [
    "over_postgresql::",
    // A hub over PostgreSQL can be copied to a directory, and one in memory cannot.
    "checkpoint::a_copy_needs_a_place_of_its_own",
    // `GET /cluster` is a 404 only where there is no database.
    "http_api::openapi::answers_are_as_described",
    // A node that begins to watch the changes of other shards may report a gap.
    "shards::everything_works_across_the_shards",
    // The environment divides hubs in memory only.
    "shards::the_environment_divides_hubs_in_memory",
];

/// Runs tests of this binary in a process whose hubs are in a database.
fn run(url: &str, arguments: &[&str]) -> (Output, String) {
    let copies = tempfile::tempdir().unwrap();
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.env("ABIDE_CLUSTER", url).env("TMPDIR", copies.path());
    let output = tests.args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
    (output, text)
}

/// What a program does with a hub in memory, it can do with a hub over PostgreSQL.
#[test]
fn the_same_tests_pass_over_postgresql() {
    let Some(server) = Server::start_with(&["max_connections=300"]) else {
        return;
    };
    let mut arguments = vec!["--test-threads", "4"];
    arguments.extend(SKIPPED.iter().flat_map(|test| ["--skip", test]));
    let (output, text) = run(&server.url(), &arguments);
    assert!(output.status.success(), "{text}");
}

#[test]
fn a_url_of_no_database_is_refused() {
    let show = ["--exact", "shards::shows_a_hub", "--ignored"];
    let (_, text) = run("nonsense", &show);
    assert!(
        text.contains("`ABIDE_CLUSTER` must be the URL of a PostgreSQL database"),
        "{text}"
    );
}
