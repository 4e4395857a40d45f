//! The canonical form of strings, with as few escapes as JSON allows.

use std::borrow::Cow;
use std::fmt::Write;

use super::reader::Scalar;

/// Returns the length and the canonical form of the string at the beginning of `text`, both including the quotes.
pub(super) fn canonical(text: &str) -> Option<Scalar<'_>> {
    let bytes = text.as_bytes();
    let mut escaped = false;
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => break,
            b'\\' => {
                escaped = true;
                at += 2;
            }
            0..0x20 => return None,
            _ => at += 1,
        }
    }
    let length = at + 1;
    let string = text.get(..length)?;
    let canonical = if escaped {
        Cow::Owned(normalize(string)?)
    } else {
        Cow::Borrowed(string)
    };
    Some((length, canonical))
}

/// Rewrites a string so that each character has a single spelling.
fn normalize(string: &str) -> Option<String> {
    let mut normal = String::with_capacity(string.len());
    let mut rest = string;
    while let Some(at) = rest.find('\\') {
        normal.push_str(&rest[..at]);
        rest = escape(rest.get(at + 1..)?, &mut normal)?;
    }
    normal.push_str(rest);
    Some(normal)
}

/// Writes the character of the escape after a backslash and returns the rest of the text.
fn escape<'a>(text: &'a str, normal: &mut String) -> Option<&'a str> {
    let code = *text.as_bytes().first()?;
    let rest = text.get(1..)?;
    let char = match code {
        b'"' | b'\\' | b'/' => char::from(code),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(rest, normal),
        _ => return None,
    };
    push(char, normal);
    Some(rest)
}

/// Writes the character whose code follows `\u`. An unpaired surrogate is not a character and remains an escape.
fn unicode<'a>(text: &'a str, normal: &mut String) -> Option<&'a str> {
    let (first, rest) = code_unit(text)?;
    let second = rest.strip_prefix("\\u").and_then(code_unit);
    if let (0xd800..0xdc00, Some((low @ 0xdc00..0xe000, behind))) = (first, second) {
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00);
        push(char::from_u32(code)?, normal);
        return Some(behind);
    }
    match char::from_u32(first) {
        Some(char) => push(char, normal),
        // Writing to a `String` cannot fail.
        None => {
            let _ = write!(normal, "\\u{first:04x}");
        }
    }
    Some(rest)
}

fn code_unit(text: &str) -> Option<(u32, &str)> {
    let (code, rest) = (text.get(..4)?, text.get(4..)?);
    if !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Some((u32::from_str_radix(code, 16).ok()?, rest))
}

fn push(char: char, normal: &mut String) {
    match char {
        '"' => normal.push_str("\\\""),
        '\\' => normal.push_str("\\\\"),
        // Writing to a `String` cannot fail.
        '\0'..='\u{1f}' => {
            let _ = write!(normal, "\\u{:04x}", u32::from(char));
        }
        char => normal.push(char),
    }
}
