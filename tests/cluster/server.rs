//! A PostgreSQL server of the tests' own, in a temporary directory.

// The campaigns use a part of this module.
#![allow(dead_code)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::net::TcpSocket;

/// The directory of the server programs of Debian, below the version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The name of a standby.
const STANDBY: &str = "standby";

/// How often a server is started while processes of a killed one are still there.
const STARTS: usize = 500;

/// A server, which ends when this is dropped.
pub(crate) struct Server {
    place: TempDir,
    programs: PathBuf,
    /// Keeps the port while the server is away.
    reserved: TcpSocket,
    settings: Vec<&'static str>,
    child: Option<Child>,
}

impl Server {
    /// Returns `true` if the programs of a server are on this machine.
    pub(crate) fn is_installed() -> bool {
        programs().is_some()
    }

    /// Starts a server. Returns `None` if PostgreSQL is not installed, unless `ABIDE_POSTGRES=require` is set.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// Starts a server with settings such as `fsync=off`.
    pub(crate) fn start_with(settings: &[&'static str]) -> Option<Self> {
        let Some(programs) = programs() else {
            let required = std::env::var("ABIDE_POSTGRES").is_ok_and(|value| value == "require");
            assert!(!required, "PostgreSQL is not installed: apt-get install postgresql");
            eprintln!("skipped: PostgreSQL is not installed");
            return None;
        };
        let mut server = Self {
            place: new_place(),
            programs,
            reserved: reserve_port(),
            settings: settings.to_vec(),
            child: None,
        };
        let created = server
            .command("initdb")
            .args([
                "--username=abide",
                "--auth=trust",
                "--no-sync",
                "--no-locale",
                "--encoding=UTF8",
                "-D",
            ])
            .arg(server.data())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(created.success(), "initdb failed");
        server.resume();
        Some(server)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    pub(crate) fn port(&self) -> u16 {
        port_of(&self.reserved)
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://abide@127.0.0.1:{}/postgres", self.port())
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let path = self.programs.join(program);
        let mut command = Command::new(if path.exists() { path } else { program.into() });
        command.current_dir(self.place.path()).stdin(Stdio::null());
        // The server refuses to run as root.
        if let Some((user, group)) = account() {
            command.uid(user).gid(group);
        }
        command
    }

    /// Starts the server after [`kill`](Self::kill), and waits until it accepts connections.
    pub(crate) fn resume(&mut self) {
        // The processes of a killed server end by themselves. Until the last one has, a new server ends at once.
        for _ in 0..STARTS {
            match self.try_to_start() {
                Ok(child) => {
                    self.child = Some(child);
                    return;
                }
                Err(log) if log.contains("shared memory block") => {}
                Err(log) => panic!("the server ended: {log}"),
            }
        }
        panic!("the processes of the killed server do not end");
    }

    /// Starts the server. Returns what it has logged if it ends instead.
    fn try_to_start(&self) -> Result<Child, String> {
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port().to_string()]);
        command.arg("-k").arg(self.place.path());
        for setting in ["listen_addresses=127.0.0.1", "shared_buffers=16MB", "lc_messages=C"]
            .iter()
            .chain(&self.settings)
        {
            command.args(["-c", setting]);
        }
        // A direct child: a server that was started by `pg_ctl` would be nobody's child.
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut text = String::new();
        // A standby accepts read-only connections.
        while !text.contains("ready to accept") {
            if log.read_line(&mut text).unwrap() == 0 {
                child.wait().unwrap();
                return Err(text);
            }
        }
        // The server stops when nobody reads what it writes.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Ok(child)
    }

    /// Starts a standby of this server, which gets everything that it writes.
    pub(crate) fn standby(&self) -> Self {
        let standby = Self {
            place: new_place(),
            programs: self.programs.clone(),
            reserved: reserve_port(),
            settings: self.settings.clone(),
            child: None,
        };
        let connection = format!(
            "host=127.0.0.1 port={} user=abide application_name={STANDBY}",
            self.port()
        );
        let copied = standby
            .command("pg_basebackup")
            .args([
                "--checkpoint=fast",
                "--no-sync",
                "--write-recovery-conf",
                "-d",
                &connection,
                "-D",
            ])
            .arg(standby.data())
            .status()
            .unwrap();
        assert!(copied.success(), "pg_basebackup failed");
        let mut standby = standby;
        standby.resume();
        standby
    }

    /// Lets each commit of this server wait until the standby has it.
    pub(crate) fn wait_for_standby(&self) {
        self.run(&format!("ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'"));
        self.run("SELECT pg_reload_conf()");
        while self.run("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != "1" {
            std::thread::yield_now();
        }
    }

    /// Makes a standby a server of its own.
    pub(crate) fn promote(&self) {
        assert_eq!(self.run("SELECT pg_promote()"), "t");
    }

    /// Kills the server and all of its processes.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().unwrap();
        child.wait().unwrap();
        let _ = fs::remove_file(self.data().join("postmaster.pid"));
    }

    /// Runs a statement and returns its output.
    pub(crate) fn run(&self, statement: &str) -> String {
        let output = self.psql(statement).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Returns the program that runs a statement in a connection of its own.
    pub(crate) fn psql(&self, statement: &str) -> Command {
        let mut psql = self.command("psql");
        psql.args(["-h", "127.0.0.1", "-U", "abide", "-d", "postgres", "-At", "-p"])
            .arg(self.port().to_string())
            .args(["-c", statement]);
        psql
    }
}

/// Makes a directory that the server may use.
fn new_place() -> TempDir {
    let place = tempfile::Builder::new().prefix("abide-postgres-").tempdir().unwrap();
    if let Some((user, group)) = account() {
        std::os::unix::fs::chown(place.path(), Some(user), Some(group)).unwrap();
    }
    place
}

/// Returns a port that no program listens on at the moment.
pub(crate) fn free_port() -> u16 {
    port_of(&reserve_port())
}

/// Reserves a port of this machine: no other program gets it, also not for an outgoing connection. A listener with the
/// option `SO_REUSEADDR`, such as those of PostgreSQL and tokio, can bind it, repeatedly.
pub(crate) fn reserve_port() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    socket
}

pub(crate) fn port_of(socket: &TcpSocket) -> u16 {
    socket.local_addr().unwrap().port()
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

/// Returns the directory of the programs of a server: the newest of Debian's, or one in the `PATH`.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    found.sort();
    found.reverse();
    found.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let is_complete = |directory: &PathBuf| directory.join("initdb").exists() && directory.join("postgres").exists();
    found.into_iter().find(is_complete)
}

/// Returns the user and the group of the server if this process is root.
fn account() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    (fs::metadata("/proc/self").ok()?.uid() == 0).then(|| {
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let line = |name: &str| {
            users
                .lines()
                .find(|line| line.starts_with(&format!("{name}:")))
                .map(str::to_owned)
        };
        let line = line("postgres")
            .or_else(|| line("nobody"))
            .expect("a user other than root");
        let mut fields = line.split(':').skip(2).map(|field| field.parse().unwrap());
        (fields.next().unwrap(), fields.next().unwrap())
    })
}

/// Copies a directory with everything in it.
pub(crate) fn copy_all(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}
