//! The size limit of errors. Errors are stored, sent and listed like answers, so they have the same kind of limit.

use std::borrow::Cow;

use crate::error::{Error, ErrorKind};
use crate::failure::{CallFailure, Failure};

/// Maximum length of the text of an error that the runtime creates, such as the text of a panic, in bytes.
pub(crate) const TEXT_BYTES: usize = 8 << 10;

/// Length of an error text that is kept under any payload limit, in bytes.
pub(crate) const LEAST_TEXT_BYTES: usize = 1 << 10;

/// Length of the shown beginning of an error that is too large, in bytes.
const SHOWN_BYTES: usize = 256;

/// Returns `text`, shortened to at most `most` bytes. A shortened text keeps its beginning and ends with a mark that
/// states the original length.
pub(crate) fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let mark = format!("… ({} bytes in all)", text.len());
    let mut end = most.saturating_sub(mark.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Cow::Owned(format!("{}{mark}", &text[..end]))
}

impl CallFailure {
    /// Returns the failure, reduced to the payload limit. A returned error that exceeds the limit cannot be stored, so
    /// it becomes an error of the runtime that names `what`. A text of the runtime, such as the text of a panic, is
    /// shortened.
    pub(crate) fn within(self, payload_limit: usize, what: impl FnOnce() -> String) -> Self {
        match self {
            Self::Returned(failure) => failure
                .within(payload_limit, what)
                .map_or_else(Self::Runtime, Self::Returned),
            Self::Runtime(error) => Self::Runtime(error.within(payload_limit.clamp(LEAST_TEXT_BYTES, TEXT_BYTES))),
        }
    }
}

impl Failure {
    /// Returns the failure, if it is within the payload limit.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::TooLarge`] with the beginning of the text. `what` names the origin of the
    /// failure.
    pub(crate) fn within(self, payload_limit: usize, what: impl FnOnce() -> String) -> Result<Self, Error> {
        let bytes = self.bytes();
        if bytes <= payload_limit {
            return Ok(self);
        }
        let message = format!(
            "the error `{}` of {} has {bytes} bytes and {payload_limit} is the limit; store large data elsewhere and \
             return a reference to it, or raise the hub's `payload_limit`; the error begins with: {}",
            shortened(&self.error_type, SHOWN_BYTES),
            what(),
            shortened(&self.message, SHOWN_BYTES)
        );
        Err(Error::new(ErrorKind::TooLarge, message))
    }
}

impl Error {
    /// Returns the size of its texts in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.message().len() + self.sources().iter().map(String::len).sum::<usize>()
    }

    /// Returns the same error, shortened to at most `most` bytes. Its own text takes precedence over the texts of its
    /// sources.
    fn within(self, most: usize) -> Self {
        if self.bytes() <= most {
            return self;
        }
        let message = shortened(self.message(), most);
        let mut left = most - message.len().min(most);
        let mut sources = Vec::new();
        for source in self.sources() {
            if left < SHOWN_BYTES {
                break;
            }
            let source = shortened(&source, left).into_owned();
            left -= source.len().min(left);
            sources.push(source);
        }
        Error::new(self.kind(), message.into_owned()).with_recorded_sources(sources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime(message: &str, sources: &[usize]) -> CallFailure {
        let sources = sources.iter().map(|length| "s".repeat(*length)).collect();
        Error::new(ErrorKind::Panicked, message)
            .with_recorded_sources(sources)
            .into()
    }

    /// A long text keeps its beginning, is not cut within a character, and states its original length. Short texts are
    /// unchanged.
    #[test]
    fn a_long_text_is_shortened_with_a_mark() {
        assert_eq!(shortened("short", 5), "short");
        let long = "ü".repeat(5_000);
        for most in [100, 101] {
            let short = shortened(&long, most);
            assert!(short.len() <= most && short.starts_with("üüü"), "{short}");
            assert!(short.ends_with("… (10000 bytes in all)"), "{short}");
            assert_eq!(shortened(&short, most), short);
        }
    }

    /// The size of every failure is limited. An error of the runtime is shortened and keeps its kind. An error of the
    /// user becomes `TooLarge`, because a part of it would be a different error.
    #[test]
    fn a_failure_is_held_to_the_limit() {
        for failure in [runtime(&"x".repeat(3_000_000), &[]), runtime("x", &[5, 3_000_000, 7])] {
            let CallFailure::Runtime(error) = failure.within(10_000, String::new) else {
                panic!("the failure changed its variant");
            };
            assert_eq!(error.kind(), ErrorKind::Panicked);
            assert!(error.bytes() <= TEXT_BYTES, "{}", error.bytes());
            assert!(error.message().starts_with('x'));
        }
        let failure = Failure {
            details: Some("\"d\"".repeat(100)),
            ..Failure::message("no")
        };
        let CallFailure::Returned(kept) = CallFailure::Returned(failure.clone()).within(1_000, String::new) else {
            panic!("the failure was within the limit");
        };
        assert_eq!(kept, failure);
        let CallFailure::Runtime(error) = CallFailure::Returned(failure).within(100, || "`buy` of `@shop@a`".into())
        else {
            panic!("the failure exceeded the limit");
        };
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        for part in [
            "`Failure` of `buy` of `@shop@a`",
            "309 bytes and 100 is the limit",
            "payload_limit",
            ": no",
        ] {
            assert!(error.message().contains(part), "{error}");
        }
    }
}
