//! Digests, keyed digests and random bytes, by the names that WebCrypto gives them.

use ring::rand::SecureRandom as _;
use ring::{digest, hmac};

/// What WebCrypto calls a hash (Web Cryptography Level 2, 30 and 31), and the same as an HMAC.
const ALGORITHMS: [(&str, &digest::Algorithm, hmac::Algorithm); 4] = [
    ("SHA-1", &digest::SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
    ("SHA-256", &digest::SHA256, hmac::HMAC_SHA256),
    ("SHA-384", &digest::SHA384, hmac::HMAC_SHA384),
    ("SHA-512", &digest::SHA512, hmac::HMAC_SHA512),
];

/// The digest of `data`; `None` for an algorithm that is not known.
pub(crate) fn digest(algorithm: &str, data: &[u8]) -> Option<Vec<u8>> {
    let (_, algorithm, _) = ALGORITHMS.iter().find(|(name, ..)| *name == algorithm)?;
    Some(digest::digest(algorithm, data).as_ref().to_vec())
}

/// The HMAC of `data` (RFC 2104); `None` for an algorithm that is not known.
pub(crate) fn hmac(algorithm: &str, key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let (.., algorithm) = ALGORITHMS.iter().find(|(name, ..)| *name == algorithm)?;
    Some(hmac::sign(&hmac::Key::new(*algorithm, key), data).as_ref().to_vec())
}

/// Bytes of the operating system's random numbers.
pub(crate) fn random(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    ring::rand::SystemRandom::new().fill(&mut bytes).expect("the operating system gives random numbers");
    bytes
}

#[cfg(test)]
mod tests {
    use super::{digest, hmac};

    /// NIST's example, and test case 2 of RFC 2202 and RFC 4231.
    #[test]
    fn digests_are_those_of_the_standards() {
        let hex = |bytes: Option<Vec<u8>>| {
            bytes.unwrap().iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        for (name, plain, keyed) in [
            ("SHA-1", "a9993e36", "effcdf6a"),
            ("SHA-256", "ba7816bf", "5bdcc146"),
            ("SHA-384", "cb00753f", "af45d2e3"),
            ("SHA-512", "ddaf35a1", "164b7a7b"),
        ] {
            assert_eq!(hex(digest(name, b"abc")), plain, "{name}");
            assert_eq!(hex(hmac(name, b"Jefe", b"what do ya want for nothing?")), keyed, "{name}");
        }
        assert_eq!(digest("MD5", b""), None);
    }
}
