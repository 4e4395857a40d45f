//! The query parameters of a request.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use jiff::fmt::temporal::DateTimeParser;
use jiff::{SignedDuration, civil};

use crate::http::error::Problem;
use crate::model::orchestration::{OrchestrationStatus, ReusePolicy};

/// The parameters of a query, in order. Names are case-insensitive, and an empty value counts as absent.
pub(super) struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(pairs)| Self(pairs))
            .map_err(|rejection| Problem::bad_request("InvalidQuery", rejection.body_text()))
    }
}

impl Query {
    /// Returns the first value with this name.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).next()
    }

    fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Returns a Boolean. Accepts any case, because clients use the spelling of their languages.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Problem> {
        match self.text(name) {
            None => Ok(default),
            Some(text) if text.eq_ignore_ascii_case("true") || text == "1" => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") || text == "0" => Ok(false),
            Some(text) => Err(wrong(name, text, "neither `true` nor `false`")),
        }
    }

    /// Returns a whole number.
    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let parse = |text: &str| text.parse().map_err(|_| wrong(name, text, "not a whole number"));
        self.text(name).map(parse).transpose()
    }

    /// Returns the maximum number of items on a page.
    pub(super) fn top(&self) -> Result<Option<usize>, Problem> {
        match self.number("top")? {
            Some(0) => Err(wrong("top", "0", "less than 1")),
            top => Ok(top),
        }
    }

    /// Returns a duration in seconds, which may have a fraction.
    pub(super) fn seconds(&self, name: &str) -> Result<Option<Duration>, Problem> {
        let parse = |text: &str| {
            let seconds = text.parse().ok().filter(|seconds: &f64| !seconds.is_nan());
            match seconds {
                // Longer than any wait, but within the range of the arithmetic that follows.
                Some(seconds) if seconds >= 0.0 => Ok(Duration::from_secs_f64(seconds.min(1e9))),
                _ => Err(wrong(name, text, "not a number of seconds")),
            }
        };
        self.text(name).map(parse).transpose()
    }

    /// Returns a point in time.
    pub(super) fn time(&self, name: &str) -> Result<Option<SystemTime>, Problem> {
        let parse = |text: &str| {
            parse_time(text).ok_or_else(|| wrong(name, text, "not a time such as `2026-11-20T13:40:21.5Z`"))
        };
        self.text(name).map(parse).transpose()
    }

    /// Returns the end of a time range that includes its end. Times are stored in milliseconds, and the ranges of the
    /// hub exclude their ends.
    pub(super) fn time_to(&self, name: &str) -> Result<Option<SystemTime>, Problem> {
        Ok(self.time(name)?.map(behind))
    }

    /// Returns the policy of a start whose id is in use.
    pub(super) fn reuse(&self, name: &str) -> Result<ReusePolicy, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(ReusePolicy::default());
        };
        REUSE
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(text))
            .map(|(_, policy)| policy)
            .ok_or_else(|| {
                wrong(
                    name,
                    text,
                    "not one of `error`, `ignore`, `terminate` or `rejectDuplicate`",
                )
            })
    }

    /// Returns the tags, each written as `name=value`.
    pub(super) fn tags(&self, name: &str) -> Result<Vec<(String, String)>, Problem> {
        let parse = |text: &str| {
            let tag = text.split_once('=').filter(|(tag, _)| !tag.is_empty());
            tag.map(|(tag, value)| (tag.to_owned(), value.to_owned()))
                .ok_or_else(|| wrong(name, text, "not a tag such as `customer=alice`"))
        };
        self.texts(name).map(parse).collect()
    }

    /// Returns the statuses, whose names are separated by commas.
    pub(super) fn statuses(&self, name: &str) -> Result<Vec<OrchestrationStatus>, Problem> {
        let names = self.texts(name).flat_map(|text| text.split(',')).map(str::trim);
        names
            .filter(|text| !text.is_empty())
            .map(|text| status(text).ok_or_else(|| wrong(name, text, "not a status such as `Running` or `Completed`")))
            .collect()
    }
}

/// The reuse policies by name.
const REUSE: [(&str, ReusePolicy); 4] = [
    ("error", ReusePolicy::Error),
    ("ignore", ReusePolicy::Ignore),
    ("terminate", ReusePolicy::Terminate),
    ("rejectDuplicate", ReusePolicy::RejectDuplicate),
];

fn wrong(name: &str, text: &str, why: &str) -> Problem {
    let shown: String = text.chars().take(64).collect();
    Problem::bad_request(
        "InvalidQuery",
        format!("the parameter `{name}` is `{}`, which is {why}", shown.escape_debug()),
    )
}

/// Returns the status with this name, in any case.
pub(super) fn status(text: &str) -> Option<OrchestrationStatus> {
    OrchestrationStatus::ALL
        .into_iter()
        .find(|status| status.as_str().eq_ignore_ascii_case(text))
}

/// Returns the time right after `time`, for a range that includes its end.
pub(super) fn behind(time: SystemTime) -> SystemTime {
    time.checked_add(Duration::from_nanos(1)).unwrap_or(time)
}

/// Parses a time in RFC 3339, with any fraction and offset. A time without an offset is in UTC, as is a bare date.
///
/// The years 1 to 9999 are fully supported, because clients use the ends of this range for "never". An offset may lead
/// slightly beyond it.
pub(crate) fn parse_time(text: &str) -> Option<SystemTime> {
    // In a query, an unescaped plus sign of an offset becomes a space.
    let text = if text.contains(['T', 't']) {
        text.replace(' ', "+")
    } else {
        text.to_owned()
    };
    let pieces = DateTimeParser::new().parse_pieces(&text).ok()?;
    let local = pieces.date().to_datetime(pieces.time().unwrap_or_default());
    let offset = pieces.to_numeric_offset().map_or(0, |offset| offset.seconds());
    let since = local.duration_since(civil::date(1970, 1, 1).at(0, 0, 0, 0)) - SignedDuration::from_secs(offset.into());
    if since.is_negative() {
        SystemTime::UNIX_EPOCH.checked_sub(since.unsigned_abs())
    } else {
        SystemTime::UNIX_EPOCH.checked_add(since.unsigned_abs())
    }
}

/// Reads a query and the parameter `t` in every way.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(text: &str) {
    let Ok(uri) = format!("/?{text}").parse() else { return };
    let Ok(axum::extract::Query(pairs)) = axum::extract::Query::try_from_uri(&uri) else {
        return;
    };
    let query = Query(pairs);
    let _ = (query.flag("t", true), query.top(), query.number::<u64>("t"));
    let _ = (query.seconds("t"), query.time("t"), query.time_to("t"));
    let _ = (query.reuse("t"), query.tags("t"), query.statuses("t"));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fractions, offsets and a plus sign that became a space lead to the same time.
    #[test]
    fn a_time_is_read_however_it_is_written() {
        let moment = parse_time("2026-11-20T13:40:21.5Z").unwrap();
        for same in [
            "2026-11-20T13:40:21.500000Z",
            "2026-11-20T15:40:21.5+02:00",
            "2026-11-20T15:40:21.5 02:00",
            "2026-11-20T11:10:21.5-02:30",
            "2026-11-20t13:40:21.5z",
            "2026-11-20T13:40:21.5",
            "2026-11-20 13:40:21.5Z",
        ] {
            assert_eq!(parse_time(same), Some(moment), "{same}");
        }
        assert_eq!(parse_time("2026-11-20"), parse_time("2026-11-20T00:00:00Z"));
        assert_eq!(
            parse_time("1969-12-31T23:59:59Z"),
            parse_time("1970-01-01T01:59:59+02:00")
        );
        assert!(parse_time("1960-01-01T00:00:00Z") < parse_time("1970-01-01"));
        for wrong in [
            "",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "1700000000",
            "10000-01-01",
            "2026-02-30",
        ] {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
    }

    /// The earliest and the latest time that clients can write are valid, with any offset.
    #[test]
    fn the_ends_of_time_are_times() {
        let end = parse_time("9999-12-31T23:59:59.9999999Z").unwrap();
        let since = end.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(since, Duration::new(253_402_300_799, 999_999_900));
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        assert_eq!(parse_time("9999-12-31T23:59:59.9999999+14:00"), Some(end - hours(14)));
        assert_eq!(parse_time("9999-12-31T23:59:59.9999999 02:00"), Some(end - hours(2)));
        assert_eq!(parse_time("9999-12-31T23:59:59.9999999-12:00"), Some(end + hours(12)));
        assert_eq!(parse_time("9999-12-31T23:59:59.9999999"), Some(end));
        assert!(parse_time("9999-12-31").is_some());
        let begin = parse_time("0001-01-01T00:00:00Z").unwrap();
        assert_eq!(parse_time("0001-01-01T00:00:00+14:00"), Some(begin - hours(14)));
        assert_eq!(parse_time("0001-01-01T00:00:00"), Some(begin));
    }
}
