//! Which hosts a request may be for: the answer to DNS rebinding, where a page in a browser gives its own name the address
//! of this machine and then talks to it as if to its own server.

use std::net::{IpAddr, SocketAddr};

use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Uri, Version, header};

use crate::error::Result;
use crate::http::config::{HttpConfig, refused};
use crate::http::security::refusal::Refusal;

/// A host as a request or a configuration names it: in small letters, without the brackets of an IPv6 address.
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
        // The dot at the end makes a name absolute and means the same.
        let name = name.strip_suffix('.').unwrap_or(name);
        // A port that is none, such as 99999, leaves the text longer than what was understood.
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

    /// Whether this is `other`, on its port if it names one.
    fn is(&self, other: &Self) -> bool {
        self.name == other.name && (other.port.is_none() || self.port == other.port)
    }

    /// Whether both name one host and port, where the scheme has the port of those that name none.
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
        let wrong = |why: &str| {
            refused(format!(
                "the public URL `{url}` {why}: give one such as `https://example.com/hub`"
            ))
        };
        let uri: Uri = url.parse().map_err(|_| wrong("is none"))?;
        let port = match uri.scheme_str() {
            Some("http") => 80,
            Some("https") => 443,
            _ => return Err(wrong("begins neither with `http://` nor with `https://`")),
        };
        if uri.query().is_some() || url.contains('#') {
            return Err(wrong("has a query or a fragment"));
        }
        let host = uri
            .authority()
            .and_then(Host::of)
            .ok_or_else(|| wrong("names no host"))?;
        Ok(Self {
            text: url.trim_end_matches('/').to_owned(),
            host,
            port,
        })
    }

    /// The URL without a slash at its end.
    pub(in crate::http) fn as_str(&self) -> &str {
        &self.text
    }
}

/// The local address of the connection that a request came by, which the server knows and a program's own server does not.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct LocalAddress(pub(in crate::http) SocketAddr);

/// The hosts that a router answers for.
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
                    "`{host}` is no host: give a name such as `hub.internal`, without a scheme"
                ))
            })
        };
        Ok(Self {
            allowed: config.hosts.iter().map(allow).collect::<Result<_>>()?,
            public: config.public()?,
        })
    }

    /// Checks for whom a request is and which page it comes from.
    pub(super) fn check(&self, request: &Parts) -> Result<(), Refusal> {
        let local = request
            .extensions
            .get::<LocalAddress>()
            .map(|local| local.0.ip().to_canonical());
        let host = named(request)?;
        if !self.answers_for(&host, local) {
            return Err(Refusal::FOREIGN_HOST);
        }
        // A target such as `http://example.com/` names its host once more.
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

    /// Whether an `Origin` is the host that the request is for, on its port, or one that the configuration names. Another
    /// port of this machine is another program.
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

/// The host that a request names, in its one `Host` header; HTTP/2 may name it in the target alone.
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
