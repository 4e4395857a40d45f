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

const FORM: &str = "a duration is one or more whole numbers with units (`ms`, `s`, `m`, `h`, `d`): \"30s\", \"1h30m\"";

/// Parses a duration: whole numbers with units, each unit at most once and larger units first.
///
/// # Errors
/// Returns the reason why the text is invalid, and the expected form.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut millis: u64 = 0;
    // The first unit that may still follow.
    let mut from = 0;
    while !rest.is_empty() || from == 0 {
        let (number, behind) = split(rest, |c| c.is_ascii_digit());
        let (unit, behind) = split(behind, char::is_alphabetic);
        rest = behind;
        if number.is_empty() {
            return Err(format!("`{text}` is not a duration: {FORM}"));
        }
        if unit.is_empty() {
            return Err(match rest.chars().next() {
                None => format!("`{number}` has no unit: write \"{number}s\" for seconds; {FORM}"),
                Some(_) => format!("`{text}` is not a duration: {FORM}"),
            });
        }
        let Some(place) = UNITS.iter().position(|(name, _)| *name == unit) else {
            return Err(format!("`{unit}` is not a unit of time: {FORM}"));
        };
        if place < from {
            return Err(format!(
                "unit `{unit}` is out of order in `{text}`: each unit appears at most once, and larger units come first"
            ));
        }
        from = place + 1;
        let part = number.parse::<u64>().ok();
        let part = part.and_then(|number| number.checked_mul(UNITS[place].1));
        millis = part
            .and_then(|part| part.checked_add(millis))
            .ok_or_else(|| format!("`{text}` is too long: the number of milliseconds must fit into 64 bits"))?;
    }
    Ok(Duration::from_millis(millis))
}

/// Splits a text after its leading characters that match.
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

    /// Any other text is rejected with the reason.
    #[test]
    fn invalid_durations_are_rejected_with_the_reason() {
        for (text, reason) in [
            ("", "`` is not a duration"),
            ("30", "`30` has no unit: write \"30s\""),
            ("s", "`s` is not a duration"),
            ("1.5s", "`1.5s` is not a duration"),
            ("-1s", "`-1s` is not a duration"),
            ("1 s", "`1 s` is not a duration"),
            ("1s ", "`1s ` is not a duration"),
            ("30sec", "`sec` is not a unit of time"),
            ("5µs", "`µs` is not a unit of time"),
            ("30m1h", "unit `h` is out of order"),
            ("1s1s", "unit `s` is out of order"),
            ("213503982335d", "is too long"),
            ("99999999999999999999ms", "is too long"),
            ("213503982334d86400s", "is too long"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
