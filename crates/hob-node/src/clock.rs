//! The wall clock of one node.

use hob_core::limit::CLOCK_LOOK_INTERVAL;
use hob_core::unit::unix_ms;
use std::time::{Duration, SystemTime};

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    unix_ms(SystemTime::now())
}

/// Sleeps until a time of the wall clock, which is looked at now and then, since it may be set; `None`: for
/// ever.
pub(crate) async fn sleep_until(at_ms: Option<u64>) {
    let Some(at_ms) = at_ms else { return std::future::pending().await };
    loop {
        let left_ms = at_ms.saturating_sub(now_ms());
        if left_ms == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(left_ms).min(CLOCK_LOOK_INTERVAL)).await;
    }
}
