//! Values as people read them. What comes from a hub may hold anything, and a terminal obeys what it is shown.

use std::fmt::Display;

use comfy_table::Cell;

use crate::value::Value;

/// The most characters of a payload in a table.
const BRIEF: usize = 80;

/// A text without anything that a terminal would obey, or that turns the direction of what follows. Both are shown as JSON
/// escapes them, so that JSON stays the same JSON.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match c {
            '\n' => clean.push_str("\\n"),
            '\t' => clean.push_str("\\t"),
            _ if c.is_control() || turns => clean.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => clean.push(c),
        }
    }
    clean
}

/// A JSON payload in one line.
pub(crate) fn payload(value: &impl Display) -> String {
    clean(&value.to_string())
}

/// A payload in a table: its JSON, cut where it is long. Nothing for `null`.
pub(crate) fn brief(value: &Value) -> String {
    if value.is_null() {
        return String::new();
    }
    let text = payload(value);
    match text.char_indices().nth(BRIEF) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A text of a document in a table.
pub(crate) fn cell_of(value: &Value) -> Cell {
    Cell::new(match value {
        Value::String(text) => clean(text),
        Value::Null => String::new(),
        other => clean(&other.to_string()),
    })
}

/// A time of a document, `2026-11-20 13:40:21` in UTC.
pub(crate) fn moment(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => clean(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Escape sequences and characters that turn the direction of text are shown, not obeyed.
    #[test]
    fn nothing_reaches_the_terminal_as_a_command() {
        assert_eq!(clean("a\u{1b}[31mb\n\u{202e}ü"), r"a\u001b[31mb\n\u202eü");
        let text = json!("\u{9b}1m");
        assert_eq!(payload(&text), r#""\u009b1m""#);
        assert_eq!(payload(&text).parse::<serde_json::Value>().unwrap(), text);
    }

    /// A long payload is cut between two characters, and a time loses its fraction.
    #[test]
    fn values_are_brief() {
        let text = |text: &str| Value::String(text.to_owned());
        assert_eq!(brief(&Value::Null), "");
        assert_eq!(brief(&text(&"ü".repeat(100))).chars().count(), BRIEF + 1);
        assert_eq!(moment(&text("2026-11-20T13:40:21.5Z")), "2026-11-20 13:40:21");
        assert_eq!(moment(&text("soon")), "soon");
    }
}
