//! JavaScript functions: how a module becomes a program, and the WASM component that runs all of them.
//!
//! **Why.** People write `export default { async fetch(request, env, ctx) {} }` today. No engine has to be installed
//! for that: QuickJS with the web's interfaces is a WASM component that is part of Hob, made ahead of time
//! (`javascript/`), and every function shares its compiled code. A function is text that an instance evaluates at
//! its start ([decision 0010](../../../../docs/decisions/0010-javascript-functions.md)).
//!
//! **Not here:** what the component imports (`host/wasm/javascript`), how calls reach handlers (`contract/javascript`).

pub(crate) mod coding;
pub(crate) mod digests;
mod lexer;
mod module;
pub(crate) mod url;

pub(crate) use module::is_module;

use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use std::sync::LazyLock;

/// The component: QuickJS and the web's interfaces, its state after its start.
pub(crate) static COMPONENT: &[u8] = include_bytes!("../../javascript/runtime.wasm");
/// The digest of [`COMPONENT`].
pub(crate) static DIGEST: LazyLock<Digest> = LazyLock::new(|| Digest::of(COMPONENT));

/// A module that answers TypeScript with the same without types: sucrase, bundled.
pub(crate) static TYPESCRIPT: &[u8] = include_bytes!("../../javascript/typescript.js");
/// The digest of [`TYPESCRIPT`].
pub(crate) static TYPESCRIPT_DIGEST: LazyLock<Digest> = LazyLock::new(|| Digest::of(TYPESCRIPT));

/// The header that tells the component what a call is; a caller's own is taken away.
pub(crate) const KIND: &str = "hob-javascript";
/// [`KIND`] of a call that only evaluates the module and says which handlers it has.
pub(crate) const CHECK: &str = "check";

/// A module as the component evaluates it.
#[derive(Debug)]
pub(crate) struct Program {
    /// The file, for stacks.
    pub(crate) name: String,
    /// The text of an async function.
    pub(crate) text: String,
}

impl Program {
    /// Makes the program of a file.
    ///
    /// # Errors
    /// `HOB-0340` for what is no single module, by line; `HOB-0342` when nothing is exported.
    pub(crate) fn of(name: &str, source: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(source)
            .map_err(|_| Fault::new(Code::ScriptInvalid, format!("`{name}` is not UTF-8 text")))?;
        match module::program(text) {
            Ok(text) => Ok(Self { name: name.to_owned(), text }),
            Err(refusal) => {
                let code = if refusal.line == 0 { Code::ScriptHandler } else { Code::ScriptInvalid };
                let at = if refusal.line == 0 { name.to_owned() } else { format!("{name}:{}", refusal.line) };
                Err(Fault::new(code, format!("`{name}` {}", refusal.what)).at(at).hint(refusal.hint))
            }
        }
    }
}
