//! Access to a running hub over HTTP.

use std::time::Duration;

use ureq::http::Uri;
use ureq::{Agent, Error};

use crate::arguments::Secret;
use crate::exit::{Exit, Failure, Result};
use crate::output::note;
use crate::request::{Answer, BASE, CONTINUATION, Request, UNREADABLE};

/// Timeout for resolving the host, and for connecting to it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout for a whole request. The longest request is a call, which a server lets wait for 230 seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

/// Maximum size of a response, in bytes. The largest response is a history with all its payloads.
const ANSWER_LIMIT: u64 = 2 << 30;

/// A running hub.
pub(crate) struct Remote {
    agent: Agent,
    /// The URL without the path of the API.
    url: String,
    authorization: Option<String>,
}

impl Remote {
    pub(crate) fn new(url: &str, token: Option<&Secret>) -> Result<Self> {
        let url = url.strip_suffix(BASE).unwrap_or(url);
        let parsed: Uri = url
            .parse()
            .map_err(|reason| Failure::usage(format!("`{url}` is not a valid URL: {reason}")))?;
        if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.host().is_none_or(str::is_empty) {
            return Err(Failure::usage(format!("`{url}` is not the URL of a hub"))
                .advise("a URL begins with `http://` or `https://` and names a host, such as http://127.0.0.1:7071")
                .into());
        }
        let has_user = parsed
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'));
        if parsed.query().is_some() || has_user {
            // The URL is not shown because the query or user is probably a secret.
            return Err(Failure::usage("the URL of a hub must have neither a query nor a user")
                .advise("pass the token in the environment variable ABIDE_TOKEN or with --token")
                .into());
        }
        let authorization = token.map(|token| format!("Bearer {}", token.reveal()));
        if let Some(text) = &authorization
            && !text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        {
            return Err(Failure::usage("the token contains characters that are not allowed in a header").into());
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // The token must not reach any other host.
            .max_redirects(0)
            .user_agent(concat!("abide/", env!("CARGO_PKG_VERSION")))
            .timeout_global(Some(ANSWER_TIMEOUT))
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT));
        if parsed.host().is_some_and(is_this_machine) {
            config = config.proxy(None);
        } else if authorization.is_some() && parsed.scheme_str() == Some("http") {
            note("the token is sent unencrypted; use an `https` URL to protect it");
        }
        Ok(Self {
            agent: Agent::new_with_config(config.build()),
            url: url.to_owned(),
            authorization,
        })
    }

    pub(crate) fn send(&self, request: &Request) -> std::result::Result<Answer, Failure> {
        let mut head =
            ureq::http::Request::builder()
                .method(request.method)
                .uri(format!("{}{}", self.url, request.target()));
        for (name, value) in &request.headers {
            head = head.header(*name, value);
        }
        if let Some(authorization) = &self.authorization {
            head = head.header("authorization", authorization);
        }
        let invalid = |error| Failure::usage(format!("the request is invalid: {error}"));
        let answered = if matches!(request.method, "POST" | "PUT") {
            let head = if request.body.is_empty() {
                head
            } else {
                head.header("content-type", "application/json")
            };
            let request = head.body(request.body.as_slice()).map_err(invalid)?;
            self.agent.run(request)
        } else {
            self.agent.run(head.body(()).map_err(invalid)?)
        };
        let mut answer = answered.map_err(|error| self.unreachable(&error))?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let continuation = header(CONTINUATION).map(str::to_owned);
        let unreadable = header(UNREADABLE).and_then(|count| count.parse().ok());
        Ok(Answer {
            status: answer.status().as_u16(),
            continuation,
            unreadable: unreadable.unwrap_or(0),
            body: answer
                .body_mut()
                .with_config()
                .limit(ANSWER_LIMIT)
                .read_to_vec()
                .map_err(|error| self.unreachable(&error))?,
        })
    }

    fn unreachable(&self, error: &Error) -> Failure {
        let failure = Failure::new(
            Exit::Unreachable,
            "Unreachable",
            format!("no answer from {}: {error}", self.url),
        );
        failure.advise(
            "check that the program is running and serves its hub there, or name another hub with --hub or ABIDE_HUB: \
             the URL of a running hub, or the directory of a stopped hub",
        )
    }
}

fn is_this_machine(host: &str) -> bool {
    let is_loopback = |address: std::net::Ipv4Addr| address.is_loopback();
    host == "localhost" || host == "[::1]" || host.parse().is_ok_and(is_loopback)
}
