//! The difference between two texts.

use std::fmt::{Debug, Write};

use similar::{ChangeTag, TextDiff};

/// Number of equal lines that are shown around a difference.
const CONTEXT: usize = 5;

/// Returns the lines of two texts that differ, with those around them. A line of the first text begins with `-`, and one
/// of the second with `+`.
pub(super) fn difference<'a>(
    expected: impl IntoIterator<Item = &'a str>,
    found: impl IntoIterator<Item = &'a str>,
) -> String {
    let (expected, found): (Vec<_>, Vec<_>) = (expected.into_iter().collect(), found.into_iter().collect());
    let diff = TextDiff::from_slices(&expected, &found);
    let mut text = String::new();
    for (index, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if index > 0 {
            text.push_str("  …\n");
        }
        for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let _ = writeln!(text, "{sign} {}", change.value());
        }
    }
    text
}

/// Returns the difference between two values, as `Debug` shows them.
pub(super) fn difference_of_values<T: Debug>(expected: &T, found: &T) -> String {
    let (expected, found) = (format!("{expected:#?}"), format!("{found:#?}"));
    if expected == found {
        return format!("  `Debug` shows both as {expected}\n");
    }
    difference(expected.lines(), found.lines())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only the lines around a difference are shown, and what is left out is marked.
    #[test]
    fn equal_lines_far_from_a_difference_are_left_out() {
        let numbers = |changed: &[usize]| -> Vec<String> {
            let line = |n| {
                if changed.contains(&n) {
                    format!("changed {n}")
                } else {
                    n.to_string()
                }
            };
            (0..40).map(line).collect()
        };
        let (before, after) = (numbers(&[]), numbers(&[3, 30]));
        let shown = difference(before.iter().map(String::as_str), after.iter().map(String::as_str));
        let lines: Vec<&str> = shown.lines().collect();
        assert!(
            lines.contains(&"- 3") && lines.contains(&"+ changed 3") && lines.contains(&"  4"),
            "{shown}"
        );
        assert!(lines.contains(&"- 30") && lines.contains(&"  …"), "{shown}");
        assert!(!lines.contains(&"  15"), "{shown}");
    }

    /// Values that differ although `Debug` shows the same are not reported as an empty difference.
    #[test]
    fn values_that_look_the_same_are_told() {
        assert_eq!(
            difference_of_values(&vec![1, 2], &vec![1, 3]).lines().nth(2),
            Some("-     2,")
        );
        assert!(difference_of_values(&f64::NAN, &f64::NAN).contains("`Debug` shows both as NaN"));
    }
}
