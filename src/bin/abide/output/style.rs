//! Terminal colors.

use anstyle::{AnsiColor, Effects};
use comfy_table::{Cell, Color};

use crate::output::clean;

/// The color setting. Colors are used only on a terminal, and not if the user opts out (<https://no-color.org>).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    colors: bool,
}

impl Style {
    pub(crate) fn of(is_terminal: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            colors: is_terminal && !refused && !dumb,
        }
    }

    fn paint(self, style: anstyle::Style, text: &str) -> String {
        if self.colors {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.paint(AnsiColor::Red.on_default() | Effects::BOLD, text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint(anstyle::Style::new() | Effects::DIMMED, text)
    }

    /// Formats the status of an orchestration for a line of text.
    pub(crate) fn status(self, status: &str) -> String {
        let color = match status {
            "Completed" => AnsiColor::Green,
            "Failed" | "Stopped" => AnsiColor::Red,
            "Terminated" | "Canceled" | "Suspended" => AnsiColor::Yellow,
            _ => AnsiColor::Cyan,
        };
        self.paint(color.on_default(), &clean(status))
    }

    /// Formats the status of an orchestration for a table.
    pub(crate) fn status_cell(self, status: &str) -> Cell {
        let cell = Cell::new(clean(status));
        if !self.colors {
            return cell;
        }
        cell.fg(match status {
            "Completed" => Color::Green,
            "Failed" | "Stopped" => Color::Red,
            "Terminated" | "Canceled" | "Suspended" => Color::Yellow,
            _ => Color::Cyan,
        })
    }
}
