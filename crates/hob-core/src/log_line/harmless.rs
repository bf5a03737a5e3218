//! Text of strangers that steers neither a terminal nor its reader.
//!
//! **How.** Invalid UTF-8 is replaced. Sequences that only colour text (ECMA-48, 8.3.117: SGR) are taken
//! out, since they say nothing; every other control character is escaped, and so are characters that
//! change the direction of writing: they make a line read otherwise than it is. A line that looks like
//! JSON is escaped as JSON does it, so that it stays JSON.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Valid UTF-8 in which nothing but tabs steers a terminal.
pub fn harmless(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if !text.contains(steers) {
        return text.into_owned();
    }
    let text = without_colours(&text);
    let json = text.starts_with('{') && text.ends_with('}');
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        let number = u32::from(c);
        // Writing to a text cannot fail.
        let _ = match c {
            c if !steers(c) => {
                out.push(c);
                Ok(())
            }
            _ if json => write!(out, "\\u{number:04x}"),
            c if c.is_ascii() => write!(out, "\\x{number:02x}"),
            _ => write!(out, "\\u{{{number:x}}}"),
        };
    }
    out
}

/// Harmless text of at most so many bytes; what is cut is marked with `…`, which comes on top.
pub fn short(text: &str, bytes_max: usize) -> String {
    let mut text = harmless(text.as_bytes());
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}

/// Control characters and those that turn the direction of writing; all of them are in the basic plane.
fn steers(c: char) -> bool {
    (c.is_control() && c != '\t') || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn without_colours(text: &str) -> Cow<'_, str> {
    if !text.contains("\x1b[") {
        return text.into();
    }
    let mut pieces = text.split("\x1b[");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':');
        match end.filter(|end| piece[*end..].starts_with('m')) {
            Some(end) => out.push_str(&piece[end + 1..]),
            None => {
                out.push_str("\x1b[");
                out.push_str(piece);
            }
        }
    }
    out.into()
}
