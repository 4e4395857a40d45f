//! `abide`: inspects and manages a hub, a running hub by its URL and a stopped hub by its directory.
//!
//! Commands are requests to the management API. A running hub receives them over HTTP. For a directory, the same router
//! runs within this process, so both give the same answers.

mod activities;
mod arguments;
mod check;
#[cfg(feature = "cluster")]
mod cluster;
mod completions;
mod confirm;
mod dead_letters;
mod directory;
mod entities;
mod exit;
mod export;
mod failures;
mod hub;
mod hubs;
mod input;
mod instances;
mod interrupt;
mod locks;
mod output;
mod pages;
mod quarantine;
mod remote;
mod request;
mod schedules;
mod session;
mod stats;
mod times;
mod ui;
mod value;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::exit::{End, Result};
use crate::output::{Output, report};
use crate::session::Session;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed output is not an error.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let json = arguments.json;
    match run(arguments) {
        Ok(()) | Err(End::NobodyReads) => ExitCode::SUCCESS,
        Err(End::Failed(failure)) => {
            report(&failure, json);
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn run(arguments: Arguments) -> Result {
    let mut session = Session {
        place: arguments.hub,
        token: arguments.token.filter(|token| !token.reveal().is_empty()),
        output: Output::new(arguments.json),
    };
    match arguments.command {
        Command::Hubs(command) => hubs::run(&mut session, &command),
        Command::Instances(command) => instances::run(&mut session, command),
        Command::Entities(command) => entities::run(&mut session, command),
        Command::Schedules(command) => schedules::run(&mut session, &command),
        Command::Activities(command) => activities::run(&mut session, &command),
        Command::Failures(command) => failures::run(&mut session, &command),
        Command::Locks(command) => locks::run(&mut session, command),
        Command::DeadLetters(command) => dead_letters::run(&mut session, command),
        Command::Quarantine(command) => quarantine::run(&mut session, command),
        Command::Stats(command) => stats::run(&mut session, &command),
        Command::Export(command) => export::run(&mut session, &command),
        Command::Check(command) => check::run(&mut session, &command),
        #[cfg(feature = "cluster")]
        Command::Cluster(command) => cluster::run(&mut session, &command),
        Command::Ui(command) => ui::run(&mut session, &command),
        Command::Completions(command) => completions::run(&mut session, &command),
    }?;
    session.output.flush()
}
