//! The compiling child: limits itself, compiles one file, ends.
//!
//! **How.** Its last arguments are an [`Order`]; what went wrong is its exit code and a sentence on
//! standard error, and what it found out about the functions is a line on standard output.
//!
//! **Invariants.** It is confined ([`super::confine`]) before a byte of the file is read.

use super::super::engine::{self, Grade};
use super::super::spin;
use super::confine::confine;
use super::pack::{Found, Kept, write_new};
use hob_core::limit::COMPILED_BYTES_MAX;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use wasmtime::Engine;

/// Exit codes of the child.
pub(super) mod exit {
    pub(in super::super) const INVALID: u8 = 10;
    pub(in super::super) const TOO_LARGE: u8 = 11;
    pub(in super::super) const OTHER_VERSION: u8 = 12;
    pub(in super::super) const IO: u8 = 13;
}

/// Threads of a compiler share its processor time; the node watches the wall clock.
pub(super) const THREADS: u64 = 4;

/// How hurried a compiler is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Somebody waits.
    Now,
    /// Nobody waits: it runs when nothing else wants the processor.
    Behind,
}

impl Pace {
    fn word(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Behind => "behind",
        }
    }
}

/// What to compile, and how.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) fingerprint: String,
    pub(super) grade: Grade,
    pub(super) pace: Pace,
    pub(super) input: PathBuf,
    pub(super) output: PathBuf,
    /// Folder of compiled functions to look into; empty for none.
    pub(super) packs: PathBuf,
}

impl Order {
    /// Arguments of an order.
    const ARGUMENTS: usize = 6;

    pub(super) fn arguments(&self) -> [OsString; Self::ARGUMENTS] {
        [
            self.fingerprint.clone().into(),
            self.grade.word().into(),
            self.pace.word().into(),
            self.input.clone().into(),
            self.output.clone().into(),
            self.packs.clone().into(),
        ]
    }

    fn read(mut arguments: Vec<OsString>) -> Option<Self> {
        let tail = arguments.split_off(arguments.len().checked_sub(Self::ARGUMENTS)?);
        let [fingerprint, grade, pace, input, output, packs] =
            <[OsString; Self::ARGUMENTS]>::try_from(tail).ok()?;
        Some(Self {
            fingerprint: fingerprint.into_string().ok()?,
            grade: [Grade::Quick, Grade::Optimised].into_iter().find(|known| grade == known.word())?,
            pace: [Pace::Now, Pace::Behind].into_iter().find(|known| pace == known.word())?,
            input: input.into(),
            output: output.into(),
            packs: packs.into(),
        })
    }

    /// Where new compiled functions are left for the node to look at.
    pub(super) fn pack(&self) -> PathBuf {
        let mut path = self.output.clone().into_os_string();
        path.push(".pack");
        path.into()
    }
}

/// The child's whole life.
pub fn compile_child() -> ExitCode {
    let Some(order) = Order::read(std::env::args_os().collect()) else {
        return ExitCode::from(exit::IO);
    };
    let done = confine(&order)
        .map_err(|error| (exit::IO, format!("cannot limit the compiler: {error}")))
        .and_then(|()| compile_file(&order));
    match done {
        Ok(found) => {
            // Only for the log: nothing is decided by it.
            let _ = writeln!(std::io::stdout(), "{} {}", found.hits, found.missed);
            ExitCode::SUCCESS
        }
        Err((code, words)) => {
            // Nobody is left to tell when this fails.
            let _ = std::io::stderr().write_all(words.as_bytes());
            ExitCode::from(code)
        }
    }
}

/// Carries an order out.
///
/// # Errors
/// An exit code and a sentence.
pub(super) fn compile_file(order: &Order) -> std::result::Result<Found, (u8, String)> {
    let io = |error: std::io::Error| (exit::IO, error.to_string());
    let broken = |error: wasmtime::Error| (exit::IO, format!("{error:#}"));
    let mut config = engine::config();
    let mut engine = Engine::new(&config).map_err(broken)?;
    if engine::fingerprint(&engine) != order.fingerprint {
        return Err((exit::OTHER_VERSION, String::new()));
    }
    let wasm = std::fs::read(&order.input).map_err(io)?;
    let mut binary =
        wat::parse_bytes(&wasm).map_err(|error| (exit::INVALID, error.to_string()))?.into_owned();
    spin::rename_handler(&mut binary);
    order.grade.set(&mut config);
    let kept = (!order.packs.as_os_str().is_empty())
        .then(|| Arc::new(Kept::open(&order.packs, &binary, &order.fingerprint)));
    if let Some(kept) = &kept {
        config.enable_incremental_compilation(Arc::clone(kept) as _).map_err(broken)?;
    }
    if order.grade == Grade::Quick || kept.is_some() {
        engine = Engine::new(&config).map_err(broken)?;
    }
    let invalid = |error: wasmtime::Error| (exit::INVALID, format!("{error:#}"));
    let compiled = if wasmparser::Parser::is_component(&binary) {
        engine.precompile_component(&binary).map_err(invalid)?
    } else {
        engine.precompile_module(&binary).map_err(invalid)?
    };
    if compiled.len() as u64 > COMPILED_BYTES_MAX {
        return Err((exit::TOO_LARGE, String::new()));
    }
    write_new(&order.output, &[&compiled]).map_err(io)?;
    let Some(kept) = kept else { return Ok(Found::default()) };
    // What cannot be left for others is compiled again by them.
    let _ = kept.leave(&order.pack());
    Ok(kept.found())
}
