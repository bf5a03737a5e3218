//! Hosts: what runs a function. One row of [`HOSTS`] each.
//!
//! **Why.** A host knows nothing of HTTP, `$PORT` or CGI. It makes a package ready ([`Host::prepare`],
//! at deploy), loads it ([`Host::load`], at the first instance after a start of the node) and makes
//! it a [`Unit`]. [`detect()`] asks each what it would make of a file.
//!
//! To add a host: one file (or folder) here and one line in [`HOSTS`].

mod files;
pub mod process;
pub mod wasm;

use crate::code::FunctionCode;
use crate::environment::Environment;
use crate::unit::Unit;
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use hob_core::port::BoxFuture;
use std::collections::HashSet;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Every host, in the order in which detection asks them and the documentation shows them.
pub static HOSTS: &[HostRow] = &[wasm::ROW, process::ROW, files::ROW];

/// One line of [`HOSTS`].
pub struct HostRow {
    /// The value of `host` in a manifest.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// A runnable manifest fragment.
    pub example: &'static str,
    /// Looks at a file and says how it would run it.
    pub detect: fn(&Candidate<'_>) -> Option<Detected>,
    /// Opens the host for one node.
    pub open: fn(&Arc<Environment>) -> Result<Arc<dyn Host>>,
}

/// A file or a folder that somebody wants to run.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// Where it is.
    pub file: &'a Path,
    /// Its path inside the package.
    pub name: &'a str,
    /// Its first 4 KiB; nothing of a folder.
    pub head: &'a [u8],
}

/// How a file would run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detected {
    /// Row of `HOSTS`.
    pub host: &'static str,
    /// Row of `CONTRACTS`.
    pub contract: &'static str,
    /// Command line: the file itself, or an interpreter and the file.
    pub run: Vec<String>,
    /// What was recognised, for people: `WASI 0.2 HTTP component`.
    pub what: String,
}

/// A step of making a function ready.
#[derive(Clone, Debug)]
pub struct Progress {
    /// What happens, such as `compiling`.
    pub step: String,
    /// How far, 0 to 100, where it is known.
    pub percent: Option<u8>,
}

/// How good the machine code of a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Made in a hurry, and it stays so until the node starts again.
    Quick,
    /// Made in a hurry; it waits for its turn to be optimised.
    Waiting,
    /// Made in a hurry; better code is being made since so long.
    Optimising(Duration),
    /// As good as it gets; how long that took behind quick code, if it was so since the node started.
    Optimised(Option<Duration>),
}

/// What was learnt about a function's code when it was made ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// The handlers that a JavaScript module exports; `None` for code that takes whatever calls it.
    pub handlers: Option<Vec<String>>,
}

/// What runs functions.
pub trait Host: Send + Sync {
    /// Makes everything that a later [`Host::load`] needs: compiles, checks the architecture. Called
    /// at deploy; never on the way of a call.
    ///
    /// # Errors
    /// `HOB-03xx`: what is wrong with the code, and how to mend it.
    fn prepare<'a>(
        &'a self,
        code: &'a FunctionCode,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> BoxFuture<'a, Result<Prepared>>;

    /// Whether what [`Host::prepare`] makes is there, as far as one look at the disk tells. What is damaged is made
    /// again when it is loaded.
    fn is_prepared(&self, code: &FunctionCode) -> bool;

    /// Loads prepared code. Fast: on the way of the first call after a restart.
    fn load(&self, code: Arc<FunctionCode>) -> BoxFuture<'_, Result<Arc<dyn Unit>>>;

    /// Removes what [`Host::prepare`] made of files that are not among these. Says how many files that were. Reads a folder.
    fn retain(&self, _needed: &HashSet<Digest>) -> u64 {
        0
    }

    /// The same for another space of the node: what is dear and belongs to nobody is shared, what a function can reach
    /// comes from that space's environment.
    ///
    /// # Errors
    /// When the space's working folder cannot be used.
    fn beside(&self, environment: &Arc<Environment>) -> Result<Arc<dyn Host>>;

    /// The space is gone: what was kept for it alone ends, with whatever still runs in it.
    fn leave(&self) {}

    /// How good a prepared function's code is; `None` where nothing is compiled. Looks at a file at most.
    fn stage(&self, _code: &FunctionCode) -> Option<Stage> {
        None
    }
}

/// What the manifest says of a file already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// The host.
    pub host: Option<&'a str>,
    /// The contract.
    pub contract: Option<&'a str>,
}

impl Wanted<'_> {
    fn fits(&self, found: &Detected) -> bool {
        self.host.is_none_or(|host| host == found.host)
            && self.contract.is_none_or(|contract| contract == found.contract)
    }
}

/// Looks at one file or folder; `None` when no host knows it. `name` is its path inside the package. Of several hosts that
/// know it, the first counts that fits to what is wanted.
///
/// # Errors
/// When the file cannot be read.
pub fn detect(file: &Path, name: &str, wanted: Wanted<'_>) -> Result<Option<Detected>> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut head = Vec::new();
        if file.is_dir() {
            return Ok(head);
        }
        std::fs::File::open(file)?.take(4096).read_to_end(&mut head)?;
        Ok(head)
    };
    let head = read().map_err(|error| {
        Fault::new(Code::FileMissing, format!("cannot read `{}`", file.display())).detail(error)
    })?;
    if let Some(found) = wasm::detect_script(name, wanted.contract) {
        return Ok(Some(found));
    }
    let candidate = Candidate { file, name, head: &head };
    let found: Vec<Detected> = HOSTS.iter().filter_map(|row| (row.detect)(&candidate)).collect();
    let fits = found.iter().position(|found| wanted.fits(found)).unwrap_or(0);
    Ok(found.into_iter().nth(fits))
}
