//! From one JSON value, as tools send it, to the arguments of an operation by name.

use crate::engine::caught;
use crate::engine::code::EntityCode;
use crate::error::{Error, ErrorKind, Result};

/// Makes the arguments of an operation from an input: nothing or `null` for an operation without parameters, the value itself
/// for one with a single parameter, and an object by the names of the parameters for any other.
///
/// An operation that the type does not have is left to whoever sends it.
///
/// # Errors
/// [`ErrorKind::InvalidArguments`] if the input is no JSON or not what the operation takes, with a text that says what that is.
pub(super) fn from_input(code: &dyn EntityCode, operation: &str, input: Vec<u8>) -> Result<Vec<u8>> {
    let input = trimmed(input);
    let spec = code.find(operation);
    let parameters = match spec {
        Some(spec) => code.parameters(spec),
        // Built in, whatever its case, where the type has none of its own.
        None if operation.eq_ignore_ascii_case("delete") => &[],
        None => return Ok(input),
    };
    let refused = |reason: &str| {
        let name = code.name();
        let text = format!("`{operation}` of `{name}` takes {}: {reason}", taken(parameters));
        Err(Error::new(ErrorKind::InvalidArguments, text))
    };
    if !input.is_empty()
        && let Err(reason) = serde_json::from_slice::<serde_json::Value>(&input)
    {
        return refused(&format!("the input is no JSON: {reason}"));
    }
    let arguments = match parameters {
        [] if input.is_empty() || input == b"null" => return Ok(Vec::new()),
        [] => return refused("something else was given"),
        [_] if input.is_empty() => input,
        [name] => by_name(name, &input),
        _ if input.is_empty() || input.first() == Some(&b'{') => input,
        _ => return refused("the input is no object"),
    };
    let Some(spec) = spec else { return Ok(arguments) };
    // Here and not only where it runs, because a signal has nobody to tell then.
    match caught(|| code.check_arguments(spec, &arguments)) {
        Ok(Ok(())) => Ok(arguments),
        Ok(Err(reason)) => refused(&reason),
        Err(panic) => refused(&format!("its decoder panicked: {panic}")),
    }
}

/// An object with one field. A stored name is any text, so it is written as JSON.
fn by_name(name: &str, value: &[u8]) -> Vec<u8> {
    let name = serde_json::Value::from(name).to_string();
    [b"{", name.as_bytes(), b":", value, b"}"].concat()
}

fn taken(parameters: &[&str]) -> String {
    match parameters {
        [] => "no input".to_owned(),
        [name] => format!("the value of `{name}` as JSON"),
        names => format!("an object with `{}`", names.join("`, `")),
    }
}

fn trimmed(input: Vec<u8>) -> Vec<u8> {
    let inside = input.trim_ascii();
    if inside.len() == input.len() {
        return input;
    }
    inside.to_vec()
}
