//! Random numbers from a seed, and the one line that repeats a failing run.

pub(crate) use hob_core::random::Random;

/// A character, so many from `first` on.
pub(crate) fn character(random: &mut Random, first: u8, count: u8) -> char {
    char::from(first + u8::try_from(random.below(count.into())).expect("it is below a byte"))
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
