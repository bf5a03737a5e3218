//! What reads the bytes of functions, for fuzzers; see [`hob_core::fuzz`].

use crate::contract::{lambda, site, spin, stdio};
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
    ("spin_headers", spin::headers::fuzz),
    ("worker_frame", crate::worker::wire::fuzz),
    ("site_headers", site::answer::fuzz),
    ("compiled_pack", wasm::compile::pack::fuzz),
];

fn addresses(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let (first, second) = text.split_once('\n').unwrap_or((text, ""));
    let _ = url::parse(first, None, "", "");
    let _ = url::parse(first, Some(second), "pathname", first);
}

hob_core::drive_targets!();
