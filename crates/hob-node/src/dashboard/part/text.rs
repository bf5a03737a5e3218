//! Values as people read them: text of strangers, times, sizes, numbers.
//!
//! **Why.** Escaping keeps a guest's text from being markup; here it is kept from misleading the eye:
//! characters that reorder or hide others are written out.

use hob_core::event::timestamp;
use maud::{Markup, html};

/// The text with every character visible: those that steer or reorder become `\u{…}`. Ends of lines and
/// tabs stay.
pub(in crate::dashboard) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' => {}
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

/// A sentence as Hob writes them: what stands in backticks is code.
pub(in crate::dashboard) fn sentence(text: &str) -> Markup {
    let shown = plain(text);
    let pieces: Vec<&str> = shown.split('`').collect();
    // A backtick without its fellow stands for itself.
    if pieces.len().is_multiple_of(2) {
        return html! { (shown) };
    }
    html! { @for (at, piece) in pieces.iter().enumerate() { @if at % 2 == 1 { code { (piece) } } @else { (piece) } } }
}

/// The same on one line of at most so many characters, with `…` where some are missing.
pub(in crate::dashboard) fn short(text: &str, characters: usize) -> String {
    let start: String = text.chars().take(characters + 1).collect();
    let shown = plain(&start).replace(['\n', '\t'], " ");
    if shown.chars().count() <= characters {
        return shown;
    }
    let kept: String = shown.chars().take(characters.saturating_sub(1)).collect();
    kept + "…"
}

/// A time, which script turns into how long ago it was.
pub(in crate::dashboard) fn when(time_ms: u64) -> Markup {
    let exact = timestamp(time_ms);
    let shown = timestamp(time_ms / 1000 * 1000).replace('T', " ").replace('Z', "");
    html! { time datetime=(exact) title={ (shown) " UTC" } { (shown) } }
}

/// A time if there is one.
pub(in crate::dashboard) fn maybe_when(time_ms: Option<u64>) -> Markup {
    html! { @if let Some(time_ms) = time_ms { (when(time_ms)) } @else { (none()) } }
}

/// The time of day with milliseconds, for lists of what happened close together.
pub(in crate::dashboard) fn clock(time_ms: u64) -> Markup {
    let exact = timestamp(time_ms);
    let day = exact.get(..10).unwrap_or_default();
    let (seconds, ms) = (timestamp(time_ms / 1000 * 1000), time_ms % 1000);
    let time = seconds.get(11..19).unwrap_or_default();
    html! { time datetime=(exact) title=(day) data-clock { (time) "." (format!("{ms:03}")) } }
}

/// What stands for nothing in a table.
pub(in crate::dashboard) fn none() -> Markup {
    html! { span class="none" aria-label="none" role="img" { "–" } }
}

/// A time that something took.
pub(in crate::dashboard) fn took(us: u64) -> String {
    match us {
        0..1000 => format!("{us} µs"),
        1000..10_000 => format!("{}.{:02} ms", us / 1000, us % 1000 / 10),
        10_000..1_000_000 => format!("{}.{} ms", us / 1000, us % 1000 / 100),
        1_000_000..60_000_000 => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
        _ => format!("{} min {} s", us / 60_000_000, us % 60_000_000 / 1_000_000),
    }
}

/// A setting that is a time, in milliseconds.
pub(in crate::dashboard) fn setting(ms: u64) -> String {
    hob_core::unit::show_duration(std::time::Duration::from_millis(ms))
}

/// A number with its thousands apart.
pub(in crate::dashboard) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number and its noun, which is in the plural for all but one.
pub(in crate::dashboard) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// JSON as text, indented; what is too long is cut and marked.
pub(in crate::dashboard) fn json(value: &serde_json::Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    cut(&plain(&text)).into_owned()
}

/// At most so much of a text as a page shows.
pub(in crate::dashboard) fn cut(text: &str) -> std::borrow::Cow<'_, str> {
    let most = hob_core::limit::DASHBOARD_SHOWN_BYTES_MAX;
    if text.len() <= most {
        return text.into();
    }
    let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    format!("{}\n… {} more bytes", &text[..end], text.len() - end).into()
}

#[cfg(test)]
mod tests {
    use super::{count, counted, plain, sentence, short, took};

    #[test]
    fn text_of_strangers_hides_nothing() {
        for (text, shown) in [
            ("plain é 日本\n\t", "plain é 日本\n\t"),
            ("\u{1b}[2Jgone\0", "\\u{1b}[2Jgone\\u{0}"),
            ("a\u{202e}b\u{200b}", "a\\u{202e}b\\u{200b}"),
        ] {
            assert_eq!(plain(text), shown);
        }
        assert_eq!((short("abcdef", 6), short("abcdefg", 6)), ("abcdef".into(), "abcde…".into()));
        assert_eq!(short("a\nb", 9), "a b");
    }

    #[test]
    fn what_stands_in_backticks_is_code_and_nothing_else_is() {
        for (text, html) in [("a `b<i>` c", "a <code>b&lt;i&gt;</code> c"), ("`a", "`a"), ("", "")] {
            assert_eq!(sentence(text).into_string(), html);
        }
    }

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((counted(1, "letter"), counted(0, "letter")), ("1 letter".into(), "0 letters".into()));
        for (us, shown) in [
            (7, "7 µs"),
            (1_234, "1.23 ms"),
            (45_678, "45.6 ms"),
            (1_500_000, "1.50 s"),
            (61_000_000, "1 min 1 s"),
        ] {
            assert_eq!(took(us), shown);
        }
    }
}
