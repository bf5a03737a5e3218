//! What reads a disk's bytes, for fuzzers; see [`hob_core::fuzz`].

use hob_core::fuzz::Target;

/// The parsers of this crate.
pub const TARGETS: &[Target] = &[("log_frame", crate::log::frame::fuzz), ("fact", crate::facts::pack::fuzz)];

#[cfg(test)]
mod tests {
    #[test]
    fn no_input_makes_a_parser_panic() {
        let rounds = std::env::var("HOB_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
        hob_core::fuzz::drive_all(super::TARGETS, rounds, |name| {
            let folder = format!("{}/../../fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
            std::fs::read_dir(folder)
                .unwrap()
                .map(|file| std::fs::read(file.unwrap().path()).unwrap())
                .collect()
        });
    }
}
