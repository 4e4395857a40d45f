//! What the command line asks for.

use std::path::PathBuf;
use std::time::Duration;

/// How one run measures.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// Measures shortly, to see in under 40 seconds whether something broke.
    pub(crate) quick: bool,
    /// Where to write one JSON object a line.
    pub(crate) json: Option<PathBuf>,
    /// Measures only the figures whose name begins with one of these, if there are any.
    pub(crate) only: Vec<String>,
    /// Where the stores are made. Floors and figures are comparable because both lie here.
    pub(crate) directory: PathBuf,
}

pub(crate) const USAGE: &str = "\
usage: cargo bench --features http --bench throughput [-- OPTIONS]

  --quick          measure shortly; done in under 40 seconds
  --json FILE      also write one JSON object a line: {\"name\", \"value\", \"unit\"}
  --only PREFIX    measure only the figures whose name begins with PREFIX; may be repeated
  --dir DIRECTORY  put the stores there (default: the target directory)";

impl Arguments {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    /// A text for the user, if one is unknown or incomplete.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self {
            quick: false,
            json: None,
            only: Vec::new(),
            directory: PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value\n\n{USAGE}"));
            match argument.as_str() {
                "--quick" => parsed.quick = true,
                "--json" => parsed.json = Some(value()?.into()),
                "--only" => parsed.only.push(value()?),
                "--dir" => parsed.directory = value()?.into(),
                // cargo passes this to every bench.
                "--bench" => {}
                "--help" => return Err(USAGE.to_owned()),
                _ => return Err(format!("unknown argument {argument}\n\n{USAGE}")),
            }
        }
        Ok(parsed)
    }

    /// Whether any of `names` was asked for.
    pub(crate) fn wants(&self, names: &[impl AsRef<str>]) -> bool {
        let is_named = |name: &str| self.only.iter().any(|prefix| name.starts_with(prefix));
        self.only.is_empty() || names.iter().any(|name| is_named(name.as_ref()))
    }

    /// How often the figures are measured that are compared with each other. They are measured by turns, and of each the
    /// median counts: disks and neighbours change their mood within a minute.
    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }

    /// The time before measuring, in which caches fill and threads wake up.
    pub(crate) fn warm_up(&self) -> Duration {
        Duration::from_millis(if self.quick { 200 } else { 1_000 })
    }

    /// The time of one measurement.
    pub(crate) fn measured(&self) -> Duration {
        Duration::from_millis(if self.quick { 800 } else { 3_000 })
    }
}
