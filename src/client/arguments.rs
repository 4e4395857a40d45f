//! Conversion of a JSON input, as tools send it, to the arguments of an operation.

use crate::engine::caught;
use crate::engine::code::EntityCode;
use crate::error::{Error, ErrorKind, Result};

/// Converts an input to the arguments of an operation. An operation without parameters takes an empty input or `null`.
/// An operation with a single parameter takes the value itself. Any other takes an object with the names of the
/// parameters as keys.
///
/// The input of an operation that the type does not have is not checked. The sender reports the unknown operation.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::InvalidArguments`] if the input is not valid JSON or the operation does not
/// take it. The error text names the expected input.
pub(super) fn from_input(code: &dyn EntityCode, operation: &str, input: Vec<u8>) -> Result<Vec<u8>> {
    let input = trimmed(input);
    let spec = code.find(operation);
    let parameters = match spec {
        Some(spec) => code.parameters(spec),
        // The built-in operation, whose name is case-insensitive, unless the type defines its own.
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
        return refused(&format!("the input is not valid JSON: {reason}"));
    }
    let arguments = match parameters {
        [] if input.is_empty() || input == b"null" => return Ok(Vec::new()),
        [] => return refused("an input was given"),
        [_] if input.is_empty() => input,
        [name] => by_name(name, &input),
        _ if input.is_empty() || input.first() == Some(&b'{') => input,
        _ => return refused("the input is not an object"),
    };
    let Some(spec) = spec else { return Ok(arguments) };
    // Checked here as well as at execution, because a signal has no caller that could receive the error.
    match caught(|| code.check_arguments(spec, &arguments)) {
        Ok(Ok(())) => Ok(arguments),
        Ok(Err(reason)) => refused(&reason),
        Err(panic) => refused(&format!("its decoder panicked: {panic}")),
    }
}

/// Returns an object with one field. A stored name may contain any character, so it is serialized as JSON.
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
