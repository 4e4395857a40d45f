//! The text of a panic.

use std::any::Any;

/// Returns the text of a panic, or a description if its value is not a string.
pub(crate) fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a value that is not a string")
}
