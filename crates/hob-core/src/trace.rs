//! W3C Trace Context: `traceparent` read, made and written (W3C Trace Context Level 1, section 3.2).
//!
//! **How.** [`TraceContext`] is a value. New span ids come from outside, since this crate has no
//! randomness. `tracestate` is passed on as it came, by whoever passes the headers on.

use crate::id::{InvocationId, hex};
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! hex_id {
    ($(#[$doc:meta])* $type:ident, $number:ty, $digits:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(pub $number);

        crate::schema::text!($type, "pattern": concat!("^[0-9a-f]{", $digits, "}$"));

        impl $type {
            /// Reads its hexadecimal digits; `None` for anything else, and for 0.
            pub fn parse(text: &str) -> Option<Self> {
                let whole = text.len() == $digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                let number = <$number>::from_str_radix(text, 16).ok().filter(|number| whole && *number != 0)?;
                Some(Self(number))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", $digits, "x}"), self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl TryFrom<String> for $type {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                let what = concat!("is not an id of ", $digits, " hexadecimal digits");
                Self::parse(&text).ok_or_else(|| format!("`{text}` {what}"))
            }
        }

        impl From<$type> for String {
            fn from(id: $type) -> String {
                id.to_string()
            }
        }
    };
}

hex_id!(
    /// All calls, deliveries and spans with one cause.
    TraceId,
    u128,
    32
);
hex_id!(
    /// One span of a trace. That of a call is the low half of its invocation id.
    SpanId,
    u64,
    16
);

/// The span of a call: the low half of its id, which is random.
impl From<InvocationId> for SpanId {
    #[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
    fn from(id: InvocationId) -> Self {
        Self((id.0 as u64).max(1))
    }
}

/// Trace id, span id and flags of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// All calls with one cause share it; never 0.
    pub trace_id: u128,
    /// This call; never 0.
    pub span_id: u64,
    /// Bit 0: sampled.
    pub flags: u8,
}

impl TraceContext {
    /// Reads a `traceparent` header; `None` when it is not valid, in which case a new trace begins.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lower_hex = |s: &str, len: usize| {
            s.len() == len && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        if !lower_hex(version, 2) || version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        if !lower_hex(trace, 32) || !lower_hex(span, 16) || !lower_hex(flags, 2) {
            return None;
        }
        let context = Self {
            trace_id: u128::from_str_radix(trace, 16).ok()?,
            span_id: u64::from_str_radix(span, 16).ok()?,
            flags: u8::from_str_radix(flags, 16).ok()?,
        };
        (context.trace_id != 0 && context.span_id != 0).then_some(context)
    }

    /// The same trace with a new span.
    #[must_use]
    pub fn child(self, span_id: u64) -> Self {
        Self { span_id: span_id.max(1), ..self }
    }

    /// The value of a `traceparent` header. Every call carries one, so it is not made by way of [`fmt`].
    pub fn header(self) -> [u8; 55] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        hex(&self.trace_id.to_be_bytes(), &mut text[3..35]);
        hex(&self.span_id.to_be_bytes(), &mut text[36..52]);
        hex(&[self.flags], &mut text[53..]);
        text
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.header()).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::TraceContext;

    #[test]
    fn reads_what_the_standard_allows() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(TraceContext::parse(text).unwrap().to_string(), text);
        assert!(
            TraceContext::parse(&text.replacen("00", "cc", 1)).is_some(),
            "future versions are read as 00"
        );
        let zero_trace = format!("00-{}-b7ad6b7169203331-01", "0".repeat(32));
        for bad in
            ["", "00", &zero_trace, &text.to_uppercase(), &format!("{text}-x"), &text.replacen("00", "ff", 1)]
        {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }
}
