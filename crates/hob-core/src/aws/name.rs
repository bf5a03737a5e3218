//! Names of functions, versions, aliases and topics as AWS writes them, and the names that they are in Hob.
//!
//! **How.** A function is named by its name, by account and name, or by its ARN, each with a qualifier behind it
//! (Lambda API reference, "FunctionName"). An app of one function has the app's name; a function of another app is
//! `<function>--<app>`, as in its address. An SQS or SNS ARN names a topic by its last part.

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::name::{AppName, FunctionName, TopicName, suggestion};
use crate::percent::decoded;

/// The account of every ARN that Hob writes; in those that it reads any account counts as this one.
pub const ACCOUNT: &str = "000000000000";
/// The region that Hob names where a client may choose any.
pub const REGION: &str = "us-east-1";
/// The qualifier of what is current.
pub const LATEST: &str = "$LATEST";
/// Longest name of an alias.
const ALIAS_BYTES_MAX: usize = 128;

/// A function that somebody names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The name as it was written, without everything around it.
    pub name: String,
    /// The version or alias, if one was written.
    pub qualifier: Option<String>,
}

impl Reference {
    /// Reads a name, `account:function:name`, or an ARN, each with a qualifier or without, and compares it with the
    /// qualifier that came beside it.
    ///
    /// # Errors
    /// `HOB-0622` for another form, or two different qualifiers.
    pub fn read(text: &str, beside: Option<&str>) -> Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (name, qualifier) = match parts[..] {
            ["arn", _, "lambda", _, _, "function", name] => (name, None),
            ["arn", _, "lambda", _, _, "function", name, qualifier] => (name, Some(qualifier)),
            [_, "function", name] | ["function", name] => (name, None),
            [_, "function", name, qualifier] => (name, Some(qualifier)),
            [name] => (name, None),
            [name, qualifier] => (name, Some(qualifier)),
            _ => return Err(refuse(format!("`{text}` does not name a function"))),
        };
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || !name.bytes().all(fine) {
            return Err(refuse(format!("`{name}` is no name of a function")));
        }
        let qualifier = match (qualifier, beside) {
            (Some(inside), Some(beside)) if inside != beside => {
                return Err(refuse(format!(
                    "the name has qualifier `{inside}`, and the request has `{beside}`"
                )));
            }
            (inside, beside) => inside.or(beside),
        };
        qualifier.map(check_qualifier).transpose()?;
        Ok(Self { name: name.to_owned(), qualifier: qualifier.map(str::to_owned) })
    }

    /// The app and, if it is named, its function.
    ///
    /// # Errors
    /// `HOB-0622` when Hob can have no such app.
    pub fn app(&self) -> Result<(AppName, Option<FunctionName>)> {
        let name = self.name.to_ascii_lowercase().replace('_', "-");
        match name.split_once("--") {
            Some((function, app)) => {
                let found = AppName::new(app).ok().zip(FunctionName::new(function).ok());
                found.map(|(app, function)| (app, Some(function))).ok_or_else(|| self.no_name())
            }
            None => AppName::new(&name).map(|app| (app, None)).map_err(|_| self.no_name()),
        }
    }

    fn no_name(&self) -> Fault {
        let what = format!("`{}` cannot be the name of an app of Hob", self.name);
        refuse(what)
            .hint(format!("use letters, digits and single hyphens, such as `{}`", suggestion(&self.name)))
    }
}

fn refuse(what: String) -> Fault {
    Fault::new(Code::AwsRequest, what)
}

fn check_qualifier(text: &str) -> Result<()> {
    if text == LATEST || version(text).is_some() {
        return Ok(());
    }
    check_alias(text)
}

/// The number of a version; `None` for `$LATEST` and names of aliases.
pub fn version(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Checks an alias's name (Lambda API reference, "CreateAlias").
///
/// # Errors
/// `HOB-0622` for one that is none.
pub fn check_alias(text: &str) -> Result<()> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits || text.len() > ALIAS_BYTES_MAX || !text.bytes().all(fine) {
        let what = format!("`{text}` is no version and no name of an alias");
        return Err(refuse(what).hint("use letters, digits, `-` and `_`, and not only digits"));
    }
    Ok(())
}

/// The ARN of a function.
pub fn arn(region: &str, name: &str, qualifier: Option<&str>) -> String {
    let end = qualifier.map(|qualifier| format!(":{qualifier}")).unwrap_or_default();
    format!("arn:aws:lambda:{region}:{ACCOUNT}:function:{name}{end}")
}

/// The qualifier in the ARN of a function.
pub fn qualifier(arn: &str) -> Option<&str> {
    arn.split_once(":function:")?.1.split_once(':').map(|(_, qualifier)| qualifier)
}

/// The ARN of a function as records of its calls have it: a name alone means what is current.
pub fn qualified(arn: String) -> String {
    if qualifier(&arn).is_some() { arn } else { format!("{arn}:{LATEST}") }
}

/// The ARN of a topic.
pub fn topic_arn(region: &str, topic: &TopicName) -> String {
    format!("arn:aws:sqs:{region}:{ACCOUNT}:{topic}")
}

/// The topic that an SQS or SNS ARN names, or that is named by itself.
///
/// # Errors
/// `HOB-0622` for the ARN of something else, or a name that no topic can have.
pub fn topic(text: &str) -> Result<TopicName> {
    let parts: Vec<&str> = text.split(':').collect();
    let name = match parts[..] {
        ["arn", _, "sqs" | "sns", _, _, name] | [name] => name,
        _ => {
            let what = format!("`{text}` does not name a topic");
            return Err(refuse(what).hint(format!("write `arn:aws:sqs:<region>:{ACCOUNT}:<topic>`")));
        }
    };
    let topic = TopicName::new(name).map_err(|fault| {
        let hint = fault.hint_text().unwrap_or_default().to_owned();
        refuse(fault.message().to_owned()).hint(hint)
    })?;
    match topic.is_own() {
        true => Err(Fault::new(Code::TopicReserved, format!("topic `{topic}` is one of the node's own"))),
        false => Ok(topic),
    }
}

/// A value of a query, by its name; `+` stands for itself, as clients of this API write spaces as `%20`.
pub fn parameter(query: &str, name: &str) -> Option<String> {
    parameters(query, name).next()
}

/// Every value of a query with that name.
pub fn parameters<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .filter(move |(key, _)| decoded(key).is_some_and(|key| key == name))
        .filter_map(|(_, value)| decoded(value))
}

#[cfg(test)]
mod tests {
    use super::{Reference, arn, parameter, parameters, qualified, qualifier, topic};

    #[test]
    fn functions_are_named_in_every_form() {
        for (text, beside, expected) in [
            ("hello", None, "hello -> hello"),
            ("Hello_World", None, "Hello_World -> hello-world"),
            ("hello:live", None, "hello live -> hello"),
            ("hello", Some("7"), "hello 7 -> hello"),
            ("hello:$LATEST", Some("$LATEST"), "hello $LATEST -> hello"),
            ("123456789012:function:hello", None, "hello -> hello"),
            ("123456789012:function:hello:2", None, "hello 2 -> hello"),
            ("arn:aws:lambda:eu-west-1:000000000000:function:hello", None, "hello -> hello"),
            (
                "arn:aws:lambda:eu-west-1:000000000000:function:hello:live",
                Some("live"),
                "hello live -> hello",
            ),
            ("rate--desk", None, "rate--desk -> desk/rate"),
            ("hello:1", Some("2"), "HOB-0622"),
            ("arn:aws:s3:::bucket", None, "HOB-0622"),
            ("", None, "HOB-0622"),
            ("hello world", None, "HOB-0622"),
            ("hello:a.b", None, "HOB-0622"),
            ("-hello", None, "HOB-0622"),
            ("a-name-that-is-longer-than-thirty-characters", None, "HOB-0622"),
            ("rev-3", None, "HOB-0622"),
        ] {
            let found = Reference::read(text, beside).and_then(|reference| {
                let (app, function) = reference.app()?;
                let qualifier = reference.qualifier.map(|text| format!(" {text}")).unwrap_or_default();
                let function = function.map(|function| format!("/{function}")).unwrap_or_default();
                Ok(format!("{}{qualifier} -> {app}{function}", reference.name))
            });
            let found = found.unwrap_or_else(|fault| fault.code().text().to_owned());
            assert_eq!(found, expected, "{text} {beside:?}");
        }
        for (beside, expected, asked) in [(None, "$LATEST", None), (Some("1"), "1", Some("1"))] {
            let arn = arn("r", "f", beside);
            assert_eq!(qualifier(&arn), asked);
            assert_eq!(qualified(arn), format!("arn:aws:lambda:r:000000000000:function:f:{expected}"));
        }
    }

    #[test]
    fn topics_are_named_by_what_stands_last() {
        for (text, expected) in [
            ("arn:aws:sqs:eu-west-1:000000000000:orders", "orders"),
            ("arn:aws:sns:eu-west-1:1:policy.bought", "policy.bought"),
            ("orders", "orders"),
            ("arn:aws:kinesis:eu-west-1:1:stream/orders", "HOB-0622"),
            ("arn:aws:sqs:eu-west-1:1:Orders", "HOB-0622"),
            ("hob.calls.desk", "HOB-0805"),
        ] {
            let found = topic(text).map_or_else(|fault| fault.code().text().to_owned(), String::from);
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn queries_are_read() {
        assert_eq!(parameter("a=1&b=%20x%3D&b=2", "b").as_deref(), Some(" x="));
        assert_eq!(parameters("k=a&k=b&j=c", "k").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((parameter("a", "a").as_deref(), parameter("", "a")), (Some(""), None));
    }
}
