//! Requests to the management API and their responses, independent of the transport.

use abide::EntityId;
pub(crate) use abide::http::BASE_PATH as BASE;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::exit::{Exit, Failure};
use crate::value::Value;

/// Header with the continuation token of a page, which the request for the next page sends back.
pub(crate) const CONTINUATION: &str = "x-ms-continuation-token";

/// Header with the number of rows of a page that cannot be read.
pub(crate) const UNREADABLE: &str = "x-abide-unreadable";

/// All characters but the unreserved ones of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request to the management API.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    /// The path after [`BASE`], and the query.
    path: String,
    has_query: bool,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body as JSON; empty if there is none.
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn get(path: &[&str]) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn post(path: &[&str]) -> Self {
        Self::new("POST", path)
    }

    pub(crate) fn put(path: &[&str]) -> Self {
        Self::new("PUT", path)
    }

    pub(crate) fn delete(path: &[&str]) -> Self {
        Self::new("DELETE", path)
    }

    /// Creates a request for an entity below `path`.
    pub(crate) fn of_entity(method: &'static str, path: &str, id: &EntityId) -> Self {
        // A path cannot contain the empty key, and no key is `$`.
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

    /// Appends a segment to the path.
    pub(crate) fn then(mut self, part: &str) -> Self {
        debug_assert!(!self.has_query);
        self.path.push('/');
        self.path.push_str(part);
        self
    }

    /// Adds a parameter to the query if the value is present.
    pub(crate) fn query(mut self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        if let Some(value) = value {
            self.path.push(if self.has_query { '&' } else { '?' });
            self.has_query = true;
            let value = utf8_percent_encode(value.as_ref(), ENCODED);
            self.path.push_str(&format!("{name}={value}"));
        }
        self
    }

    /// Adds a parameter with the value `true` to the query if `set` is `true`.
    pub(crate) fn flag(self, name: &str, set: bool) -> Self {
        self.query(name, set.then_some("true"))
    }

    pub(crate) fn header(mut self, name: &'static str, value: Option<String>) -> Self {
        self.headers.extend(value.map(|value| (name, value)));
        self
    }

    /// Adds the idempotency key, if present, so that retries take effect once.
    pub(crate) fn idempotency_key(self, key: Option<&String>) -> Self {
        self.header("idempotency-key", key.cloned())
    }

    pub(crate) fn body(mut self, json: Vec<u8>) -> Self {
        self.body = json;
        self
    }

    /// Returns the path and the query.
    pub(crate) fn target(&self) -> String {
        format!("{BASE}{}", self.path)
    }
}

/// The response of a hub.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Continuation token for the next page.
    pub(crate) continuation: Option<String>,
    /// Number of rows of the page that cannot be read.
    pub(crate) unreadable: u64,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Parses the body as JSON.
    ///
    /// # Errors
    /// Returns an error if the body is invalid JSON, in which case the response is not from a hub.
    pub(crate) fn json(&self) -> Result<Value, Failure> {
        Value::parse(&self.body).map_err(|_| no_hub(self.status))
    }

    /// Converts the response into a failure. `running` is `true` if a running hub responded.
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
                failure.advise("pass the token in the environment variable ABIDE_TOKEN or with --token")
            }
            (_, 503 | 504) if running => failure.advise("try again in a moment"),
            _ => failure,
        }
    }
}

/// Returns the exit code for an error response.
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
        format!("the response with status {status} is not from the management API of a hub"),
    )
    .advise("pass the URL of a program that serves its hub with --hub, without the path of the API")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any id is encoded as one segment of the path, and the empty key has a name.
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

    /// An error response maps to the exit code of its reason. A response that is not from a hub is reported as such.
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
