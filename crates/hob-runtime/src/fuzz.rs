//! What reads the bytes of functions, for fuzzers; see [`hob_core::fuzz`].

use crate::contract::{lambda, stdio};
use crate::host::wasm;
use crate::javascript::{Program, url};
use hob_core::fuzz::Target;

/// The parsers of this crate.
pub const TARGETS: &[Target] = &[
    ("lambda_answer", lambda::outcome::fuzz),
    ("cgi", stdio::answer::fuzz),
    ("wasm", wasm::inspect::fuzz),
    ("javascript", |bytes| drop(Program::of("f.js", bytes))),
    ("url", addresses),
    ("worker_frame", crate::worker::wire::fuzz),
];

fn addresses(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let (first, second) = text.split_once('\n').unwrap_or((text, ""));
    let _ = url::parse(first, None, "", "");
    let _ = url::parse(first, Some(second), "pathname", first);
}

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
