//! The canonical form of numbers, without rounding.

use std::borrow::Cow;

use super::reader::Scalar;

/// Returns the length and the canonical form of the number at the beginning of `text`.
///
/// The canonical form of an integer is its digits. A number with a fraction or an exponent, and `-0`, is a
/// floating-point number for Serde. It is written as its significant digits and a power of ten, as in `15e-1`.
pub(super) fn canonical(text: &str) -> Option<Scalar<'_>> {
    let bytes = text.as_bytes();
    let negative = bytes.first() == Some(&b'-');
    let whole_from = usize::from(negative);
    let whole_to = digits(bytes, whole_from)?;
    if bytes[whole_from] == b'0' && whole_to > whole_from + 1 {
        return None;
    }
    let mut at = whole_to;
    let mut fraction = 0..0;
    if bytes.get(at) == Some(&b'.') {
        fraction = at + 1..digits(bytes, at + 1)?;
        at = fraction.end;
    }
    let mut exponent = 0..0;
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        exponent = at + 1..digits(bytes, at + 1 + sign)?;
        at = exponent.end;
    }
    let integer = fraction.is_empty() && exponent.is_empty();
    let (whole, number) = (&text[whole_from..whole_to], &text[..at]);
    let canonical = if integer && number != "-0" {
        Cow::Borrowed(number)
    } else {
        floating(negative, whole, &text[fraction], &text[exponent]).map_or(Cow::Borrowed(number), Cow::Owned)
    };
    Some((at, canonical))
}

/// Returns the end of the digits that start at `from`, or `None` if there are no digits.
fn digits(bytes: &[u8], from: usize) -> Option<usize> {
    let count = bytes
        .get(from..)?
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    (count > 0).then_some(from + count)
}

/// Returns the canonical form of a floating-point number, or `None` if its power of ten is out of range. Such a number
/// is left unchanged.
fn floating(negative: bool, whole: &str, fraction: &str, exponent: &str) -> Option<String> {
    let sign = if negative { "-" } else { "" };
    let all = format!("{whole}{fraction}");
    let leading = all.trim_start_matches('0');
    let significant = leading.trim_end_matches('0');
    if significant.is_empty() {
        return Some(format!("{sign}0e0"));
    }
    let exponent: i64 = match exponent {
        "" => 0,
        exponent => exponent.parse().ok()?,
    };
    let shift = i64::try_from(leading.len() - significant.len()).ok()? - i64::try_from(fraction.len()).ok()?;
    let exponent = exponent.checked_add(shift)?;
    Some(format!("{sign}{significant}e{exponent}"))
}
