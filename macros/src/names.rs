//! Names that are stored.

use syn::LitStr;

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

/// Checks the name of an operation.
pub(crate) fn check_operation(name: &LitStr) -> syn::Result<()> {
    let text = name.value();
    let reason = if text.is_empty() {
        "the name of an operation is not empty"
    } else if text.len() > 256 {
        "the name of an operation has at most 256 bytes"
    } else if text.chars().any(|c| c == '/' || c.is_control()) {
        "the name of an operation contains no `/` and no control characters: it is part of addresses and logs"
    } else {
        return Ok(());
    };
    Err(syn::Error::new(name.span(), reason))
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
