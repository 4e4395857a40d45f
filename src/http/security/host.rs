//! Checks of the host and the origin of a request. They prevent DNS rebinding, where a web page makes its own host name
//! resolve to this machine and then accesses it like its own server.

use std::net::{IpAddr, SocketAddr};

use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Uri, Version, header};

use crate::error::Result;
use crate::http::config::{HttpConfig, refused};
use crate::http::security::refusal::Refusal;

/// A host in a request or a configuration, in lower case and without the brackets of an IPv6 address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    name: String,
    port: Option<u16>,
}

impl Host {
    fn of(authority: &Authority) -> Option<Self> {
        let (text, name) = (authority.as_str(), authority.host());
        let name = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
            .unwrap_or(name);
        // A trailing dot makes a name absolute and does not change its meaning.
        let name = name.strip_suffix('.').unwrap_or(name);
        // With an invalid port, such as 99999, the text is longer than the part that was parsed.
        let port = authority.port_u16();
        let understood = port.is_some() || text.len() == authority.host().len();
        (!name.is_empty() && !text.contains('@') && understood).then(|| Self {
            name: name.to_ascii_lowercase(),
            port,
        })
    }

    fn parse(text: &[u8]) -> Option<Self> {
        Self::of(&Authority::try_from(text).ok()?)
    }

    fn address(&self) -> Option<IpAddr> {
        self.name.parse().ok().map(|address: IpAddr| address.to_canonical())
    }

    fn is_loopback(&self) -> bool {
        self.name == "localhost" || self.address().is_some_and(|address| address.is_loopback())
    }

    /// Returns `true` if the names are equal, and also the ports if `other` has one.
    fn is(&self, other: &Self) -> bool {
        self.name == other.name && (other.port.is_none() || self.port == other.port)
    }

    /// Returns `true` if names and ports are equal. `port` is the default port of the scheme.
    fn is_exactly(&self, other: &Self, port: u16) -> bool {
        self.name == other.name && self.port.unwrap_or(port) == other.port.unwrap_or(port)
    }
}

/// The URL under which clients reach the server from outside.
#[derive(Clone, Debug)]
pub(in crate::http) struct PublicUrl {
    text: String,
    host: Host,
    port: u16,
}

impl PublicUrl {
    pub(in crate::http) fn parse(url: &str) -> Result<Self> {
        // The part before an `@` may be a secret.
        let shown = url.rsplit('@').next().unwrap_or_default();
        let wrong = |why: &str| {
            refused(format!(
                "the public URL `{shown}` {why}; use a URL such as `https://example.com/hub`"
            ))
        };
        let uri: Uri = url.parse().map_err(|_| wrong("is invalid"))?;
        let port = match uri.scheme_str() {
            Some("http") => 80,
            Some("https") => 443,
            _ => return Err(wrong("begins neither with `http://` nor with `https://`")),
        };
        if uri.query().is_some() || url.contains('#') {
            return Err(wrong("has a query or a fragment"));
        }
        let host = uri.authority().and_then(Host::of).ok_or_else(|| wrong("has no host"))?;
        Ok(Self {
            text: url.trim_end_matches('/').to_owned(),
            host,
            port,
        })
    }

    /// Returns the URL without a trailing slash.
    pub(in crate::http) fn as_str(&self) -> &str {
        &self.text
    }
}

/// The local address of the connection of a request. The server of this crate sets it, and a program's own server does
/// not.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct LocalAddress(pub(in crate::http) SocketAddr);

/// The hosts that a router accepts.
#[derive(Debug)]
pub(super) struct Hosts {
    allowed: Vec<Host>,
    public: Option<PublicUrl>,
}

impl Hosts {
    pub(super) fn new(config: &HttpConfig) -> Result<Self> {
        let allow = |host: &String| {
            Host::parse(host.as_bytes()).ok_or_else(|| {
                refused(format!(
                    "`{host}` is not a host; use a name such as `hub.internal`, without a scheme"
                ))
            })
        };
        Ok(Self {
            allowed: config.hosts.iter().map(allow).collect::<Result<_>>()?,
            public: config.public()?,
        })
    }

    /// Checks the host that a request addresses and the page that it comes from.
    pub(super) fn check(&self, request: &Parts) -> Result<(), Refusal> {
        let local = request
            .extensions
            .get::<LocalAddress>()
            .map(|local| local.0.ip().to_canonical());
        let host = named(request)?;
        if !self.answers_for(&host, local) {
            return Err(Refusal::FOREIGN_HOST);
        }
        // A target such as `http://example.com/` repeats the host.
        if let Some(authority) = request.uri.authority() {
            let target = Host::of(authority).ok_or(Refusal::NO_HOST)?;
            if !self.answers_for(&target, local) {
                return Err(Refusal::FOREIGN_HOST);
            }
        }
        if request
            .headers
            .get_all(header::ORIGIN)
            .iter()
            .any(|origin| !self.is_own(origin, &host))
        {
            return Err(Refusal::FOREIGN_ORIGIN);
        }
        let site = request.headers.get_all("sec-fetch-site");
        if site
            .iter()
            .any(|site| site.as_bytes().eq_ignore_ascii_case(b"cross-site"))
        {
            return Err(Refusal::FOREIGN_ORIGIN);
        }
        Ok(())
    }

    fn answers_for(&self, host: &Host, local: Option<IpAddr>) -> bool {
        let here = match local {
            Some(local) => host.address() == Some(local) || (local.is_loopback() && host.is_loopback()),
            None => host.is_loopback(),
        };
        here || self.public.as_ref().is_some_and(|public| host.name == public.host.name)
            || self.allowed.iter().any(|allowed| host.is(allowed))
    }

    /// Returns `true` if an `Origin` is the host and port that the request addresses, or is allowed by the
    /// configuration. Another port of this machine is another program.
    fn is_own(&self, origin: &HeaderValue, host: &Host) -> bool {
        let origin = origin.as_bytes();
        let (rest, port) = match (origin.strip_prefix(b"http://"), origin.strip_prefix(b"https://")) {
            (Some(rest), _) => (rest, 80),
            (_, Some(rest)) => (rest, 443),
            _ => return false,
        };
        let Some(origin) = Host::parse(rest) else { return false };
        let public = self.public.as_ref();
        origin.is_exactly(host, port)
            || public.is_some_and(|public| origin.is_exactly(&public.host, public.port) && port == public.port)
            || self.allowed.iter().any(|allowed| origin.is(allowed))
    }
}

/// Returns the host that a request names in its single `Host` header. HTTP/2 may name it only in the target.
fn named(request: &Parts) -> Result<Host, Refusal> {
    let mut headers = request.headers.get_all(header::HOST).iter();
    match (headers.next(), headers.next()) {
        (Some(host), None) => Host::parse(host.as_bytes()).ok_or(Refusal::NO_HOST),
        (None, None) if request.version >= Version::HTTP_2 => {
            request.uri.authority().and_then(Host::of).ok_or(Refusal::NO_HOST)
        }
        _ => Err(Refusal::NO_HOST),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    /// Returns the status with which a configuration with a public URL and two hosts rejects a request to `local`, if
    /// it does.
    fn rejection(local: Option<&str>, headers: &[(&str, &str)]) -> Option<u16> {
        let config = HttpConfig::new()
            .public_url("https://hub.example.com/abide")
            .allow_host("internal")
            .allow_host("exact:8080");
        let mut request = Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(local) = local {
            request = request.extension(LocalAddress(local.parse().unwrap()));
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let refusal = Hosts::new(&config).unwrap().check(&parts).err()?;
        Some(axum::response::IntoResponse::into_response(refusal).status().as_u16())
    }

    /// The names of this machine are accepted only from this machine; the address of the connection is always accepted.
    #[test]
    fn only_own_hosts_are_answered() {
        let here = Some("127.0.0.1:7071");
        let outside = Some("192.0.2.7:7071");
        for (local, host, expected) in [
            (here, "localhost", None),
            (here, "LocalHost.:7071", None),
            (here, "127.0.0.1:1", None),
            (here, "127.9.9.9", None),
            (here, "[::1]:7071", None),
            (here, "192.0.2.7", Some(421)),
            (here, "hub.example.com", None),
            (here, "internal:99", None),
            (here, "exact:8080", None),
            (here, "exact:8081", Some(421)),
            (here, "exact", Some(421)),
            (here, "evil.example.com", Some(421)),
            (here, "localhost.evil.example.com", Some(421)),
            (here, "127.0.0.1.evil.example.com", Some(421)),
            (here, "hub.example.com.evil.example.com", Some(421)),
            (here, "0.0.0.0", Some(421)),
            (here, "", Some(400)),
            (here, "a b", Some(400)),
            (here, "user@localhost", Some(400)),
            (here, "localhost/path", Some(400)),
            (here, "localhost:99999", Some(400)),
            (outside, "192.0.2.7:7071", None),
            (outside, "[::ffff:192.0.2.7]", None),
            (outside, "192.0.2.8", Some(421)),
            (outside, "localhost", Some(421)),
            (outside, "127.0.0.1", Some(421)),
            (outside, "hub.example.com", None),
            (Some("[::ffff:127.0.0.1]:7071"), "localhost", None),
            (None, "localhost", None),
            (None, "127.0.0.1:80", None),
            (None, "192.0.2.7", Some(421)),
        ] {
            assert_eq!(rejection(local, &[("host", host)]), expected, "{local:?} {host}");
        }
        assert_eq!(rejection(here, &[]), Some(400));
        assert_eq!(
            rejection(here, &[("host", "localhost"), ("host", "localhost")]),
            Some(400)
        );
    }

    /// A page may access the server that it came from. Another port of the same machine is another site.
    #[test]
    fn only_own_pages_may_ask() {
        let here = Some("127.0.0.1:7071");
        for (header, value, expected) in [
            ("origin", "http://localhost:7071", None),
            ("origin", "https://hub.example.com", None),
            ("origin", "https://hub.example.com:443", None),
            ("origin", "http://hub.example.com", Some(403)),
            ("origin", "http://internal:3000", None),
            ("origin", "http://localhost:3000", Some(403)),
            ("origin", "http://localhost", Some(403)),
            ("origin", "https://evil.example.com", Some(403)),
            ("origin", "http://localhost:7071.evil.example.com", Some(403)),
            ("origin", "null", Some(403)),
            ("origin", "", Some(403)),
            ("origin", "file://", Some(403)),
            ("sec-fetch-site", "cross-site", Some(403)),
            ("sec-fetch-site", "Cross-Site", Some(403)),
            ("sec-fetch-site", "same-origin", None),
            ("sec-fetch-site", "none", None),
            ("x-forwarded-host", "evil.example.com", None),
        ] {
            assert_eq!(
                rejection(here, &[("host", "localhost:7071"), (header, value)]),
                expected,
                "{header}: {value}"
            );
        }
        let both = [
            ("host", "localhost:7071"),
            ("origin", "http://localhost:7071"),
            ("origin", "http://evil.example.com"),
        ];
        assert_eq!(rejection(here, &both), Some(403));
        assert_eq!(
            rejection(here, &[("host", "evil.example.com"), ("x-forwarded-host", "localhost")]),
            Some(421)
        );
    }

    /// A public URL must be complete, and a host must not be a URL.
    #[test]
    fn what_names_no_host_is_refused() {
        for url in [
            "hub.example.com",
            "ftp://hub.example.com",
            "https://",
            "https://h/?a",
            "https://h/#a",
            "/path",
            "",
        ] {
            assert!(PublicUrl::parse(url).is_err(), "{url}");
        }
        for host in ["", "http://localhost", "a/b", "a b", "user@host", "host:port"] {
            assert!(Hosts::new(&HttpConfig::new().allow_host(host)).is_err(), "{host}");
        }
        assert_eq!(
            PublicUrl::parse("https://h/prefix//").unwrap().as_str(),
            "https://h/prefix"
        );
    }
}
