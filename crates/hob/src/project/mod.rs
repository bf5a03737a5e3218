//! A path becomes an app that can be deployed: manifest, build, detection, package.
//!
//! **Why.** `run`, `dev`, `deploy`, `check` and `show --resolved` must mean the same by the same
//! path. Four rungs lead there: a file, a folder without a manifest, a folder with `hob.toml`, and one with the
//! manifest of another platform.
//!
//! **How.** [`place`] says what the path is, [`foreign`] reads what was written for another platform,
//! [`recognise`] knows folders by the files in them, [`archive`] unpacks, [`build`] runs what has to be run,
//! [`package`] collects the files; `hob_core::manifest` fills in the rest. Nothing here talks to a node.

mod archive;
mod build;
mod diff;
mod foreign;
mod glob;
mod package;
mod place;
mod recognise;
mod settings;

pub(crate) use diff::diff;
pub(crate) use foreign::Foreign;
pub(crate) use package::is_left_out;
pub(crate) use settings::{Setting, settings};

use crate::output::Output;
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use hob_core::foreign::{Level, Lines, Note, refusal};
use hob_core::handler;
use hob_core::manifest::{self, Function, Manifest, Resolved, Written};
use hob_core::name::{AppName, SecretName, suggestion};
use hob_core::spec::{AppSpec, files_root};
use package::Package;
use place::Place;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What to do besides reading.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Run the builds.
    pub(crate) build: bool,
    /// Words after the command line of a lone program.
    pub(crate) args: Vec<String>,
    /// Another name for the app.
    pub(crate) app: Option<AppName>,
    /// What a manifest of another platform asks for that is not in it.
    pub(crate) values: BTreeMap<String, String>,
    /// Further files of a manifest of another platform, or folders of them.
    pub(crate) files: Vec<PathBuf>,
}

/// An app on disk, ready to be deployed.
#[derive(Debug)]
pub(crate) struct Project {
    /// What is deployed.
    pub(crate) spec: AppSpec,
    /// The manifest's name for messages; without one, what lies there.
    pub(crate) file: String,
    /// Where the bytes of each artifact are.
    pub(crate) files: BTreeMap<Digest, PathBuf>,
    /// Every function with the origin of each setting.
    pub(crate) functions: Vec<Resolved>,
    /// What each function was recognised as, for people, in the same order.
    pub(crate) notes: Vec<String>,
    /// What of a manifest of another platform cannot be honoured; the app runs without it.
    pub(crate) unmet: Vec<Note>,
    /// Values of secrets that this machine knows; for a node that lives as long as the command.
    pub(crate) secrets: BTreeMap<SecretName, String>,
    /// Which file a line of the manifest is in.
    pub(crate) lines: Lines,
    /// Where archives were unpacked; `files` are there.
    _unpacked: Vec<TempDir>,
}

impl Project {
    /// Reads what lies at `path`, and builds it if asked.
    ///
    /// # Errors
    /// `HOB-0107` when nothing there can be run, `HOB-0108` for a missing file, `HOB-0206` for a
    /// failed build, and those of the manifest; `HOB-0120` to `HOB-0122` for one of another platform.
    pub(crate) async fn load(path: &Path, options: &Options, output: &Output) -> Result<Self> {
        let place = Place::of(path, &options.files)?;
        let Read { manifest, unmet, lines, secrets } = manifest_of(&place, &options.values, output)?;
        let manifest = with_args(manifest, &options.args, path)?;
        let alone = manifest.functions.len() == 1;
        let mut loaded = Vec::new();
        for function in &manifest.functions {
            let source = Source { place: &place, file: &manifest.file, function, alone };
            let done = source.load(options.build, output).await;
            loaded.push(done.map_err(|fault| lines.corrected(fault))?);
        }
        let app = match (&options.app, &manifest.app) {
            (Some(app), _) => app.clone(),
            (None, Some(written)) => written.value.clone(),
            (None, None) => AppName::new(&suggestion(&place.name))?,
        };
        let (mut files, mut functions, mut notes) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut unpacked = Vec::new();
        for function in loaded {
            unpacked.extend(function.unpacked);
            files.extend(function.files);
            functions.push(function.resolved);
            notes.push(function.note);
        }
        let spec = manifest::assemble(&manifest, app, functions.clone());
        let (spec, file) = (spec.map_err(|fault| lines.corrected(fault))?, manifest.file);
        handlers(&spec, &files)?;
        Ok(Self { file, spec, files, functions, notes, unmet, secrets, lines, _unpacked: unpacked })
    }
}

/// Compares JavaScript modules with what calls them, as far as their text tells.
fn handlers(spec: &AppSpec, files: &BTreeMap<Digest, PathBuf>) -> Result<()> {
    for (name, function) in spec.functions.iter().filter(|(_, function)| function.contract == "javascript") {
        let Some(run) = function.run.first() else { continue };
        let file = function.package.get(run).and_then(|file| files.get(&file.digest));
        let text = file.and_then(|file| std::fs::read_to_string(file).ok());
        if let (Some(file), Some(text)) = (file, text) {
            handler::check_text(spec, name, &shown(file), &text)?;
        }
    }
    Ok(())
}

/// A manifest that was read.
#[derive(Default)]
struct Read {
    manifest: Manifest,
    unmet: Vec<Note>,
    lines: Lines,
    secrets: BTreeMap<SecretName, String>,
}

fn manifest_of(place: &Place, values: &BTreeMap<String, String>, output: &Output) -> Result<Read> {
    let name = suggestion(&place.name);
    if let (Some(file), Some(foreign)) = (&place.manifest, &place.foreign) {
        let imported = foreign.read(&place.name, values)?;
        let warnings = imported.notes.iter().filter(|note| note.level == Level::Warning);
        // What is said for every function is one thing to know.
        let warnings: BTreeSet<(&str, usize, String)> =
            warnings.map(|note| (note.file.as_str(), note.line, note.to_string())).collect();
        warnings.iter().for_each(|(_, _, warning)| output.warn(warning));
        for name in &imported.unused {
            output.warn(&format!("`--set {name}=…`: `{}` asks for nothing by that name", shown(file)));
        }
        return match refusal(&imported.notes) {
            Some(fault) => Err(fault),
            None if imported.manifest.functions.is_empty() => {
                Err(Fault::new(Code::NothingToRun, "the manifest has no functions").at(shown(file)))
            }
            None => Ok(Read {
                manifest: imported.manifest,
                unmet: imported.notes,
                lines: imported.lines,
                secrets: imported.secrets,
            }),
        };
    }
    if let Some(name) = values.keys().next() {
        output.warn(&format!("`--set {name}=…` is for manifests of other platforms, and this is none"));
    }
    let mut manifest = match &place.manifest {
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| {
                Fault::new(Code::FileMissing, format!("cannot read `{}`: {error}", file.display()))
            })?;
            manifest::parse(&text, &shown(file))?
        }
        None => Manifest { file: place.shown(), ..Manifest::default() },
    };
    if manifest.functions.is_empty() {
        let mut function = Function::new(hob_core::name::FunctionName::new(&name)?);
        function.run = place.file.clone().map(|file| Written { value: vec![file], line: 0 });
        manifest.functions.push(function);
    }
    Ok(Read { manifest, ..Read::default() })
}

/// Appends what stands after `--` to the only function's command line.
fn with_args(mut manifest: Manifest, args: &[String], path: &Path) -> Result<Manifest> {
    if args.is_empty() {
        return Ok(manifest);
    }
    match manifest.functions.as_mut_slice() {
        [Function { run: Some(run), .. }] => run.value.extend_from_slice(args),
        _ => {
            return Err(Fault::new(
                Code::Usage,
                format!("`{}` is not one program that could take arguments", path.display()),
            )
            .hint("write them into `run` of the function that is meant"));
        }
    }
    Ok(manifest)
}

/// A path for messages: relative to where the person is, if it is below.
pub(crate) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    relative.unwrap_or(path).display().to_string()
}

/// One function on disk.
#[derive(Clone, Copy)]
struct Source<'a> {
    place: &'a Place,
    file: &'a str,
    function: &'a Function,
    alone: bool,
}

struct Loaded {
    resolved: Resolved,
    files: BTreeMap<Digest, PathBuf>,
    note: String,
    unpacked: Vec<TempDir>,
}

impl Source<'_> {
    async fn load(&self, build: bool, output: &Output) -> Result<Loaded> {
        let Some(archive) = archive::named(self.function, &self.place.dir) else {
            return self.load_from(&self.dir()?, false, build, output).await;
        };
        let archive = self.place.dir.join(archive);
        let (folder, function) = (archive::open(&archive)?, archive::inside(self.function));
        let inside = Source { function: &function, ..*self };
        let loaded = inside.load_from(folder.path(), true, build, output).await;
        let mut loaded = loaded.map_err(|fault| match fault.code() {
            Code::NothingToRun => fault.at(shown(&archive)),
            _ => fault,
        })?;
        loaded.unpacked.push(folder);
        Ok(loaded)
    }

    /// Loads what lies in its folder; `whole`: all of that is deployed, since it is an archive's content.
    async fn load_from(&self, dir: &Path, whole: bool, build: bool, output: &Output) -> Result<Loaded> {
        let run = self.built(dir, build, output).await?;
        let mut function = self.function.clone();
        if function.run.is_none() {
            function.run = Some(Written { value: run.clone(), line: 0 });
        }
        let found = self.detect(dir, &run)?;
        let detected = found.as_ref().map(|found| manifest::Detected {
            host: found.host.to_owned(),
            contract: found.contract.to_owned(),
            run: found.run.clone(),
        });
        let host = found.as_ref().map_or("", |found| found.host);
        let mut package = Package::collect(dir, &self.choice(dir, host, whole, &run))?;
        let mut unpacked = Vec::new();
        for layer in archive::layers(self.function, &self.place.dir)? {
            let folder = if layer.is_file() { Some(archive::open(&layer)?) } else { None };
            package.lay(archive::LAYERS, folder.as_ref().map_or(&layer, |folder| folder.path()))?;
            unpacked.extend(folder);
        }
        let resolved = manifest::resolve(self.file, &function, detected.as_ref(), package.entries)?;
        let note = found.map_or_else(|| run.join(" "), |found| found.what);
        Ok(Loaded { resolved, files: package.files, note, unpacked })
    }

    fn dir(&self) -> Result<PathBuf> {
        let Some(written) = &self.function.dir else { return Ok(self.place.dir.clone()) };
        let dir = self.place.dir.join(&written.value);
        if dir.is_dir() {
            return Ok(dir);
        }
        let message =
            format!("`functions.{}.dir` is `{}`, which is no folder", self.function.name, written.value);
        Err(Fault::new(Code::FileMissing, message).at(self.at(written.line)))
    }

    /// Builds, and says what to run.
    async fn built(&self, dir: &Path, build: bool, output: &Output) -> Result<Vec<String>> {
        let name = &self.function.name;
        if let (Some(written), true) = (&self.function.build, build) {
            output.note(&format!("{name}: {}", written.value));
            let done = build::shell(dir, &written.value, output).await;
            done.map_err(|fault| fault.at(self.at(written.line)))?;
        }
        if let Some(run) = &self.function.run {
            return Ok(run.value.clone());
        }
        let folder = recognise::recognise(dir, name.as_str())?;
        output.detail(&format!("{name}: {}", folder.what));
        folder.remarks.iter().for_each(|remark| output.warn(&format!("{name}: {remark}")));
        if build && self.function.build.is_none() {
            for step in &folder.steps {
                output.note(&format!("{name}: {}", step.shown()));
                build::step(dir, step, output).await?;
            }
        }
        Ok(folder.run)
    }

    /// Looks at the file that `run` names first; a bare word that is no file is a program of the node.
    fn detect(&self, dir: &Path, run: &[String]) -> Result<Option<hob_node::Detected>> {
        let first = run.first().map_or("", String::as_str);
        let line = self.function.run.as_ref().map_or(0, |run| run.line);
        let file = dir.join(first);
        if first.starts_with('/') || first.is_empty() {
            return Ok(None);
        }
        if file.is_file() || (file.is_dir() && self.is_site(&file, run)) {
            let words =
                |written: &Option<Written<String>>| written.as_ref().map(|written| written.value.clone());
            let (host, contract) = (words(&self.function.host), words(&self.function.contract));
            let wanted = hob_node::Wanted { host: host.as_deref(), contract: contract.as_deref() };
            let found = hob_node::detect(&file, first, wanted)?;
            if found.is_none() && self.function.host.is_none() {
                return Err(recognise::not_runnable(&file).at(self.at(line)));
            }
            return Ok(found);
        }
        if first.contains('/') || recognise::looks_like_a_file(first) {
            let hint = match (&self.function.build, recognise::nearest_file(dir, first)) {
                (Some(build), _) => format!("`{}` should make it", build.value),
                (None, Some(near)) => format!("did you mean `{near}`?"),
                (None, None) => "paths in `run` are relative to the function's folder".to_owned(),
            };
            let message = format!("function `{}` runs `{first}`, which does not exist", self.function.name);
            return Err(Fault::new(Code::FileMissing, message).at(self.at(line)).hint(hint));
        }
        Ok(None)
    }

    /// Whether a folder in `run` is meant to be served. A program of the node's may have a folder's name.
    fn is_site(&self, folder: &Path, run: &[String]) -> bool {
        let said = |written: &Option<Written<String>>, word| {
            written.as_ref().is_some_and(|written| written.value == word)
        };
        let alone = run.len() == 1 && folder.join("index.html").is_file();
        alone || said(&self.function.host, "files") || said(&self.function.contract, "static")
    }

    /// Which files are deployed.
    fn choice(&self, dir: &Path, host: &str, whole: bool, run: &[String]) -> package::Choice {
        let lone = self.place.file.is_some() || host == "wasm";
        let all = whole || self.function.dir.is_some() || (self.alone && !lone);
        let root = run.first().map_or("", |first| files_root(first));
        let globs = match &self.function.files {
            Some(globs) => globs.value.clone(),
            None if host == "files" && root.is_empty() => vec!["**".to_owned()],
            None if host == "files" && dir.join(root).is_dir() => vec![format!("{root}/**")],
            None if host == "files" => Vec::new(),
            None if all => vec!["**".to_owned()],
            None => Vec::new(),
        };
        package::Choice { globs, run: run.to_vec(), whole }
    }

    fn at(&self, line: usize) -> String {
        if line > 0 { format!("{}:{line}", self.file) } else { self.file.to_owned() }
    }
}
