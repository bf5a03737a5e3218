//! What failures have in common that successes do not.

use std::collections::BTreeMap;

/// Attributes of one thing that failed or did not.
pub(super) type Traits = BTreeMap<String, String>;

/// The attribute and value that all of `failed` have and none of `passed` has; `None` when there is none, or
/// when there is too little to tell. The first one by name wins, but for `id` and `time`, which tell nothing.
pub(super) fn distinguishing(failed: &[Traits], passed: &[Traits]) -> Option<(String, String)> {
    let first = failed.first().filter(|_| !passed.is_empty())?;
    let tells = |name: &str| !matches!(name, "id" | "time" | "traceparent" | "tracestate");
    first.iter().find_map(|(name, value)| {
        let has = |traits: &Traits| traits.get(name) == Some(value);
        (tells(name) && failed.iter().all(has) && !passed.iter().any(has))
            .then(|| (name.clone(), value.clone()))
    })
}

/// Names of environment variables that a program says it misses.
pub(super) fn missing_variable(lines: &[String]) -> Option<String> {
    lines.iter().rev().find_map(|line| {
        let lower = line.to_ascii_lowercase();
        let says = [
            "keyerror",
            "not set",
            "unset",
            "environment variable",
            "not present",
            "missing",
            "undefined",
            "required",
        ];
        says.iter().any(|word| lower.contains(word)).then(|| variable(line)).flatten()
    })
}

/// The first word that looks like the name of a variable: capitals, digits and `_`, at least one `_` or in quotes.
fn variable(line: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let mut rest = line;
    while let Some(start) = rest.find(|c: char| c.is_ascii_uppercase()) {
        let word: String = rest[start..].chars().take_while(|c| is_part(*c)).collect();
        let before = rest[..start].chars().next_back();
        let after = rest[start + word.len()..].chars().next();
        let quoted = matches!(before, Some('\'' | '"' | '`' | '$' | '{'))
            || matches!(after, Some('\'' | '"' | '`' | ':'));
        let whole = !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric);
        if whole && word.len() >= 3 && (word.contains('_') || quoted) {
            return Some(word);
        }
        rest = &rest[start + word.len().max(1)..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Traits, distinguishing, missing_variable};

    fn traits(text: &str) -> Traits {
        text.split_whitespace()
            .filter_map(|pair| pair.split_once('='))
            .map(|(n, v)| (n.into(), v.into()))
            .collect()
    }

    #[test]
    fn failures_are_told_by_what_only_they_have() {
        for (failed, passed, expected) in [
            (vec!["id=1 key=7 type=a", "id=2 key=7 type=a"], vec!["id=3 key=8 type=a"], Some(("key", "7"))),
            (vec!["id=1 key=7 type=a"], vec!["id=3 key=8 type=b"], Some(("key", "7"))),
            (vec!["id=1 key=7", "id=2 key=8"], vec!["id=3 key=9"], None),
            (vec!["id=1 key=7"], vec!["id=3 key=7"], None),
            (vec!["id=1 key=7"], vec![], None),
            (vec![], vec!["id=1"], None),
        ] {
            let all = |texts: &[&str]| texts.iter().map(|text| traits(text)).collect::<Vec<_>>();
            let found = distinguishing(&all(&failed), &all(&passed));
            assert_eq!(found, expected.map(|(n, v)| (n.to_owned(), v.to_owned())), "{failed:?} {passed:?}");
        }
    }

    #[test]
    fn a_missing_variable_is_found_in_what_was_printed() {
        for (line, expected) in [
            ("KeyError: 'API_KEY'", Some("API_KEY")),
            ("KeyError: 'TOKEN'", Some("TOKEN")),
            ("sh: 3: SMTP_PASSWORD: parameter not set", Some("SMTP_PASSWORD")),
            ("Error: environment variable DATABASE_URL is required", Some("DATABASE_URL")),
            ("thread 'main' panicked: STRIPE_KEY: NotPresent, not present", Some("STRIPE_KEY")),
            ("ValueError: bad input", None),
            ("KeyError: 'name'", None),
            ("HTTP 404 NOT FOUND", None),
        ] {
            assert_eq!(missing_variable(&[line.to_owned()]).as_deref(), expected, "{line}");
        }
    }
}
