//! What a WASM file is and which of its exports Hob can call, found without compiling it.
//!
//! **How.** Only the outermost import and export sections are read; nested modules and components
//! are skipped. Text (`.wat`) is turned into binary first.
//!
//! **Invariants.** A file is read only if it is not too large for what it is: text least of all, since it becomes
//! many times as much in memory.
//!
//! **Not here:** whether the code is valid; the compiler checks that.

use super::spin::{Kind, is_draft, is_handler_03};
use hob_core::code::Code as FaultCode;
use hob_core::digest::Digest;
use hob_core::fault::Fault;
use hob_core::limit::{WASM_BINARY_BYTES_MAX, WASM_TEXT_BYTES_MAX};
use hob_core::unit::show_bytes;
use std::borrow::Cow;
use std::io::Read as _;
use std::path::Path;
use wasmparser::{Parser, Payload};

/// How a binary begins.
const MAGIC: &[u8] = b"\0asm";

/// Whether a file is a component or a plain (core) module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Component,
    Module,
}

/// An entry that Hob can call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Entry {
    /// `wasi:http/incoming-handler@0.2.x`.
    Http02,
    /// `wasi:http/handler@0.3.x`.
    Http03,
    /// `wasi:cli/run@0.2.x`.
    Run02,
    /// `wasi:cli/run@0.3.x`.
    Run03,
    /// `_start` of a preview 1 command.
    Start,
    /// An export that a trigger of Spin calls.
    Spin(Kind),
}

impl Entry {
    /// Whether it takes requests; else it runs as a program.
    pub(super) fn is_handler(self) -> bool {
        matches!(self, Self::Http02 | Self::Http03 | Self::Spin(_))
    }

    /// Whether a contract calls it.
    pub(super) fn is_called_by(self, contract: &str) -> bool {
        self.contract() == contract || (contract == crate::spin::CONTRACT && self.is_handler())
    }

    /// The contract that calls it, in components for no platform of its own.
    pub(super) fn contract(self) -> &'static str {
        match self {
            Self::Http02 | Self::Http03 => "wasi-http",
            Self::Run02 | Self::Run03 | Self::Start => "stdio",
            Self::Spin(_) => crate::spin::CONTRACT,
        }
    }

    /// What it is, for people.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Http02 => "WASI 0.2 HTTP component",
            Self::Http03 => "WASI 0.3 HTTP component",
            Self::Run02 => "WASI 0.2 command component",
            Self::Run03 => "WASI 0.3 command component",
            Self::Start => "WASI preview 1 command module",
            Self::Spin(Kind::Http) => "HTTP trigger of Spin 1",
            Self::Spin(Kind::Redis2 | Kind::Redis3) => "Redis trigger of Spin",
            Self::Spin(Kind::Cron) => "cron trigger of Spin",
        }
    }

    fn of(form: Form, export: &str) -> Option<Self> {
        if form == Form::Module {
            return (export == "_start").then_some(Self::Start);
        }
        if let Some(kind) = Kind::of(export) {
            return Some(Self::Spin(kind));
        }
        if is_draft(export) {
            return Some(Self::Http02);
        }
        if is_handler_03(export) {
            return Some(Self::Http03);
        }
        let (interface, version) = export.split_once('@')?;
        let minor = release(version)?;
        match (interface, minor) {
            ("wasi:http/incoming-handler", "0.2") => Some(Self::Http02),
            ("wasi:http/handler", "0.3") => Some(Self::Http03),
            ("wasi:cli/run", "0.2") => Some(Self::Run02),
            ("wasi:cli/run", "0.3") => Some(Self::Run03),
            _ => None,
        }
    }
}

/// `0.2` of `0.2.12`; `None` for drafts, which are told apart by their whole name.
fn release(version: &str) -> Option<&str> {
    let (minor, patch) = version.rsplit_once('.')?;
    patch.bytes().all(|byte| byte.is_ascii_digit()).then_some(minor)
}

/// The outside of a WASM file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outside {
    pub(super) form: Form,
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
}

impl Outside {
    /// The entries that Hob can call, handlers first.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> =
            self.exports.iter().filter_map(|export| Entry::of(self.form, export)).collect();
        entries.sort_unstable();
        entries
    }
}

/// Whether a file that begins like this, or has this name, is WASM.
pub(super) fn looks_like_wasm(head: &[u8], name: &str) -> bool {
    head.starts_with(MAGIC) || has_extension(name, "wat")
}

fn has_extension(name: &str, wanted: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

/// Reads a WASM file, binary or text.
///
/// # Errors
/// `HOB-0108` for a file that cannot be read, `HOB-0304` for one that is too large, which is not read.
pub(super) fn file(path: &Path, name: &str) -> Result<Vec<u8>, Fault> {
    let unreadable = |error: std::io::Error| {
        Fault::new(FaultCode::FileMissing, format!("cannot read `{name}`")).detail(error)
    };
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut bytes = Vec::new();
    (&mut file).take(MAGIC.len() as u64).read_to_end(&mut bytes).map_err(unreadable)?;
    check_size(&bytes, size).map_err(|(fault, hint)| {
        Fault::new(FaultCode::CompileLimit, format!("`{name}` has {fault}")).hint(hint)
    })?;
    // What has grown meanwhile is cut, and then no valid file.
    let rest = size.saturating_sub(bytes.len() as u64);
    file.take(rest).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Whether a file that begins like this may be so large; else what it has and what to do.
fn check_size(head: &[u8], size: u64) -> Result<(), (String, &'static str)> {
    let binary = head.starts_with(MAGIC);
    let (what, limit, hint) = match binary {
        true => ("of WASM", WASM_BINARY_BYTES_MAX, "strip debug information: `wasm-tools strip`"),
        false => (
            "of WASM text",
            WASM_TEXT_BYTES_MAX,
            "deploy it in binary form: `wat2wasm FILE` or `wasm-tools parse FILE -o FILE.wasm`",
        ),
    };
    if size <= limit {
        return Ok(());
    }
    Err((format!("{} ({size} bytes) {what}, the limit is {}", show_bytes(size), show_bytes(limit)), hint))
}

/// The binary form of a file.
fn binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    check_size(bytes, bytes.len() as u64).map_err(|(fault, _)| format!("it has {fault}"))?;
    wat::parse_bytes(bytes).map_err(|error| error.to_string())
}

/// Reads the outside of a file, binary or text.
///
/// # Errors
/// A sentence that says where the file stops being WASM.
pub(super) fn outside(bytes: &[u8]) -> Result<Outside, String> {
    read(&binary(bytes)?).map_err(|error| error.to_string())
}

fn read(bytes: &[u8]) -> Result<Outside, wasmparser::BinaryReaderError> {
    let form = if Parser::is_component(bytes) { Form::Component } else { Form::Module };
    let mut found = Outside { form, imports: Vec::new(), exports: Vec::new() };
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    found.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    found.exports.push(export?.name.name.to_owned());
                }
            }
            Payload::ImportSection(section) if depth == 0 => {
                for import in section.into_imports() {
                    let import = import?;
                    found.imports.push(format!("{}::{}", import.module, import.name));
                }
            }
            Payload::ExportSection(section) if depth == 0 => {
                for export in section {
                    found.exports.push(export?.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The code of a WASM file, in all its modules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Code {
    /// Digest and bytes of each code section.
    pub(super) sections: Vec<(Digest, u64)>,
    /// Bytes of all code sections.
    pub(super) bytes: u64,
    /// Functions with a body.
    pub(super) functions: u64,
}

/// Reads what there is to compile of a file, binary or text.
///
/// # Errors
/// A sentence that says where the file stops being WASM.
pub(super) fn code(bytes: &[u8]) -> Result<Code, String> {
    let binary = binary(bytes)?;
    let mut code = Code::default();
    for payload in Parser::new(0).parse_all(&binary) {
        if let Payload::CodeSectionStart { count, range, .. } = payload.map_err(|error| error.to_string())? {
            let section = binary.get(range.start..range.end).unwrap_or_default();
            code.sections.push((Digest::of(section), section.len() as u64));
            code.bytes += section.len() as u64;
            code.functions += u64::from(count);
        }
    }
    Ok(code)
}

/// Somebody may deploy anything.
pub(crate) fn fuzz(bytes: &[u8]) {
    let _ = looks_like_wasm(bytes, "f.wasm");
    let _ = outside(bytes).map(|outside| outside.entries());
    let _ = code(bytes);
}

#[cfg(test)]
mod tests {
    use super::{Entry, Form, Kind, MAGIC, WASM_BINARY_BYTES_MAX, WASM_TEXT_BYTES_MAX, code, file, outside};

    fn check(text: &str, form: Form, entries: &[Entry]) {
        let found = outside(text.as_bytes()).unwrap();
        assert_eq!((found.form, found.entries().as_slice()), (form, entries), "{text}");
    }

    #[test]
    fn code_is_told_apart_from_data() {
        let text = |data: &str| {
            format!(
                "(component (core module (func) (func i32.const 1 drop) (memory 1) (data (i32.const 0) \"{data}\")) (core module (func)))"
            )
        };
        let (one, other) = (code(text("a").as_bytes()).unwrap(), code(text("bcd").as_bytes()).unwrap());
        assert_eq!((one.functions, one.sections.len()), (3, 2));
        assert_eq!(one, other, "data is not code");
        assert!(one.bytes > 0 && one.bytes == one.sections.iter().map(|(_, bytes)| bytes).sum::<u64>());
    }

    #[test]
    fn entries_are_found_by_their_exported_names() {
        let instance = |name: &str| format!("(component (instance $i) (export \"{name}\" (instance $i)))");
        check("(module (func (export \"_start\")))", Form::Module, &[Entry::Start]);
        check("(module (func (export \"main\")))", Form::Module, &[]);
        check(&instance("wasi:http/incoming-handler@0.2.3"), Form::Component, &[Entry::Http02]);
        check(&instance("wasi:http/incoming-handler@0.2.0-rc-2023-11-10"), Form::Component, &[Entry::Http02]);
        check(&instance("wasi:http/incoming-handler@0.2.0-rc-2023-12-05"), Form::Component, &[]);
        check(&instance("wasi:http/handler@0.3.0"), Form::Component, &[Entry::Http03]);
        check(&instance("wasi:http/handler@0.3.0-rc-2026-03-15"), Form::Component, &[Entry::Http03]);
        check(&instance("wasi:http/handler@0.3.0-rc-2026-01-06"), Form::Component, &[]);
        check(&instance("fermyon:spin/inbound-redis"), Form::Component, &[Entry::Spin(Kind::Redis2)]);
        check(&instance("spin:redis/inbound-redis@3.0.0"), Form::Component, &[Entry::Spin(Kind::Redis3)]);
        check(&instance("wasi:cli/run@0.2.12"), Form::Component, &[Entry::Run02]);
        check(&instance("wasi:cli/run@0.3.1"), Form::Component, &[Entry::Run03]);
        let nested = "(component (component (instance $i) (export \"wasi:cli/run@0.2.0\" (instance $i))))";
        check(nested, Form::Component, &[]);
        assert!(outside(b"\0asm\x01\0\0\0\x07").is_err(), "a cut file is an error");
    }

    #[test]
    fn what_is_too_large_for_what_it_is_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.wasm");
        // A hole takes no space, and reading it would take a while.
        let write = |head: &[u8], size: u64| {
            std::fs::write(&path, head).unwrap();
            std::fs::File::options().write(true).open(&path).unwrap().set_len(size).unwrap();
            file(&path, "f.wasm").map(|bytes| bytes.len() as u64).map_err(|fault| fault.to_string())
        };
        for (head, size, refused) in [
            (b"(mod".as_slice(), WASM_TEXT_BYTES_MAX, None),
            (b"(mod", WASM_TEXT_BYTES_MAX + 1, Some("of WASM text, the limit is 1 MiB")),
            (b"(mod", 1 << 40, Some("of WASM text, the limit is 1 MiB")),
            (MAGIC, WASM_TEXT_BYTES_MAX + 1, None),
            (MAGIC, WASM_BINARY_BYTES_MAX + 1, Some("of WASM, the limit is 256 MiB")),
        ] {
            match (write(head, size), refused) {
                (Ok(read), None) => assert_eq!(read, size),
                (Err(fault), Some(says)) => {
                    assert!(fault.contains("HOB-0304") && fault.contains(says), "{size}: {fault}");
                }
                (found, expected) => panic!("{size}: {found:?} instead of {expected:?}"),
            }
        }
        let text = b" ".repeat(usize::try_from(WASM_TEXT_BYTES_MAX).unwrap() + 1);
        assert!(outside(&text).unwrap_err().contains("the limit is 1 MiB"));
        assert!(code(&text).unwrap_err().contains("the limit is 1 MiB"));
    }
}
