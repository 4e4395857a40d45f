//! How a call fails.

use crate::error::Error;
use crate::failure::Failure;

/// Why a call has no answer, before its error type is known.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub enum CallFailure {
    /// The operation returned `Err`.
    Returned(Failure),
    /// The runtime met something else.
    Runtime(Error),
}
