//! Requests of the management API and their answers, whoever carries them.

use abide::EntityId;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::exit::{Exit, Failure};
use crate::value::Value;

/// What every path begins with.
pub(crate) const BASE: &str = "/runtime/webhooks/durabletask";

/// What a page gives and the request for the next one sends.
pub(crate) const CONTINUATION: &str = "x-ms-continuation-token";

/// What a page gives that holds rows which cannot be read: how many.
pub(crate) const UNREADABLE: &str = "x-abide-unreadable";

/// All but what RFC 3986 leaves unreserved.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    /// The path behind [`BASE`], and the query.
    path: String,
    has_query: bool,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// JSON.
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn get(path: &[&str]) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn post(path: &[&str]) -> Self {
        Self::new("POST", path)
    }

    pub(crate) fn delete(path: &[&str]) -> Self {
        Self::new("DELETE", path)
    }

    /// A request for an entity below `path`.
    pub(crate) fn of_entity(method: &'static str, path: &str, id: &EntityId) -> Self {
        // The empty key has no place in a path, and no key is `$`.
        let key = if id.key().is_empty() { "$" } else { id.key() };
        Self::new(method, &[path, id.name(), key])
    }

    fn new(method: &'static str, path: &[&str]) -> Self {
        let path = path
            .iter()
            .map(|part| format!("/{}", utf8_percent_encode(part, ENCODED)))
            .collect();
        Self {
            method,
            path,
            has_query: false,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Goes on behind the path of an entity.
    pub(crate) fn then(mut self, part: &str) -> Self {
        debug_assert!(!self.has_query);
        self.path.push('/');
        self.path.push_str(part);
        self
    }

    /// Adds an argument to the query, if there is one.
    pub(crate) fn query(mut self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        if let Some(value) = value {
            self.path.push(if self.has_query { '&' } else { '?' });
            self.has_query = true;
            let value = utf8_percent_encode(value.as_ref(), ENCODED);
            self.path.push_str(&format!("{name}={value}"));
        }
        self
    }

    /// Adds an argument that is `true` to the query.
    pub(crate) fn flag(self, name: &str, set: bool) -> Self {
        self.query(name, set.then_some("true"))
    }

    pub(crate) fn header(mut self, name: &'static str, value: Option<String>) -> Self {
        self.headers.extend(value.map(|value| (name, value)));
        self
    }

    /// Makes a retry take effect once.
    pub(crate) fn idempotency_key(self, key: Option<&String>) -> Self {
        self.header("idempotency-key", key.cloned())
    }

    pub(crate) fn body(mut self, json: Vec<u8>) -> Self {
        self.body = json;
        self
    }

    /// Path and query.
    pub(crate) fn target(&self) -> String {
        format!("{BASE}{}", self.path)
    }
}

/// What a hub answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// What the next page comes after.
    pub(crate) continuation: Option<String>,
    /// How many rows of the page cannot be read.
    pub(crate) unreadable: u64,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// That it is none: then it is no hub that answered.
    pub(crate) fn json(&self) -> Result<Value, Failure> {
        Value::parse(&self.body).map_err(|_| no_hub(self.status))
    }

    /// Why the request was not done. `running` tells whether a process answered.
    pub(crate) fn into_failure(self, running: bool) -> Failure {
        let Ok(document) = Value::parse(&self.body) else {
            return no_hub(self.status);
        };
        let error = &document["error"];
        let (Some(code), Some(message)) = (error["code"].as_str(), error["message"].as_str()) else {
            return no_hub(self.status);
        };
        let exit = exit_of(self.status, code);
        let failure = Failure::new(exit, code, message);
        match (exit, self.status) {
            (Exit::Unreachable, 401) => {
                failure.advise("give the token in the environment variable ABIDE_TOKEN, or with --token")
            }
            (_, 503 | 504) if running => failure.advise("try again in a moment"),
            _ => failure,
        }
    }
}

/// The exit code for a refusal.
fn exit_of(status: u16, code: &str) -> Exit {
    match (status, code) {
        (_, "ReadOnly") => Exit::Conflict,
        (_, "OperationFailed" | "Panicked") => Exit::Unsuccessful,
        (_, "RequestIdReused") => Exit::Conflict,
        (400 | 405 | 413..=415 | 422, _) => Exit::Usage,
        (404, _) => Exit::NotFound,
        (401 | 403 | 421 | 503, _) => Exit::Unreachable,
        (409 | 410, _) => Exit::Conflict,
        _ => Exit::Failed,
    }
}

fn no_hub(status: u16) -> Failure {
    Failure::new(
        Exit::Unreachable,
        "NoHub",
        format!("what answered, with status {status}, is not the management API of a hub"),
    )
    .advise("give the URL of a program that serves its hub, without the path of the API, with --hub")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever an id is made of stays one part of the path, and the empty key has a name.
    #[test]
    fn a_path_holds_any_id() {
        let request = Request::get(&["instances", "a b/ü%"])
            .query("reason", Some("x&y=z"))
            .flag("f", true);
        assert_eq!(
            request.target(),
            format!("{BASE}/instances/a%20b%2F%C3%BC%25?reason=x%26y%3Dz&f=true")
        );
        let empty = EntityId::new("Till", "").unwrap();
        assert_eq!(
            Request::of_entity("GET", "entities", &empty).target(),
            format!("{BASE}/entities/till/$").replace('$', "%24")
        );
    }

    /// A refusal leads to the code that its reason has, and what is no refusal of a hub is told as such.
    #[test]
    fn a_refusal_has_its_code() {
        let exit = |status, code: &str| {
            let body = serde_json::json!({"error": {"code": code, "message": "m"}}).to_string();
            let answer = Answer {
                status,
                continuation: None,
                unreadable: 0,
                body: body.into_bytes(),
            };
            answer.into_failure(true).exit
        };
        assert_eq!(exit(404, "NotFound"), Exit::NotFound);
        assert_eq!(exit(409, "AlreadyExists"), Exit::Conflict);
        assert_eq!(exit(410, "Ended"), Exit::Conflict);
        assert_eq!(exit(500, "ReadOnly"), Exit::Conflict);
        assert_eq!(exit(401, "Unauthorized"), Exit::Unreachable);
        assert_eq!(exit(422, "OperationFailed"), Exit::Unsuccessful);
        assert_eq!(exit(422, "RequestIdReused"), Exit::Conflict);
        assert_eq!(exit(400, "InvalidArguments"), Exit::Usage);
        assert_eq!(exit(500, "Corrupted"), Exit::Failed);
        let page = Answer {
            status: 404,
            continuation: None,
            unreadable: 0,
            body: b"<html>".to_vec(),
        };
        assert_eq!(page.into_failure(true).code, "NoHub");
    }
}
