//! How many facts of one kind are kept in a second, where not all are.

use std::sync::atomic::{AtomicU64, Ordering};

/// So many in each second, whoever asks; read and written without a lock.
#[derive(Debug)]
pub(crate) struct Budget {
    per_second: u32,
    /// The second in the high half, what was spent of it in the low half.
    spent: AtomicU64,
}

impl Budget {
    /// So many in each second.
    pub(crate) const fn new(per_second: u32) -> Self {
        Self { per_second, spent: AtomicU64::new(0) }
    }

    /// Whether one more fits into the second of `now_ms`.
    pub(crate) fn spend(&self, now_ms: u64) -> bool {
        let second = (now_ms / 1000) << 32;
        let known = self.spent.load(Ordering::Relaxed);
        if known & !0xffff_ffff == second {
            // Most calls of a busy second end here, having read only.
            return (known & 0xffff_ffff) < u64::from(self.per_second)
                && (self.spent.fetch_add(1, Ordering::Relaxed) & 0xffff_ffff) < u64::from(self.per_second);
        }
        // Two that open the same second at once spend one together.
        self.spent.store(second | 1, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn a_second_has_its_own_budget() {
        let budget = Budget::new(2);
        for (now_ms, fits) in
            [(0, true), (1, true), (999, false), (1000, true), (1999, true), (1999, false), (9000, true)]
        {
            assert_eq!(budget.spend(now_ms), fits, "at {now_ms}");
        }
    }
}
