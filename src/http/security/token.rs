//! Tokens, their scopes and their comparison.

use std::fmt;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use percent_encoding::percent_decode_str;
use subtle::{Choice, ConstantTimeEq};

use crate::error::Result;
use crate::http::config::refused;

/// Minimum length of a token, in bytes. Shorter tokens can be guessed.
const MIN_BYTES: usize = 16;

/// Maximum length of a token, in bytes. Tokens are padded to this length for the comparison.
const MAX_BYTES: usize = 256;

/// The access that a token grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Read access: `GET` and `HEAD`.
    Read,
    /// Full access.
    Operate,
}

impl Scope {
    /// Returns the scope that a request with this method needs.
    pub(super) fn needed(verb: &Method) -> Self {
        if verb == Method::GET || verb == Method::HEAD {
            Self::Read
        } else {
            Self::Operate
        }
    }
}

/// A secret that a client sends with each request, and the access that it grants.
///
/// A client sends it as `Authorization: Bearer …`, in the header `x-functions-key`, or as `code` in the query. A token
/// consists of 16 to 256 ASCII letters, digits and punctuation characters. It should be random, for instance from
/// `openssl rand -hex 32`. A token never appears in `Debug` output, errors or logs.
///
/// ```
/// use abide::http::{HttpConfig, Scope, Token};
///
/// let secret = "0123456789abcdef0123456789abcdef";
/// let token = Token::read(secret);
/// assert_eq!(token.scope(), Scope::Read);
/// assert!(!format!("{token:?}").contains(secret));
///
/// let operator = Token::operate("fedcba9876543210fedcba9876543210");
/// let config = HttpConfig::new().token(token).token(operator);
/// ```
#[derive(Clone)]
pub struct Token {
    scope: Scope,
    secret: String,
}

impl Token {
    /// Creates a token that allows reads, but no changes.
    pub fn read(secret: impl Into<String>) -> Self {
        Self {
            scope: Scope::Read,
            secret: secret.into(),
        }
    }

    /// Creates a token that allows everything.
    pub fn operate(secret: impl Into<String>) -> Self {
        Self {
            scope: Scope::Operate,
            secret: secret.into(),
        }
    }

    /// Returns the scope of the token.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Checks that the secret is valid. The error does not contain it.
    pub(in crate::http) fn check(&self) -> Result<()> {
        let length = self.secret.len();
        if length == 0 {
            return Err(refused(
                "a token is empty; use at least 16 random bytes, for instance from `openssl rand -hex 32`",
            ));
        }
        if length < MIN_BYTES {
            return Err(refused(format!(
                "a token has {length} bytes and could be guessed; use at least {MIN_BYTES} random bytes, for instance \
                 from `openssl rand -hex 32`"
            )));
        }
        if length > MAX_BYTES {
            return Err(refused(format!(
                "a token has {length} bytes, but at most {MAX_BYTES} are allowed"
            )));
        }
        if !self.secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refused(
                "a token contains a space, a control character or a character that is not ASCII, which a header cannot \
                 carry; use letters, digits and punctuation, for instance from `openssl rand -hex 32`",
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

/// The tokens of a router, prepared for comparison.
pub(super) struct Tokens(Vec<(Scope, Padded)>);

impl Tokens {
    pub(super) fn new(tokens: &[Token]) -> Self {
        let padded = |token: &Token| (token.scope, Padded::of(token.secret.as_bytes()));
        Self(tokens.iter().map(padded).collect())
    }

    /// Returns `true` if requests need no token.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the widest scope of the tokens in the request, or `None` if none is valid. Only the first token in each
    /// possible place counts, so that a request is at most three guesses.
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

    /// Compares the secret with every token in full, so that the duration reveals nothing.
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

/// The length of a token, followed by its bytes and padded to the maximum length. Words, because eight bytes are
/// compared at a time.
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

/// Returns the token of an `Authorization: Bearer` header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (kind, token) = value.split_at_checked("Bearer ".len())?;
    kind.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// Returns the first `code` of a query, decoded. A plus sign stays a plus sign, because tokens can contain it, and is
/// not the space of a form.
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

    /// A token is accepted in each of its places, and only if it is complete.
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

    /// A token of the maximum length is compared to its last byte.
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
