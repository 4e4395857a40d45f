//! Stored names.

use syn::LitStr;

use crate::kind::Kind;

/// Checks the name of an entity type, which is part of ids.
pub(crate) fn check_entity(name: &LitStr) -> syn::Result<()> {
    let text = name.value();
    let reason = if text.is_empty() {
        "the name of an entity must not be empty".to_owned()
    } else if text.len() > 256 {
        "the name of an entity must have at most 256 bytes, so that its id has room for keys".to_owned()
    } else if let Some(character) = text
        .chars()
        .find(|&c| matches!(c, '@' | '/' | '\\' | '#' | '?') || c.is_control())
    {
        format!("the name of an entity cannot contain {character:?}: it is part of the id `@name@key`")
    } else {
        return Ok(());
    };
    Err(syn::Error::new(name.span(), reason))
}

/// Checks the name of an operation, an activity or an orchestration.
pub(crate) fn check(name: &LitStr, kind: Kind) -> syn::Result<()> {
    let text = name.value();
    let reason = if text.is_empty() {
        "must not be empty"
    } else if text.len() > 256 {
        "must have at most 256 bytes"
    } else if text.chars().any(|c| c == '/' || c.is_control()) {
        "must not contain `/` or control characters: it is part of URLs and logs"
    } else {
        return Ok(());
    };
    Err(syn::Error::new(name.span(), format!("the name of {kind} {reason}")))
}

/// Checks the version of an orchestration.
pub(crate) fn check_version(version: &LitStr) -> syn::Result<()> {
    let text = version.value();
    let reason = if text.is_empty() {
        "a version must not be empty; omit `version` for an orchestration without one"
    } else if text.len() > 256 {
        "a version must have at most 256 bytes"
    } else if text.chars().any(char::is_control) {
        "a version must not contain control characters: it is part of logs"
    } else {
        return Ok(());
    };
    Err(syn::Error::new(version.span(), reason))
}

/// Converts a text to a JSON string.
pub(crate) fn to_json(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            control if control < ' ' => json.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => json.push(other),
        }
    }
    json.push('"');
    json
}
