//! Numbers that many threads add to: sums, histograms, and what one row of usage is made of.

use super::Ended;
use hob_core::usage::{Usage, mib_us};
use std::sync::atomic::{AtomicU64, Ordering};

/// A sum that only grows.
#[derive(Default)]
pub(super) struct Sum(AtomicU64);

impl Sum {
    pub(super) fn add(&self, more: u64) {
        // Reading is cheaper than writing nothing: most calls have no body, and do not fail.
        if more > 0 {
            self.0.fetch_add(more, Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of the buckets, microseconds: 1, 2 and 5 of each decade from 100 µs to 100 s.
pub(super) const BOUNDS_US: [u64; 19] = [
    100,
    200,
    500,
    1000,
    2000,
    5000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
];

/// Times by their size.
#[derive(Default)]
pub(super) struct Histogram {
    /// The last one is for what is above all bounds.
    buckets: [Sum; BOUNDS_US.len() + 1],
    sum_us: Sum,
}

impl Histogram {
    pub(super) fn observe(&self, time_us: u64) {
        let bucket = BOUNDS_US.partition_point(|bound_us| *bound_us < time_us);
        self.buckets[bucket].add(1);
        self.sum_us.add(time_us);
    }

    /// How many times fell into each bucket, and the sum of all, microseconds.
    pub(super) fn get(&self) -> (Vec<u64>, u64) {
        (self.buckets.iter().map(Sum::get).collect(), self.sum_us.get())
    }
}

/// What calls used.
#[derive(Default)]
pub(super) struct Cells {
    invocations: Sum,
    failures: Sum,
    wall_us: Sum,
    cpu_us: Sum,
    mib_us: Sum,
    bytes_in: Sum,
    bytes_out: Sum,
    cold_starts: Sum,
}

impl Cells {
    pub(super) fn add(&self, ended: &Ended<'_>) {
        let Ended { status, owner, times, cold, used, .. } = ended;
        let failed = owner.is_some() || status.is_none_or(|status| status >= 500);
        let wall_us = times.total_us.saturating_sub(times.queue_us);
        self.invocations.add(1);
        self.failures.add(u64::from(failed));
        self.wall_us.add(wall_us);
        self.cpu_us.add(used.cpu_us.unwrap_or_default());
        self.mib_us.add(mib_us(used.memory_bytes, wall_us));
        self.bytes_in.add(used.bytes_in);
        self.bytes_out.add(used.bytes_out);
        self.cold_starts.add(u64::from(*cold));
    }

    pub(super) fn usage(&self) -> Usage {
        Usage {
            invocations: self.invocations.get(),
            failures: self.failures.get(),
            wall_us: self.wall_us.get(),
            cpu_us: self.cpu_us.get(),
            mib_us: self.mib_us.get(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            cold_starts: self.cold_starts.get(),
            stored_kib_s: 0,
        }
    }
}
