//! Tokens: what they allow, and how they are compared.

use std::fmt;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use percent_encoding::percent_decode_str;
use subtle::{Choice, ConstantTimeEq};

use crate::error::Result;
use crate::http::config::refused;

/// The fewest bytes of a token. Shorter ones can be guessed.
const MIN_BYTES: usize = 16;

/// The most bytes of a token: all are compared as if they had so many.
const MAX_BYTES: usize = 256;

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// To look: `GET` and `HEAD`.
    Read,
    /// Everything.
    Operate,
}

impl Scope {
    /// What a request with this verb needs.
    pub(super) fn needed(verb: &Method) -> Self {
        if verb == Method::GET || verb == Method::HEAD {
            Self::Read
        } else {
            Self::Operate
        }
    }
}

/// A secret that a client sends with each request, and what it allows. A client sends it as `Authorization: Bearer …`, in
/// the header `x-functions-key`, or in the query as `code`.
///
/// It is 16 to 256 letters, digits and signs of ASCII, and should be random, for instance from `openssl rand -hex 32`. It
/// is never shown: not by `Debug`, not in errors, not in logs.
#[derive(Clone)]
pub struct Token {
    scope: Scope,
    secret: String,
}

impl Token {
    /// A token that allows to look and to change nothing.
    pub fn read(secret: impl Into<String>) -> Self {
        Self {
            scope: Scope::Read,
            secret: secret.into(),
        }
    }

    /// A token that allows everything.
    pub fn operate(secret: impl Into<String>) -> Self {
        Self {
            scope: Scope::Operate,
            secret: secret.into(),
        }
    }

    /// What it allows.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Whether the secret is one, told without it.
    pub(in crate::http) fn check(&self) -> Result<()> {
        let length = self.secret.len();
        if length == 0 {
            return Err(refused(
                "a token is empty: give one of at least 16 random bytes, for instance from `openssl rand -hex 32`",
            ));
        }
        if length < MIN_BYTES {
            return Err(refused(format!(
                "a token has {length} bytes and could be guessed: give one of at least {MIN_BYTES} random bytes, for instance \
                 from `openssl rand -hex 32`"
            )));
        }
        if length > MAX_BYTES {
            return Err(refused(format!(
                "a token has {length} bytes: at most {MAX_BYTES} are compared"
            )));
        }
        if !self.secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refused(
                "a token holds a space or a character that is not ASCII, which a header cannot carry: give one of letters, \
                 digits and signs, for instance from `openssl rand -hex 32`",
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// The tokens of a router in the form in which they are compared.
pub(super) struct Tokens(Vec<(Scope, Padded)>);

impl Tokens {
    pub(super) fn new(tokens: &[Token]) -> Self {
        let padded = |token: &Token| (token.scope, Padded::of(token.secret.as_bytes()));
        Self(tokens.iter().map(padded).collect())
    }

    /// Whether requests need none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the request may do by the tokens that it shows: the most that one of them allows, nothing if none is right.
    /// Of each place that a token may stand in the first one counts, so that a request is at most three guesses.
    pub(super) fn scope(&self, request: &Parts) -> Option<Scope> {
        let query = request.uri.query().and_then(code);
        let shown = [
            bearer(&request.headers),
            request.headers.get("x-functions-key").map(|value| value.as_bytes()),
            query.as_deref(),
        ];
        shown
            .into_iter()
            .flatten()
            .filter_map(|shown| self.scope_of(shown))
            .max()
    }

    /// Compares with every token, whole, whatever is found: the time tells nothing.
    fn scope_of(&self, shown: &[u8]) -> Option<Scope> {
        let shown = Padded::of(shown);
        let (mut read, mut operate) = (Choice::from(0), Choice::from(0));
        for (scope, token) in &self.0 {
            let same = token.0.ct_eq(&shown.0);
            match scope {
                Scope::Read => read |= same,
                Scope::Operate => operate |= same,
            }
        }
        if bool::from(operate) {
            Some(Scope::Operate)
        } else {
            bool::from(read).then_some(Scope::Read)
        }
    }
}

/// The bytes of a token, filled up to the most that one may have, behind their number. Words, because they are compared
/// eight bytes at a time.
struct Padded([u64; 1 + MAX_BYTES / 8]);

impl Padded {
    fn of(bytes: &[u8]) -> Self {
        let mut filled = [0; MAX_BYTES];
        let kept = bytes.len().min(MAX_BYTES);
        filled[..kept].copy_from_slice(&bytes[..kept]);
        let mut words = [0; 1 + MAX_BYTES / 8];
        words[0] = bytes.len() as u64;
        for (word, bytes) in words[1..].iter_mut().zip(filled.chunks_exact(8)) {
            *word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        Self(words)
    }
}

/// The token of an `Authorization` header of the kind `Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (kind, token) = value.split_at_checked("Bearer ".len())?;
    kind.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// The first `code` of a query, decoded. A plus sign is one, as in the tokens that hold it, and not the space of a form.
pub(in crate::http) fn code(query: &str) -> Option<Vec<u8>> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("code"))?;
    Some(percent_decode_str(value).collect())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    const READ: &str = "a-token-to-read-with";
    const OPERATE: &str = "a-token-to-operate-with";

    fn scope(target: &str, headers: &[(&str, &str)]) -> Option<Scope> {
        let mut request = Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Tokens::new(&[Token::read(READ), Token::operate(OPERATE)]).scope(&parts)
    }

    /// A token counts in each of its places, and only whole.
    #[test]
    fn a_token_counts_in_each_of_its_places() {
        let long = READ.repeat(30);
        let encoded = format!("/?code={}", OPERATE.replace('-', "%2D"));
        for (target, headers, expected) in [
            ("/", vec![], None),
            (
                "/",
                vec![("authorization", format!("Bearer {READ}"))],
                Some(Scope::Read),
            ),
            (
                "/",
                vec![("authorization", format!("bearer  {OPERATE} "))],
                Some(Scope::Operate),
            ),
            ("/", vec![("authorization", OPERATE.to_owned())], None),
            ("/", vec![("authorization", format!("Basic {OPERATE}"))], None),
            ("/", vec![("authorization", "Bearer".to_owned())], None),
            ("/", vec![("authorization", "Bearer ".to_owned())], None),
            ("/", vec![("x-functions-key", READ.to_owned())], Some(Scope::Read)),
            ("/", vec![("x-functions-key", READ[1..].to_owned())], None),
            ("/", vec![("x-functions-key", format!("{READ}x"))], None),
            ("/", vec![("x-functions-key", format!("{READ}\t"))], None),
            ("/", vec![("x-functions-key", long)], None),
            ("/", vec![("x-functions-key", String::new())], None),
            (&*encoded, vec![], Some(Scope::Operate)),
            ("/?taskHub=x&Code=a-token-to-read-with&top=1", vec![], Some(Scope::Read)),
            ("/?code=&code=a-token-to-read-with", vec![], None),
            ("/?code", vec![], None),
            (
                "/?code=a-token-to-read-with",
                vec![("x-functions-key", OPERATE.to_owned())],
                Some(Scope::Operate),
            ),
            (
                "/?code=a-token-to-read-with",
                vec![("x-functions-key", "wrong".to_owned())],
                Some(Scope::Read),
            ),
        ] {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(scope(target, &headers), expected, "{target} {headers:?}");
        }
    }

    /// The longest token is compared to its last byte.
    #[test]
    fn tokens_differ_at_their_ends() {
        let longest = "x".repeat(MAX_BYTES);
        let tokens = Tokens::new(&[Token::operate(longest.clone())]);
        assert_eq!(tokens.scope_of(longest.as_bytes()), Some(Scope::Operate));
        for other in [
            "x".repeat(MAX_BYTES - 1) + "y",
            "x".repeat(MAX_BYTES - 1),
            "x".repeat(MAX_BYTES + 1),
        ] {
            assert_eq!(tokens.scope_of(other.as_bytes()), None);
        }
    }
}
