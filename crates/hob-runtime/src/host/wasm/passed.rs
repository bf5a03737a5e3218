//! Where compiled code comes from: this node's folder, or, in a worker, files that the node has opened and passed.
//!
//! **Why.** A worker has no folder. It gets each file as an open descriptor, read-only, and maps it.
//!
//! **How.** Wasmtime maps components by path only. So a passed one is mapped here and handed over as memory, and
//! [`Publish`] makes its code executable when wasmtime asks. Such memory has to stay as long as any instance may run
//! its code, which nobody tells; so it stays as long as the process. The node exchanges a worker that was passed a
//! great deal when it is idle.

use super::Machine;
use super::compile::{Compiled, Compiler, Source};
use super::engine::Grade;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::component::Component;
use wasmtime::{CustomCodeMemory, Engine, Module};

/// Compiled code.
pub(super) enum Made {
    /// In the node's folder, and made there.
    Here(Arc<Compiler>),
    /// Passed by the node.
    Passed(Passed),
}

/// Where a compiled file is.
#[derive(Clone)]
pub(super) enum At {
    Path(PathBuf),
    Open(Arc<File>),
}

impl Made {
    /// The compiler, where there is one.
    pub(super) fn compiler(&self) -> Option<&Arc<Compiler>> {
        match self {
            Self::Here(compiler) => Some(compiler),
            Self::Passed(_) => None,
        }
    }

    /// The best compiled form that there is.
    pub(super) fn find(&self, digest: Digest) -> Option<Compiled> {
        match self {
            Self::Here(compiler) => compiler.find(digest),
            Self::Passed(passed) => passed.find(digest),
        }
    }

    /// The compiled form of this grade, if there is one.
    pub(super) fn look(&self, digest: Digest, grade: Grade) -> Option<Compiled> {
        match self {
            Self::Here(compiler) => compiler.look(digest, grade),
            Self::Passed(passed) => passed.find(digest).filter(|found| found.grade == grade),
        }
    }

    /// Makes what cannot be loaded anew.
    ///
    /// # Errors
    /// As [`Compiler::compile_anew`]; in a worker always.
    pub(super) async fn compile_anew(&self, source: &Source<'_>) -> Result<Compiled> {
        match self {
            Self::Here(compiler) => compiler.compile_anew(source).await,
            Self::Passed(_) => Err(Fault::internal(format!(
                "the compiled `{}` that was passed cannot be loaded",
                source.name
            ))),
        }
    }
}

/// Files that were passed, by the digest of the WASM.
#[derive(Default)]
pub(super) struct Passed(Mutex<HashMap<Digest, Kept>>);

/// A file that was passed.
struct Kept {
    file: Arc<File>,
    grade: Grade,
    bytes: u64,
}

impl Passed {
    /// Keeps a file, unless there is a better one.
    pub(super) fn keep(&self, digest: Digest, file: File, grade: Grade) -> std::io::Result<()> {
        let bytes = length(&file)?;
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if grade == Grade::Optimised || !files.contains_key(&digest) {
            files.insert(digest, Kept { file: Arc::new(file), grade, bytes });
        }
        Ok(())
    }

    /// Lets go of a file that nobody calls any more.
    pub(super) fn forget(&self, digest: Digest) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest);
    }

    fn find(&self, digest: Digest) -> Option<Compiled> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { file, grade, bytes } = files.get(&digest)?;
        Some(Compiled { at: At::Open(Arc::clone(file)), grade: *grade, bytes: *bytes })
    }
}

/// The length of a file, by a system call that a worker may make.
fn length(file: &File) -> std::io::Result<u64> {
    let stat = rustix::fs::fstat(file)?;
    u64::try_from(stat.st_size).map_err(std::io::Error::other)
}

/// Maps a file that was passed.
pub(super) fn map(engine: &Engine, file: &File) -> wasmtime::Result<Machine> {
    let length = usize::try_from(length(file)?)?;
    wasmtime::ensure!(length > 0, "the compiled file is empty");
    // SAFETY: a new private mapping, which nothing else refers to.
    let at = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE,
            std::os::fd::AsRawFd::as_raw_fd(file),
            0,
        )
    };
    wasmtime::ensure!(
        at != libc::MAP_FAILED,
        "cannot map the compiled file: {}",
        std::io::Error::last_os_error()
    );
    let memory = NonNull::slice_from_raw_parts(NonNull::new(at.cast::<u8>()).expect("it is mapped"), length);
    // SAFETY: the mapping is whole, private, never changed, and stays as long as the process unless it is given
    // back below, when nothing refers to it. The node passes only files that its own compiler has written, and
    // wasmtime checks the version.
    let made = unsafe {
        match Engine::detect_precompiled(memory.as_ref()) {
            Some(wasmtime::Precompiled::Component) => {
                Component::deserialize_raw(engine, memory).map(Machine::Component)
            }
            Some(wasmtime::Precompiled::Module) => {
                Module::deserialize_raw(engine, memory).map(Machine::Module)
            }
            None => Err(wasmtime::format_err!("not compiled code")),
        }
    };
    if made.is_err() {
        // SAFETY: nothing was made of it.
        unsafe { libc::munmap(at, length) };
    }
    made
}

/// Makes code executable that [`map`] has mapped.
pub(super) struct Publish;

impl Publish {
    fn protect(address: *const u8, length: usize, protection: i32) -> wasmtime::Result<()> {
        // SAFETY: wasmtime asks for whole pages of code that it was given, when nothing runs there yet or any more.
        let done = unsafe { libc::mprotect(address.cast_mut().cast(), length, protection) };
        wasmtime::ensure!(done == 0, "cannot protect code: {}", std::io::Error::last_os_error());
        Ok(())
    }
}

impl CustomCodeMemory for Publish {
    fn required_alignment(&self) -> usize {
        rustix::param::page_size()
    }

    fn publish_executable(&self, address: *const u8, length: usize) -> wasmtime::Result<()> {
        Self::protect(address, length, libc::PROT_READ | libc::PROT_EXEC)
    }

    fn unpublish_executable(&self, address: *const u8, length: usize) -> wasmtime::Result<()> {
        Self::protect(address, length, libc::PROT_READ | libc::PROT_WRITE)
    }
}
