//! One delivery of GitHub: its headers and body, checked.
//!
//! **Invariant.** A [`Delivery`] exists only if its signature fits its body: nobody else's bytes
//! are parsed or passed on.

use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

/// A delivery that GitHub signed.
pub struct Delivery {
    /// `X-GitHub-Delivery`: GitHub's id of it.
    pub id: String,
    /// `X-GitHub-Event`: its kind, such as `issues`.
    pub event: String,
    /// The body as it came.
    pub body: Vec<u8>,
    /// The body, read.
    pub payload: Value,
}

/// Why a delivery is refused.
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// One sentence.
    pub reason: String,
}

/// Checks headers and signature, then reads the body.
///
/// A missing header or a body that is no JSON object is 400, a signature that does not fit 401.
pub fn check(
    header: impl Fn(&str) -> Option<String>,
    body: Vec<u8>,
    secret: &[u8],
) -> Result<Delivery, Refusal> {
    let required = |name: &str| {
        header(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Refusal { status: 400, reason: format!("the header `{name}` is missing") })
    };
    let event = required("x-github-event")?;
    let id = required("x-github-delivery")?;
    let signature = required("x-hub-signature-256")?;
    if !signed(&signature, &body, secret) {
        return Err(Refusal { status: 401, reason: "the signature does not fit the body".to_owned() });
    }
    match serde_json::from_slice::<Value>(&body) {
        Ok(payload) if payload.is_object() => Ok(Delivery { id, event, body, payload }),
        _ => Err(Refusal { status: 400, reason: "the body is no JSON object".to_owned() }),
    }
}

/// Whether `signature` is `sha256=` and the HMAC of `body`; compared in constant time.
fn signed(signature: &str, body: &[u8], secret: &[u8]) -> bool {
    let Some(expected) = signature.strip_prefix("sha256=").and_then(from_hex) else { return false };
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(body);
    mac.verify_slice(&expected).is_ok()
}

/// 32 bytes, from 64 hexadecimal digits.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(bytes)
}
