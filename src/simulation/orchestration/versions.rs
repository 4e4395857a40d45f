//! The versions of the orchestration: those that a process of the hub registers, and the code that runs an execution.

use crate::engine::VersionPolicy;
use crate::simulation::random::Random;

/// All versions, from the oldest to the newest. Their alphabetical order differs.
pub(super) const ALL: [&str; 3] = ["", "v9", "v10"];

/// The versions that different processes register.
const PROCESSES: [&[&str]; 8] = [
    &ALL,
    &["v10", "", "v9"],
    &["", "v9"],
    &["v9", "v10"],
    &["", "v10"],
    &["v10", "v9"],
    &["v10"],
    &[""],
];

/// The versions that one process of the hub has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulation) struct Versions {
    /// In the order of registration. A start without a version gets the last one.
    registered: &'static [&'static str],
    /// Set if the last one runs executions of older versions that are not registered.
    runs_older: bool,
}

impl Versions {
    /// The only version in most runs.
    pub(in crate::simulation) const ONE: Self = Self {
        registered: &[""],
        runs_older: false,
    };

    pub(in crate::simulation) const ALL: Self = Self {
        registered: &ALL,
        runs_older: false,
    };

    pub(in crate::simulation) fn draw(random: &mut Random) -> Self {
        Self {
            registered: PROCESSES[random.index(PROCESSES.len())],
            runs_older: random.chance(40),
        }
    }

    pub(super) fn registered(self) -> &'static [&'static str] {
        self.registered
    }

    pub(super) fn version_policy(self) -> VersionPolicy {
        match self.runs_older {
            true => VersionPolicy::CurrentOrOlder,
            false => VersionPolicy::Strict,
        }
    }

    /// Returns the version of a start that names none.
    pub(super) fn newest(self) -> &'static str {
        self.registered.last().copied().expect("every process has a version")
    }

    /// Returns the version whose code runs an execution that began with `version`, if there is one.
    pub(super) fn runs(self, version: &str) -> Option<&'static str> {
        let exact = self
            .registered
            .iter()
            .copied()
            .find(|registered| *registered == version);
        let is_older = age(version) <= age(self.newest());
        exact.or_else(|| (self.runs_older && is_older).then(|| self.newest()))
    }

    /// Returns whether these versions run every execution of `others`.
    pub(in crate::simulation) fn run_all_of(self, others: Self) -> bool {
        others.registered.iter().all(|version| self.runs(version).is_some())
    }
}

/// Returns the position of a version in [`ALL`].
fn age(version: &str) -> usize {
    let place = ALL.iter().position(|known| *known == version);
    place.expect("the simulation knows all versions")
}
