//! The order of versions.

/// Returns `true` if `version` is newer than `other`. Of two texts for the same version (`1.0` and `v1.0.0`), neither
/// is newer.
pub(super) fn is_newer(version: &str, other: &str) -> bool {
    Version::read(version) > Version::read(other)
}

/// A parsed version. The derived order is the order of versions.
///
/// The order is the one of semantic versioning, extended to any text. Digits compare as numbers in any position (`v9` <
/// `v10`, `rc9` < `rc10`). A pre-release precedes its release (`2.0.0-beta` < `2.0.0`). Build metadata after a `+`, the
/// case of letters, and a `v` before the first digit are ignored.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    /// The empty version, which is older than any other.
    None,
    Some(Vec<Part>, Stage),
}

/// The stage of a version: a particular pre-release, or the release.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Before(Vec<Part>),
    Release,
}

/// A run of digits or of letters.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// A number of any length, without leading zeros. It compares by the number of digits first.
    Number(usize, String),
    Text(String),
}

/// Words that mark a pre-release even without a hyphen, as in `2.0.0rc1`.
const PRE_RELEASES: [&str; 7] = ["alpha", "beta", "dev", "pre", "preview", "rc", "snapshot"];

impl Version {
    fn read(text: &str) -> Self {
        if text.is_empty() {
            return Self::None;
        }
        let text = text.to_lowercase();
        let number = text.strip_prefix('v').unwrap_or(&text);
        // In a name, such as `summer-2`, a hyphen is only a separator.
        if !number.starts_with(|first: char| first.is_ascii_digit()) {
            return Self::Some(parts(&text), Stage::Release);
        }
        let number = number.split('+').next().unwrap_or(number);
        let (core, stage) = match number.split_once('-') {
            Some((core, before)) => (parts(core), Stage::Before(parts(before))),
            None => split_pre_release(parts(number)),
        };
        Self::Some(without_trailing_zeros(core), stage)
    }
}

/// Splits a version before the first word that marks a pre-release.
fn split_pre_release(mut core: Vec<Part>) -> (Vec<Part>, Stage) {
    let is_mark = |part: &Part| matches!(part, Part::Text(text) if PRE_RELEASES.contains(&text.as_str()));
    match core.iter().position(is_mark) {
        Some(at) => {
            let before = core.split_off(at);
            (core, Stage::Before(before))
        }
        None => (core, Stage::Release),
    }
}

/// Removes trailing zeros: `1`, `1.0` and `1.0.0` are the same version.
fn without_trailing_zeros(mut core: Vec<Part>) -> Vec<Part> {
    while core.len() > 1 && matches!(core.last(), Some(Part::Number(0, _))) {
        core.pop();
    }
    core
}

/// Splits a text into runs of digits and of letters. All other characters are separators.
fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        let belongs = |next: char| match is_digit {
            true => next.is_ascii_digit(),
            false => next.is_alphanumeric() && !next.is_ascii_digit(),
        };
        let end = rest.find(|next| !belongs(next)).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end.max(first.len_utf8()));
        rest = behind;
        if is_digit {
            let digits = run.trim_start_matches('0');
            parts.push(Part::Number(digits.len(), digits.to_owned()));
        } else if first.is_alphanumeric() {
            parts.push(Part::Text(run.to_owned()));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each version of a list is newer than all versions before it, and none of those is newer than it.
    #[test]
    fn versions_have_the_order_that_people_give_them() {
        for versions in [
            &[
                "",
                "0",
                "v9",
                "v10",
                "11",
                "v11.0.1",
                "99999999999999999999",
                "100000000000000000000",
            ][..],
            &[
                "1.0.0-alpha",
                "1.0.0-alpha.1",
                "1.0.0-alpha.beta",
                "1.0.0-beta",
                "1.0.0-beta.2",
                "1.0.0-beta.11",
            ],
            &[
                "1.0.0-rc.1",
                "1.0.0-rc9",
                "1.0.0-rc10",
                "1.0.0-RC11",
                "1.0.0",
                "1.0.1-0",
                "1.0.1-1",
                "1.0.1",
            ],
            &["1.9", "1.10", "1.10.1", "2.0.0-beta", "2.0.0", "2.0.1"],
            &["2.0.0rc1", "2.0.0.rc2", "2.0.0", "2.0.0a", "2.0.0b"],
            &["2024-01-05", "2024-10-01", "2025-01-01"],
            &["r9", "r10", "release-9", "release-10", "release-10-b"],
            &["blue", "green", "green-2", "grün"],
        ] {
            for (at, newer) in versions.iter().enumerate() {
                for older in &versions[..at] {
                    assert!(is_newer(newer, older), "{newer} > {older}");
                    assert!(!is_newer(older, newer), "{older} < {newer}");
                }
            }
        }
    }

    /// Of two texts for the same version, neither is newer.
    #[test]
    fn texts_of_one_version_are_equal() {
        for texts in [
            &["1", "v1", "V1", "01", "1.0", "1.0.0", "1.0.0+build.7"][..],
            &["2.0.0-rc.1", "2.0-rc1", "v2-RC1", "2.0.0rc1"],
        ] {
            for a in texts {
                for b in texts {
                    assert!(!is_newer(a, b), "{a} and {b}");
                }
            }
        }
    }

    proptest! {
        /// The order is total and transitive: of any two versions, one is newer or both are equal.
        #[test]
        fn the_order_is_total(texts in prop::array::uniform3("[v0-9a-bR.+ü-]{0,6}|v?[0-9]{1,2}(\\.[0-9]){0,2}(-?(rc|beta)\\.?[0-9]{0,2})?")) {
            let [a, b, c] = &texts;
            prop_assert!(!is_newer(a, a));
            prop_assert!(!(is_newer(a, b) && is_newer(b, a)));
            let at_most = |a: &str, b: &str| !is_newer(a, b);
            prop_assert!(at_most(a, b) || at_most(b, a));
            if at_most(a, b) && at_most(b, c) {
                prop_assert!(at_most(a, c), "{a} ≤ {b} ≤ {c}");
            }
        }
    }
}
