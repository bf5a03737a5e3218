//! Whose a request is: the spaces behind one gateway, found by host before anything else.
//!
//! **Why.** Everything that a request may reach hangs on the space in which it begins, so that is decided once, by the
//! host, and the rest of its way sees that space's objects alone.
//!
//! **How.** `<…>.<space>.<domain>` is that space's, a custom host is whose app claims it ([`crate::hosts`]), and everything
//! else is `default`'s. A node without other spaces looks at none of this.

use super::routing::{Rules, host_name};
use crate::allowance::Allowance;
use crate::bus::Bus;
use crate::calls::Calls;
use crate::hosts::Hosts;
use crate::live::Live;
use crate::per_space::PerSpace;
use crate::telemetry::{Budget, Telemetry};
use hob_core::limit::FACTS_REFUSED_PER_SECOND;
use hob_core::name::SpaceName;
use hob_core::space;
use std::sync::Arc;

/// What the gateway may reach of one space.
pub(crate) struct Tenant {
    pub(super) live: Arc<Live>,
    pub(super) bus: Arc<Bus>,
    pub(super) calls: Arc<Calls>,
    pub(super) rules: Rules,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) allowance: Arc<Allowance>,
    /// For facts of requests that are refused.
    pub(super) refused: Budget,
}

impl Tenant {
    pub(crate) fn new(live: &Arc<Live>, bus: &Arc<Bus>, calls: &Arc<Calls>, rules: Rules) -> Arc<Self> {
        Arc::new(Self {
            live: Arc::clone(live),
            bus: Arc::clone(bus),
            calls: Arc::clone(calls),
            rules,
            telemetry: Arc::clone(bus.telemetry()),
            allowance: Arc::clone(bus.allowance()),
            refused: Budget::new(FACTS_REFUSED_PER_SECOND),
        })
    }
}

/// Every space of a node.
pub(crate) struct Tenants {
    each: Arc<PerSpace<Tenant>>,
    hosts: Arc<Hosts>,
    domain: String,
}

impl Tenants {
    /// One alone; `domain` is the node's.
    pub(crate) fn new(default: Arc<Tenant>, hosts: Arc<Hosts>, domain: &str) -> Arc<Self> {
        Arc::new(Self { each: PerSpace::new(default), hosts, domain: domain.to_owned() })
    }

    /// From now on a space is found; `None`: it is not any more.
    pub(crate) fn show(&self, space: &SpaceName, tenant: Option<Arc<Tenant>>) {
        self.each.show(space, tenant);
    }

    /// The space of whoever belongs to none.
    pub(super) fn default(&self) -> &Arc<Tenant> {
        self.each.default()
    }

    /// The space of a host, as `Host` has it.
    pub(super) fn of(&self, authority: &str) -> Arc<Tenant> {
        if self.each.is_alone() {
            return Arc::clone(self.each.default());
        }
        let host = host_name(authority);
        let below = space::of_host(&host, &self.domain).and_then(|space| self.each.named(space));
        let claimed = || self.hosts.owner(&host).and_then(|space| self.each.named(space.as_str()));
        below.or_else(claimed).unwrap_or_else(|| Arc::clone(self.each.default()))
    }
}
