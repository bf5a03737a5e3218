//! Patterns for paths: `*` and `?` inside a segment, `**` for any number of segments.

/// Whether a path (segments joined by `/`) matches.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.trim_start_matches("./").trim_end_matches('/').split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    segments(&pattern, &path)
}

fn segments(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        // A pattern that ends at a folder means everything in it.
        ([], _) | (["**"], _) => true,
        (["**", rest @ ..], _) => (0..=path.len()).any(|skip| segments(rest, &path[skip..])),
        ([first, rest @ ..], [segment, path @ ..]) => {
            segment_matches(first.as_bytes(), segment.as_bytes()) && segments(rest, path)
        }
        (_, []) => false,
    }
}

fn segment_matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| segment_matches(rest, &text[skip..])),
        ([b'?', rest @ ..], [_, text @ ..]) => segment_matches(rest, text),
        ([first, rest @ ..], [byte, text @ ..]) => first == byte && segment_matches(rest, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, path, expected) in [
            ("*.py", "app.py", true),
            ("*.py", "lib/app.py", false),
            ("**/*.py", "app.py", true),
            ("**/*.py", "a/b/app.py", true),
            ("data/**", "data/a/b", true),
            ("data", "data/a/b", true),
            ("./data/", "data/a", true),
            ("data/**", "database", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "a/b", true),
            ("**", "a/b", true),
            ("a/**/z", "a/z", true),
            ("a/**/z", "a/b/c/z", true),
            ("a/**/z", "b/z", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }
}
