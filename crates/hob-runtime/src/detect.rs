//! What a file is and how it would run: asked when a manifest does not say.

use crate::host::HOSTS;
use hob_core::fault::Result;
use std::path::Path;

/// A file that somebody wants to run.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// Where it is.
    pub file: &'a Path,
    /// Its path inside the package.
    pub name: &'a str,
    /// Its first 4 KiB.
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

/// Looks at one file; `None` when no host knows it. `name` is its path inside the package.
///
/// # Errors
/// When the file cannot be read.
pub fn detect(file: &Path, name: &str) -> Result<Option<Detected>> {
    use hob_core::code::Code;
    use hob_core::fault::Fault;
    use std::io::Read;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut head = Vec::new();
        std::fs::File::open(file)?.take(4096).read_to_end(&mut head)?;
        Ok(head)
    };
    let head = read().map_err(|error| {
        Fault::new(Code::FileMissing, format!("cannot read `{}`", file.display())).detail(error)
    })?;
    Ok(HOSTS.iter().find_map(|row| (row.detect)(&Candidate { file, name, head: &head })))
}
