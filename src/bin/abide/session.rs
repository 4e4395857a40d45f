//! What all commands share.

use std::fmt::Display;

use crate::arguments::Secret;
use crate::exit::Result;
use crate::hub::{Hub, Place};
use crate::output::Output;
use crate::request::Request;

/// One run of the program: for which hub, with which token, and how it prints.
pub(crate) struct Session {
    pub(crate) place: Place,
    pub(crate) token: Option<Secret>,
    pub(crate) output: Output,
}

impl Session {
    /// Finds the hub that the command is for.
    pub(crate) fn hub(&self) -> Result<Hub> {
        Hub::find(&self.place, self.token.as_ref())
    }

    /// Does what is one request and has no answer of interest: says `done` to people, and the document to scripts.
    pub(crate) fn act(&mut self, request: &Request, done: &str, document: impl Display) -> Result {
        self.hub()?.ask(request)?;
        self.done(done, &document)
    }

    /// Says what was done.
    pub(crate) fn done(&mut self, done: &str, document: &impl Display) -> Result {
        if self.output.json() {
            self.output.document(document)
        } else {
            self.output.line(done)
        }
    }
}
