//! JSON that a command takes: written on the command line, read from a file or from the standard input.

use std::io::Read;

use serde::de::IgnoredAny;

use crate::exit::{Exit, Failure, Result};

/// What the arguments that hold JSON say in their help.
pub(crate) const HELP: &str =
    "JSON as text; `-` reads it from the standard input, `@FILE` from a file. A text needs its quotes: '\"text\"'";

/// Reads an input, and checks that it is JSON. Nothing is nothing.
pub(crate) fn read(input: Option<&str>) -> Result<Vec<u8>> {
    let json = match input {
        None => return Ok(Vec::new()),
        Some("-") => {
            let mut json = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut json);
            read.map_err(|error| unreadable("the standard input", &error))?;
            json
        }
        Some(text) => match text.strip_prefix('@') {
            Some(file) => std::fs::read(file).map_err(|error| unreadable(&format!("`{file}`"), &error))?,
            None => text.as_bytes().to_vec(),
        },
    };
    match serde_json::from_slice::<IgnoredAny>(&json) {
        Ok(_) => Ok(json),
        Err(reason) => Err(Failure::usage(format!("the input is no JSON: {reason}"))
            .advise("a text needs its quotes, which the shell takes away unless they are quoted: '\"text\"'")
            .into()),
    }
}

fn unreadable(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Usage, "Io", format!("{what} cannot be read: {error}"))
}
