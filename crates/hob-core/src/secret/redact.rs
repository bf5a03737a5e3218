//! Takes the values of secrets out of text that is kept: log lines, messages, facts.
//!
//! **Why.** Programs print what they are given: a connection string in an error, a header in a debug line. What is kept
//! of that is read by more people than may know the secret.
//!
//! **How.** One automaton (Aho-Corasick) finds all values at once, as they are and in the forms in which they are usually
//! written: base64, percent-encoded, hexadecimal, in JSON, and the lines of one that has several. It looks for the
//! beginning of each form only, so that its size has a bound; what follows is compared. In facts and stories it looks at
//! each text as it is (`walk`), never at what they are written as: what is found there would hang on how a quote is
//! written. That is cheaper, too: nothing is written for the many that hold no value.
//!
//! **Not here:** a function that wants to tell its secret: it can always write it in a form that nobody looks for.

use super::walk;
use crate::fact::Fact;
use crate::limit::{SECRET_BEGINNING_BYTES, SECRET_LINES_MAX, SECRET_REDACTED_BYTES_MIN};
use crate::name::SecretName;
use crate::wire::Story;
use aho_corasick::{AhoCorasick, MatchKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Finds the values of some secrets in text.
pub struct Redactor {
    finder: AhoCorasick,
    /// For each pattern the whole forms that begin with it, and what stands for the secret.
    forms: Vec<Forms>,
}

/// Whole forms of a value, and what stands for the secret.
type Forms = (Vec<Box<str>>, Box<str>);

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor of {} forms", self.forms.len())
    }
}

impl Redactor {
    /// One for these values; `None` when none of them is long enough to be looked for.
    pub fn new<'a>(secrets: impl Iterator<Item = (&'a SecretName, &'a str)>) -> Option<Self> {
        let mut beginnings: BTreeMap<Box<str>, Forms> = BTreeMap::new();
        for (name, value) in secrets {
            for form in forms_of(value) {
                let beginning = &form[..form.floor_char_boundary(SECRET_BEGINNING_BYTES)];
                let known = beginnings.entry(beginning.into());
                let (forms, _) = known.or_insert_with(|| (Vec::new(), format!("[secret {name}]").into()));
                forms.push(form.into());
            }
        }
        let (patterns, forms): (Vec<Box<str>>, Vec<_>) = beginnings.into_iter().unzip();
        let mut builder = AhoCorasick::builder();
        builder.match_kind(MatchKind::LeftmostLongest);
        // It fails above 2^31 states only, far above what the limits allow.
        let finder = builder.build(patterns.iter().map(|pattern| &**pattern)).ok()?;
        (!forms.is_empty()).then_some(Self { finder, forms })
    }

    /// The text with a mark in place of each value.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let (mut out, mut rest) = (String::new(), text);
        while let Some(found) = self.finder.find(rest) {
            let (forms, mark) = &self.forms[found.pattern().as_usize()];
            let after = &rest[found.start()..];
            // A line may be cut in the middle of a value.
            let length = forms.iter().map(|form| common(form, after)).max().unwrap_or(found.len());
            out.push_str(&rest[..found.start()]);
            out.push_str(mark);
            rest = &after[length.max(found.len())..];
        }
        if rest.len() == text.len() {
            return Cow::Borrowed(text);
        }
        out.push_str(rest);
        Cow::Owned(out)
    }

    /// The fact without values in any of its texts. Names and ids are what the node has given, and stay.
    pub fn fact(&self, fact: Fact) -> Fact {
        self.without(fact)
    }

    /// The same of a story: what it tells of events and answers is read where they are kept as they were.
    pub fn story(&self, story: Story) -> Story {
        self.without(story)
    }

    fn without<T: Serialize + DeserializeOwned>(&self, told: T) -> T {
        if !walk::any(&told, |text| self.finder.is_match(text)) {
            return told;
        }
        let read = |skip: &[&str]| {
            let mut value = serde_json::to_value(&told).ok()?;
            self.value(&mut value, skip);
            serde_json::from_value(value).ok()
        };
        // A value that is also the name of something would make it unreadable.
        read(&[]).or_else(|| read(NAMES)).unwrap_or(told)
    }

    fn value(&self, value: &mut Value, skip: &[&str]) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(redacted) = self.text(text) {
                    *text = redacted;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item, skip)),
            Value::Object(members) => {
                let before = std::mem::take(members);
                for (key, mut value) in before {
                    if !skip.contains(&key.as_str()) {
                        self.value(&mut value, skip);
                    }
                    // What functions choose is among the keys; the second time, only what the node does.
                    let key = if skip.is_empty() { self.text(&key).into_owned() } else { key };
                    members.insert(key, value);
                }
            }
            _ => {}
        }
    }
}

/// Members of facts and stories that hold names and ids.
const NAMES: &[&str] = &[
    "fact",
    "app",
    "function",
    "trigger",
    "topic",
    "subscription",
    "schedule",
    "id",
    "trace",
    "span",
    "parent",
    "invocation",
    "code",
    "owner",
    "cause",
    "change",
    "ending",
    "decision",
    "reason",
    "kind",
    "contract",
    "method",
    "verdict",
];

/// Every form of a value that is looked for.
fn forms_of(value: &str) -> Vec<String> {
    if value.len() < SECRET_REDACTED_BYTES_MIN {
        return Vec::new();
    }
    let trimmed = value.trim();
    let mut forms = written(value);
    if trimmed != value {
        forms.extend(written(trimmed));
    }
    for line in value.lines().map(str::trim).take(SECRET_LINES_MAX) {
        forms.extend([line.to_owned(), in_json(line)]);
    }
    forms.retain(|form| form.len() >= SECRET_REDACTED_BYTES_MIN);
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// A text in the forms in which it is usually written.
fn written(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let mut forms = vec![text.to_owned(), in_json(text), hex(bytes, false), hex(bytes, true)];
    forms.extend([b"-._~".as_slice(), b"-._~!$&'()*+,;=:@", b"-._* "].map(|kept| percent(bytes, kept)));
    for shift in 0..3 {
        let digits = base64(bytes, shift);
        forms.push(digits.replace('+', "-").replace('/', "_"));
        forms.push(digits);
    }
    forms
}

/// A text as it stands between the quotes of a string in JSON.
fn in_json(text: &str) -> String {
    let json = Value::from(text).to_string();
    json[1..json.len() - 1].to_owned()
}

fn hex(bytes: &[u8], upper: bool) -> String {
    bytes.iter().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") }).collect()
}

/// Percent-encoded (RFC 3986, 2.1) but for letters, digits and `kept`: everything that is reserved, what a path needs
/// (3.3), or as a form has it (URL Standard, 5.2), with `+` for a blank.
fn percent(bytes: &[u8], kept: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b' ' if kept.contains(byte) => out.push('+'),
            _ if byte.is_ascii_alphanumeric() || kept.contains(byte) => out.push(char::from(*byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Those digits of base64 (RFC 4648, 4) that stay the same whatever goes before and after, when `shift` bytes of a group
/// of three go before.
fn base64(bytes: &[u8], shift: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let first = (shift * 8).div_ceil(6);
    let last = (shift + bytes.len()) * 8 / 6;
    let bit = |at: usize| bytes.get((at / 8).wrapping_sub(shift)).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    let digit = |at: usize| (at * 6..at * 6 + 6).fold(0, |digit: u8, at| digit << 1 | bit(at));
    (first..last).map(|at| char::from(DIGITS[usize::from(digit(at))])).collect()
}

/// How many bytes two texts begin with in common, at a boundary of characters of both.
fn common(left: &str, right: &str) -> usize {
    let same = left.bytes().zip(right.bytes()).take_while(|(left, right)| left == right).count();
    right.floor_char_boundary(left.floor_char_boundary(same))
}

#[cfg(test)]
mod tests {
    use super::{Redactor, base64};
    use crate::code::Code;
    use crate::fact::{Fact, Failure, Refused, What};
    use crate::fault::Fault;
    use crate::id::InvocationId;
    use crate::name::SecretName;
    use crate::why::Cause;
    use crate::wire::Verdict;

    fn of(value: &str) -> Redactor {
        let name = SecretName::new("KEY").unwrap();
        Redactor::new([(&name, value)].into_iter()).unwrap()
    }

    #[test]
    fn a_value_is_found_in_the_forms_in_which_it_is_written() {
        for (value, text, expected) in [
            ("hunter22", "password=hunter22!", "password=[secret KEY]!"),
            ("hunter22", "hunter22hunter22", "[secret KEY][secret KEY]"),
            ("hunter22", "hunter2 hunter", "hunter2 hunter"),
            ("hunter22", "aHVudGVyMjI=", "[secret KEY]I="),
            // `user:hunter22` and `me:hunter22`, as HTTP's basic authentication has it.
            ("hunter22", "Basic dXNlcjpodW50ZXIyMg==", "Basic dXNlcjp[secret KEY]g=="),
            ("hunter22", "Basic bWU6aHVudGVyMjI=", "Basic bWU6[secret KEY]I="),
            ("hunter22", "68756e7465723232", "[secret KEY]"),
            ("a b/c+d?e", "x=a%20b%2Fc%2Bd%3Fe&y=a+b%2Fc%2Bd%3Fe", "x=[secret KEY]&y=[secret KEY]"),
            ("a b/c+d?e", "/a%20b%2Fc+d%3Fe/z", "/[secret KEY]/z"),
            ("sa\"y\\so", r#"{"k":"sa\"y\\so"}"#, r#"{"k":"[secret KEY]"}"#),
            ("-----BEGIN\nMIIabcdef\n-----END", "MIIabcdef", "[secret KEY]"),
            ("geheim-é-geheim", "geheim-é-geheim", "[secret KEY]"),
        ] {
            assert_eq!(of(value).text(text), expected, "{value} in {text}");
        }
        let pin = SecretName::new("PIN").unwrap();
        assert!(Redactor::new([(&pin, "1234")].into_iter()).is_none());
    }

    #[test]
    fn a_long_value_goes_as_a_whole_and_one_that_is_cut_as_far_as_it_is_there() {
        let long: String = (0..400).map(|at| format!("{at:04}-")).collect();
        let redactor = of(&long);
        assert_eq!(redactor.text(&format!("<{long}>")), "<[secret KEY]>");
        assert_eq!(redactor.text(&long[..1000]), "[secret KEY]");
        assert_eq!(redactor.text(&format!("{} …", &long[..1000])), "[secret KEY] …");
        assert_eq!(base64(b"Man", 0), "TWFu");
    }

    #[test]
    fn a_fact_keeps_what_the_node_has_given() {
        let fault = Fault::new(Code::Crashed, "it said hunter22").hint("desk-app").detail("at hunter22");
        let refused = Refused {
            id: InvocationId(7),
            control: false,
            app: Some(crate::name::AppName::new("hunter22").unwrap()),
            method: "GET".into(),
            path: "/login/hunter22?x".into(),
            host: "desk".into(),
            failure: Failure::from(&fault),
        };
        let fact = Fact { time_ms: 1, trace: None, what: What::Refused(Box::new(refused)) };
        let What::Refused(told) = of("hunter22").fact(fact.clone()).what else { panic!("another fact") };
        assert_eq!((told.path.as_str(), told.id), ("/login/[secret KEY]?x", InvocationId(7)));
        assert_eq!(told.failure.message, "it said [secret KEY]");
        assert_eq!(told.failure.detail.as_deref(), Some("at [secret KEY]"));
        assert_eq!(told.app.as_ref().map(|app| app.as_str()), Some("hunter22"), "the app has that name");
        assert_eq!(of("nowhere-to-be-seen").fact(fact.clone()), fact);
    }

    #[test]
    fn a_line_with_quotes_is_found_wherever_a_fact_quotes_it() {
        let value = "\n{\n  \"type\": \"account\",\n  \"private_key\": \"MIIE\\nabc\"\n}\n";
        let line = r#""private_key": "MIIE\nabc""#;
        let escaped = r#"{"said":"\"private_key\": \"MIIE\\nabc\""}"#;
        let trimmed = value.trim();
        for (quoted, expected) in [
            (line, "[secret KEY]"),
            (escaped, r#"{"said":"[secret KEY]"}"#),
            (trimmed, "[secret KEY]"),
            (value, "[secret KEY]"),
        ] {
            let fault = Fault::new(Code::Crashed, format!("it said {quoted}")).hint(quoted).detail(quoted);
            let refused = Refused {
                id: InvocationId(7),
                control: false,
                app: None,
                method: "GET".into(),
                path: "/".into(),
                host: "desk".into(),
                failure: Failure::from(&fault),
            };
            let fact = Fact { time_ms: 1, trace: None, what: What::Refused(Box::new(refused)) };
            let What::Refused(told) = of(value).fact(fact).what else { panic!("another fact") };
            assert_eq!(told.failure.message, format!("it said {expected}"), "{quoted}");
            assert_eq!(told.failure.detail.as_deref(), Some(expected));
            let cause = Cause::new(Verdict::Waiting, format!("it has {quoted}"));
            assert_eq!(of(value).story(cause.story("x")).reason, format!("it has {expected}"));
        }
    }

    #[test]
    fn a_story_keeps_its_words_and_loses_what_it_quotes() {
        let cause = Cause::new(Verdict::Waiting, "the event has `hunter22`").fix("write `hunter22` instead");
        let mut story = cause.story("event orders/1");
        story.next.push("hob send orders --type hunter22".to_owned());
        let told = of("hunter22").story(story.clone());
        assert_eq!(told.reason, "the event has `[secret KEY]`");
        assert_eq!(told.fix.as_deref(), Some("write `[secret KEY]` instead"));
        assert_eq!(
            (told.next[0].as_str(), told.verdict),
            ("hob send orders --type [secret KEY]", Verdict::Waiting)
        );
        // A word of the node's own that happens to be a secret stays, and the rest goes all the same.
        story.next.push("waiting".to_owned());
        let told = of("waiting").story(story);
        assert_eq!((told.verdict, told.next[1].as_str()), (Verdict::Waiting, "[secret KEY]"));
    }
}
