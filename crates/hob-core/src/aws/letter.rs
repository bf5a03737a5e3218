//! Dead letters as Lambda sends them to a queue or a topic (Lambda developer guide, "Adding a dead-letter queue").
//!
//! **Why.** What consumes them for AWS finds the event that its function could not handle, byte for byte, and in message
//! attributes which call that was and why it failed.
//!
//! **How.** In Hob's bus attributes have lower-case names; whoever shows the event as a message of SQS or SNS writes
//! AWS's names ([`attribute`]).

use super::error::{Exception, is_of_the_function};
use crate::code::Code;
use crate::event::Event;
use crate::limit::AWS_LETTER_MESSAGE_BYTES_MAX;
use bytes::Bytes;
use serde_json::Value;

/// The type of the event.
pub const KIND: &str = "dev.hob.call.dead";

/// Attributes in the bus, their names at AWS and their types there.
const ATTRIBUTES: [(&str, &str, &str); 3] = [
    ("requestid", "RequestID", "String"),
    ("errorcode", "ErrorCode", "Number"),
    ("errormessage", "ErrorMessage", "String"),
];

/// A call that is given up.
#[derive(Clone, Debug)]
pub struct Letter<'a> {
    /// The function: a URI-reference.
    pub source: String,
    /// The id that the caller got.
    pub request_id: String,
    /// The code of Hob with which the last attempt failed, if Hob said so.
    pub code: Option<Code>,
    /// What was said of the last failure.
    pub said: &'a str,
    /// What the function was called with.
    pub payload: Bytes,
}

impl Letter<'_> {
    /// The event that goes to the topic.
    pub fn event(self) -> Event {
        let mut event = Event::new(self.request_id.clone(), self.source, KIND);
        // A function that fails has answered all the same.
        let status =
            self.code.filter(|code| !is_of_the_function(*code)).map(|code| Exception::of(code).status());
        event.set_extension(ATTRIBUTES[0].0, self.request_id);
        event.set_extension(ATTRIBUTES[1].0, i32::from(status.unwrap_or(200)));
        let message = message(self.said);
        if !message.is_empty() {
            event.set_extension(ATTRIBUTES[2].0, message);
        }
        let media = match std::str::from_utf8(&self.payload) {
            Ok(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => "application/json",
            Ok(_) => "text/plain; charset=utf-8",
            Err(_) => "application/octet-stream",
        };
        event.datacontenttype = Some(media.to_owned());
        event.data = Some(self.payload);
        event
    }
}

/// What an error says, in one attribute: without characters that none may have (CloudEvents 1.0.2, section 3.1).
fn message(said: &str) -> String {
    let told = serde_json::from_str::<Value>(said).ok();
    let told = told.as_ref().and_then(|told| told.get("errorMessage")?.as_str()).unwrap_or(said);
    let mut text: String = told.chars().map(|c| if is_forbidden(c) { ' ' } else { c }).collect();
    text.truncate(text.floor_char_boundary(AWS_LETTER_MESSAGE_BYTES_MAX));
    text
}

fn is_forbidden(c: char) -> bool {
    let code = u32::from(c);
    c.is_control() || (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

/// Name and type at AWS of an attribute of an event.
pub fn attribute<'a>(event: &Event, name: &'a str) -> (&'a str, &'static str) {
    let known = ATTRIBUTES.iter().filter(|_| event.kind == KIND).find(|(own, ..)| *own == name);
    known.map_or((name, "String"), |(_, name, kind)| (*name, *kind))
}

#[cfg(test)]
mod tests {
    use super::{Letter, attribute};
    use crate::code::Code;
    use crate::limit::AWS_LETTER_MESSAGE_BYTES_MAX;

    #[test]
    fn letters_carry_the_event_and_why_it_failed() {
        let long = "ä".repeat(AWS_LETTER_MESSAGE_BYTES_MAX);
        for (code, said, payload, expected) in [
            (None, r#"{"errorMessage":"no\nsuch"}"#, "{}", ("200", Some("no such"), "application/json")),
            (
                Some(Code::CallTimeout),
                "late\u{ffff}",
                "x",
                ("200", Some("late "), "text/plain; charset=utf-8"),
            ),
            (Some(Code::QueueFull), "full", "1", ("429", Some("full"), "application/json")),
            (None, "", "1", ("200", None, "application/json")),
            (None, &long, "1", ("200", Some(&long[..AWS_LETTER_MESSAGE_BYTES_MAX]), "application/json")),
        ] {
            let letter = Letter {
                source: "/apps/a/functions/f".to_owned(),
                request_id: "i".to_owned(),
                code,
                said,
                payload: payload.into(),
            };
            let event = letter.event();
            event.check().unwrap();
            let text = |name: &str| event.text(name).map(std::borrow::Cow::into_owned);
            assert_eq!(text("requestid").as_deref(), Some("i"));
            assert_eq!(text("errorcode").as_deref(), Some(expected.0), "{said}");
            assert_eq!(text("errormessage").as_deref(), expected.1);
            assert_eq!(event.datacontenttype.as_deref(), Some(expected.2));
            assert_eq!(event.data.as_deref(), Some(payload.as_bytes()));
            assert_eq!(attribute(&event, "errorcode"), ("ErrorCode", "Number"));
            assert_eq!(attribute(&event, "subject"), ("subject", "String"));
        }
    }
}
