//! Names that are stored.

use syn::LitStr;

use crate::kind::Kind;

/// Checks the name of an entity type, as ids need it.
pub(crate) fn check_entity(name: &LitStr) -> syn::Result<()> {
    let text = name.value();
    let reason = if text.is_empty() {
        "the name of an entity is not empty".to_owned()
    } else if text.len() > 256 {
        "the name of an entity has at most 256 bytes, so that its id has room for keys".to_owned()
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
        "is not empty"
    } else if text.len() > 256 {
        "has at most 256 bytes"
    } else if text.chars().any(|c| c == '/' || c.is_control()) {
        "contains no `/` and no control characters: it is part of addresses and logs"
    } else {
        return Ok(());
    };
    Err(syn::Error::new(name.span(), format!("the name of {kind} {reason}")))
}

/// Checks the version of an orchestration.
pub(crate) fn check_version(version: &LitStr) -> syn::Result<()> {
    let text = version.value();
    let reason = if text.is_empty() {
        "a version is not empty; without `version` an orchestration has none"
    } else if text.len() > 256 {
        "a version has at most 256 bytes"
    } else if text.chars().any(char::is_control) {
        "a version contains no control characters: it is part of logs"
    } else {
        return Ok(());
    };
    Err(syn::Error::new(version.span(), reason))
}

/// Writes a text as JSON.
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
