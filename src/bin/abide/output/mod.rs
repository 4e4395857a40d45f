//! The output of commands: tables for people, JSON for scripts.

mod listing;
mod progress;
mod style;
mod text;

use std::fmt::Display;
use std::io::{BufWriter, IsTerminal, Stdout, Write};

pub(crate) use listing::Listing;
pub(crate) use progress::{bar, spinner};
pub(crate) use style::Style;
pub(crate) use text::{brief, cell_of, clean, moment, payload};

use crate::exit::{Failure, Result};

/// The standard output of a command and its format.
pub(crate) struct Output {
    stdout: BufWriter<Stdout>,
    is_terminal: bool,
    json: bool,
    style: Style,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let stdout = std::io::stdout();
        let is_terminal = stdout.is_terminal();
        Self {
            style: Style::of(is_terminal),
            is_terminal,
            stdout: BufWriter::new(stdout),
            json,
        }
    }

    /// Returns `true` if the output is JSON.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Returns `true` if the output is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// Prints a line for people, unmodified.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) -> Result {
        Ok(writeln!(self.stdout, "{}", line.as_ref())?)
    }

    /// Prints a JSON document on several lines.
    pub(crate) fn document(&mut self, document: &impl Display) -> Result {
        for line in format!("{document:#}").lines() {
            writeln!(self.stdout, "{}", clean(line))?;
        }
        Ok(())
    }

    /// Prints a JSON document on one line.
    pub(crate) fn json_line(&mut self, document: &impl Display) -> Result {
        Ok(writeln!(self.stdout, "{}", payload(document))?)
    }

    /// Returns the writer for raw bytes.
    pub(crate) fn raw(&mut self) -> &mut impl Write {
        &mut self.stdout
    }

    /// Prints names and values, one pair per line. Omits absent values.
    pub(crate) fn fields(&mut self, fields: &[(&str, Option<String>)]) -> Result {
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, value) in fields {
            if let Some(value) = value {
                let name = self.style.dim(&format!("{name:width$}"));
                writeln!(self.stdout, "{name}  {value}")?;
            }
        }
        Ok(())
    }

    /// Flushes the output.
    pub(crate) fn flush(&mut self) -> Result {
        Ok(self.stdout.flush()?)
    }
}

/// Prints a note for people to standard error.
pub(crate) fn note(text: &str) {
    // The note is optional.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints the failure of a command to standard error.
pub(crate) fn report(failure: &Failure, json: bool) {
    let mut stderr = std::io::stderr();
    if json {
        let document = serde_json::json!({"error": {
            "code": failure.code,
            "message": failure.message,
            "advice": failure.advice,
            "exitCode": failure.exit as u8,
        }});
        let _ = writeln!(stderr, "{}", payload(&document));
        return;
    }
    let style = Style::of(stderr.is_terminal());
    let _ = writeln!(stderr, "{} {}", style.bad("abide:"), clean(&failure.message));
    if let Some(advice) = &failure.advice {
        let _ = writeln!(stderr, "  {}", clean(advice));
    }
}
