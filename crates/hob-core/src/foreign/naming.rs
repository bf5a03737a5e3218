//! Names of another platform as names of Hob, and the numbers that both write differently.

use super::note::Notes;
use crate::limit::TOPIC_NAME_BYTES_MAX;
use crate::name::{AppName, FunctionName, TopicName, suggestion, suggestion_within};

/// `HelloWorldFunction` and `hello_world` as `hello-world-function` and `hello-world`.
pub(super) fn hyphenated(text: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let ends_capitals = before.is_ascii_uppercase() && chars.peek().is_some_and(char::is_ascii_lowercase);
        if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit() || ends_capitals)
        {
            out.push('-');
        }
        out.push(c);
        before = c;
    }
    out
}

/// A function's name; another one than was written is warned about.
pub(super) fn function(written: &str, line: usize, setting: &str, notes: &mut Notes) -> FunctionName {
    let name = suggestion(&hyphenated(written));
    if hyphenated(written).to_ascii_lowercase().replace(['_', '.', ' '], "-") != name {
        notes.warn(
            line,
            setting,
            format!("a name of Hob is shorter or has other characters: it becomes `{name}`"),
        );
    }
    FunctionName::new(&name).expect("a suggestion is a name")
}

/// An app's name.
pub(super) fn app(written: &str) -> AppName {
    AppName::new(&suggestion(&hyphenated(written))).expect("a suggestion is a name")
}

/// A topic's name: labels with dots between them; what stands before the last `:` or `/` of an ARN or URL
/// is left out.
pub(super) fn topic(written: &str) -> TopicName {
    let last = written.rsplit([':', '/']).next().unwrap_or(written);
    let labels: Vec<String> = last
        .split('.')
        .filter(|label| !label.is_empty())
        .map(|label| suggestion_within(&hyphenated(label), TOPIC_NAME_BYTES_MAX))
        .collect();
    let mut name = labels.join(".");
    name.truncate(TOPIC_NAME_BYTES_MAX);
    TopicName::new(name.trim_matches(['.', '-']))
        .unwrap_or_else(|_| TopicName::new("events").expect("this is a name"))
}

#[cfg(test)]
mod tests {
    use super::{app, hyphenated, topic};

    #[test]
    fn names_read_as_before() {
        for (written, name) in [
            ("HelloWorldFunction", "hello-world-function"),
            ("hello_world", "hello-world"),
            ("HTTPServer", "http-server"),
            ("api2Go", "api2-go"),
            ("already-fine", "already-fine"),
        ] {
            assert_eq!(app(written).as_str(), name, "{}", hyphenated(written));
        }
        for (written, name) in [
            ("arn:aws:sqs:eu-west-1:123456789012:Orders.fifo", "orders.fifo"),
            ("https://sqs.eu-west-1.amazonaws.com/123456789012/my_queue", "my-queue"),
            ("", "events"),
            ("hob", "hob"),
        ] {
            assert_eq!(topic(written).as_str(), name, "{written}");
        }
    }
}
