//! The peer DBOS for Python, which `dbos/chain.py` runs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Figures, Pace};

/// The settings that decide about throughput.
pub(crate) struct Settings {
    /// Number of processes, which share the callers. One process of Python uses one processor at a time.
    pub(crate) processes: usize,
    /// The maximum number of connections of each process.
    pub(crate) connections: usize,
    /// Tests a connection before each use.
    pub(crate) ping: bool,
}

/// The defaults, in one process.
pub(crate) const DEFAULTS: Settings = Settings {
    processes: 1,
    connections: 20,
    ping: true,
};

/// One process for each processor of a small machine. More connections were not faster.
pub(crate) const TUNED: Settings = Settings {
    processes: 2,
    connections: 20,
    ping: false,
};

/// An installed DBOS.
pub(crate) struct Dbos {
    python: PathBuf,
    script: PathBuf,
}

impl Dbos {
    /// Installs DBOS from the Python package index, or prints why that is not possible.
    pub(crate) fn install() -> Option<Self> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
        let environment = sources.join("target/dbos");
        let installed = Command::new(sources.join("../../scripts/virtualenv"))
            .arg(sources.join("dbos/requirements.txt"))
            .arg(&environment)
            .status()
            .is_ok_and(|status| status.success());
        if !installed {
            eprintln!("skipped: DBOS for Python, which cannot be installed");
            return None;
        }
        Some(Self {
            python: environment.join("bin/python"),
            script: sources.join("dbos/chain.py"),
        })
    }

    pub(crate) fn measure(&self, url: &str, settings: &Settings, callers: usize, pace: &Pace) -> Figures {
        let processes = settings.processes.min(callers);
        let mut child = Command::new(&self.python);
        child
            .arg(&self.script)
            .arg(url)
            .args([callers, processes, settings.connections].map(|number| number.to_string()))
            .arg(settings.ping.to_string())
            .args([pace.warm_up, pace.measured].map(|time| time.as_secs_f64().to_string()));
        Figures::of(&mut child)
    }
}
