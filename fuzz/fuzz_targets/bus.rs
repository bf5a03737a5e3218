//! Drives the row of `hob_bus::fuzz::TARGETS` that has this program's name, by libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hob_core::fuzz::run(hob_bus::fuzz::TARGETS, env!("CARGO_BIN_NAME"), bytes);
});
