//! Every case in `tests/foreign`, hostile texts, and the way back through `hob.toml`.
//!
//! **How.** A case is a folder `<dialect>/<case>` with the other platform's manifest, what is given to it
//! (`given.txt`), files that it names (`files/`), the `hob.toml` that it becomes (`expected.toml`) and the notes (`notes.txt`). `UPDATE=1`
//! writes the last two anew; the difference is then read by whoever commits it.

use super::{DIALECTS, Dialect, Given, Imported, Level, Source, recognise, recognise_all, translate, write};
use crate::digest::Digest;
use crate::limit::{FOREIGN_DEPTH_MAX, FOREIGN_NOTES_MAX, MANIFEST_BYTES_MAX};
use crate::manifest::{self, Detected, Manifest, Resolved};
use crate::name::AppName;
use crate::spec::PackageFile;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What lies in a case besides the manifest.
const BESIDE: [&str; 4] = ["expected.toml", "notes.txt", "given.txt", "files"];

fn cases() -> Vec<(&'static Dialect, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign");
    let mut all = Vec::new();
    for dialect in DIALECTS {
        let folder =
            fs::read_dir(root.join(dialect.name)).unwrap_or_else(|_| panic!("{} has cases", dialect.name));
        let mut found: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
        found.sort();
        all.extend(found.into_iter().map(|case| (dialect, case)));
    }
    all
}

/// What is given: `name=value` for `--set`, `env name=value`, and the files below `files`.
fn given(case: &Path) -> Given {
    let mut given = Given { name: "case".to_owned(), ..Given::default() };
    let mut values = Vec::new();
    for line in fs::read_to_string(case.join("given.txt")).unwrap_or_default().lines() {
        let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        match line.strip_prefix("env ") {
            Some(rest) => given.environment.extend(pair(rest)),
            None => values.extend(pair(line)),
        }
    }
    given.values = values.into_iter().collect();
    given
}

/// Translates as `hob` does: files that are wanted are read, until none is.
fn translated(dialect: &Dialect, sources: &[Source], mut given: Given, case: &Path) -> Imported {
    loop {
        let imported = translate(dialect, sources, &given).unwrap();
        let wanted: Vec<String> =
            imported.wanted.iter().filter(|path| !given.files.contains_key(*path)).cloned().collect();
        if wanted.is_empty() {
            return imported;
        }
        for path in wanted {
            let text = fs::read_to_string(case.join("files").join(&path)).ok();
            given.files.insert(path, text);
        }
    }
}

fn shown(imported: &Imported) -> String {
    let mut text = String::new();
    for note in &imported.notes {
        let word = if note.level == Level::Refused { "refused" } else { "warning" };
        let of = note.function.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        let file =
            if note.file == imported.manifest.file { String::new() } else { format!("{}:", note.file) };
        writeln!(text, "{word} {file}{}{of} `{}`: {}", note.line, note.setting, note.why).unwrap();
    }
    text
}

#[test]
fn every_case_becomes_the_manifest_beside_it() {
    let mut failures = Vec::new();
    for (dialect, case) in cases() {
        let mut files: Vec<String> = fs::read_dir(&case)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.retain(|name| !BESIDE.contains(&name.as_str()));
        files.sort();
        let sources: Vec<Source> = files
            .iter()
            .map(|file| Source::new(file, fs::read_to_string(case.join(file)).unwrap()))
            .collect();
        let found = recognise_all(&sources).map(|found| found.name);
        assert_eq!(found, Some(dialect.name), "{}", case.display());
        let imported = translated(dialect, &sources, given(&case), &case);
        let written = write(&imported, &files.join("`, `"));
        for (name, found) in [("expected.toml", &written), ("notes.txt", &shown(&imported))] {
            let path = case.join(name);
            if std::env::var_os("UPDATE").is_some() {
                fs::write(&path, found).unwrap();
            } else if fs::read_to_string(&path).unwrap_or_default() != *found {
                failures
                    .push(format!("{} is not what comes out (UPDATE=1 writes it):\n{found}", path.display()));
            }
        }
        for note in &imported.notes {
            let text = fs::read_to_string(case.join(&note.file));
            let text = text.or_else(|_| fs::read_to_string(case.join("files").join(&note.file))).unwrap();
            let lines = text.lines().count();
            assert!(note.line >= 1 && note.line <= lines, "{}: {note}", case.display());
        }
        same_app(&imported, &written, &case);
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// Goal: what was written resolves to the same app, or fails for the same reason.
fn same_app(imported: &Imported, written: &str, case: &Path) {
    let back = manifest::parse(written, "hob.toml")
        .unwrap_or_else(|fault| panic!("{}: {fault}\n{written}", case.display()));
    let (one, other) = (app(&imported.manifest), app(&back));
    match (one, other) {
        (Ok(one), Ok(other)) => assert_eq!(one, other, "{}", case.display()),
        (Err(one), Err(other)) => {
            assert_eq!(one.code(), other.code(), "{}: {one} {other}", case.display());
            let refused = imported.notes.iter().any(|note| note.level == Level::Refused);
            assert!(refused, "{}: {one}, but no note refuses it", case.display());
        }
        (one, other) => panic!("{}: {one:?}\n{other:?}\n{written}", case.display()),
    }
}

fn app(manifest: &Manifest) -> crate::fault::Result<crate::spec::AppSpec> {
    let functions: crate::fault::Result<Vec<Resolved>> = manifest
        .functions
        .iter()
        .map(|function| {
            let words = function.run.as_ref().map(|run| run.value.clone()).unwrap_or_default();
            let wasm = words.first().filter(|word| word.ends_with(".wasm"));
            let seen = wasm.map(|file| Detected {
                host: "wasm".into(),
                contract: "wasi-http".into(),
                run: vec![file.clone()],
            });
            let file = PackageFile { digest: Digest::of(b""), size: 1, executable: true };
            let package = words.first().map(|word| (word.trim_start_matches("./").to_owned(), file));
            manifest::resolve(&manifest.file, function, seen.as_ref(), package.into_iter().collect())
        })
        .collect();
    let name = manifest.app.as_ref().map_or_else(|| AppName::new("case"), |app| Ok(app.value.clone()))?;
    manifest::assemble(manifest, name, functions?)
}

#[test]
fn every_row_has_an_example_without_a_refusal() {
    for dialect in DIALECTS {
        let (file, text) = dialect.example[0];
        assert!(dialect.files.contains(&file), "{}", dialect.name);
        assert_eq!(recognise(file, text).map(|found| found.name), Some(dialect.name));
        let imported = translate(dialect, &[Source::new(file, text)], &Given::default()).unwrap();
        assert!(super::refusal(&imported.notes).is_none(), "{}", shown(&imported));
        assert!(!imported.manifest.functions.is_empty(), "{}", dialect.name);
    }
}

#[test]
fn files_of_somebody_else_are_left_alone() {
    for (name, text) in [
        ("package.json", r#"{"name": "x", "main": "index.js"}"#),
        ("service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: x}\n"),
        ("service.yaml", "metadata: {name: {{ .Values.name }}}\n"),
        ("template.yaml", "AWSTemplateFormatVersion: '2010-09-09'\nParameters: {}\n"),
        ("Cargo.toml", "[package]\nname = \"x\"\n"),
        ("docker-compose.yml", "services: {web: {image: x}}\n"),
        ("template.yaml", ""),
    ] {
        assert_eq!(recognise(name, text).map(|found| found.name), None, "{name}: {text}");
    }
    for (name, text, dialect) in [
        ("template.yaml", "Transform: AWS::Serverless-2016-10-31\na: [", "aws-sam"),
        ("serverless.yml", "a: [", "serverless"),
        ("any.yaml", "apiVersion: serving.knative.dev/v1\nkind: Service\n", "knative"),
        ("template.json", r#"{"Transform": "AWS::Serverless-2016-10-31", /* so */}"#, "aws-sam"),
    ] {
        assert_eq!(recognise(name, text).map(|found| found.name), Some(dialect), "{name}: {text}");
    }
}

#[test]
fn hostile_texts_end_in_an_error_with_their_line() {
    let sam = "Transform: AWS::Serverless-2016-10-31\n";
    let deep =
        format!("{sam}x: {}{}\n", "[".repeat(FOREIGN_DEPTH_MAX * 4), "]".repeat(FOREIGN_DEPTH_MAX * 4));
    let block: String =
        (0..FOREIGN_DEPTH_MAX * 2).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let bomb: String =
        (0..30).map(|at| format!("a{}: &a{} [*a{at}, *a{at}, *a{at}, *a{at}]\n", at + 1, at + 1)).collect();
    let texts: String =
        (0..60).map(|at| format!("  P{}: {{Fn::Sub: '${{P{at}}}${{P{at}}}'}}\n", at + 1)).collect::<String>();
    let long = "x".repeat(100_000);
    let sub = "${Long}".repeat(1000);
    for (name, text, code) in [
        ("a.yaml", format!("a: b\n{}", "#".repeat(MANIFEST_BYTES_MAX * 2)), "HOB-0109"),
        ("template.yaml", deep, "HOB-0120"),
        ("template.yaml", format!("{sam}{block}"), "HOB-0120"),
        ("template.yaml", format!("a0: &a0 x\n{bomb}"), "HOB-0120"),
        ("template.yaml", "a: &a [*a]\n".to_owned(), "HOB-0120"),
        ("template.yaml", "a: 1\na: 2\n".to_owned(), "HOB-0120"),
        ("template.yaml", "a: [\n".to_owned(), "HOB-0120"),
        ("template.yaml", "a: *nobody\n".to_owned(), "HOB-0120"),
        ("template.yaml", "? [a]\n: b\n".to_owned(), "HOB-0120"),
        ("template.yaml", "a: \0\n".to_owned(), "HOB-0120"),
        ("template.json", "{\"a\": [1,,2]}".to_owned(), "HOB-0120"),
        ("template.json", format!("{}1", "[".repeat(100_000)), "HOB-0120"),
        ("template.json", "{\"a\": \"\\x\"}".to_owned(), "HOB-0120"),
        ("template.json", "/* never".to_owned(), "HOB-0120"),
        ("spin.toml", "a = [".to_owned(), "HOB-0120"),
        ("spin.toml", format!("a = {}1", "[".repeat(100_000)), "HOB-0120"),
        (
            "template.yaml",
            format!(
                "{sam}Parameters:\n  Long: {{Type: String, Default: {long}}}\nResources:\n  A:\n    Type: AWS::X\n    Properties: {{a: !Sub '{sub}'}}\n"
            ),
            "HOB-0120",
        ),
        (
            "template.yaml",
            format!(
                "{sam}Conditions:\n  A: !Not [!Condition A]\nResources:\n  A: {{Type: AWS::X, Condition: A}}\n{texts}"
            ),
            "",
        ),
    ] {
        for dialect in DIALECTS {
            let shown: String = text.chars().take(80).collect();
            match translate(dialect, &[Source::new(name, &text)], &Given::default()) {
                Ok(_) if code.is_empty() => {}
                // A dialect that does not look at the value has nothing to refuse.
                Ok(_) if shown.contains("Transform") => {}
                Ok(_) => panic!("{}: {shown} was taken", dialect.name),
                Err(fault) => {
                    assert_eq!(fault.code().text(), code, "{}: {shown}\n{fault}", dialect.name);
                    let at_line = fault.place().is_some_and(|place| place.starts_with(&format!("{name}:")));
                    assert!(at_line || code == "HOB-0109", "{fault}");
                }
            }
        }
    }
}

#[test]
fn what_is_listed_is_bounded() {
    let many: String = (0..30_000).map(|at| format!("k{at}: 1\n")).collect();
    let text = format!("{many}service: x\nprovider: aws\n");
    let imported = translate(
        recognise("serverless.yml", &text).unwrap(),
        &[Source::new("serverless.yml", &text)],
        &Given::default(),
    );
    let notes = imported.unwrap().notes;
    assert_eq!(notes.len(), FOREIGN_NOTES_MAX + 1);
    assert!(super::refusal(&notes).is_some(), "what is not listed is not ignored");
}

#[test]
fn json_with_comments_keeps_its_lines() {
    let text = "// head\n{ /* one\ntwo */ \"a\": [1, \"b\\n\", true,],\n\n\"c\": {\"d\": null,},}\n// end";
    let node = super::text::json(text, "x.jsonc").unwrap();
    assert_eq!(node.json(), serde_json::json!({"a": [1, "b\n", true], "c": {"d": null}}));
    let lines: Vec<usize> = node.entries().unwrap().iter().map(|entry| entry.line).collect();
    assert_eq!(lines, [3, 5]);
}

#[test]
fn yaml_is_read_with_anchors_merges_and_tags() {
    let text = "base: &base {a: 1, b: \"2\"}\nown:\n  <<: *base\n  a: 3\n---\nx: !Ref y\n---\n";
    let documents = super::yaml::read(text, "x.yaml").unwrap();
    let values: Vec<serde_json::Value> = documents.iter().map(super::Node::json).collect();
    assert_eq!(values[0]["own"], serde_json::json!({"a": 3, "b": "2"}));
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[1].get("x").unwrap().tag.as_deref(), Some("Ref"));
    assert_eq!(documents[1].get("x").unwrap().line, 6);
}

/// Goal: what is written into a file that others may read has no secret in it.
#[test]
fn secrets_are_not_written() {
    let sam = r#"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Password: { Type: String, NoEcho: true }
  Colour: { Type: String, Default: red }
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: .
      Handler: app.handler
      Runtime: python3.13
      Environment: { Variables: { PASSWORD: !Ref Password, URL: !Sub "db://x:${Password}@y", COLOUR: !Ref Colour } }
"#;
    let serverless = r#"
service: hello
provider: { name: aws, runtime: python3.13 }
functions:
  hello:
    handler: app.handler
    environment: { PASSWORD: "${env:PASSWORD}", URL: "db://x:${env:PASSWORD}@y", COLOUR: red }
"#;
    let spin = "spin_manifest_version = 2\n[variables]\ntoken = { secret = true, default = \"hunter2\" }\nwho = { required = true }\n[component.hello]\nsource = \"a.wasm\"\nvariables = { api_token = \"{{ token }}\", who = \"{{ who }}\" }\nenvironment = { COLOUR = \"red\", URL = \"db://x:{{ token }}@y\" }\n";
    let given = Given {
        values: [("Password".to_owned(), "hunter2".to_owned())].into_iter().collect(),
        environment: ["PASSWORD", "SPIN_VARIABLE_WHO"]
            .map(|name| (name.to_owned(), "hunter2".to_owned()))
            .into(),
        ..Given::default()
    };
    for (file, text, shown) in [
        ("template.yaml", sam, "secrets = [\"PASSWORD\", \"URL\"]"),
        ("serverless.yml", serverless, "db://x:SET-ME-PASSWORD@y"),
        ("spin.toml", spin, "secrets = [\"API_TOKEN\", \"URL\"]"),
    ] {
        let dialect = recognise(file, text).unwrap();
        let sources = [Source::new(file, text)];
        let real = translate(dialect, &sources, &given).unwrap();
        assert!(write(&real, file).contains("hunter2"), "{file}");
        let imported = super::translate_to_write(dialect, &sources, &given).unwrap();
        let written = write(&imported, file);
        assert!(!written.contains("hunter2") && written.contains("COLOUR = \"red\""), "{written}");
        assert!(written.contains(shown), "{file} should have `{shown}`: {written}");
        assert!(imported.notes.len() >= 2, "each is told: {written}");
    }
}
