//! Times and durations on the command line.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimeParser;

/// Parses a duration such as `90s`, `5m`, `1h30m`, `7d` or `250ms`.
///
/// # Errors
/// Returns a message if the text is not a duration.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration such as `90s`, `5m`, `1h30m` or `7d`");
    let mut rest = text.trim();
    let mut sum = Duration::ZERO;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let one_ms: u64 = match &rest[..unit] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            _ => return Err(wrong()),
        };
        rest = &rest[unit..];
        let part = number.checked_mul(one_ms).map(Duration::from_millis);
        sum = part.and_then(|part| sum.checked_add(part)).ok_or_else(wrong)?;
    }
    Ok(sum)
}

/// Parses a time and returns it in RFC 3339. Accepts `2026-11-20T13:40:21Z`, `2026-11-20`, or an age such as `2h`.
///
/// # Errors
/// Returns a message if the text is not a time.
pub(crate) fn time(text: &str) -> Result<String, String> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.to_string());
    }
    // Times that a hub accepts but jiff cannot hold as a timestamp: a date, a time without an offset (UTC), the end of
    // time.
    if let Ok(pieces) = DateTimeParser::new().parse_pieces(text) {
        return Ok(match pieces.time() {
            Some(_) => text.to_owned(),
            None => format!("{}T00:00:00Z", pieces.date()),
        });
    }
    let ago = duration(text).map_err(|_| {
        format!("`{text}` is not a time such as `2026-11-20T13:40:21Z`, `2026-11-20`, or `2h` for two hours ago")
    })?;
    let then = SystemTime::now()
        .checked_sub(ago)
        .and_then(|time| Timestamp::try_from(time).ok());
    then.map(|time| time.to_string())
        .ok_or_else(|| format!("`{text}` is too long ago"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units add up, and an invalid duration is rejected with an example.
    #[test]
    fn durations_are_read() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2w1d"), Ok(Duration::from_secs(15 * 86_400)));
        for wrong in [
            "",
            "5",
            "s",
            "5x",
            "-5s",
            "99999999999999999999s",
            "9999999999999999d",
            "1,5s",
        ] {
            assert!(duration(wrong).unwrap_err().contains("`90s`"), "{wrong}");
        }
    }

    /// A timestamp, a date and an age are times.
    #[test]
    fn times_are_read() {
        assert_eq!(time("2026-11-20T15:40:21+02:00").as_deref(), Ok("2026-11-20T13:40:21Z"));
        assert_eq!(time("2026-11-20").as_deref(), Ok("2026-11-20T00:00:00Z"));
        for whole in [
            "2026-11-20T13:40:21",
            "9999-12-31T23:59:59.9999999Z",
            "9999-12-31T23:59:59-12:00",
            "0001-01-01T00:00:00",
        ] {
            assert_eq!(time(whole).as_deref(), Ok(whole));
        }
        let ago: Timestamp = time("1h").unwrap().parse().unwrap();
        let age = SystemTime::now().duration_since(ago.into()).unwrap();
        assert!((3_600..3_660).contains(&age.as_secs()));
        for wrong in ["", "yesterday", "2026-13-01", "99999999w"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
