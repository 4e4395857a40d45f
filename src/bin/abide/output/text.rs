//! Values formatted for people. Data from a hub may contain control sequences, which a terminal would execute.

use std::fmt::Display;

use comfy_table::Cell;

use crate::value::Value;

/// Maximum number of characters of a payload in a table.
const BRIEF: usize = 80;

/// Escapes control characters and characters that change the text direction. The escapes are those of JSON, so that
/// JSON keeps its meaning.
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

/// Formats a JSON payload on one line.
pub(crate) fn payload(value: &impl Display) -> String {
    clean(&value.to_string())
}

/// Formats a payload for a table as JSON, truncated if it is long. `null` becomes an empty text.
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

/// Formats a value of a document for a table.
pub(crate) fn cell_of(value: &Value) -> Cell {
    Cell::new(match value {
        Value::String(text) => clean(text),
        Value::Null => String::new(),
        other => clean(&other.to_string()),
    })
}

/// Formats a time of a document as `2026-11-20 13:40:21` in UTC.
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

    /// Escape sequences and characters that change the text direction are shown, not executed.
    #[test]
    fn nothing_reaches_the_terminal_as_a_command() {
        assert_eq!(clean("a\u{1b}[31mb\n\u{202e}ü"), r"a\u001b[31mb\n\u202eü");
        let text = json!("\u{9b}1m");
        assert_eq!(payload(&text), r#""\u009b1m""#);
        assert_eq!(payload(&text).parse::<serde_json::Value>().unwrap(), text);
    }

    /// A long payload is truncated between two characters, and a time loses its fraction.
    #[test]
    fn values_are_brief() {
        let text = |text: &str| Value::String(text.to_owned());
        assert_eq!(brief(&Value::Null), "");
        assert_eq!(brief(&text(&"ü".repeat(100))).chars().count(), BRIEF + 1);
        assert_eq!(moment(&text("2026-11-20T13:40:21.5Z")), "2026-11-20 13:40:21");
        assert_eq!(moment(&text("soon")), "soon");
    }
}
