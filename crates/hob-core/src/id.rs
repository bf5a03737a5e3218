//! Ids of invocations and instances: 128 bits, ordered by time, written as 32 hex digits.
//!
//! The node makes them (UUID version 7, RFC 9562, 5.7); this crate only carries and reads them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The id of one invocation. Every response carries it (`hob-invocation-id`); the same id is in
/// logs, traces and error messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InvocationId(pub u128);

crate::schema::text!(InvocationId, "pattern": "^[0-9a-f]{32}$");

impl InvocationId {
    /// Reads 32 hexadecimal digits, or the same as a UUID (RFC 9562, section 4), as AWS Lambda's runtimes have it;
    /// `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        const DASHES: [usize; 4] = [8, 13, 18, 23];
        if text.len() == 36 && DASHES.iter().all(|at| text.as_bytes()[*at] == b'-') {
            return Self::parse(&text.replace('-', ""));
        }
        (text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| u128::from_str_radix(text, 16).ok().map(Self))
            .flatten()
    }

    /// Its 32 digits. Every call carries them twice, so they are not made by way of [`fmt`].
    pub fn digits(self) -> [u8; 32] {
        let mut digits = [0; 32];
        hex(&self.0.to_be_bytes(), &mut digits);
        digits
    }
}

/// Both digits of every byte.
const PAIRS: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Writes the lower-case hexadecimal digits of `bytes` into `digits`, which is twice as long.
pub(crate) fn hex(bytes: &[u8], digits: &mut [u8]) {
    let (pairs, _) = digits.as_chunks_mut();
    for (byte, pair) in bytes.iter().zip(pairs) {
        *pair = PAIRS[usize::from(*byte)];
    }
}

impl fmt::Display for InvocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for InvocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for InvocationId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is not an invocation id"))
    }
}

impl From<InvocationId> for String {
    fn from(id: InvocationId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::InvocationId;

    #[test]
    fn an_id_is_written_as_it_is_read() {
        for text in ["00000000000000000000000000000000", "0123456789abcdef0fedcba987654321"] {
            assert_eq!(InvocationId::parse(text).map(|id| id.to_string()).as_deref(), Some(text));
        }
        let uuid = InvocationId::parse("01234567-89ab-cdef-0fed-cba987654321");
        assert_eq!(uuid, InvocationId::parse("0123456789abcdef0fedcba987654321"));
        for text in ["", "012345678-9ab-cdef-0fed-cba987654321", "+123456789abcdef0fedcba987654321"] {
            assert_eq!(InvocationId::parse(text), None, "{text}");
        }
    }
}
