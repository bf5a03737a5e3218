//! Rust text without what is not code: comments, literals, and parts that only tests compile.

/// The text with comments and literals blanked; lines stay where they are.
pub(crate) fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_or_comment(&chars, at);
        if end > at {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where a comment or literal that begins at `at` ends; `at` when none begins there.
fn literal_or_comment(chars: &[char], at: usize) -> usize {
    let next = |offset: usize| chars.get(at + offset).copied().unwrap_or(' ');
    match (chars[at], next(1)) {
        ('/', '/') => find(chars, at, "\n"),
        ('/', '*') => find(chars, at + 2, "*/") + 2,
        ('"', _) => quoted(chars, at, '"'),
        ('r', '"' | '#') if !is_word(chars, at) => raw(chars, at),
        ('\'', '\\') => quoted(chars, at, '\''),
        ('\'', _) if next(2) == '\'' => at + 3,
        _ => at,
    }
}

fn is_word(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() && chars[at - 1] != 'b' || chars[at - 1] == '_')
}

fn raw(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    if chars.get(at + 1 + hashes) != Some(&'"') {
        return at;
    }
    let close: String = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    find(chars, at + 2 + hashes, &close) + close.len()
}

fn quoted(chars: &[char], at: usize, quote: char) -> usize {
    let mut end = at + 1;
    while end < chars.len() && chars[end] != quote {
        end += if chars[end] == '\\' { 2 } else { 1 };
    }
    end + 1
}

fn find(chars: &[char], from: usize, what: &str) -> usize {
    let what: Vec<char> = what.chars().collect();
    (from..chars.len()).find(|at| chars[*at..].starts_with(&what)).unwrap_or(chars.len())
}

/// Code (see [`code`]) with every `#[cfg(test)]` item blanked, and the lines that each took.
pub(crate) fn without_tests(code: &str) -> (String, Vec<usize>) {
    let (mut out, mut sizes) = (code.to_owned(), Vec::new());
    while let Some(start) = out.find("#[cfg(test)]") {
        let end = item_end(&out, start);
        sizes.push(out[start..end].matches('\n').count() + 1);
        let blank: String = out[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..end, &blank);
    }
    (out, sizes)
}

/// The end of the item behind an attribute: its `;`, or the brace that closes it.
fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0usize;
    for (at, c) in code[start..].char_indices() {
        match c {
            ';' if depth == 0 => return start + at + 1,
            '{' => depth += 1,
            '}' if depth <= 1 => return start + at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

#[test]
fn only_code_is_left() {
    let text = "a // b\n\"c\\\"\" d 'e' '\\'' &'f r#\"g\"# /* h\n */ i\n#[cfg(test)]\nmod t { j {} }\nk";
    let code = code(text);
    assert_eq!(
        code.split_whitespace().collect::<Vec<_>>().join(" "),
        "a d &'f i #[cfg(test)] mod t { j {} } k"
    );
    let (code, sizes) = without_tests(&code);
    assert_eq!(code.split_whitespace().collect::<Vec<_>>().join(" "), "a d &'f i k");
    assert_eq!((code.lines().count(), sizes), (text.lines().count(), vec![2]));
}
