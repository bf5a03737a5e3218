//! Which program a function is, and whether this machine can run it.

use crate::code::FunctionCode;
use crate::host::{Candidate, Detected};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// File name endings, the program that runs such files, and the contract they are expected to keep.
const ENDINGS: &[(&str, &str, &str)] = &[
    (".py", "python3", "http"),
    (".js", "node", "http"),
    (".mjs", "node", "http"),
    (".cjs", "node", "http"),
    (".sh", "sh", "stdio"),
];
/// Endings of files in which an import of a Functions Framework is looked for, what that import holds, and the
/// command line that serves the file.
const FRAMEWORKS: &[(&[&str], &[u8], &[&str])] = &[
    (&[".py"], b"functions_framework", &["python3", "-m", "functions_framework"]),
    (
        &[".js", ".mjs", ".cjs"],
        b"@google-cloud/functions-framework",
        &["node", "node_modules/@google-cloud/functions-framework/build/src/main.js"],
    ),
];
const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "ksh", "zsh"];
/// The name of an AWS Lambda custom runtime, whatever kind of program it is.
const LAMBDA: &str = "bootstrap";

/// Recognises native programs, scripts that name their interpreter, and scripts by their ending.
pub(super) fn detect(candidate: &Candidate<'_>) -> Option<Detected> {
    let name = candidate.name.to_owned();
    if name.rsplit('/').next() == Some(LAMBDA) {
        let what = "AWS Lambda custom runtime".to_owned();
        return Some(Detected { host: "process", contract: "lambda", run: vec![name], what });
    }
    if let Some(Binary::Elf { machine, .. }) = binary(candidate.head) {
        let what = format!("native program (ELF, {})", machine_name(machine));
        return Some(Detected { host: "process", contract: "http", run: vec![name], what });
    }
    if let Some(detected) = framework(candidate) {
        return Some(detected);
    }
    let by_ending = ENDINGS.iter().find(|(ending, ..)| name.ends_with(ending));
    if let Some(mut words) = interpreter(candidate.head) {
        let shell = SHELLS.contains(&words[0].as_str());
        let contract = if shell { "stdio" } else { "http" };
        let what = format!("{} script", words[0]);
        words.push(name);
        return Some(Detected { host: "process", contract, run: words, what });
    }
    by_ending.map(|(_, program, contract)| Detected {
        host: "process",
        contract,
        run: vec![(*program).to_owned(), name],
        what: format!("{program} script"),
    })
}

/// Recognises a file that registers functions with a Functions Framework.
fn framework(candidate: &Candidate<'_>) -> Option<Detected> {
    let imports = |import: &[u8]| candidate.head.windows(import.len()).any(|part| part == import);
    let (.., words) = FRAMEWORKS.iter().find(|(endings, import, _)| {
        endings.iter().any(|ending| candidate.name.ends_with(ending)) && imports(import)
    })?;
    let mut run: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    run.push(format!("--source={}", candidate.name));
    let what = format!("functions for the {} Functions Framework", words[0]);
    Some(Detected { host: "process", contract: "functions-framework", run, what })
}

/// The words of a `#!` line: the interpreter by its name alone, then its argument.
pub(super) fn interpreter(head: &[u8]) -> Option<Vec<String>> {
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let mut program = words.next()?;
    if program.ends_with("/env") {
        program = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
    }
    let base = program.rsplit('/').next().unwrap_or(program);
    Some(std::iter::once(base).chain(words).map(str::to_owned).collect())
}

/// The program of a function: a file of its package, an absolute path, or found on `path`.
///
/// # Errors
/// `HOB-0306` when there is none.
pub(super) fn program(code: &FunctionCode, path: &str) -> Result<PathBuf> {
    let missing = |what: String| Err(Fault::new(Code::ProgramMissing, what));
    let Some(word) = code.spec.run.first() else {
        return missing(format!("function `{}` names no program to run", code.name));
    };
    let inside = word.strip_prefix("./").unwrap_or(word);
    if code.spec.package.contains_key(inside) {
        return Ok(code.dir.join(inside));
    }
    if Path::new(word).is_absolute() && Path::new(word).is_file() {
        return Ok(PathBuf::from(word));
    }
    if word.contains('/') {
        return missing(format!("there is no `{word}` in the package of function `{}`", code.name))
            .map_err(|fault| fault.hint("paths in `run` are relative to the function's folder (`dir`)"));
    }
    on_path(word, path).map_or_else(
        || {
            missing(format!("there is no program `{word}`, neither in the package nor on the node's `PATH`"))
                .map_err(|fault| {
                    fault.hint(format!("install `{word}` on the node, or put it into the package"))
                })
        },
        Ok,
    )
}

pub(super) fn on_path(word: &str, path: &str) -> Option<PathBuf> {
    path.split(':')
        .filter(|dir| !dir.is_empty())
        .map(|dir| Path::new(dir).join(word))
        .find(|file| executable(file))
}

pub(super) fn executable(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Checks that this machine can execute a program.
///
/// # Errors
/// `HOB-0306` when it is missing, not executable, or a script whose interpreter is missing; `HOB-0305`
/// when it is for another machine.
pub(super) fn check(code: &FunctionCode, program: &Path) -> Result<()> {
    let shown = code.spec.run.first().map_or("", String::as_str);
    let mut head = Vec::new();
    let read = std::fs::File::open(program).and_then(|file| file.take(4096).read_to_end(&mut head));
    if let Err(error) = read {
        return Err(
            Fault::new(Code::ProgramMissing, format!("cannot read the program `{shown}`")).detail(error)
        );
    }
    if let Some(found) = binary(&head)
        && !found.runs_here()
    {
        let here = format!("{} Linux", std::env::consts::ARCH);
        return Err(Fault::new(
            Code::ForeignBinary,
            format!("`{shown}` is for {found}, this machine is {here}"),
        )
        .hint(format!("build it for {here}")));
    }
    if !executable(program) {
        return Err(Fault::new(Code::ProgramMissing, format!("`{shown}` is not marked as executable"))
            .hint(format!("chmod +x {shown}")));
    }
    if let Some(line) = head.strip_prefix(b"#!") {
        let named = String::from_utf8_lossy(line.split(|byte| *byte == b'\n').next().unwrap_or_default());
        let interpreter = named.split_ascii_whitespace().next().unwrap_or_default();
        if !executable(Path::new(interpreter)) {
            return Err(Fault::new(
                Code::ProgramMissing,
                format!("the script `{shown}` wants `{interpreter}`, which this machine does not have"),
            )
            .hint("change its first line, for example to `#!/usr/bin/env sh`"));
        }
    }
    Ok(())
}

/// A native program, as its first bytes say.
#[derive(Debug, PartialEq, Eq)]
enum Binary {
    /// Executable and Linkable Format; `machine` as in its header (`e_machine`).
    Elf {
        machine: u16,
        bits: u8,
        little_endian: bool,
    },
    MachO,
    Windows,
}

fn binary(head: &[u8]) -> Option<Binary> {
    if let Some(rest) = head.strip_prefix(b"\x7fELF") {
        let (bits, order, machine) = (*rest.first()?, *rest.get(1)?, [*rest.get(14)?, *rest.get(15)?]);
        let little_endian = order == 1;
        let machine = if little_endian { u16::from_le_bytes(machine) } else { u16::from_be_bytes(machine) };
        return Some(Binary::Elf { machine, bits: bits.saturating_mul(32), little_endian });
    }
    let mach_o = [0xfeed_face_u32, 0xfeed_facf, 0xcefa_edfe, 0xcffa_edfe, 0xcafe_babe];
    let magic = head.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
    if magic.is_some_and(|magic| mach_o.contains(&magic)) {
        return Some(Binary::MachO);
    }
    head.starts_with(b"MZ").then_some(Binary::Windows)
}

/// Numbers of processors in the ELF header that one meets (System V ABI, "ELF Header").
const MACHINES: &[(u16, &str)] = &[
    (3, "x86"),
    (8, "mips"),
    (20, "powerpc"),
    (21, "powerpc64"),
    (22, "s390x"),
    (40, "arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
    (258, "loongarch64"),
];

fn machine_name(machine: u16) -> String {
    let known = MACHINES.iter().find(|(number, _)| *number == machine);
    known.map_or_else(|| format!("processor {machine}"), |(_, name)| (*name).to_owned())
}

impl Binary {
    fn runs_here(&self) -> bool {
        let Self::Elf { machine, bits, little_endian } = self else { return false };
        let here = machine_name(*machine) == std::env::consts::ARCH;
        // A 64-bit x86 kernel runs 32-bit programs as well.
        let older = (std::env::consts::ARCH, *machine, *bits) == ("x86_64", 3, 32);
        (here || older) && *little_endian == cfg!(target_endian = "little")
    }
}

impl std::fmt::Display for Binary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Elf { machine, .. } => write!(f, "{} (ELF)", machine_name(*machine)),
            Self::MachO => f.write_str("macOS"),
            Self::Windows => f.write_str("Windows"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Binary, binary, detect};
    use crate::host::Candidate;
    use std::path::Path;

    fn elf(machine: u16) -> Vec<u8> {
        let mut head = b"\x7fELF\x02\x01\x01".to_vec();
        head.resize(18, 0);
        head.extend(machine.to_le_bytes());
        head
    }

    #[test]
    fn recognises_programs_and_scripts() {
        let x86 = elf(62);
        for (name, head, expected) in [
            ("server", &x86[..], Some(("http", "server"))),
            ("bin/bootstrap", &x86, Some(("lambda", "bin/bootstrap"))),
            ("app.py", b"import http.server\n", Some(("http", "python3 app.py"))),
            (
                "main.py",
                b"import functions_framework\n",
                Some(("functions-framework", "python3 -m functions_framework --source=main.py")),
            ),
            ("app.mjs", b"", Some(("http", "node app.mjs"))),
            ("notes.sh", b"echo hi\n", Some(("stdio", "sh notes.sh"))),
            ("notes", b"#!/bin/sh -e\necho hi\n", Some(("stdio", "sh -e notes"))),
            ("run", b"#!/usr/bin/env -S python3 -u\n", Some(("http", "python3 -u run"))),
            ("readme.txt", b"hello", None),
        ] {
            let found = detect(&Candidate { file: Path::new(name), name, head });
            let found = found.map(|found| (found.contract, found.run.join(" ")));
            assert_eq!(found, expected.map(|(contract, run)| (contract, run.to_owned())), "{name}");
        }
    }

    #[test]
    fn knows_foreign_binaries() {
        for (head, shown) in [
            (elf(183), "aarch64 (ELF)"),
            (elf(9999), "processor 9999 (ELF)"),
            (b"\xcf\xfa\xed\xfe....".to_vec(), "macOS"),
            (b"MZ\x90\0".to_vec(), "Windows"),
        ] {
            let found = binary(&head).unwrap();
            assert_eq!(found.to_string(), shown);
            assert_eq!(found.runs_here(), shown.starts_with(std::env::consts::ARCH), "{shown}");
        }
        assert_eq!(binary(b"#!/bin/sh"), None);
        assert!(matches!(binary(&elf(62)), Some(Binary::Elf { bits: 64, .. })));
    }
}
