//! Lists: a table for people, an array for scripts. Neither is held in memory as a whole.

use comfy_table::presets::{NOTHING, UTF8_FULL_CONDENSED};
use comfy_table::{Cell, ContentArrangement, Table};

use crate::exit::Result;
use crate::output::{Output, note, payload};
use crate::value::Value;

/// How many rows make one table. Behind that another one begins, with columns of its own.
const ROWS: usize = 1_000;

/// Narrower than this, a terminal has no room for columns, or does not tell its width.
const NARROW: u16 = 40;

/// A list that is printed while it is read.
pub(crate) struct Listing<'a> {
    output: &'a mut Output,
    header: &'static [&'static str],
    rows: Vec<Vec<Cell>>,
    printed: u64,
}

impl<'a> Listing<'a> {
    pub(crate) fn begin(output: &'a mut Output, header: &'static [&'static str]) -> Self {
        Self {
            output,
            header,
            rows: Vec::new(),
            printed: 0,
        }
    }

    /// Adds what one document is: itself, or the row that `row` makes of it.
    pub(crate) fn add(&mut self, document: &Value, row: impl FnOnce(&Value) -> Vec<Cell>) -> Result {
        if self.output.json() {
            let before = if self.printed == 0 { "[\n" } else { ",\n" };
            let line = format!("{before}  {}", payload(document));
            std::io::Write::write_all(self.output.raw(), line.as_bytes())?;
        } else {
            self.rows.push(row(document));
            if self.rows.len() == ROWS {
                self.print()?;
            }
        }
        self.printed += 1;
        Ok(())
    }

    /// Ends the list. `more` tells that it is not all of it; `nothing` is what people are told of an empty one.
    pub(crate) fn end(mut self, more: bool, nothing: &str) -> Result {
        match (self.output.json(), self.printed) {
            (true, 0) => self.output.line("[]"),
            (true, _) => self.output.line("\n]"),
            (false, 0) => self.output.line(nothing),
            (false, _) => self.print(),
        }?;
        if more {
            // Behind the list, where somebody looks who has read it.
            self.output.flush()?;
            note("there are more: show them with --limit N, or with --all");
        }
        Ok(())
    }

    fn print(&mut self) -> Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut table = Table::new();
        // On a terminal the columns share its width; elsewhere a row stays a line, for whoever searches it.
        if table.is_tty() && table.width().is_some_and(|width| width >= NARROW) {
            table.load_preset(UTF8_FULL_CONDENSED);
            table.set_content_arrangement(ContentArrangement::Dynamic);
        } else {
            table.load_preset(NOTHING);
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        table.set_header(self.header.iter().copied());
        table.add_rows(self.rows.drain(..));
        for line in table.lines() {
            self.output.line(line.trim_end())?;
        }
        Ok(())
    }
}
