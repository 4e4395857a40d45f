//! The W3C trace context, which is stored with everything that belongs to a trace.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The header that names the trace and the span of a caller. Source: W3C Trace Context, 3.2.
#[cfg(any(feature = "http", feature = "http-client"))]
pub(crate) const TRACE_PARENT: &str = "traceparent";

/// The header with additional data from the tracing systems of the caller. Source: W3C Trace Context, 3.3.
#[cfg(any(feature = "http", feature = "http-client"))]
pub(crate) const TRACE_STATE: &str = "tracestate";

/// Maximum size of `tracestate` in bytes. Source: W3C Trace Context, 3.3.1.5, which requires at least this much.
#[cfg(any(feature = "http", test))]
const STATE_BYTES: usize = 512;

/// The flag of a caller that records the trace.
const SAMPLED: u8 = 1;

/// A trace, and the span in it that is the cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
    /// Additional data from tracing systems, as received. Empty if there is none.
    state: String,
}

impl TraceContext {
    /// Parses the two headers, such as `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`.
    ///
    /// Returns `None` for an invalid header, which begins a new trace and is no error. Source: W3C Trace Context,
    /// 3.2.2.
    #[cfg(any(feature = "http", test))]
    pub(crate) fn parse(parent: &str, state: Option<&str>) -> Option<Self> {
        let parts: Vec<&str> = parent.split('-').collect();
        let [version, trace, span, flags, rest @ ..] = parts.as_slice() else {
            return None;
        };
        let [version] = hex::<1>(version)?;
        // Later versions may have more parts, and are read like the first version.
        if version == 0xff || version == 0 && !rest.is_empty() {
            return None;
        }
        let [flags] = hex::<1>(flags)?;
        // The meaning of the flags of later versions is unknown. Source: W3C Trace Context, 4.3.
        let flags = if version == 0 { flags } else { flags & SAMPLED };
        let (trace, span) = (hex(trace)?, hex(span)?);
        let is_known = trace != [0; 16] && span != [0; 8];
        is_known.then(|| Self {
            trace,
            span,
            flags,
            state: state
                .filter(|state| state.len() <= STATE_BYTES)
                .unwrap_or_default()
                .to_owned(),
        })
    }

    /// Begins a recorded trace, without a span.
    pub(crate) fn new(trace: [u8; 16]) -> Self {
        Self {
            trace,
            span: [0; 8],
            flags: SAMPLED,
            state: String::new(),
        }
    }

    /// Returns the same trace with another span.
    pub(crate) fn with_span(&self, span: [u8; 8]) -> Self {
        Self { span, ..self.clone() }
    }

    /// Returns the id of the span.
    pub(crate) fn span(&self) -> [u8; 8] {
        self.span
    }

    /// Returns the id of the trace.
    #[cfg(feature = "otel")]
    pub(crate) fn trace(&self) -> [u8; 16] {
        self.trace
    }

    /// Returns `true` if the caller records the trace.
    pub(crate) fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Creates the context of a span of another library.
    #[cfg(feature = "otel")]
    pub(crate) fn of_parts(trace: [u8; 16], span: [u8; 8], flags: u8, state: String) -> Self {
        Self {
            trace,
            span,
            flags,
            state,
        }
    }

    /// Returns the value of the header `tracestate`, if there is one.
    pub(crate) fn state(&self) -> Option<&str> {
        Some(self.state.as_str()).filter(|state| !state.is_empty())
    }

    /// Returns the approximate memory that the context takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.state.len()
    }
}

/// Decides which new traces are recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sampling(u64);

impl Sampling {
    /// Records this share of the traces, from 0 to 1.
    #[cfg(any(feature = "otel", test))]
    pub(crate) fn ratio(share: f64) -> Self {
        // The cast saturates.
        Self((share.clamp(0.0, 1.0) * (1_u64 << 63) as f64) as u64)
    }

    /// Decides by the id of the trace, so every part of a distributed system decides alike.
    pub(crate) fn includes(self, trace: [u8; 16]) -> bool {
        let low = trace[8..].iter().fold(0, |low, byte| low << 8 | u64::from(*byte));
        low >> 1 < self.0
    }
}

/// Formats the value of the header `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.span.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "-{:02x}", self.flags)
    }
}

/// Parses lower-case hexadecimal digits, two for each byte.
#[cfg(any(feature = "http", test))]
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// An invalid `traceparent` begins no trace. One of a later version is read like the first version.
    #[test]
    fn a_parent_keeps_the_rules() {
        let parse = |parent: &str| TraceContext::parse(parent, None);
        assert_eq!(parse(GOOD).unwrap().to_string(), GOOD);
        let later = format!("cc{}-later", &GOOD[2..]);
        assert_eq!(parse(&later), parse(GOOD));
        assert_eq!(parse(&later.replace("-01-", "-ff-")), parse(GOOD));
        for broken in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}-more"),
            &GOOD.replace('4', "G"),
            &GOOD.replace('4', "é"),
            &GOOD.to_uppercase(),
            &format!("ff{}", &GOOD[2..]),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }

    /// The id of a trace decides whether it is recorded, in proportion to the share.
    #[test]
    fn a_share_of_the_traces_is_sampled() {
        let recorded = |share: f64| {
            let ids = (0..=u8::MAX).map(|byte| [byte; 16]);
            ids.filter(|id| Sampling::ratio(share).includes(*id)).count()
        };
        assert_eq!([0.0, 0.25, 1.0, -1.0, 2.0].map(recorded), [0, 64, 256, 0, 256]);
    }

    /// A `tracestate` that is too long is omitted, and the trace continues without it.
    #[test]
    fn a_state_has_a_limit() {
        let with = |state: &str| TraceContext::parse(GOOD, Some(state)).unwrap();
        assert_eq!(with("a=1,b=2").state(), Some("a=1,b=2"));
        assert_eq!(with(&"a".repeat(STATE_BYTES)).state().map(str::len), Some(STATE_BYTES));
        assert_eq!(with(&"a".repeat(STATE_BYTES + 1)).state(), None);
    }
}
