//! Which space a custom host belongs to: the first that claims it.
//!
//! **Why.** All spaces share the gateway's address, so a host is the one name that they could fight about. Nobody may
//! take another's, nor a part of it: whoever has `*.example.com` has `www.example.com` too.
//!
//! **How.** A space gets [`Claims`], which speak for it alone. A deploy claims its hosts before it commits and lets go
//! of those that it no longer names; what it claims in vain it lets go of ([`Claimed`]).
//!
//! **Not here:** hosts of apps of one space ([`crate::live`]).

use hob_core::fault::Result;
use hob_core::name::SpaceName;
use hob_core::space::{check_claim, overlap, taken};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

/// Every custom host of a node.
pub(crate) struct Hosts {
    domain: String,
    claims: RwLock<BTreeMap<SpaceName, HashSet<Arc<str>>>>,
}

/// What one space may say about hosts.
#[derive(Clone)]
pub(crate) struct Claims {
    hosts: Arc<Hosts>,
    space: SpaceName,
}

/// Hosts that were claimed just now; let go of when it is dropped before [`Claimed::stay`].
pub(crate) struct Claimed<'a> {
    claims: &'a Claims,
    fresh: Vec<Arc<str>>,
}

impl Hosts {
    /// None is claimed; the node's own are below `domain`.
    pub(crate) fn new(domain: &str) -> Arc<Self> {
        Arc::new(Self { domain: domain.to_owned(), claims: RwLock::default() })
    }

    /// What speaks for one space, which has the hosts below its own domain from now on.
    pub(crate) fn of(self: &Arc<Self>, space: &SpaceName) -> Claims {
        self.claims.write().unwrap_or_else(PoisonError::into_inner).entry(space.clone()).or_default();
        Claims { hosts: Arc::clone(self), space: space.clone() }
    }

    /// The space that a custom host belongs to: exactly, or by the nearest `*.<parent>`.
    pub(crate) fn owner(&self, host: &str) -> Option<SpaceName> {
        let claims = self.claims.read().unwrap_or_else(PoisonError::into_inner);
        let owner = |pattern: &str| claims.iter().find(|(_, hosts)| hosts.contains(pattern));
        let mut parents = host.match_indices('.').map(|(dot, _)| format!("*{}", &host[dot..]));
        let found = owner(host).or_else(|| parents.find_map(|parent| owner(&parent)));
        found.map(|(space, _)| space.clone())
    }

    fn check(
        &self,
        claims: &BTreeMap<SpaceName, HashSet<Arc<str>>>,
        space: &SpaceName,
        host: &str,
    ) -> Result<()> {
        check_claim(space, host, &self.domain, claims.keys())?;
        let mut others = claims.iter().filter(|(other, _)| *other != space).flat_map(|(_, hosts)| hosts);
        if others.any(|other| overlap(other, host)) { Err(taken(host)) } else { Ok(()) }
    }
}

impl Claims {
    /// Checks that hosts are free for this space.
    ///
    /// # Errors
    /// `HOB-0716`, which names the host and not whose it is.
    pub(crate) fn check<'a>(&self, mut hosts: impl Iterator<Item = &'a str>) -> Result<()> {
        let claims = self.hosts.claims.read().unwrap_or_else(PoisonError::into_inner);
        hosts.try_for_each(|host| self.hosts.check(&claims, &self.space, host))
    }

    /// Claims hosts, all or none.
    ///
    /// # Errors
    /// As [`Claims::check`].
    pub(crate) fn claim<'a>(&self, hosts: impl Iterator<Item = &'a str>) -> Result<Claimed<'_>> {
        let mut claims = self.hosts.claims.write().unwrap_or_else(PoisonError::into_inner);
        let hosts: Vec<&str> = hosts.collect();
        hosts.iter().try_for_each(|host| self.hosts.check(&claims, &self.space, host))?;
        let mut fresh = Vec::new();
        let own = claims.entry(self.space.clone()).or_default();
        for host in hosts {
            let host: Arc<str> = host.into();
            if own.insert(Arc::clone(&host)) {
                fresh.push(host);
            }
        }
        Ok(Claimed { claims: self, fresh })
    }

    /// Lets go of hosts.
    pub(crate) fn release<'a>(&self, hosts: impl Iterator<Item = &'a str>) {
        let mut claims = self.hosts.claims.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = claims.get_mut(&self.space) {
            for host in hosts {
                own.remove(host);
            }
        }
    }

    /// Lets go of all of them.
    pub(crate) fn leave(&self) {
        self.hosts.claims.write().unwrap_or_else(PoisonError::into_inner).remove(&self.space);
    }
}

impl Claimed<'_> {
    /// They are the space's from now on.
    pub(crate) fn stay(mut self) {
        self.fresh.clear();
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        if !self.fresh.is_empty() {
            self.claims.release(self.fresh.iter().map(|host| &**host));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Hosts;
    use hob_core::name::SpaceName;

    #[test]
    fn the_first_who_claims_a_host_has_it_until_it_is_let_go() {
        let hosts = Hosts::new("localhost");
        let of = |space: &str| hosts.of(&SpaceName::new(space).unwrap());
        // Who does what with which host; whether it is allowed, and whose the host is then.
        for (space, does, host, expected) in [
            ("a", "claim", "shop.org", "ok a"),
            ("b", "claim", "shop.org", "HOB-0716 a"),
            ("b", "claim", "*.shop.org", "ok b"),
            ("a", "claim", "www.shop.org", "HOB-0716 b"),
            ("b", "claim", "www.shop.org", "ok b"),
            ("b", "release", "*.shop.org", "ok -"),
            ("a", "claim", "www.shop.org", "HOB-0716 b"),
            ("b", "release", "www.shop.org", "ok -"),
            ("a", "try", "www.shop.org", "ok -"),
            ("b", "claim", "www.shop.org", "ok b"),
            ("a", "release", "www.shop.org", "ok b"),
            ("b", "claim", "x.localhost", "HOB-0716 -"),
            ("b", "claim", "x.b.localhost", "ok b"),
            ("b", "leave", "www.shop.org", "ok -"),
        ] {
            let claims = of(space);
            let done = match does {
                "claim" => claims.claim([host].into_iter()).map(super::Claimed::stay),
                "try" => claims.claim([host].into_iter()).map(drop),
                "release" => {
                    claims.release([host].into_iter());
                    Ok(())
                }
                _ => {
                    claims.leave();
                    Ok(())
                }
            };
            let done = done.map_or_else(|fault| fault.code().text(), |()| "ok");
            let owner = hosts.owner(host).map_or_else(|| "-".to_owned(), |owner| owner.to_string());
            assert_eq!(format!("{done} {owner}"), expected, "{space} {does} {host}");
        }
    }
}
