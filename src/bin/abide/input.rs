//! JSON input of commands: given on the command line, or read from a file or standard input.

use std::io::Read;

use serde::de::IgnoredAny;

use crate::exit::{Exit, Failure, Result};

/// Help text of arguments that take JSON.
pub(crate) const HELP: &str =
    "JSON text, `-` for standard input, or `@FILE` for a file. A string needs its quotes: '\"text\"'";

/// Reads an input and checks that it is JSON. Returns no bytes if there is no input.
pub(crate) fn read(input: Option<&str>) -> Result<Vec<u8>> {
    let json = match input {
        None => return Ok(Vec::new()),
        Some("-") => {
            let mut json = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut json);
            read.map_err(|error| unreadable("standard input", &error))?;
            json
        }
        Some(text) => match text.strip_prefix('@') {
            Some(file) => std::fs::read(file).map_err(|error| unreadable(&format!("`{file}`"), &error))?,
            None => text.as_bytes().to_vec(),
        },
    };
    match serde_json::from_slice::<IgnoredAny>(&json) {
        Ok(_) => Ok(json),
        Err(reason) => Err(Failure::usage(format!("the input is invalid JSON: {reason}"))
            .advise("a string needs its quotes, which the shell removes unless they are quoted: '\"text\"'")
            .into()),
    }
}

fn unreadable(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Usage, "Io", format!("{what} cannot be read: {error}"))
}
