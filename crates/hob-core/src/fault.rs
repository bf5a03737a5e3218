//! A user-facing error: code, message, hint, and where it happened.
//!
//! **Why.** Everybody who meets an error wants the same four things: what it is, what value broke
//! which limit, where, and what to do next. One type carries them from the deepest crate to the
//! terminal, the HTTP response and the log, so nothing is lost by turning it into text on the way.
//!
//! **How.** Modules build a [`Fault`] with the [`Code`] that fits. `message` is for the outside;
//! `detail` is for the node's own log and is never sent to a caller of a function.
//!
//! **Not here:** the list of codes ([`crate::code`]).

use crate::code::{Code, Owner};
use serde::{Deserialize, Serialize};

/// One user-facing error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    inner: Box<Inner>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    code: Code,
    message: String,
    hint: Option<String>,
    place: Option<String>,
    detail: Option<String>,
    status: Option<u16>,
    retry_after_s: Option<u32>,
    id: Option<String>,
}

/// The result of anything a user can cause to fail.
pub type Result<T, E = Fault> = std::result::Result<T, E>;

impl Fault {
    /// An error with its code and what happened: one sentence, no period, values in backticks.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                code,
                message: message.into(),
                hint: None,
                place: None,
                detail: None,
                status: None,
                retry_after_s: None,
                id: None,
            }),
        }
    }

    /// The next step a person can take: a command, or the line to change.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    /// Where it is, such as `hob.toml:12` or a path.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.inner.place = Some(place.into());
        self
    }

    /// What the node's own log should say besides; callers of a function never see it.
    #[must_use]
    pub fn detail(mut self, detail: impl std::fmt::Display) -> Self {
        self.inner.detail = Some(detail.to_string());
        self
    }

    /// Another HTTP status than the code's own.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.inner.status = Some(status);
        self
    }

    /// After how many seconds a caller may try again (`Retry-After`).
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.inner.retry_after_s = Some(seconds);
        self
    }

    /// Under which it can be looked up with `hob why`.
    #[must_use]
    pub fn known_as(mut self, id: impl Into<String>) -> Self {
        self.inner.id = Some(id.into());
        self
    }

    /// The same with each of its texts changed by `change`: what the secrets of a function are taken out with.
    #[must_use]
    pub fn map_texts(mut self, change: impl Fn(&str) -> String) -> Self {
        let inner = &mut *self.inner;
        inner.message = change(&inner.message);
        for text in [&mut inner.hint, &mut inner.place, &mut inner.detail].into_iter().flatten() {
            *text = change(text);
        }
        self
    }

    /// A fault in Hob itself; `detail` goes to the log only.
    pub fn internal(detail: impl std::fmt::Display) -> Self {
        Self::new(Code::Internal, "something went wrong inside Hob").detail(detail)
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.inner.code
    }
    /// Who has to act.
    pub fn owner(&self) -> Owner {
        self.inner.code.owner()
    }
    /// The HTTP status with which a request fails.
    pub fn status(&self) -> u16 {
        self.inner.status.unwrap_or_else(|| self.inner.code.status())
    }
    /// What happened, for everybody.
    pub fn message(&self) -> &str {
        &self.inner.message
    }
    /// The next step, if there is a useful one.
    pub fn hint_text(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }
    /// Where it is.
    pub fn place(&self) -> Option<&str> {
        self.inner.place.as_deref()
    }
    /// What only the node's log should say.
    pub fn detail_text(&self) -> Option<&str> {
        self.inner.detail.as_deref()
    }
    /// Seconds after which a caller may try again.
    pub fn retry_after_s(&self) -> Option<u32> {
        self.inner.retry_after_s
    }

    /// Under which it can be looked up, if it is known under an id.
    pub fn id(&self) -> Option<&str> {
        self.inner.id.as_deref()
    }

    /// The form that crosses a process boundary; `id` is what `hob why` can look up.
    pub fn to_wire(&self, id: Option<String>) -> FaultWire {
        FaultWire {
            code: self.inner.code.text().to_owned(),
            message: self.inner.message.clone(),
            hint: self.inner.hint.clone(),
            place: self.inner.place.clone(),
            owner: self.owner(),
            status: self.status(),
            id: id.or_else(|| self.inner.id.clone()),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.inner.code, self.inner.message)?;
        if let Some(place) = &self.inner.place {
            write!(f, " ({place})")?;
        }
        if let Some(detail) = &self.inner.detail {
            write!(f, ": {detail}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

/// A [`Fault`] on the wire: the body of every error answer (`application/problem+json` members
/// `status` and `detail` are the gateway's to add, RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FaultWire {
    /// Stable code, such as `HOB-0401`.
    pub code: String,
    /// What happened.
    pub message: String,
    /// The next step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Who has to act.
    pub owner: Owner,
    /// HTTP status.
    pub status: u16,
    /// The invocation or operation in which it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl From<FaultWire> for Fault {
    fn from(wire: FaultWire) -> Self {
        let code = Code::parse(&wire.code).unwrap_or(Code::Internal);
        let mut fault = Fault::new(code, wire.message).with_status(wire.status);
        fault.inner.hint = wire.hint;
        fault.inner.place = wire.place;
        fault.inner.id = wire.id;
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, FaultWire};
    use crate::code::Code;

    #[test]
    fn the_wire_keeps_what_callers_may_see_and_nothing_else() {
        let fault = Fault::new(Code::Crashed, "function `a` crashed")
            .hint("hob logs a")
            .detail("wasm trap: unreachable at 0x12");
        let text = serde_json::to_string(&fault.to_wire(Some("i1".into()))).unwrap();
        assert!(!text.contains("unreachable"), "{text}");
        let back: FaultWire = serde_json::from_str(&text).unwrap();
        let back = Fault::from(back);
        assert_eq!((back.code(), back.hint_text()), (Code::Crashed, Some("hob logs a")));
    }
}
