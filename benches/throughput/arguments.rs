//! Command-line arguments.

use std::path::PathBuf;
use std::time::Duration;

/// The options of one run.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// Measures briefly, to find out in under 40 seconds whether something broke.
    pub(crate) quick: bool,
    /// The file to write one JSON object per line to.
    pub(crate) json: Option<PathBuf>,
    /// Measures only the figures whose name begins with one of these prefixes. Empty means all figures.
    pub(crate) only: Vec<String>,
    /// Measures hubs over PostgreSQL as well: over a server of its own, or over one at a URL.
    pub(crate) postgres: Option<Option<String>>,
    /// The directory of the stores. Floors and figures are comparable because both use it.
    pub(crate) directory: PathBuf,
}

pub(crate) const USAGE: &str = "\
usage: cargo bench --features http --bench throughput [-- OPTIONS]
       cargo bench --features http,cluster --bench throughput -- --engine postgres[:URL] [OPTIONS]

  --quick          measure briefly, in under 40 seconds
  --json FILE      also write one JSON object per line: {\"name\", \"value\", \"unit\"}
  --only PREFIX    measure only the figures whose name begins with PREFIX; may be repeated
  --engine ENGINE  `postgres` measures hubs over PostgreSQL beside those in a directory, with a server of its own or,
                   as `postgres:URL`, with the one at the URL
  --dir DIRECTORY  directory for the stores (default: the target directory)";

impl Arguments {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    /// Returns a message for the user if an argument is unknown or incomplete.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self {
            quick: false,
            json: None,
            only: Vec::new(),
            postgres: None,
            directory: PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value\n\n{USAGE}"));
            match argument.as_str() {
                "--quick" => parsed.quick = true,
                "--json" => parsed.json = Some(value()?.into()),
                "--only" => parsed.only.push(value()?),
                "--engine" => parsed.postgres = Some(engine(&value()?)?),
                "--dir" => parsed.directory = value()?.into(),
                // Cargo passes this to every bench.
                "--bench" => {}
                "--help" => return Err(USAGE.to_owned()),
                _ => return Err(format!("unknown argument {argument}\n\n{USAGE}")),
            }
        }
        Ok(parsed)
    }

    /// Returns whether this run measures any of `names`.
    pub(crate) fn wants(&self, names: &[impl AsRef<str>]) -> bool {
        let is_named = |name: &str| self.only.iter().any(|prefix| name.starts_with(prefix));
        self.only.is_empty() || names.iter().any(|name| is_named(name.as_ref()))
    }

    /// Number of times to measure the figures that are compared with each other.
    ///
    /// The rounds alternate between these figures and the median counts, because the load on a disk and on a machine
    /// changes within a minute.
    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }

    /// The time before a measurement, during which caches fill and threads wake up.
    pub(crate) fn warm_up(&self) -> Duration {
        Duration::from_millis(if self.quick { 200 } else { 1_000 })
    }

    /// The duration of one measurement.
    pub(crate) fn measured(&self) -> Duration {
        Duration::from_millis(if self.quick { 800 } else { 3_000 })
    }
}

/// Returns the URL of the server, if the word names one.
fn engine(word: &str) -> Result<Option<String>, String> {
    if !cfg!(feature = "cluster") {
        return Err(format!("--engine needs `--features http,cluster`\n\n{USAGE}"));
    }
    match word.split_once(':') {
        None if word == "postgres" => Ok(None),
        Some(("postgres", url)) if url.starts_with("postgres") => Ok(Some(url.to_owned())),
        _ => Err(format!("unknown engine {word}\n\n{USAGE}")),
    }
}
