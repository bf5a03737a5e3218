//! The level of a line of plain text, as logging libraries write it.
//!
//! **How.** A level stands in front: after nothing but times, numbers, brackets and separators. So a
//! sentence that only speaks of an ERROR has no level. Word by word is looked from the left, and the first
//! word that can be neither a level nor a part of such a head ends the search; then `level=…` (logfmt) is
//! looked for anywhere.

use super::Level;

/// How many words of a line can be its head.
const HEAD_WORDS_MAX: usize = 10;

/// The level that a line says.
pub(super) fn level(text: &str) -> Option<Level> {
    let text = text.trim_start();
    klog(text).or_else(|| crash(text)).or_else(|| head(text)).or_else(|| logfmt(text))
}

/// klog and glog: a letter, month and day, then the time: `E0101 12:00:00.000000 …`.
fn klog(text: &str) -> Option<Level> {
    let bytes = text.as_bytes();
    let dated = bytes.len() > 7 && bytes[1..5].iter().all(u8::is_ascii_digit) && bytes[5] == b' ';
    if !dated || !bytes[6].is_ascii_digit() {
        return None;
    }
    match bytes[0] {
        b'I' => Some(Level::Info),
        b'W' => Some(Level::Warn),
        b'E' => Some(Level::Error),
        b'F' => Some(Level::Fatal),
        _ => None,
    }
}

/// The first line of what runtimes print when a program fails.
fn crash(text: &str) -> Option<Level> {
    let python = text.starts_with("Traceback (most recent call last)");
    let rust = text.starts_with("thread '") && text.contains("' panicked at ");
    let rust_with_id = text.starts_with("thread '") && text.contains(") panicked at ");
    (python || rust || rust_with_id).then_some(Level::Error)
}

fn head(text: &str) -> Option<Level> {
    let mut words = text.split_ascii_whitespace().take(HEAD_WORDS_MAX).peekable();
    let mut before = "";
    let mut first = true;
    while let Some(word) = words.next() {
        if let Some(level) = level_of(word, first) {
            return Some(level);
        }
        let separated = is_separator(before) && words.peek().is_some_and(|next| is_separator(next));
        if !is_head(word) && !separated {
            return None;
        }
        (before, first) = (word, false);
    }
    None
}

/// `ERROR`, `[error]`, `<Error>`, `|INFO|`, and at the beginning of a line also `error:` and
/// `WARNING:root:…`, whatever the case.
fn level_of(word: &str, first: bool) -> Option<Level> {
    const AROUND: &[char] = &['[', ']', '(', ')', '<', '>', '{', '}', '|', ':', ',', ';', '-', '"', '\''];
    let bare = word.trim_matches(AROUND);
    let bracketed = word.starts_with(['[', '(', '<', '|']) && word.ends_with([']', ')', '>', '|', ':']);
    let shouted = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_uppercase());
    if shouted {
        return Level::parse(bare);
    }
    let word = if bracketed { bare } else { word.split_once(':').filter(|_| first)?.0 };
    // `Config: loaded` and `[fine]` are words; only in capitals they are levels of Java's.
    let ordinary = ORDINARY.iter().any(|known| known.eq_ignore_ascii_case(word));
    Level::parse(word).filter(|_| !ordinary)
}

/// Level words that are words of the language as well.
const ORDINARY: &[&str] = &["alert", "config", "fine", "finer", "finest", "silly", "verbose"];

/// What may come before a level: times, dates, numbers, something in brackets, zones.
fn is_head(word: &str) -> bool {
    const ZONES: &[&str] = &["UTC", "GMT", "AM", "PM", "CET", "CEST", "EST", "PST"];
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let bracketed = word.starts_with(['[', '(', '<']) || word.ends_with([']', ')', '>']);
    let letter = word.len() == 2 && word.ends_with(',');
    digits > 0 || bracketed || letter || is_separator(word) || ZONES.contains(&word)
}

fn is_separator(word: &str) -> bool {
    matches!(word, "-" | "|" | "--" | "---" | "::" | ":")
}

/// `level=warn`, `lvl="error"`, `severity=INFO` anywhere in a line (logfmt).
fn logfmt(text: &str) -> Option<Level> {
    text.split_ascii_whitespace().find_map(|word| {
        let (key, value) = word.split_once('=')?;
        let known =
            ["level", "lvl", "severity", "loglevel"].iter().any(|name| name.eq_ignore_ascii_case(key));
        known.then(|| Level::parse(value.trim_matches('"')))?
    })
}
