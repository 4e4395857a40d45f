//! A short run of every campaign, for each change of the code.

use std::time::Duration;

use crate::campaign::{Outcome, Share, Verdict};
use crate::{bitrot, clock, cluster, failing, kill, planted, poison, power, pressure, programs, upgrade};

/// Time after which a campaign ends, however slow the machine is.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs every campaign for a short time, and then shows that each finds its fault. Returns `true` if there were no
/// violations and all faults were found.
pub(crate) fn short() -> bool {
    let share = |cycles| Share::of(cycles, LIMIT).in_memory();
    let outcomes: [Outcome; 12] = [
        kill::kill(&share(250)),
        kill::exit(&share(150)),
        power::power(&share(600)),
        bitrot::bitrot(&share(400)),
        failing::eio(&share(300)),
        failing::full(&share(100)),
        clock::clock(&share(300)),
        poison::poison(&share(1).alone()),
        pressure::pressure(&Share::of(40_000, LIMIT).alone()),
        upgrade::upgrade(&share(11)),
        programs::programs(&share(150)),
        cluster::cluster(&share(20)),
    ];
    let missed = planted::planted(None);
    let broken: Vec<&str> = outcomes
        .iter()
        .filter(|outcome| outcome.verdict != Verdict::Clean)
        .map(|outcome| outcome.name)
        .collect();
    if !broken.is_empty() {
        println!("not clean: {}", broken.join(", "));
    }
    if !missed.is_empty() {
        println!("planted faults that were not found: {}", missed.join(", "));
    }
    broken.is_empty() && missed.is_empty()
}
