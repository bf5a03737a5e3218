//! How long to wait after an attempt, and when to give up.
//!
//! **How.** The n-th failure in a row is followed by `backoff_min_ms` times two to the power n - 1, at most
//! `backoff_max_ms`, of which half is fixed and half is random (equal jitter: retries spread out, and none
//! comes at once). A `Retry-After` of the function makes it longer, never shorter, up to
//! [`DELIVERY_BACKOFF_CEILING`].

use super::window::Entry;
use super::{Reason, Settings, crash};
use crate::limit::DELIVERY_BACKOFF_CEILING;
use crate::unit::millis;

/// The pause after the `nth` failure in a row, in milliseconds.
pub(super) fn pause_ms(settings: &Settings, nth: u32, after_ms: Option<u64>, random: u64) -> u64 {
    let factor = 1_u64 << nth.saturating_sub(1).min(40);
    let whole = settings.backoff_min_ms.saturating_mul(factor).min(settings.backoff_max_ms);
    let half = whole / 2;
    let ceiling_ms = millis(DELIVERY_BACKOFF_CEILING);
    (half + random % (whole - half + 1)).max(after_ms.unwrap_or(0)).min(ceiling_ms)
}

/// Why the record is given up instead of being delivered (again), if it is.
pub(super) fn verdict(settings: &Settings, entry: &Entry, now_ms: u64) -> Option<Reason> {
    if entry.crashes >= crash::CRASHES_MAX {
        Some(Reason::Crashes)
    } else if entry.failures >= settings.attempts {
        Some(Reason::Attempts)
    } else if settings.age_ms.is_some_and(|age_ms| now_ms.saturating_sub(entry.time_ms) > age_ms) {
        Some(Reason::Age)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::pause_ms;
    use crate::random::Random;
    use crate::subscription::Settings;

    #[test]
    fn pauses_double_up_to_the_longest_and_honour_retry_after() {
        let settings = Settings { backoff_min_ms: 1000, backoff_max_ms: 5000, ..Settings::default() };
        // Which failure, `Retry-After`, and the shortest and longest pause.
        let table: &[(u32, Option<u64>, u64, u64)] = &[
            (0, None, 500, 1000),
            (1, None, 500, 1000),
            (2, None, 1000, 2000),
            (3, None, 2000, 4000),
            (4, None, 2500, 5000),
            (u32::MAX, None, 2500, 5000),
            (1, Some(10), 500, 1000),
            (1, Some(60_000), 60_000, 60_000),
            (1, Some(u64::MAX), 24 * 3_600_000, 24 * 3_600_000),
        ];
        let mut random = Random(1);
        for (nth, after_ms, shortest, longest) in table {
            let pauses: Vec<u64> =
                (0..4000).map(|_| pause_ms(&settings, *nth, *after_ms, random.number())).collect();
            let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
            let slack = (longest - shortest) / 100;
            assert!(*least >= *shortest && *least <= shortest + slack, "{nth} {after_ms:?}: {least}");
            assert!(*most <= *longest && *most >= longest - slack, "{nth} {after_ms:?}: {most}");
        }
        let none = Settings { backoff_min_ms: 0, backoff_max_ms: 0, ..settings };
        assert_eq!(pause_ms(&none, 9, None, u64::MAX), 0);
    }
}
