//! The nearest known word to one that was mistyped, for hints.
//!
//! **How.** Edit distance (insert, delete, replace, swap of neighbours), and a bound that grows
//! slowly with the length, so that a hint is a likely correction and not a random word.

/// Words longer than this are not compared: the work is the product of both lengths.
const COMPARED_CHARS_MAX: usize = 64;

/// The candidate that needs the fewest edits to become `text`; `None` when none is near. Among equals
/// the first wins.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bound = (text.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .filter_map(|candidate| Some((distance(text, candidate, bound)?, candidate)))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Edits between two texts, or `None` when there are more than `bound` or a text is too long.
pub fn distance(left: &str, right: &str, bound: usize) -> Option<usize> {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    if left.len().abs_diff(right.len()) > bound || left.len().max(right.len()) > COMPARED_CHARS_MAX {
        return None;
    }
    // Three rows of the usual table: the one before the last is needed for swaps.
    let mut rows = [vec![0; right.len() + 1], (0..=right.len()).collect(), vec![0; right.len() + 1]];
    for (i, &l) in left.iter().enumerate() {
        let [before, last, row] = &mut rows;
        row[0] = i + 1;
        for (j, &r) in right.iter().enumerate() {
            let replace = last[j] + usize::from(l != r);
            row[j + 1] = replace.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && l == right[j - 1] && left[i - 1] == r {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        rows.rotate_left(1);
    }
    Some(rows[1][right.len()]).filter(|edits| *edits <= bound)
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn likely_corrections_and_nothing_else() {
        let keys = ["run", "route", "timeout", "memory", "env", "egress"];
        for (typed, meant) in [
            ("tiemout", Some("timeout")),
            ("rout", Some("route")),
            ("routes", Some("route")),
            ("memroy", Some("memory")),
            ("ruN", Some("run")),
            ("port", None),
            ("", None),
            ("concurrency", None),
        ] {
            assert_eq!(nearest(typed, keys), meant, "{typed}");
        }
    }

    #[test]
    fn distances() {
        for (left, right, edits) in [
            ("", "", Some(0)),
            ("abc", "abc", Some(0)),
            ("abc", "acb", Some(1)),
            ("kitten", "sitting", Some(3)),
        ] {
            assert_eq!(distance(left, right, 3), edits, "{left} {right}");
        }
        assert_eq!(distance("kitten", "sitting", 2), None);
        assert_eq!(distance(&"x".repeat(65), &"x".repeat(65), 3), None, "too long to compare");
    }
}
