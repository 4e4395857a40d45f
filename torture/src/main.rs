//! Campaigns that try to make Abide lose, repeat or invent something. docs/src/reliability.md has what they have found.
//!
//! ```text
//! cargo run --release -p abide-torture -- kill --for 10m
//! ```

mod calls;
mod campaign;
mod disk;
mod kill;
mod load;
mod power;
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
    /// A process under test
    #[command(hide = true)]
    Worker { place: PathBuf, plan: String },
}

fn main() -> ExitCode {
    let outcome: Outcome = match Arguments::parse().campaign {
        Campaign::Kill(share) => kill::kill(&share),
        Campaign::Power(share) => power::power(&share),
        Campaign::Worker { place, plan } => worker::work(&place, &plan),
    };
    ExitCode::from(u8::from(outcome.violations > 0))
}
