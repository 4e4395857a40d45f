//! State that all commands share.

use std::fmt::Display;

use crate::arguments::Secret;
use crate::exit::Result;
use crate::hub::{Hub, Place};
use crate::output::Output;
use crate::request::Request;

/// One run of the program: the hub, the token and the output.
pub(crate) struct Session {
    pub(crate) place: Place,
    pub(crate) token: Option<Secret>,
    pub(crate) output: Output,
}

impl Session {
    /// Connects to the hub that the command addresses.
    pub(crate) fn hub(&self) -> Result<Hub> {
        Hub::find(&self.place, self.token.as_ref())
    }

    /// Sends a request whose response is not needed. Prints `done` for people, or the document for scripts.
    pub(crate) fn act(&mut self, request: &Request, done: &str, document: impl Display) -> Result {
        self.hub()?.ask(request)?;
        self.done(done, &document)
    }

    /// Prints `done` for people, or the document for scripts.
    pub(crate) fn done(&mut self, done: &str, document: &impl Display) -> Result {
        if self.output.json() {
            self.output.document(document)
        } else {
            self.output.line(done)
        }
    }
}
