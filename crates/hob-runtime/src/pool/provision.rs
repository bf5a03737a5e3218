//! Instances that are provisioned at certain times: one timer, at the next change.
//!
//! **Why.** Most functions have no such times, and an idle one must cost nothing. So there is a task for those
//! that have some, and for no other.

use super::Shared;
use hob_core::limit::PROVISION_SLEEP_MAX;
use hob_core::scale::Event;
use hob_core::scale::provision::Provision;
use hob_core::unit::unix_ms;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};
use tokio::time::sleep;

/// Begins to keep what is provisioned, if anything is. The task ends with the pool.
pub(super) fn begin(shared: &Arc<Shared>) {
    let provisioned = &shared.code.spec.scale.provisioned;
    if provisioned.is_empty() {
        return;
    }
    let provision = match Provision::new(provisioned) {
        Ok(provision) => provision,
        // Checked at deploy; a time zone that is gone since then must not keep the function from serving.
        Err(fault) => return tracing::error!(%fault, function = %shared.code.name, "nothing is provisioned"),
    };
    let pool = Arc::downgrade(shared);
    let keep = async move {
        loop {
            let now_ms = unix_ms(SystemTime::now());
            let now = provision.at(now_ms);
            let Some(pool) = pool.upgrade().filter(|pool| !pool.stopped.load(Ordering::Acquire)) else {
                return;
            };
            pool.step(|_, _| Event::Provisioned(now.count));
            drop(pool);
            let Some(until_ms) = now.until_ms else { return };
            let wait = Duration::from_millis(until_ms.saturating_sub(now_ms).max(1));
            sleep(wait.min(PROVISION_SLEEP_MAX)).await;
        }
    };
    shared.environment.spawn.spawn("provisioned instances", Box::pin(keep));
}
