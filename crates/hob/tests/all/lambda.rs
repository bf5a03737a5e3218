//! Functions of AWS Lambda with the official clients of its runtime API, beyond the cases that all clients share: what only
//! Lambda has (its context, ends of the process, several calls at a time, extensions, telemetry, layers, events of services).
//!
//! **Not here:** the cases of every client (`proof`), the runtime API code by code (`hob-runtime`), the shapes of events field
//! by field.

use super::clients::{PYTHON, packages_of};
use super::proof::client::{AWSLAMBDARIC, LAMBDA_MJS, ric, rust_guest};
use super::proof::http::{Reply, ask};
use super::skip::skip;
use super::support::{Node, eventually, finish, write};
use std::process::Command;

const FUNCTION: &[u8] = include_bytes!("../clients/lambda.py");

/// Asks an app by GET.
fn get(node: &Node, app: &str, path: &str) -> Reply {
    ask(node, app, &format!("GET {path}"), "", &[], usize::MAX).unwrap()
}

/// A hundred calls at a time; how many processes have answered.
fn at_once(node: &Node, app: &str) -> usize {
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..100).map(|_| scope.spawn(|| get(node, app, "/pause").shown())).collect();
        let answers: std::collections::BTreeSet<String> =
            calls.into_iter().map(|call| call.join().unwrap()).collect();
        assert!(answers.iter().all(|answer| answer.starts_with("200 ")), "{app}: {answers:?}");
        answers.len()
    })
}

/// What both clients do alike when the process ends, and what is said of it.
fn ends(node: &Node, app: &str) {
    let reply = get(node, app, "/exit");
    let expected = "502 HOB-0502: `guest` ended with exit code 3";
    assert!(reply.shown().starts_with(expected), "{app}: {}", reply.shown());
    assert_eq!(get(node, app, "/again").shown(), "200 /again", "{app}");
    let why = node.ok(&["why", &format!("{app}/guest")]);
    assert!(why.contains("HOB-0502"), "{why}");
}

#[test]
fn functions_with_the_official_python_client_have_their_context_and_their_ends() {
    let packages = match packages_of(&PYTHON, &[AWSLAMBDARIC]) {
        Ok(packages) => packages,
        Err(why) => return skip("functions_with_the_official_python_client", why),
    };
    let node = Node::with_packages(&[]);
    for (app, concurrency) in [("one", 1), ("several", 8)] {
        let manifest = format!(
            "app = \"{app}\"\n[functions.guest]\nrun = [\"python3\", \"-m\", \"awslambdaric\", \"lambda.handler\"]\ncontract = \"lambda\"\nfiles = [\"lambda.py\"]\nscale = {{ max = 1, concurrency = {concurrency} }}\nenv = {{ PYTHONPATH = {packages:?} }}\n[functions.guest.lambda]\nhandler = \"lambda.handler\"\nruntime = \"python3.12\"\n"
        );
        write(node.home.path(), &[("lambda.py", FUNCTION), ("hob.toml", manifest.as_bytes())]);
        node.ok(&["deploy", "."]);
    }
    // One process takes one call at a time there, and several by processes of its own here.
    assert_eq!(at_once(&node, "one"), 1);
    assert!(at_once(&node, "several") > 1);
    assert_eq!(get(&node, "one", "/context").shown(), r#"200 ["guest", "512", true, 36]"#);
    ends(&node, "one");
    // Last: the client dies of what it is told.
    let large = get(&node, "one", "/toolarge");
    assert!(large.shown().starts_with("502 HOB-0506"), "{}", large.shown());
}

/// The manifest of a function whose program is the Rust function.
fn rust_manifest(app: &str, handler: &str, more: &str) -> String {
    format!(
        "app = \"{app}\"\n[functions.guest]\nrun = \"bootstrap\"\nfiles = [\"extensions/*\"]\ntimeout = \"15s\"\nbody = \"8 MiB\"\n{more}\n[functions.guest.lambda]\nhandler = \"{handler}\"\n"
    )
}

#[test]
fn functions_with_the_official_crates_run_as_they_are() {
    let guest = match rust_guest() {
        Ok(guest) => guest,
        Err(why) => return skip("functions_with_the_official_crates", why),
    };
    let node = Node::with_packages(&[]);
    let deploy = |app: &str, manifest: &str| {
        let file = |name: &str| format!("{app}/{name}");
        write(
            node.home.path(),
            &[
                (&file("bootstrap"), &guest),
                (&file("extensions/watcher"), &guest),
                (&file("hob.toml"), manifest.as_bytes()),
            ],
        );
        node.ok(&["deploy", app]);
    };
    deploy("web", &rust_manifest("web", "web", "scale = { max = 2 }"));
    ends(&node, "web");
    assert_eq!(get(&node, "web", "/panic").status, 502);
    get(&node, "web", "/say");
    // The extension heard of calls, and was told of them and of what the function printed.
    for told in ["watcher: invoke ", "watcher: start ", "watcher: report ", "watcher: function said said by"]
    {
        eventually(told, || node.ok(&["logs", "web/guest"]).contains(told).then_some(()));
    }
    node.ok(&["rm", "web", "--yes"]);
    eventually("the extension is told of the end", || {
        node.hob(&["logs", "web/guest"]).stdout.contains("watcher: shutdown SPINDOWN").then_some(())
    });

    deploy("several", &rust_manifest("several", "several", "scale = { max = 1, concurrency = 16 }"));
    assert_eq!(at_once(&node, "several"), 1);

    // What is streamed begins with a prelude, and a failure on the way is told in the last piece.
    deploy("words", &rust_manifest("words", "stream", ""));
    let reply = get(&node, "words", "/stream");
    assert!(reply.head.contains("content-type: text/plain") && reply.head.contains("set-cookie: seen=1"));
    let reply = get(&node, "words", "/stream?fail");
    assert!(reply.status == 200 && !reply.whole, "{reply:?}");

    events(&node, &guest);
}

const LAYERED: &str = r#"app = "layered"

[functions.guest]
run = ["python3", "-m", "awslambdaric", "internal.handler"]
contract = "lambda"
files = ["*.py"]
timeout = "30s"

[functions.guest.lambda]
handler = "internal.handler"
layers = ["layer.zip"]
"#;

#[test]
fn a_layer_brings_a_client_modules_and_an_extension_beside_one_inside() {
    let (packages, guest) = match (packages_of(&PYTHON, &[AWSLAMBDARIC]), rust_guest()) {
        (Ok(packages), Ok(guest)) => (packages, guest),
        (Err(why), _) | (_, Err(why)) => return skip("a_layer_brings_a_client", why),
    };
    let node = Node::with_packages(&[]);
    let home = node.home.path();
    let files: [(&str, &[u8]); 4] = [
        ("app/hob.toml", LAYERED.as_bytes()),
        ("app/internal.py", include_bytes!("../clients/lambda/internal.py")),
        ("layer/python/layered.py", b"GREETING = \"from the layer\"\n"),
        ("layer/extensions/watcher", &guest),
    ];
    write(home, &files);
    let python = home.join("layer/python");
    let copied = finish(Command::new("cp").arg("-R").arg(packages.join(".")).arg(&python));
    assert_eq!(copied.code, 0, "{}", copied.stderr);
    let mut zip = Command::new("python3");
    zip.current_dir(home.join("layer")).args([
        "-m",
        "zipfile",
        "-c",
        "../app/layer.zip",
        "python",
        "extensions",
    ]);
    let zipped = finish(&mut zip);
    assert_eq!(zipped.code, 0, "{}", zipped.stderr);
    node.ok(&["deploy", "app"]);

    for _ in 0..3 {
        let reply = get(&node, "layered", "/");
        assert_eq!(reply.shown(), r#"200 {"greeting": "from the layer", "layers": "opt"}"#);
    }
    for told in ["refused 403 Extension.InvalidEventType", "inside: INVOKE ", "watcher: invoke "] {
        eventually(told, || node.ok(&["logs", "layered"]).contains(told).then_some(()));
    }
}

#[test]
fn a_function_of_node_that_breaks_off_its_stream_says_why_in_trailers() {
    let prefix = match ric() {
        Ok(prefix) => prefix,
        Err(why) => return skip("a_function_of_node_that_breaks_off", why),
    };
    let template = format!(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  Guest:\n    Type: AWS::Serverless::Function\n    Properties:\n      Runtime: nodejs20.x\n      Handler: index.stream\n      Timeout: 30\n      Environment: {{Variables: {{NPM_CONFIG_PREFIX: {prefix:?}}}}}\n      Events:\n        Any: {{Type: HttpApi, Properties: {{Path: '/{{proxy+}}', Method: any}}}}\n"
    );
    let node = Node::with_packages(&[]);
    write(node.home.path(), &[("app/template.yaml", template.as_bytes()), ("app/index.mjs", LAMBDA_MJS)]);
    node.ok(&["deploy", "app"]);
    assert_eq!(get(&node, "app", "/stream").shown(), "200 0123456789");
    let reply = get(&node, "app", "/broken");
    assert!(reply.body == b"0123" && !reply.whole, "{reply:?}");
    eventually("the failure has its words", || {
        let why = node.ok(&["why", "app/guest"]);
        (why.contains("HOB-0331") && why.contains("TypeError: no more of it")).then_some(())
    });
}

/// What a topic delivers, read by the types of the crate `aws_lambda_events`.
fn events(node: &Node, guest: &[u8]) {
    let mut manifest = "app = \"events\"\n".to_owned();
    for handler in ["sqs", "sns", "s3", "dynamodb", "eventbridge"] {
        manifest += &format!(
            "[functions.{handler}]\nrun = \"bootstrap\"\nprivate = true\n[functions.{handler}.lambda]\nhandler = \"{handler}\"\nevent = \"{handler}\"\n[[on]]\nname = \"{handler}\"\ntopic = \"things\"\ncall = \"{handler}\"\nretry = {{ attempts = 1 }}\n"
        );
    }
    write(node.home.path(), &[("events/bootstrap", guest), ("events/hob.toml", manifest.as_bytes())]);
    node.ok(&["deploy", "events"]);
    node.ok(&[
        "send",
        "things",
        r#"{"key":"a b","bucket":"photos"}"#,
        "--type",
        "thing.made",
        "--subject",
        "first",
    ]);
    for (function, said) in [
        ("sqs", r#"sqs ["{\"key\":\"a b\",\"bucket\":\"photos\"}","aws:sqs","1"]"#),
        ("sns", r#"sns ["{\"key\":\"a b\",\"bucket\":\"photos\"}","aws:sns","first"]"#),
        ("s3", r#"s3 ["photos","ObjectCreated:Put","a+b"]"#),
        ("dynamodb", r#"dynamodb ["INSERT",1,2]"#),
        ("eventbridge", r#"eventbridge ["thing.made","#),
    ] {
        eventually(function, || {
            node.hob(&["logs", &format!("events/{function}")]).stdout.contains(said).then_some(())
        });
    }
}
