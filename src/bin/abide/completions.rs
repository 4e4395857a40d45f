//! `abide completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::arguments;
use crate::exit::Result;
use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The shell to generate the script for.
    shell: Shell,
}

pub(crate) fn run(session: &mut Session, arguments: &Arguments) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut arguments::Arguments::command(),
        "abide",
        &mut script,
    );
    Ok(std::io::Write::write_all(session.output.raw(), &script)?)
}
