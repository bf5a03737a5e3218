//! The AWS Lambda API as its clients use it: a program with boto3 creates functions, calls them in every way, gives them
//! versions and aliases, and deletes them; what it has caused is then seen by Hob's own means.
//!
//! **How.** `tests/clients/lambda` holds that program and a custom runtime in one file, which needs nothing but Python. boto3
//! stays in the target folder, for the next run.
//!
//! Functions of managed runtimes need their official clients; they are made over TLS.
//!
//! **Not here:** signatures byte for byte, shapes and decisions (`hob-core`), the contract (`hob-runtime`).

use super::clients::{PYTHON, packages_of};
use super::examples::on_path;
use super::proof::client::{AWSLAMBDARIC, BOTO3, LAMBDA_MJS, front_door_client, ric};
use super::skip::skip;
use super::support::{Node, eventually, finish, write};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const FILES: &[(&str, &[u8])] = &[
    ("client/test.py", include_bytes!("../clients/lambda/test.py")),
    ("client/bootstrap", include_bytes!("../clients/lambda/bootstrap")),
];

/// The value behind `word` in what the program printed.
fn said<'a>(printed: &'a str, word: &str) -> Vec<&'a str> {
    printed.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' ')).collect()
}

/// Runs the program with boto3; what it prints.
fn client(node: &Node, packages: &Path, arguments: &[&str]) -> String {
    let mut program = front_door_client(node, &node.home.path().join("client/test.py"), packages);
    let done = finish(program.args(arguments));
    assert_eq!(done.code, 0, "{}{}\n{}", done.stdout, done.stderr, node.log());
    done.stdout
}

/// Goal: the addresses of the function and of its alias lead to what they name, and one that was taken away leads nowhere.
fn addresses_answer(node: &Node, printed: &str) {
    let (aliased, number) = said(printed, "aliased")[0].split_once(' ').unwrap();
    let addresses = [(said(printed, "url")[0], "$LATEST", ":greeter"), (aliased, number, ":greeter:kept")];
    for (url, number, arn) in addresses {
        let host = url.trim_start_matches("http://").trim_end_matches('/');
        let request = format!("GET /x?y=z HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let (status, body) = node.serving.send(&request);
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        assert_eq!((status, answer["event"]["rawPath"].as_str()), (200, Some("/x")), "{body}");
        assert_eq!(answer["number"].as_str(), Some(number), "{body}");
        assert!(answer["arn"].as_str().is_some_and(|called| called.ends_with(arn)), "{body}");
    }
    let gone = "GET / HTTP/1.1\r\nhost: gone--greeter.localhost\r\nconnection: close\r\n\r\n";
    let (status, body) = node.serving.send(gone);
    assert_eq!(status, 404, "{body}");
}

/// Goal: the dead letter is the event itself, with AWS's three attributes; an alias sends its failures elsewhere.
fn dead_letters_are_as_lambda_sends_them(node: &Node, printed: &str) {
    let letters = eventually("a dead letter is written", || {
        let events = node.hob(&["topic", "tail", "letters", "-o", "json"]);
        events.stdout.contains("dev.hob.call.dead").then_some(events.stdout)
    });
    let failing = said(printed, "failing")[0];
    for part in [failing, "\"errorcode\":200", "\"errormessage\":\"later\"", "\"fail\":"] {
        assert!(letters.replace("\": ", "\":").contains(part), "{part} in {letters}");
    }
    let aliased = eventually("the alias's destination gets a record", || {
        let events = node.hob(&["topic", "tail", "aliased", "-o", "json"]);
        events.stdout.contains("RetriesExhausted").then_some(events.stdout)
    });
    assert!(aliased.contains(":Greeter:kept") && aliased.contains("by alias"), "{aliased}");
}

#[test]
fn boto3_deploys_and_calls_functions_unchanged() {
    let packages = match packages_of(&PYTHON, BOTO3) {
        Ok(packages) => packages,
        Err(why) => return skip("boto3", why),
    };
    let node = Node::with_packages(&["--lambda", "127.0.0.1:0"]);
    write(node.home.path(), FILES);
    let printed = client(&node, &packages, &[]);

    // The function is an app, and its address is the gateway's; so is that of its alias.
    let apps = node.hob(&["ls"]).stdout;
    assert!(apps.contains("greeter") && apps.contains("witness"), "{apps}");
    addresses_answer(&node, &printed);

    // What was refused is explained; what was accepted is done, and both ends have gone where they should.
    for id in said(&printed, "refused") {
        let why = node.hob(&["why", id]).stdout;
        assert!(
            why.contains("HOB-0620")
                || why.contains("signature")
                || why.contains("signed")
                || why.contains("access key"),
            "{why}"
        );
    }
    let later = said(&printed, "later")[0];
    eventually("the asynchronous call is explained", || {
        node.hob(&["why", later]).stdout.contains("asynchronous call").then_some(())
    });
    let logged = |app: &str, text: &str| node.hob(&["logs", app]).stdout.contains(text);
    eventually("the destination of a success is called", || {
        logged("witness/witness", "\"condition\": \"Success\"").then_some(())
    });
    let failures = eventually("the destination of a failure gets a record", || {
        let events = node.hob(&["topic", "tail", "failures", "-o", "json"]);
        events.stdout.contains("RetriesExhausted").then_some(events.stdout)
    });
    assert!(failures.contains("\"approximateInvokeCount\"") && failures.contains("ValueError"), "{failures}");

    dead_letters_are_as_lambda_sends_them(&node, &printed);
    assert!(!failures.contains("by alias"), "{failures}");

    // A mapping delivers what the topic gets, as a queue would.
    assert_eq!(node.hob(&["send", "orders", "--type", "order", "{\"order\":7}"]).code, 0);
    eventually("an event of the mapped topic is delivered", || {
        logged("greeter/greeter", "\"eventSource\": \"aws:sqs\"").then_some(())
    });

    // What a version and an alias have is there after a kill, also in a node that does not serve the API.
    let node = node.killed(&[]);
    eventually("a version has its instance again, though nobody calls it", || {
        let top = node.hob(&["top", "-o", "json", "--app", "greeter", "--window", "500ms"]).stdout;
        let top: Value = serde_json::from_str(&top).ok()?;
        let mut rows = top["rows"].as_array()?.iter();
        rows.any(|row| row["instances"].as_u64() > Some(0) && row["current"] == false).then_some(())
    });
    addresses_answer(&node, &printed);
    let node = node.killed(&["--lambda", "127.0.0.1:0"]);
    client(&node, &packages, &["delete"]);
    assert!(!node.hob(&["ls"]).stdout.contains("greeter"));

    // A key that is gone opens nothing.
    let keys: Value = serde_json::from_str(&node.ok(&["key", "ls", "-o", "json"])).unwrap();
    for key in keys.as_array().unwrap() {
        node.ok(&["key", "rm", key["id"].as_str().unwrap()]);
    }
    assert!(node.hob(&["key", "ls"]).stdout.trim().is_empty());
}

#[test]
fn functions_of_managed_runtimes_are_made_and_called_over_tls() {
    let (packages, clients) = match (packages_of(&PYTHON, BOTO3), packages_of(&PYTHON, &[AWSLAMBDARIC])) {
        (Ok(packages), Ok(clients)) => (packages, clients),
        (Err(why), _) | (_, Err(why)) => return skip("functions_of_managed_runtimes", why),
    };
    let prefix = match ric() {
        Ok(prefix) if on_path("openssl") => prefix,
        Ok(_) => return skip("functions_of_managed_runtimes", "this machine has no `openssl`"),
        Err(why) => return skip("functions_of_managed_runtimes", why),
    };
    let home = tempfile::tempdir().unwrap();
    let mut certificate = Command::new("openssl");
    certificate.current_dir(home.path()).args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
    ]);
    certificate.args([
        "-nodes",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]);
    let made = finish(certificate.args(["-addext", "subjectAltName=DNS:localhost"]));
    assert_eq!(made.code, 0, "{}", made.stderr);
    let file = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    // On loopback alone it would be plain HTTP.
    let node = Node::with_packages(&["--lambda", "0.0.0.0:0", "--tls-cert", &cert, "--tls-key", &key]);
    let files: [(&str, &[u8]); 3] = [
        ("client/runtimes.py", include_bytes!("../clients/lambda/runtimes.py")),
        ("client/lambda.py", include_bytes!("../clients/lambda.py")),
        ("client/lambda.mjs", LAMBDA_MJS),
    ];
    write(node.home.path(), &files);
    let mut program = front_door_client(&node, &node.home.path().join("client/runtimes.py"), &packages);
    let environment = serde_json::json!({ "PYTHONPATH": clients, "NPM_CONFIG_PREFIX": prefix });
    program.env("AWS_CA_BUNDLE", &cert).env("CLIENT_ENVIRONMENT", environment.to_string());
    let done = finish(&mut program);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (0, "ran python3.12\nran nodejs20.x\nstreamed\n"),
        "{}\n{}",
        done.stderr,
        node.log()
    );
    assert!(node.log().contains("AWS Lambda API at https://localhost:"), "{}", node.log());
}
