//! A command line as text, split into words as a shell does, without being a shell.
//!
//! **Why.** `run = "python3 app.py --name 'Ada L.'"` should mean what it says. A pipe or a variable
//! would silently be an argument, so an operator is refused instead.

/// Splits text into words: spaces separate, `'…'` is literal, `"…"` knows `\"` and `\\`, and a
/// backslash outside quotes takes the next character as it is.
pub(crate) fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Ok(words);
        }
        let (word, quoted) = word(&mut chars)?;
        if !quoted && matches!(word.as_str(), "|" | "||" | "&" | "&&" | ";" | "<" | ">" | ">>") {
            return Err(format!("has `{word}`, but no shell runs it"));
        }
        words.push(word);
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// The next word, and whether any of it was quoted.
fn word(chars: &mut Chars<'_>) -> Result<(String, bool), String> {
    let (mut word, mut quoted) = (String::new(), false);
    while let Some(c) = chars.next_if(|c| !c.is_ascii_whitespace()) {
        match c {
            '\'' | '"' => {
                quoted = true;
                quotation(c, chars, &mut word)?;
            }
            '\\' => word.push(chars.next().ok_or("ends with a backslash")?),
            _ => word.push(c),
        }
    }
    Ok((word, quoted))
}

fn quotation(quote: char, chars: &mut Chars<'_>, word: &mut String) -> Result<(), String> {
    loop {
        match chars.next() {
            None => return Err(format!("has a {quote} without its end")),
            Some(c) if c == quote => return Ok(()),
            Some('\\') if quote == '"' => match chars.next_if(|c| matches!(c, '"' | '\\')) {
                Some(escaped) => word.push(escaped),
                None => word.push('\\'),
            },
            Some(c) => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn as_a_shell_splits() {
        for (text, words) in [
            ("hello.wasm", vec!["hello.wasm"]),
            ("  python3\tx.py  ", vec!["python3", "x.py"]),
            ("a 'b c' \"d 'e'\" f\\ g", vec!["a", "b c", "d 'e'", "f g"]),
            ("a --x='1 2'3 ''", vec!["a", "--x=1 23", ""]),
            (r#"a "q\"\\\n" 'q\"'"#, vec!["a", r#"q"\\n"#, r#"q\""#]),
            ("a '|' x|y", vec!["a", "|", "x|y"]),
            ("", vec![]),
        ] {
            assert_eq!(split(text), Ok(words.into_iter().map(str::to_owned).collect()), "{text}");
        }
        for (text, why) in [
            ("a 'b", "has a ' without its end"),
            ("a \"b", "has a \" without its end"),
            ("a \\", "ends with a backslash"),
            ("a && b", "has `&&`, but no shell runs it"),
        ] {
            assert_eq!(split(text), Err(why.to_owned()), "{text}");
        }
    }
}
