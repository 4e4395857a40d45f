//! Lists: a table for people, a JSON array for scripts. Neither is held in memory as a whole.

use comfy_table::presets::{NOTHING, UTF8_FULL_CONDENSED};
use comfy_table::{Cell, ContentArrangement, Table};

use crate::exit::Result;
use crate::output::{Output, note, payload};
use crate::value::Value;

/// Maximum number of rows in one table. Further rows form another table with its own column widths.
const ROWS: usize = 1_000;

/// Minimum width of a terminal for columns. A narrower terminal has no room for them or does not report its width.
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

    /// Adds a document: as JSON, or as the row that `row` makes of it.
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

    /// Ends the list. `more` marks an incomplete list; `nothing` is the text printed instead of an empty table.
    pub(crate) fn end(mut self, more: bool, nothing: &str) -> Result {
        match (self.output.json(), self.printed) {
            (true, 0) => self.output.line("[]"),
            (true, _) => self.output.line("\n]"),
            (false, 0) => self.output.line(nothing),
            (false, _) => self.print(),
        }?;
        if more {
            // After the list, where a reader sees it.
            self.output.flush()?;
            note("there are more; show them with --limit N or --all");
        }
        Ok(())
    }

    fn print(&mut self) -> Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut table = Table::new();
        // On a terminal, the columns share its width. Elsewhere, each row stays on one line for tools such as `grep`.
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
