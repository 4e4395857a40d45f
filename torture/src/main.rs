//! Campaigns that try to make Abide lose, repeat or invent something. docs/src/reliability.md has what they have found.
//!
//! ```text
//! cargo run --release -p abide-torture -- kill --for 10m
//! ```

mod bitrot;
mod calls;
mod campaign;
mod clock;
mod cluster;
mod disk;
mod failing;
mod kill;
mod load;
mod planted;
mod poison;
mod power;
mod pressure;
mod programs;
mod recording;
mod short;
mod upgrade;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use campaign::{Outcome, Share};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "abide-torture", about, version)]
struct Arguments {
    #[command(subcommand)]
    campaign: Campaign,
}

#[derive(Debug, Subcommand)]
enum Campaign {
    /// Kills a process at random moments
    Kill(Share),
    /// Ends a process by `exit` at random moments
    Exit(Share),
    /// Loses the power after every call that changes a file
    Power(Share),
    /// Lets every file call fail once
    Eio(Share),
    /// Lets the disk be full from a random call on
    Full(Share),
    /// Damages files
    Bitrot(Share),
    /// Sets the clock forward and back
    Clock(Share),
    /// Runs random programs on a hub and on a model
    Programs(Share),
    /// Misbehaves beside entities that work
    Poison(Share),
    /// Sends more than there is room for
    Pressure(Share),
    /// Lets nodes, connections and the database of a cluster fail
    Cluster(Share),
    /// Opens directories of other builds
    Upgrade(Share),
    /// Plants faults in the library, which the campaigns have to find
    Planted {
        /// Only the fault with this name
        fault: Option<String>,
    },
    /// Runs every campaign for a short time, and plants every fault
    Short,
    /// Makes the directory of this build's format that `upgrade` opens from then on
    KeepStore { place: PathBuf },
    /// A process under pressure
    #[command(hide = true)]
    Pressed { place: PathBuf, messages: u64 },
    /// A process under test
    #[command(hide = true)]
    Worker { place: PathBuf, plan: String },
    /// A process that checks what is left
    #[command(hide = true)]
    Finish { seconds: u64, place: PathBuf, plan: String },
}

fn main() -> ExitCode {
    let campaign = Arguments::parse().campaign;
    if !cfg!(target_os = "linux") {
        eprintln!("the campaigns need Linux, whose file calls they replace");
        return ExitCode::FAILURE;
    }
    let outcome: Outcome = match campaign {
        Campaign::Kill(share) => kill::kill(&share),
        Campaign::Exit(share) => kill::exit(&share),
        Campaign::Power(share) => power::power(&share),
        Campaign::Eio(share) => failing::eio(&share),
        Campaign::Full(share) => failing::full(&share),
        Campaign::Bitrot(share) => bitrot::bitrot(&share),
        Campaign::Clock(share) => clock::clock(&share),
        Campaign::Programs(share) => programs::programs(&share),
        Campaign::Poison(share) => poison::poison(&share),
        Campaign::Pressure(share) => pressure::pressure(&share),
        Campaign::Cluster(share) => cluster::cluster(&share),
        Campaign::Upgrade(share) => upgrade::upgrade(&share),
        Campaign::Planted { fault } => return exit(planted::planted(fault.as_deref()).is_empty()),
        Campaign::Short => return exit(short::short()),
        Campaign::KeepStore { place } => {
            return match upgrade::keep(&place) {
                Ok(()) => ExitCode::SUCCESS,
                Err(why) => {
                    eprintln!("{why}");
                    ExitCode::FAILURE
                }
            };
        }
        Campaign::Pressed { place, messages } => pressure::pressed(&place, messages),
        Campaign::Finish { seconds, place, plan } => worker::finish(&place, &plan, Duration::from_secs(seconds)),
        Campaign::Worker { place, plan } => worker::work(&place, &plan),
    };
    ExitCode::from(outcome.verdict.code())
}

fn exit(is_good: bool) -> ExitCode {
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
