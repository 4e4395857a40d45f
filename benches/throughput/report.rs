//! The measurements, as a table for people and as JSON lines for programs.

use std::io::Write;
use std::path::Path;

use comfy_table::{CellAlignment, Table, TableComponent, presets};
use serde::Serialize;

/// One measured figure.
#[derive(Debug, Serialize)]
struct Figure {
    name: String,
    /// The median of the samples.
    value: f64,
    unit: &'static str,
    /// Number of requests in flight. The JSON lines leave it out.
    #[serde(skip)]
    callers: usize,
    #[serde(skip)]
    samples: Vec<f64>,
}

/// The figures of one run, in the order of their measurement.
#[derive(Debug, Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
}

impl Report {
    /// Adds a measurement of a figure and prints it at once, because a run takes minutes.
    ///
    /// The value of a figure that is measured several times is the median. `callers` is the number of requests in
    /// flight.
    pub(crate) fn add(&mut self, name: impl Into<String>, value: f64, unit: &'static str, callers: usize) {
        let name = name.into();
        eprintln!("  {name} = {} {unit}, {callers} in flight", readable(value));
        match self.figures.iter_mut().find(|figure| figure.name == name) {
            Some(figure) => {
                figure.samples.push(value);
                figure.value = median(&figure.samples);
            }
            None => self.figures.push(Figure {
                name,
                value,
                unit,
                callers,
                samples: vec![value],
            }),
        }
    }

    /// Returns the value of a figure, if this run measured it.
    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        self.figures
            .iter()
            .find(|figure| figure.name == name)
            .map(|figure| figure.value)
    }

    /// Returns all figures as a table.
    pub(crate) fn table(&self) -> Table {
        let mut table = plain_table(["figure", "value", "unit", "in flight"]);
        for figure in &self.figures {
            let callers = figure.callers.to_string();
            table.add_row([figure.name.as_str(), &readable(figure.value), figure.unit, &callers]);
        }
        align_right(&mut table, [1, 3]);
        table
    }

    /// Writes one JSON object per line.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub(crate) fn write_json(&self, path: &Path) -> std::io::Result<()> {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        for figure in &self.figures {
            serde_json::to_writer(&mut file, figure)?;
            writeln!(file)?;
        }
        file.flush()
    }
}

/// Returns the median, which is the mean of the two middle values if their number is even.
fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    }
}

/// Returns an empty table with few rules, which reads well in a terminal and in a commit message.
pub(crate) fn plain_table<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .remove_style(TableComponent::HorizontalLines)
        .remove_style(TableComponent::MiddleIntersections)
        .set_header(header);
    table
}

pub(crate) fn align_right(table: &mut Table, columns: impl IntoIterator<Item = usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Formats a large number in groups of three digits and a small one with its significant digits.
pub(crate) fn readable(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.2}");
    }
    if value < 1_000.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}
