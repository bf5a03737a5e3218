//! Words, numbers, texts and signs of a CESQL expression.
//!
//! **How.** Keywords are known in any case (CESQL 1.0, section 2). A sign before digits is a token of
//! its own, since only the parser knows whether `4 -1` is one number or a subtraction.
//!
//! In a text only its own quote can be escaped; every other backslash stands for itself, so that the
//! pattern `'10\%'` reaches `LIKE` as it was written.

use super::ParseError;
use std::borrow::Cow;

/// One token and where it begins and ends, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// The name of an attribute or function, as written.
    Name(&'a str),
    /// Digits without a sign.
    Digits(&'a str),
    /// A text without its quotes and escapes.
    Text(Cow<'a, str>),
    Keyword(Keyword),
    Sign(Sign),
    /// Behind the last token.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    And,
    Or,
    Xor,
    Not,
    Like,
    Exists,
    In,
    True,
    False,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Open,
    Close,
    Comma,
    Star,
    Slash,
    Percent,
    Plus,
    Minus,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

const KEYWORDS: [(&str, Keyword); 9] = [
    ("AND", Keyword::And),
    ("OR", Keyword::Or),
    ("XOR", Keyword::Xor),
    ("NOT", Keyword::Not),
    ("LIKE", Keyword::Like),
    ("EXISTS", Keyword::Exists),
    ("IN", Keyword::In),
    ("TRUE", Keyword::True),
    ("FALSE", Keyword::False),
];

/// Longer signs stand before those they begin with.
const SIGNS: [(&str, Sign); 15] = [
    ("!=", Sign::NotEqual),
    ("<>", Sign::NotEqual),
    ("<=", Sign::LessOrEqual),
    (">=", Sign::GreaterOrEqual),
    ("<", Sign::Less),
    (">", Sign::Greater),
    ("=", Sign::Equal),
    ("(", Sign::Open),
    (")", Sign::Close),
    (",", Sign::Comma),
    ("*", Sign::Star),
    ("/", Sign::Slash),
    ("%", Sign::Percent),
    ("+", Sign::Plus),
    ("-", Sign::Minus),
];

/// Splits an expression; the last token is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, ParseError> {
    let mut tokens = Vec::new();
    let mut start = 0;
    loop {
        start += text[start..].len() - text[start..].trim_start_matches([' ', '\t', '\r', '\n']).len();
        let rest = &text[start..];
        let Some(first) = rest.chars().next() else {
            tokens.push(Token { kind: Kind::End, start, end: start });
            return Ok(tokens);
        };
        let (kind, length) = if first == '\'' || first == '"' {
            quoted(rest, start)?
        } else if first.is_ascii_alphanumeric() || first == '_' {
            word(rest)
        } else if let Some((sign, kind)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
            (Kind::Sign(*kind), sign.len())
        } else {
            return Err(unknown(first, start));
        };
        tokens.push(Token { kind, start, end: start + length });
        start += length;
    }
}

fn word(rest: &str) -> (Kind<'_>, usize) {
    let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let word = &rest[..length];
    let kind = if word.bytes().all(|byte| byte.is_ascii_digit()) {
        Kind::Digits(word)
    } else if let Some((_, keyword)) = KEYWORDS.iter().find(|(text, _)| word.eq_ignore_ascii_case(text)) {
        Kind::Keyword(*keyword)
    } else {
        Kind::Name(word)
    };
    (kind, length)
}

/// A text that begins with its quote.
fn quoted(rest: &str, start: usize) -> Result<(Kind<'_>, usize), ParseError> {
    let quote = rest.as_bytes()[0];
    let mut escapes = Vec::new();
    let mut at = 1;
    // The quote and the backslash are ASCII, so no byte of another character is taken for them.
    while let Some(&byte) = rest.as_bytes().get(at) {
        if byte == quote {
            return Ok((Kind::Text(unescaped(rest, &escapes, at)), at + 1));
        }
        if byte == b'\\' {
            if rest.as_bytes().get(at + 1) == Some(&quote) {
                escapes.push(at);
            }
            at += 1;
        }
        at += 1;
    }
    let quote = char::from(quote);
    Err(ParseError { position: start, message: format!("a text is not closed with {quote}") })
}

/// The text between position 1 and `end` without the backslashes at `escapes`.
fn unescaped<'a>(rest: &'a str, escapes: &[usize], end: usize) -> Cow<'a, str> {
    let mut from = 1;
    let mut text = String::new();
    for &escape in escapes {
        text.push_str(&rest[from..escape]);
        from = escape + 1;
    }
    if escapes.is_empty() {
        return Cow::Borrowed(&rest[1..end]);
    }
    text.push_str(&rest[from..end]);
    Cow::Owned(text)
}

fn unknown(found: char, position: usize) -> ParseError {
    let message = match found {
        '.' => "`.` is not part of CESQL; an expression sees an event's attributes, not its data".to_owned(),
        '&' | '|' => format!("`{found}` is not part of CESQL; write AND or OR"),
        '!' => "`!` is not part of CESQL; write NOT, or != between two values".to_owned(),
        found => format!("`{}` is not part of CESQL", found.escape_debug()),
    };
    ParseError { position, message }
}
