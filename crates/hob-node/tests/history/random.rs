//! Random numbers from a seed, and the one line that repeats a failing run.

/// SplitMix64: seeded, so that a failure can be repeated.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A character, so many from `first` on.
    pub(crate) fn character(&mut self, first: u8, count: u8) -> char {
        char::from(first + u8::try_from(self.below(count.into())).expect("it is below a byte"))
    }

    /// True once in so many times.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// The seed of a test: `HOB_SEED`, or the usual one.
pub(crate) fn seed() -> u64 {
    std::env::var("HOB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_121)
}

/// Tells how to repeat a run, if it panics.
pub(crate) struct Repeat {
    /// Name of the test.
    pub(crate) test: &'static str,
}

impl Drop for Repeat {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "to repeat it: HOB_SEED={} cargo test -p hob-node --test history -- --exact {} --nocapture",
                seed(),
                self.test
            );
        }
    }
}
