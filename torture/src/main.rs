//! Campaigns that try to make Abide lose, repeat or invent something. docs/src/reliability.md has what they have found.
//!
//! ```text
//! cargo run --release -p abide-torture -- kill --for 10m
//! ```

mod bitrot;
mod calls;
mod campaign;
mod clock;
mod disk;
mod failing;
mod kill;
mod load;
mod power;
mod programs;
mod recording;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

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
    /// A process under test
    #[command(hide = true)]
    Worker { place: PathBuf, plan: String },
    /// A process that checks what is left
    #[command(hide = true)]
    Finish { place: PathBuf, plan: String },
}

fn main() -> ExitCode {
    let outcome: Outcome = match Arguments::parse().campaign {
        Campaign::Kill(share) => kill::kill(&share),
        Campaign::Power(share) => power::power(&share),
        Campaign::Eio(share) => failing::eio(&share),
        Campaign::Full(share) => failing::full(&share),
        Campaign::Bitrot(share) => bitrot::bitrot(&share),
        Campaign::Clock(share) => clock::clock(&share),
        Campaign::Programs(share) => programs::programs(&share),
        Campaign::Finish { place, plan } => worker::finish(&place, &plan),
        Campaign::Worker { place, plan } => worker::work(&place, &plan),
    };
    ExitCode::from(u8::from(outcome.violations > 0))
}
