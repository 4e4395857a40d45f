//! Durations in attributes: `"30s"`, `"1h30m"`.

use std::time::Duration;

/// The units, from the largest to the smallest, in milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 24 * 60 * 60 * 1000),
    ("h", 60 * 60 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

const FORM: &str =
    "a duration is a whole number with its unit (`ms`, `s`, `m`, `h`, `d`), or several of them: \"30s\", \"1h30m\"";

/// Reads a duration: whole numbers with units, each unit at most once and the larger ones first.
///
/// # Errors
/// What is wrong with the text, and how it is written.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut millis: u64 = 0;
    // Where the units begin that may still come.
    let mut from = 0;
    while !rest.is_empty() || from == 0 {
        let (number, behind) = split(rest, |c| c.is_ascii_digit());
        let (unit, behind) = split(behind, char::is_alphabetic);
        rest = behind;
        if number.is_empty() {
            return Err(format!("`{text}` is no duration: {FORM}"));
        }
        if unit.is_empty() {
            return Err(match rest.chars().next() {
                None => format!("`{number}` has no unit: write \"{number}s\" for seconds; {FORM}"),
                Some(_) => format!("`{text}` is no duration: {FORM}"),
            });
        }
        let Some(place) = UNITS.iter().position(|(name, _)| *name == unit) else {
            return Err(format!("`{unit}` is no unit of time: {FORM}"));
        };
        if place < from {
            return Err(format!(
                "in `{text}` the unit `{unit}` comes too late: each unit stands at most once, and the larger ones first"
            ));
        }
        from = place + 1;
        let part = number.parse::<u64>().ok();
        let part = part.and_then(|number| number.checked_mul(UNITS[place].1));
        millis = part
            .and_then(|part| part.checked_add(millis))
            .ok_or_else(|| format!("`{text}` is too long a time: it has more milliseconds than 64 bits hold"))?;
    }
    Ok(Duration::from_millis(millis))
}

/// Splits a text behind the first characters that `matches` takes.
fn split(text: &str, matches: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !matches(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each unit alone, and several in their order.
    #[test]
    fn numbers_with_units_are_durations() {
        for (text, millis) in [
            ("0s", 0),
            ("7ms", 7),
            ("30s", 30_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("1h30m", 5_400_000),
            ("1d1h1m1s1ms", 90_061_001),
            ("213503982334d", 18_446_744_073_657_600_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    /// Every other text says what is wrong with it.
    #[test]
    fn what_is_no_duration_says_why() {
        for (text, reason) in [
            ("", "`` is no duration"),
            ("30", "`30` has no unit: write \"30s\""),
            ("s", "`s` is no duration"),
            ("1.5s", "`1.5s` is no duration"),
            ("-1s", "`-1s` is no duration"),
            ("1 s", "`1 s` is no duration"),
            ("1s ", "`1s ` is no duration"),
            ("30sec", "`sec` is no unit of time"),
            ("5µs", "`µs` is no unit of time"),
            ("30m1h", "the unit `h` comes too late"),
            ("1s1s", "the unit `s` comes too late"),
            ("213503982335d", "is too long a time"),
            ("99999999999999999999ms", "is too long a time"),
            ("213503982334d86400s", "is too long a time"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
