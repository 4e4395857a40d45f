//! The hub that a command addresses, and the connection to it.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::arguments::Secret;
use crate::directory::Directory;
use crate::exit::{Failure, Result};
use crate::remote::Remote;
use crate::request::{Answer, Request};

/// The location of a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The URL of a running hub.
    Url(String),
    /// The directory of a stopped hub.
    Directory(PathBuf),
}

impl FromStr for Place {
    type Err = Infallible;

    fn from_str(text: &str) -> std::result::Result<Self, Infallible> {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        Ok(match scheme.as_deref() {
            Some(_) => Self::Url(text.trim_end_matches('/').to_owned()),
            None => Self::Directory(PathBuf::from(text)),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::Directory(directory) => write!(f, "{}", directory.display()),
        }
    }
}

/// A hub that answers requests.
pub(crate) enum Hub {
    Remote(Remote),
    Directory(Box<Directory>),
}

impl Hub {
    /// Connects to the hub. A directory is opened read-only; a URL is only validated.
    pub(crate) fn find(place: &Place, token: Option<&Secret>) -> Result<Self> {
        match place {
            Place::Url(url) => Remote::new(url, token).map(Self::Remote),
            Place::Directory(directory) => Directory::open(directory).map(Box::new).map(Self::Directory),
        }
    }

    /// Sends a request and returns the response if it is successful.
    pub(crate) fn ask(&self, request: &Request) -> Result<Answer> {
        let answer = self.send(request)?;
        if answer.is_good() {
            return Ok(answer);
        }
        Err(answer.into_failure(self.is_running()).into())
    }

    /// Sends a request and returns the response, whatever its status.
    pub(crate) fn send(&self, request: &Request) -> std::result::Result<Answer, Failure> {
        match self {
            Self::Remote(remote) => remote.send(request),
            Self::Directory(directory) => directory.send(request),
        }
    }

    fn is_running(&self) -> bool {
        matches!(self, Self::Remote(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text with a scheme is a URL. Any other text is a directory.
    #[test]
    fn a_scheme_tells_a_url_from_a_directory() {
        let url = |text: &str| Place::Url(text.to_owned());
        let directory = |text: &str| Place::Directory(PathBuf::from(text));
        for (text, place) in [
            ("http://127.0.0.1:7071", url("http://127.0.0.1:7071")),
            ("https://example.com/hub/", url("https://example.com/hub")),
            ("ftp://x", url("ftp://x")),
            ("data", directory("data")),
            ("/srv/hub", directory("/srv/hub")),
            ("localhost:7071", directory("localhost:7071")),
        ] {
            assert_eq!(text.parse(), Ok(place), "{text}");
        }
    }
}
