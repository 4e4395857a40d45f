//! A pooler between a node and the database.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use abide::prelude::*;

use super::server::{Server, free_port};
use super::{builder, runtime};

/// A running pgbouncer, which ends when this is dropped.
struct Pooler(Child);

impl Drop for Pooler {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Starts pgbouncer in front of a server. Returns `None` if it is not installed, unless `ABIDE_POSTGRES=require` is set.
fn pool(server: &Server, mode: &str, more: &str) -> Option<(Pooler, String)> {
    let Some(program) = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"]
        .into_iter()
        .find(|program| fs::exists(program).unwrap_or(false))
    else {
        let required = std::env::var("ABIDE_POSTGRES").is_ok_and(|value| value == "require");
        assert!(!required, "pgbouncer is not installed: apt-get install pgbouncer");
        eprintln!("skipped: pgbouncer is not installed");
        return None;
    };
    let port = free_port();
    let place = server.data().with_file_name("pgbouncer.ini");
    let users = place.with_extension("users");
    fs::write(&users, "\"abide\" \"\"\n").unwrap();
    let text = format!(
        "[databases]\npostgres = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         auth_type = trust\nauth_file = {}\nunix_socket_dir =\npool_mode = {mode}\n{more}\n",
        server.port(),
        users.display()
    );
    fs::write(&place, text).unwrap();
    let mut command = server.command(program);
    let mut child = command.arg(&place).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    while !text.contains("process up") {
        assert!(log.read_line(&mut text).unwrap() > 0, "pgbouncer ended: {text}");
    }
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    Some((Pooler(child), format!("postgres://abide@127.0.0.1:{port}/postgres")))
}

/// A pooler that shares connections would share their locks and settings, too. It is found out, also if it has to
/// ignore the settings of a connection.
#[test]
fn a_pooler_is_refused() {
    let Some(server) = Server::start() else { return };
    for (mode, more) in [
        ("transaction", ""),
        ("transaction", "ignore_startup_parameters = options,extra_float_digits"),
        ("session", "ignore_startup_parameters = options,extra_float_digits"),
    ] {
        let Some((_pooler, url)) = pool(&server, mode, more) else {
            return;
        };
        let place = tempfile::tempdir().unwrap();
        let builder = builder(&url, place.path()).open_patience(Duration::from_secs(10));
        let error = runtime().block_on(builder.open()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{mode} {more}: {error}");
        assert!(error.to_string().contains("connect to the server itself"), "{error}");
    }
}
