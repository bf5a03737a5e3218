//! One route, understood: `[METHOD[,METHOD]] [host]/path`.

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit::ROUTE_BYTES_MAX;
use crate::near;

const FORM: &str = "write `[METHOD[,METHOD]] [host]/path`, such as `GET,POST /orders/{id}`";

/// A route, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Methods in upper case, sorted; empty: any.
    pub methods: Vec<String>,
    /// Lower-case host, `*.example.com`, or `None` for the app's own addresses.
    pub host: Option<String>,
    /// The path as written, such as `/users/{id}` or `/files/*`.
    pub path: String,
}

impl Pattern {
    /// Reads `[METHOD[,METHOD]] [host]/path`.
    ///
    /// A path is made of segments: text, `{name}` for any one segment that is not empty, and at the
    /// end `*` for any rest (`/files/*` also answers `/files`).
    ///
    /// # Errors
    /// `HOB-0105`.
    pub fn parse(text: &str) -> Result<Self> {
        read(text).map_err(|refusal| {
            Fault::new(Code::RouteSyntax, format!("route `{}` {}", shorten(text), refusal.why))
                .hint(refusal.hint.unwrap_or_else(|| FORM.to_owned()))
        })
    }
}

/// Why a route was refused.
struct Refusal {
    why: String,
    hint: Option<String>,
}

fn refuse<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { why: why.into(), hint: None })
}

fn refuse_with<T>(why: impl Into<String>, hint: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { why: why.into(), hint: Some(hint.into()) })
}

fn read(text: &str) -> Result<Pattern, Refusal> {
    if text.len() > ROUTE_BYTES_MAX {
        return refuse(format!("has {} bytes, the limit is {ROUTE_BYTES_MAX}", text.len()));
    }
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (methods, place) = match words[..] {
        [place] => (Vec::new(), place),
        [list, place] => (methods(list)?, place),
        [] => return refuse("is empty"),
        _ => return refuse(format!("has {} words, two are the most", words.len())),
    };
    let Some(slash) = place.find('/') else {
        return refuse_with(
            "has no path",
            format!("write `{}`", [text.trim(), "/*"].concat().replace("**", "*")),
        );
    };
    let (host, path) = place.split_at(slash);
    let host = (!host.is_empty()).then(|| read_host(host)).transpose()?;
    check_path(path)?;
    Ok(Pattern { methods, host, path: path.to_owned() })
}

fn methods(list: &str) -> Result<Vec<String>, Refusal> {
    let mut methods = Vec::new();
    for method in list.split(',') {
        if method.is_empty() {
            return refuse("has an empty method");
        }
        if !method.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-') {
            return refuse(format!("has `{method}` where a method belongs"));
        }
        let upper = method.to_ascii_uppercase();
        if method != upper {
            return refuse_with(format!("has the method `{method}`"), format!("write `{upper}`"));
        }
        methods.push(upper);
    }
    methods.sort_unstable();
    methods.dedup();
    Ok(methods)
}

fn read_host(host: &str) -> Result<String, Refusal> {
    let lower = host.to_ascii_lowercase();
    let labels = lower.strip_prefix("*.").unwrap_or(&lower);
    if labels.contains(':') {
        return refuse_with(format!("has a port in the host `{host}`"), "leave the port out");
    }
    let label_ok = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if labels.len() > 253 || !labels.split('.').all(label_ok) {
        return refuse_with(
            format!("has `{host}` where a host name belongs"),
            "write a name such as `shop.example.com` or `*.example.com`, in its ASCII form",
        );
    }
    Ok(lower)
}

fn check_path(path: &str) -> Result<(), Refusal> {
    let mut segments = path[1..].split('/').peekable();
    let mut names: Vec<&str> = Vec::new();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if segment == "*" {
            if !last {
                return refuse_with("has `*` before the end", "write `{name}` for one segment");
            }
        } else if let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
            if name.is_empty() || !name.bytes().all(plain) {
                return refuse_with(
                    format!("has `{segment}`"),
                    "write a name of letters, digits, `_` and `-`, such as `{id}`",
                );
            }
            if names.contains(&name) {
                return refuse_with(format!("has `{segment}` twice"), "give each segment a name of its own");
            }
            names.push(name);
        } else {
            check_text(segment, last)?;
        }
    }
    Ok(())
}

fn check_text(segment: &str, last: bool) -> Result<(), Refusal> {
    if segment.is_empty() && !last {
        return refuse("has an empty segment (`//`)");
    }
    if segment == "." || segment == ".." {
        return refuse(format!("has the segment `{segment}`, which no request can have"));
    }
    if segment.contains(['{', '}', '*']) {
        return refuse_with(
            format!("has `{segment}`: `{{name}}` and `*` stand for a whole segment"),
            "write `/{name}/` for one segment or `/*` at the end for any rest",
        );
    }
    match segment.chars().find(|&c| !c.is_ascii_graphic() || "?#\"<>\\^`|".contains(c)) {
        Some(c) if c.is_ascii_graphic() => refuse(format!("has `{c}`, which a path cannot have")),
        Some(c) => {
            let mut bytes = [0; 4];
            let encoded: String = c.encode_utf8(&mut bytes).bytes().map(|b| format!("%{b:02X}")).collect();
            refuse_with(format!("has `{c}`"), format!("write `{encoded}`"))
        }
        None => Ok(()),
    }
}

/// Enough of a long text to recognise it.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Edits between a pattern's path and a request's, where `{name}` stands for what was sent there.
pub(super) fn distance(pattern: &str, path: &str, bound: usize) -> Option<usize> {
    let mut sent = path.split('/');
    let filled: Vec<&str> = pattern
        .split('/')
        .map(|segment| match sent.next() {
            Some(other) if segment.starts_with('{') && !other.is_empty() => other,
            Some("") if segment == "*" => "",
            Some(other) if segment == "*" => other,
            _ => segment,
        })
        .collect();
    near::distance(&filled.join("/"), path, bound)
}
