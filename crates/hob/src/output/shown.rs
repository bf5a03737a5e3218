//! Values as people read them: times, short and harmless text.
//!
//! **Why.** What an event holds comes from strangers. A control character in it must not steer the
//! terminal of whoever looks at it.

use hob_core::event::timestamp;

/// A time to the second, in UTC (RFC 3339).
pub(crate) fn time(time_ms: u64) -> String {
    timestamp(time_ms / 1000 * 1000)
}

/// A time to the second, or a dash.
pub(crate) fn time_or_dash(time_ms: Option<u64>) -> String {
    time_ms.map_or_else(dash, time)
}

/// What stands for nothing in a table.
pub(crate) fn dash() -> String {
    "-".to_owned()
}

/// The text without characters that a terminal obeys: those become `\u{…}`, ends of lines become blanks.
pub(crate) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            _ if c.is_control() || is_invisible(c) => out.extend(c.escape_unicode()),
            _ => out.push(c),
        }
    }
    out
}

/// Characters that change the order or the looks of others (Unicode, "Trojan Source").
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Harmless text of at most so many characters, with `…` where some are missing.
pub(crate) fn short(text: &str, characters: usize) -> String {
    // Longer than what is kept even if every character were escaped; the rest need not be looked at.
    let start: String = text.chars().take(characters + 1).collect();
    let shown = harmless(&start);
    if shown.chars().count() <= characters {
        return shown;
    }
    let mut kept: String = shown.chars().take(characters.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

/// Text of our own of at most so many characters, with `…` where some are missing.
pub(crate) fn cut(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(characters.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

/// Lines of a name and a value each, the values below each other.
pub(crate) fn fields(lines: &[(&str, String)]) -> String {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let line = |(name, value): &(&str, String)| format!("  {name:width$}  {value}");
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{cut, harmless, short, time};

    #[test]
    fn text_of_strangers_steers_no_terminal() {
        for (text, shown) in [
            ("plain é 日本", "plain é 日本"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("a\nb\tc\0", "a b c\\u{0}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\u{202e}b", "a\\u{202e}b"),
        ] {
            assert_eq!(harmless(text), shown);
        }
        assert_eq!((short("abcdef", 6), short("abcdefg", 6)), ("abcdef".into(), "abcde…".into()));
        assert_eq!((cut("abcdef", 6), cut("abcdefg", 6)), ("abcdef".into(), "abcde…".into()));
        assert_eq!(short("\u{1b}\u{1b}\u{1b}", 8), "\\u{1b}\\…");
        assert_eq!(time(1_700_000_000_999), "2023-11-14T22:13:20Z");
    }
}
