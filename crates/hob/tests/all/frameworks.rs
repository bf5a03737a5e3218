//! The official Functions Frameworks for Python and Node get events as their authors' functions expect them, also those of a
//! document store.
//!
//! **How.** `tests/clients` holds the same two functions in both languages; where the packages cannot be installed the
//! language is skipped by name.
//!
//! **Not here:** requests (`proof`).

use super::clients::{JAVASCRIPT, Language, PYTHON, packages_of};
use super::skip::skip;
use super::support::{Node, eventually, write};

const MAIN: &str = "node_modules/@google-cloud/functions-framework/build/src/main.js";

/// The event of a document that was written, as Firestore's trigger makes it.
const DOCUMENT: &str = r#"{"specversion":"1.0","id":"d1","type":"google.cloud.firestore.document.v1.written",
    "source":"//firestore.googleapis.com/projects/p/databases/(default)","subject":"documents/users/u1",
    "document":"users/u1","datacontenttype":"application/json",
    "data":{"value":{"name":"projects/p/databases/(default)/documents/users/u1","fields":{"n":{"stringValue":"x"}}}}}"#;

fn manifest(language: &Language, packages: &str) -> String {
    let (source, run, variable) = match language.name() {
        "python" => ("main.py", vec!["main.py".to_owned()], "PYTHONPATH"),
        _ => {
            let main = format!("{}/{MAIN}", packages.trim_end_matches("/node_modules"));
            ("index.js", vec!["node".to_owned(), main, "--source=index.js".to_owned()], "NODE_PATH")
        }
    };
    format!(
        "app = \"frames\"\n[functions.changed]\nrun = {run:?}\nfiles = [\"{source}\"]\ncontract = \"functions-framework\"\nprivate = true\n\
         scale = {{ max = 1 }}\nenv = {{ {variable} = {packages:?} }}\n\
         [functions.changed.functions-framework]\nsignature = \"cloudevent\"\n\
         [[on]]\ntopic = \"changes\"\ncall = \"changed\"\nretry = {{ attempts = 1 }}\n"
    )
}

#[test]
fn the_official_frameworks_get_events_unchanged() {
    for (language, packages, source, code) in [
        (&PYTHON, "functions-framework==3.10.2", "main.py", include_str!("../clients/framework.py")),
        (
            &JAVASCRIPT,
            "@google-cloud/functions-framework@5.0.5",
            "index.js",
            include_str!("../clients/framework.js"),
        ),
    ] {
        let name = language.name();
        let folder = match packages_of(language, &[packages]) {
            Ok(folder) => folder,
            Err(why) => {
                skip("the_official_frameworks", format_args!("the framework for {name}: {why}"));
                continue;
            }
        };
        let node = Node::with_packages(&[]);
        let text = manifest(language, folder.to_str().unwrap());
        let files = [("app/hob.toml", text.as_bytes()), ("event.json", DOCUMENT.as_bytes())];
        write(node.home.path(), &files);
        write(node.home.path(), &[(format!("app/{source}").as_str(), code.as_bytes())]);
        node.ok(&["deploy", "app"]);
        node.ok(&["send", "changes", "--event", "event.json"]);
        let expected = "changed d1 google.cloud.firestore.document.v1.written";
        eventually(&format!("the function for {name} has seen the document"), || {
            let lines = node.ok(&["logs", "frames/changed"]);
            let typed = |line: &str| name == "python" || line.contains("application/json");
            let seen = |line: &str| line.contains(expected) && line.contains("users/u1") && typed(line);
            lines.lines().any(seen).then_some(())
        });
    }
}
