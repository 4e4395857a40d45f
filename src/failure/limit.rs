//! The size of errors. They are stored, sent and listed as answers are, so they have a limit like them.

use std::borrow::Cow;

use crate::error::{Error, ErrorKind};
use crate::failure::{CallFailure, Failure};

/// Maximum length of the text of an error that the runtime makes, such as that of a panic, in bytes.
pub(crate) const TEXT_BYTES: usize = 8 << 10;

/// So much of a text is kept under any limit of payloads.
pub(crate) const LEAST_TEXT_BYTES: usize = 1 << 10;

/// How much of an error that is too large is shown, in bytes.
const SHOWN_BYTES: usize = 256;

/// The beginning of a text that is longer than `most` bytes, with a mark that says so.
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
    /// Returns the failure within the limit of payloads. A returned error that is over the limit cannot be stored, so it becomes
    /// an error of the runtime that names `what`. A text of the runtime, such as that of a panic, keeps its beginning.
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
    /// The failure, if it is within the limit of payloads.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] with the beginning of its text; `what` says whose it is.
    pub(crate) fn within(self, payload_limit: usize, what: impl FnOnce() -> String) -> Result<Self, Error> {
        let bytes = self.bytes();
        if bytes <= payload_limit {
            return Ok(self);
        }
        let message = format!(
            "the error `{}` of {} has {bytes} bytes and {payload_limit} is the limit; store large data elsewhere and return \
             where it is, or raise the hub's `payload_limit`. It begins with: {}",
            shortened(&self.error_type, SHOWN_BYTES),
            what(),
            shortened(&self.message, SHOWN_BYTES)
        );
        Err(Error::new(ErrorKind::TooLarge, message))
    }
}

impl Error {
    /// How many bytes its texts have.
    pub(crate) fn bytes(&self) -> usize {
        self.message().len() + self.sources().iter().map(String::len).sum::<usize>()
    }

    /// The same error in at most `most` bytes, of which its own text comes before those of its sources.
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

    /// A text that is too long keeps its beginning, never cuts a character, and says how long it was; short ones stay.
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

    /// Whatever a failure says, it has a size: one of the runtime's is shortened and keeps its kind, one of the user's that is
    /// too large becomes `TooLarge`, because half of it would be another error.
    #[test]
    fn a_failure_is_held_to_the_limit() {
        for failure in [runtime(&"x".repeat(3_000_000), &[]), runtime("x", &[5, 3_000_000, 7])] {
            let CallFailure::Runtime(error) = failure.within(10_000, String::new) else {
                panic!("it is another failure now");
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
            panic!("it was within the limit");
        };
        assert_eq!(kept, failure);
        let CallFailure::Runtime(error) = CallFailure::Returned(failure).within(100, || "`buy` of `@shop@a`".into())
        else {
            panic!("it was over the limit");
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
