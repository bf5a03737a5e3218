//! Command line: help, usage errors, forms of output, exit codes.

use super::support::{Node, Serving, command, finish, hob, write};
use std::io::Read;
use std::process::Stdio;

const COMMANDS: [&str; 35] = [
    "run",
    "new",
    "import",
    "dev",
    "serve",
    "deploy",
    "rollback",
    "ls",
    "show",
    "call",
    "bench",
    "send",
    "topic",
    "sub",
    "cron",
    "dlq",
    "replay",
    "logs",
    "dashboard",
    "why",
    "trace",
    "top",
    "cost",
    "budget",
    "alert",
    "space",
    "secret",
    "token",
    "audit",
    "key",
    "check",
    "rm",
    "doctor",
    "completion",
    "man",
];

#[test]
fn help_names_every_command_and_each_explains_itself() {
    let home = tempfile::tempdir().unwrap();
    let all = hob(home.path(), &["--help"]);
    assert_eq!((all.code, all.stderr.as_str()), (0, ""));
    assert!(!all.stdout.contains("__"), "hidden commands stay hidden");
    let listed: Vec<&str> = all
        .stdout
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(listed, COMMANDS);
    for name in COMMANDS {
        let help = hob(home.path(), &[name, "--help"]);
        assert_eq!(help.code, 0, "{name}");
        assert!(help.stdout.contains(&format!("Usage: hob {name}")), "{name}: {}", help.stdout);
        assert!(help.stdout.contains("--output"), "{name} takes every form of output");
    }
}

#[test]
fn mistakes_on_the_command_line_say_what_to_write() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), &[("notes.txt", b"nothing to run"), ("empty-token", b"\n"), ("empty/README", b"")]);
    let table: &[(&[&str], i32, &str, &str)] = &[
        (&["frobnicate"], 2, "HOB-0111", "unrecognized subcommand `frobnicate`"),
        (&["run", "--htp", "x"], 2, "HOB-0111", "--http"),
        (&["ls", "-o", "xml"], 2, "HOB-0111", "json, yaml, name, wide"),
        (&["call", "desk"], 2, "HOB-0111", "desk/FUNCTION"),
        (&["call", "https://a/"], 2, "HOB-0111", "TLS"),
        (&["serve", "--http", "8080"], 2, "HOB-0111", "127.0.0.1:8080"),
        (&["serve", "--control", "127.0.0.1:0"], 4, "HOB-0705", "--token-file"),
        (&["serve", "--control", "127.0.0.1:0", "--token-file", "empty-token"], 4, "HOB-0705", "is empty"),
        (&["serve", "--control", "nowhere"], 2, "HOB-0111", "unix:PATH"),
        (&["new", "Bad_Name"], 2, "HOB-0104", "bad-name"),
        (&["new", "a", "--template", "cobol"], 2, "HOB-0111", "python"),
        (&["run", "missing.wasm"], 3, "HOB-0108", "does not exist"),
        (&["run", "notes.txt"], 2, "HOB-0107", "nothing that Hob can run"),
        (&["check", "empty"], 2, "HOB-0107", "Cargo.toml"),
        (&["ls"], 7, "HOB-0703", "hob serve"),
        (&["ls", "--control", "127.0.0.1:1"], 7, "HOB-0703", "127.0.0.1:1"),
        (&["rm", "Desk", "--yes"], 2, "HOB-0104", "desk"),
    ];
    for (args, code, error, text) in table {
        let outcome = hob(home.path(), args);
        assert_eq!(outcome.code, *code, "{args:?}\n{}", outcome.stderr);
        assert!(outcome.stderr.starts_with(&format!("error[{error}]: ")), "{args:?}\n{}", outcome.stderr);
        assert!(outcome.stderr.contains(text), "{args:?} should say `{text}`\n{}", outcome.stderr);
        assert_eq!(outcome.stdout, "", "{args:?}: errors go to stderr");
        let mut json = args.to_vec();
        if !args.contains(&"-o") {
            json.push("--json");
            let outcome = hob(home.path(), &json);
            let fault: serde_json::Value = serde_json::from_str(outcome.stderr.trim()).unwrap();
            assert_eq!((outcome.code, fault["code"].as_str()), (*code, Some(*error)), "{args:?}");
        }
    }
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let home = tempfile::tempdir().unwrap();
    let mut child = command(home.path())
        .args(["completion", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn colour_is_for_terminals_and_for_whoever_insists() {
    let home = tempfile::tempdir().unwrap();
    let coloured = |name: &str, value: &str| {
        finish(command(home.path()).arg("ls").env("CLICOLOR_FORCE", "1").env(name, value))
            .stderr
            .contains('\u{1b}')
    };
    assert!(!hob(home.path(), &["ls"]).stderr.contains('\u{1b}'), "a pipe gets plain text");
    assert!(coloured("TERM", "xterm"), "`CLICOLOR_FORCE` insists");
    assert!(!coloured("NO_COLOR", "1"), "`NO_COLOR` wins");
}

#[test]
fn completion_and_manual_pages_know_the_commands() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = hob(home.path(), &["completion", shell]).stdout;
        assert!(COMMANDS.iter().all(|name| script.contains(name)), "{shell}");
    }
    let pages = hob(home.path(), &["man", "man1", "-o", "name"]);
    assert_eq!(pages.code, 0, "{}", pages.stderr);
    for name in COMMANDS {
        assert!(pages.stdout.lines().any(|page| page.ends_with(&format!("/hob-{name}.1"))), "{name}");
    }
    let page = std::fs::read_to_string(home.path().join("man1/hob-deploy.1")).unwrap();
    assert!(page.contains("dry\\-run"), "{page}");
}

#[test]
fn every_setting_is_shown_with_its_origin_and_without_a_node() {
    let home = tempfile::tempdir().unwrap();
    write(
        home.path(),
        &[
            ("app/hob.toml", b"app = \"quotes\"\n[functions.rate]\nrun = \"rate.sh\"\ntimeout = \"3s\"\n"),
            ("app/rate.sh", b"#!/bin/sh\necho 10\n"),
        ],
    );
    let shown = hob(home.path(), &["show", "app", "--resolved"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    let row = |setting: &str| -> Vec<String> {
        let line = shown.stdout.lines().find(|line| line.split_whitespace().nth(1) == Some(setting)).unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(row("timeout"), ["rate", "timeout", "3s", "app/hob.toml:4"]);
    assert_eq!(row("host"), ["rate", "host", "process", "detected"]);
    assert_eq!(row("memory"), ["rate", "memory", "512", "MiB", "default"]);
    let json = hob(home.path(), &["show", "app", "--resolved", "-o", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["spec"]["functions"]["rate"]["timeout_ms"], 3000);
}

#[test]
fn a_node_is_used_from_the_command_line() {
    let node = Node::start();
    let rate = |price: &str| -> String {
        format!("#!/bin/sh\necho started >&2\nprintf 'Content-Type: text/plain\\r\\n\\r\\n{price}'\n")
    };
    let manifest: &[u8] = b"app = \"quotes\"\n[functions.rate]\nrun = \"rate.sh\"\ncontract = \"stdio\"\n";
    write(node.home.path(), &[("app/hob.toml", manifest), ("app/rate.sh", rate("10").as_bytes())]);
    assert!(node.ok(&["deploy", "app", "--dry-run"]).contains("+ functions.rate.host"));
    assert!(node.ok(&["deploy", "app"]).contains("quotes serves at revision 1"));
    assert_eq!(node.ok(&["call", "quotes/rate"]), "10");
    assert_eq!(node.ok(&["call", "/anything"]), "10");
    write(node.home.path(), &[("app/rate.sh", rate("12").as_bytes())]);
    assert!(node.ok(&["deploy", "app"]).contains("quotes moved from revision 1 to 2"));
    assert_eq!(node.ok(&["call", "quotes/rate"]), "12");
    assert!(node.ok(&["rollback"]).contains("from revision 2 to 1"));
    assert_eq!(node.ok(&["call", "quotes/rate"]), "10");

    assert_eq!(node.ok(&["ls", "-o", "name"]), "quotes\n");
    let json: serde_json::Value = serde_json::from_str(&node.ok(&["ls", "-o", "json"])).unwrap();
    assert_eq!((json[0]["app"].as_str(), json[0]["current"].as_u64()), (Some("quotes"), Some(1)));
    assert!(node.ok(&["ls", "-o", "yaml"]).starts_with("-\n  app: quotes\n  current: 1\n"));
    assert!(node.ok(&["show"]).contains("rate"));
    assert!(node.ok(&["logs", "quotes/rate", "--stream", "stderr"]).contains("started"));

    for (args, code, error) in [
        (&["call", "quotes/none"][..], 3, "HOB-0353"),
        (&["show", "none"], 3, "HOB-0351"),
        (&["rollback", "quotes", "--to", "99"], 3, "HOB-0352"),
        (&["rm", "quotes"], 2, "HOB-0111"),
    ] {
        let outcome = node.hob(args);
        assert_eq!(outcome.code, code, "{args:?}\n{}", outcome.stderr);
        assert!(outcome.stderr.contains(error), "{args:?}\n{}", outcome.stderr);
    }
    node.ok(&["rm", "quotes", "--yes"]);
    assert_eq!(node.ok(&["ls", "-o", "json"]).trim(), "[]");
}

#[test]
fn run_prints_one_line_and_stops_gracefully() {
    let home = tempfile::tempdir().unwrap();
    write(
        home.path(),
        &[("hello.sh", b"#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\nhello %s' \"$1\"\n")],
    );
    for (signal, code) in [("INT", 130), ("TERM", 0)] {
        let serving = Serving::start(home.path(), &["run", "hello.sh"]);
        assert_eq!(serving.get("/"), (200, "hello ".to_owned()));
        serving.signal(signal);
        assert_eq!(serving.wait(), (code, String::new()), "{signal}");
    }
}
