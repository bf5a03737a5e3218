//! How often an address may show a token that is not good.
//!
//! **Why.** A token that the node made has 256 random bits, which nobody guesses; the operator's own token may be a
//! word. So guesses are counted for each address, and above the limit that address gets no further judgement of one.
//! Tokens that the node made are judged all the same: nobody can lock a neighbour out behind one address.
//!
//! **How.** A bucket for each address, refilled with time. The table is bounded: of more addresses the ones that were
//! not seen for longest are forgotten, each of which costs whoever comes with many addresses a new one.

use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::limit::{ATTEMPT_ADDRESSES_MAX, ATTEMPT_REFILL, ATTEMPTS_MAX};
use crate::unit::millis;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Failed attempts, by address.
#[derive(Debug, Default)]
pub struct Attempts {
    buckets: HashMap<IpAddr, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    failed: u32,
    seen_ms: u64,
}

impl Bucket {
    /// What is left of the failures at `now_ms`.
    fn at(self, now_ms: u64) -> u32 {
        let refilled = now_ms.saturating_sub(self.seen_ms) / millis(ATTEMPT_REFILL);
        self.failed.saturating_sub(u32::try_from(refilled).unwrap_or(u32::MAX))
    }
}

impl Attempts {
    /// Whether an attempt from `address` is judged at all.
    ///
    /// # Errors
    /// `HOB-0725` with the time to wait.
    pub fn check(&self, address: IpAddr, now_ms: u64) -> Result<()> {
        let failed = self.buckets.get(&network(address)).map_or(0, |bucket| bucket.at(now_ms));
        if failed < ATTEMPTS_MAX {
            return Ok(());
        }
        let seconds = ATTEMPT_REFILL.as_secs();
        let what =
            format!("{failed} requests from `{address}` had no valid token, the limit is {ATTEMPTS_MAX}");
        Err(Fault::new(Code::TooManyAttempts, what)
            .hint(format!("wait, then use a valid token; one more is judged every {seconds} s"))
            .retry_after(u32::try_from(seconds).unwrap_or(u32::MAX)))
    }

    /// An attempt from `address` was wrong.
    pub fn failed(&mut self, address: IpAddr, now_ms: u64) {
        let network = network(address);
        if !self.buckets.contains_key(&network) && self.buckets.len() >= ATTEMPT_ADDRESSES_MAX {
            self.forget(now_ms);
        }
        let bucket = self.buckets.entry(network).or_insert(Bucket { failed: 0, seen_ms: now_ms });
        *bucket = Bucket { failed: bucket.at(now_ms).saturating_add(1).min(ATTEMPTS_MAX), seen_ms: now_ms };
    }

    /// Forgets who has nothing left to wait for, and else the one that was not seen for longest.
    fn forget(&mut self, now_ms: u64) {
        self.buckets.retain(|_, bucket| bucket.at(now_ms) > 0);
        if self.buckets.len() >= ATTEMPT_ADDRESSES_MAX {
            let oldest = self.buckets.iter().min_by_key(|(_, bucket)| bucket.seen_ms).map(|(at, _)| *at);
            oldest.and_then(|at| self.buckets.remove(&at));
        }
    }
}

/// Whom an address stands for: of IPv6 a host has a whole /64 (RFC 4291, 2.5.4).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::Attempts;
    use crate::limit::{ATTEMPT_ADDRESSES_MAX, ATTEMPT_REFILL, ATTEMPTS_MAX};
    use crate::unit::millis;
    use std::net::{IpAddr, Ipv4Addr};

    #[test]
    fn an_address_that_guesses_waits_and_others_do_not() {
        let mut attempts = Attempts::default();
        let (guesser, same): (IpAddr, IpAddr) =
            ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        let other: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        for _ in 0..ATTEMPTS_MAX {
            attempts.check(guesser, 0).unwrap();
            attempts.failed(guesser, 0);
        }
        let refill = millis(ATTEMPT_REFILL);
        for (address, now_ms, judged) in
            [(guesser, 0, false), (same, 0, false), (other, 0, true), (guesser, refill, true)]
        {
            let found = attempts.check(address, now_ms);
            assert_eq!(found.is_ok(), judged, "{address} {now_ms}");
            if let Err(fault) = found {
                assert_eq!((fault.code().text(), fault.status()), ("HOB-0725", 429));
                assert!(fault.retry_after_s().is_some());
            }
        }
        attempts.failed(guesser, refill);
        assert!(attempts.check(guesser, refill).is_err(), "one is judged each time");
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        (0..ATTEMPTS_MAX).for_each(|_| attempts.failed(mapped, refill));
        assert!(attempts.check("10.0.0.1".parse().unwrap(), refill).is_err(), "an address has one form");
    }

    #[test]
    fn the_table_is_bounded() {
        let mut attempts = Attempts::default();
        for at in 0..2 * u32::try_from(ATTEMPT_ADDRESSES_MAX).unwrap() {
            attempts.failed(Ipv4Addr::from(at).into(), u64::from(at));
        }
        assert!(attempts.buckets.len() <= ATTEMPT_ADDRESSES_MAX);
    }
}
