//! A folder without `run`: what it is, how it is built, what it runs.
//!
//! **How.** [`KINDS`] is a table of looks, in order; the first that knows the folder answers. A look
//! reads files and decides; it starts nothing.

use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A recognised folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Folder {
    /// For people.
    pub(super) what: String,
    /// How it is built, in order.
    pub(super) steps: Vec<Step>,
    /// The command line; its first word may be a file that the steps make.
    pub(super) run: Vec<String>,
    /// What a person should know.
    pub(super) remarks: Vec<String>,
}

/// One command of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Program and arguments.
    pub(super) words: Vec<String>,
    /// The file in `.hob` that it makes, if it makes one there.
    pub(super) makes: Option<String>,
}

impl Step {
    fn new(line: &str) -> Self {
        Self { words: words(line), makes: None }
    }

    /// The command as a person would type it.
    pub(super) fn shown(&self) -> String {
        self.words.join(" ")
    }
}

type Look = fn(&Path, &str) -> Result<Option<Folder>>;

/// Every kind of folder: what is looked for, and how.
///
/// A component that lies there ready comes before its sources: it needs no tool.
const KINDS: &[(&str, Look)] = &[
    ("an executable `bootstrap`", bootstrap),
    ("one `.wasm` or `.wat` file", wasm),
    ("`Cargo.toml`", cargo),
    ("`package.json` with a `start` script or `main`", node),
    ("`go.mod`", go),
    ("`main.py`, `app.py` or `server.py`", python),
    ("`index.html`", site),
    ("one executable or script", single),
];

/// The program of a custom runtime (AWS Lambda developer guide, "Building a custom runtime").
const BOOTSTRAP: &str = "bootstrap";
/// Extensions of files that people name in `run`.
const EXTENSIONS: [&str; 11] = ["wasm", "wat", "py", "js", "mjs", "cjs", "sh", "ts", "rb", "pl", "zip"];

/// Says what a folder is. `name` is the function's, for what is built.
///
/// # Errors
/// `HOB-0107` with everything that was looked for.
pub(super) fn recognise(dir: &Path, name: &str) -> Result<Folder> {
    for (_, look) in KINDS {
        if let Some(folder) = look(dir, name)? {
            return Ok(folder);
        }
    }
    let looked: Vec<&str> = KINDS.iter().map(|(what, _)| *what).collect();
    Err(Fault::new(
        Code::NothingToRun,
        format!("there is nothing that Hob can run in `{}`", super::shown(dir)),
    )
    .hint(format!("looked for {}; name a file, or write `run = …` into `hob.toml`", looked.join(", "))))
}

/// The error for a file that no host knows.
pub(super) fn not_runnable(file: &Path) -> Fault {
    Fault::new(Code::NothingToRun, format!("`{}` is nothing that Hob can run", super::shown(file))).hint(
        "Hob runs WebAssembly components and modules, ELF programs, and scripts with a `#!` line or a known ending; \
         write `run = [\"interpreter\", \"file\"]` for anything else",
    )
}

/// Whether a word of `run` can only be meant as a file.
pub(super) fn looks_like_a_file(word: &str) -> bool {
    word.rsplit_once('.').is_some_and(|(stem, extension)| !stem.is_empty() && EXTENSIONS.contains(&extension))
}

/// A file of the same name anywhere near, for a hint.
pub(super) fn nearest_file(dir: &Path, missing: &str) -> Option<String> {
    let stem =
        |path: &str| path.rsplit('/').next().and_then(|name| name.split('.').next()).map(str::to_owned);
    let wanted = stem(missing)?;
    let names = std::fs::read_dir(dir.join(missing).parent()?).ok()?;
    let mut names: Vec<String> =
        names.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let near = names.into_iter().find(|name| stem(name).as_deref() == Some(wanted.as_str()))?;
    let folder = missing.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
    Some(format!("{folder}{near}"))
}

/// A custom runtime of AWS Lambda, whatever lies beside it.
fn bootstrap(dir: &Path, _name: &str) -> Result<Option<Folder>> {
    let file = std::fs::metadata(dir.join(BOOTSTRAP));
    let executable = file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    Ok(executable.then(|| just(BOOTSTRAP.to_owned(), "a custom runtime of AWS Lambda")))
}

fn cargo(dir: &Path, _name: &str) -> Result<Option<Folder>> {
    let Some(text) = read(dir, "Cargo.toml")? else { return Ok(None) };
    let manifest: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        Fault::new(Code::NothingToRun, format!("`Cargo.toml` cannot be read: {}", error.message()))
            .at(super::shown(dir))
    })?;
    let text_at = |table: Option<&toml::Value>, key: &str| {
        table.and_then(|table| table.get(key)).and_then(toml::Value::as_str).map(str::to_owned)
    };
    let Some(package) = text_at(manifest.get("package"), "name") else {
        return Err(Fault::new(
            Code::NothingToRun,
            "`Cargo.toml` is a workspace without a package of its own",
        )
        .at(super::shown(dir))
        .hint("name the folder of one of its packages, or write `build` and `run` into `hob.toml`"));
    };
    let lib = manifest.get("lib");
    let types = lib.and_then(|lib| lib.get("crate-type")).and_then(toml::Value::as_array);
    let component = types.is_some_and(|types| types.iter().any(|kind| kind.as_str() == Some("cdylib")));
    if component {
        let file = text_at(lib, "name").unwrap_or(package).replace('-', "_");
        return Ok(Some(Folder {
            what: "a Cargo package that becomes a WASI component".to_owned(),
            steps: vec![Step::new("cargo build --release --target wasm32-wasip2 --target-dir target")],
            run: vec![format!("target/wasm32-wasip2/release/{file}.wasm")],
            remarks: Vec::new(),
        }));
    }
    let bin =
        manifest.get("bin").and_then(toml::Value::as_array).and_then(|bins| text_at(bins.first(), "name"));
    let file = text_at(manifest.get("package"), "default-run").or(bin).unwrap_or(package);
    Ok(Some(Folder {
        what: "a Cargo package".to_owned(),
        steps: vec![Step::new("cargo build --release --target-dir target")],
        run: vec![format!("target/release/{file}")],
        remarks: Vec::new(),
    }))
}

fn node(dir: &Path, _name: &str) -> Result<Option<Folder>> {
    let Some(text) = read(dir, "package.json")? else { return Ok(None) };
    let package: Value = serde_json::from_str(&text).map_err(|error| {
        Fault::new(Code::NothingToRun, format!("`package.json` cannot be read: {error}"))
            .at(super::shown(dir))
    })?;
    let script = |name: &str| package["scripts"][name].as_str();
    let exists = |file: &&str| dir.join(file).is_file();
    let run = match (script("start"), package["main"].as_str()) {
        // npm between Hob and the program would swallow its signals.
        (Some(start), _) if plain_node(start) => words(start),
        (Some(_), _) => words("npm run --silent start"),
        // A file is looked at, and says more than its name.
        (None, Some(main)) if dir.join(main).is_file() => vec![main.to_owned()],
        (None, Some(main)) => vec!["node".to_owned(), main.to_owned()],
        (None, None) => {
            match ["server.js", "index.js", "server.mjs", "index.mjs"].iter().find(|file| exists(file)) {
                Some(file) => vec![(*file).to_owned()],
                None => return Ok(None),
            }
        }
    };
    let mut steps = Vec::new();
    let depends = package["dependencies"].as_object().is_some_and(|all| !all.is_empty())
        || (script("build").is_some()
            && package["devDependencies"].as_object().is_some_and(|all| !all.is_empty()));
    if depends && !dir.join("node_modules").is_dir() {
        let locked = dir.join("package-lock.json").is_file();
        let install = if locked { "npm ci --no-audit --no-fund" } else { "npm install --no-audit --no-fund" };
        steps.push(Step::new(install));
    }
    if script("build").is_some() {
        steps.push(Step::new("npm run --silent build"));
    }
    Ok(Some(Folder { what: "a Node.js package".to_owned(), steps, run, remarks: Vec::new() }))
}

fn go(dir: &Path, name: &str) -> Result<Option<Folder>> {
    if read(dir, "go.mod")?.is_none() {
        return Ok(None);
    }
    let file = format!(".hob/{name}");
    let step = Step { makes: Some(file.clone()), ..Step::new(&format!("go build -o {file} .")) };
    Ok(Some(Folder {
        what: "a Go module".to_owned(),
        steps: vec![step],
        run: vec![file],
        remarks: Vec::new(),
    }))
}

fn python(dir: &Path, _name: &str) -> Result<Option<Folder>> {
    let Some(file) = ["main.py", "app.py", "server.py"].into_iter().find(|file| dir.join(file).is_file())
    else {
        return Ok(None);
    };
    let requirements = dir.join("requirements.txt").is_file();
    let remark =
        "`requirements.txt` is not installed by Hob; the node's `python3` has to have those packages";
    Ok(Some(Folder {
        what: format!("a Python program, `{file}`"),
        steps: Vec::new(),
        run: vec![file.to_owned()],
        remarks: if requirements { vec![remark.to_owned()] } else { Vec::new() },
    }))
}

fn wasm(dir: &Path, _name: &str) -> Result<Option<Folder>> {
    let is_wasm =
        |name: &String| matches!(Path::new(name).extension().and_then(|e| e.to_str()), Some("wasm" | "wat"));
    let mut found: Vec<String> = names(dir)?.into_iter().filter(is_wasm).collect();
    Ok(found.pop().filter(|_| found.is_empty()).map(|file| just(file, "a WebAssembly file")))
}

fn site(dir: &Path, _name: &str) -> Result<Option<Folder>> {
    let there = dir.join("index.html").is_file();
    Ok(there.then(|| just(".".to_owned(), "a folder of files with `index.html`")))
}

fn single(dir: &Path, _name: &str) -> Result<Option<Folder>> {
    let mut found = Vec::new();
    for name in names(dir)? {
        let seen = hob_node::detect(&dir.join(&name), &name, hob_node::Wanted::default())?;
        if seen.is_some_and(|seen| seen.host != "files") {
            found.push(name);
        }
    }
    Ok(found.pop().filter(|_| found.is_empty()).map(|file| just(file, "one program")))
}

fn just(file: String, what: &str) -> Folder {
    Folder { what: what.to_owned(), steps: Vec::new(), run: vec![file], remarks: Vec::new() }
}

/// Whether a start script is `node` with arguments and no shell.
fn plain_node(line: &str) -> bool {
    line.starts_with("node ") && !line.contains(['&', '|', ';', '$', '<', '>', '"', '\'', '`', '*'])
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(dir).map_err(|error| {
        Fault::new(Code::FileMissing, format!("cannot read `{}`: {error}", super::shown(dir)))
    })?;
    let files = entries.flatten().filter(|entry| entry.path().is_file());
    let mut names: Vec<String> = files.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

fn read(dir: &Path, name: &str) -> Result<Option<String>> {
    match std::fs::read_to_string(dir.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(Fault::new(Code::FileMissing, format!("cannot read `{name}`: {error}")).at(super::shown(dir)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::recognise;

    /// Goal: a folder with these files becomes these steps and this command line.
    fn check(files: &[(&str, &str)], expected: &str) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let found = match recognise(dir.path(), "hello") {
            Ok(folder) => {
                let mut steps: Vec<String> = folder.steps.iter().map(super::Step::shown).collect();
                steps.push(folder.run.join(" "));
                steps.join(" && ")
            }
            Err(fault) => fault.code().text().to_owned(),
        };
        assert_eq!(found, expected, "{files:?}");
    }

    #[test]
    fn folders_are_known_by_their_files() {
        let package = "[package]\nname = \"my-app\"\n";
        check(
            &[("Cargo.toml", package)],
            "cargo build --release --target-dir target && target/release/my-app",
        );
        check(
            &[("Cargo.toml", &format!("{package}[lib]\ncrate-type = [\"cdylib\"]\n"))],
            "cargo build --release --target wasm32-wasip2 --target-dir target && target/wasm32-wasip2/release/my_app.wasm",
        );
        check(&[("Cargo.toml", package), ("built.wasm", "")], "built.wasm");
        check(&[("Cargo.toml", "[workspace]\n")], "HOB-0107");
        check(&[("package.json", r#"{"scripts":{"start":"node s.js --x"}}"#)], "node s.js --x");
        check(&[("package.json", r#"{"scripts":{"start":"next start"}}"#)], "npm run --silent start");
        check(
            &[("package.json", r#"{"main":"m.js","dependencies":{"a":"1"},"scripts":{"build":"tsc"}}"#)],
            "npm install --no-audit --no-fund && npm run --silent build && node m.js",
        );
        check(&[("go.mod", "module a\n")], "go build -o .hob/hello . && .hob/hello");
        check(&[("app.py", "")], "app.py");
        check(&[("a.wasm", ""), ("README.md", "")], "a.wasm");
        check(&[("a.wasm", ""), ("b.wasm", "")], "HOB-0107");
        check(&[("index.html", ""), ("style.css", "")], ".");
        check(&[("index.html", ""), ("app.py", "")], "app.py");
        check(&[], "HOB-0107");
    }
}
