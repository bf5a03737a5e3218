//! The control API against schemathesis: no answer is a failure of the node, and none is for a stranger.
//!
//! **How.** A node with an app serves its control API on TCP with a token; schemathesis makes calls out of the OpenAPI
//! document, valid and invalid ones, with the token and without: more than 8,000 in a usual run. `HOB_SCHEMA_CASES=20`, as
//! CI has it, is the number for each operation and pass with which more than 10,000 are tried. Both are counted.

use super::clients::{PYTHON, packages_of};
use super::skip::skip;
use super::support::{PATIENCE, Serving, command, finish, hob, write};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

const PACKAGES: &[&str] = &["schemathesis==4.32.5"];
const TOKEN: &str = "a-token-for-schemathesis";
/// Cases for each operation and pass.
const CASES: u64 = 4;
/// How many there have to be in both passes together, by cases for each operation.
const GENERATED_MIN: &[(u64, u64)] = &[(CASES, 8_000), (20, 10_000)];

/// The body of a GET at the control API.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).unwrap();
    got.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{got}")).1.to_owned()
}

/// Operations of the document.
fn operations(document: &str) -> u64 {
    let document: Value = serde_json::from_str(document).unwrap();
    let paths = document["paths"].as_object().unwrap().values();
    let methods = ["get", "put", "post", "delete", "patch"];
    let operations: usize =
        paths.map(|path| methods.iter().filter(|method| path.get(method).is_some()).count()).sum();
    assert!(operations > 0, "the document has operations");
    operations as u64
}

/// How many cases schemathesis says that it made: `4,292 generated, 4,292 passed`.
fn generated(said: &str) -> u64 {
    let number = |line: &str| line.split_once(" generated, ")?.0.trim().replace(',', "").parse().ok();
    said.lines().find_map(number).unwrap_or_else(|| panic!("no count of cases in: {said}"))
}

/// A run of schemathesis over the document in `home`.
fn schemathesis(home: &Path, packages: &Path, address: &str, token: Option<&str>, cases: u64) -> Command {
    let mut run = Command::new("python3");
    run.current_dir(home)
        .env("PYTHONPATH", format!("{}:{}", packages.display(), home.display()))
        .envs([("SCHEMATHESIS_HOOKS", "schema_hooks"), ("HOB_SCHEMA_TOKEN", TOKEN)])
        .args(["-m", "schemathesis.cli", "run", "schema.json", "--url", &format!("http://{address}")])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,nobody_without_a_token",
            "--max-examples",
            &cases.to_string(),
        ])
        .args(["--phases", "coverage,fuzzing", "--seed", "1", "--request-timeout", "30", "--no-color"])
        .args(["--continue-on-failure", "--suppress-health-check", "all"]);
    if let Some(token) = token {
        run.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    run
}

#[test]
fn no_call_of_the_control_api_is_a_failure_or_for_strangers() {
    let packages = match packages_of(&PYTHON, PACKAGES) {
        Ok(packages) => packages,
        Err(why) => {
            return skip("schemathesis", why);
        }
    };
    let home = tempfile::tempdir().unwrap();
    let manifest = "[functions.hello]\nrun = \"cat\"\ncontract = \"stdio\"\nroute = \"/hello\"\n\
                    [[on]]\nname = \"all\"\ntopic = \"orders\"\ncall = \"hello\"\n";
    write(
        home.path(),
        &[
            ("token", TOKEN.as_bytes()),
            ("desk/hob.toml", manifest.as_bytes()),
            ("schema_hooks.py", include_bytes!("../clients/schema.py")),
        ],
    );
    let data = home.path().join("data");
    let unix = format!("unix:{}", home.path().join("control.sock").display());
    let token = home.path().join("token").display().to_string();
    let arguments = ["serve", "--data", data.to_str().unwrap(), "--token-file", &token];
    let node = Serving::start(
        home.path(),
        &[&arguments[..], &["--control", "127.0.0.1:0", "--control", &unix, "--dashboard", "none"]].concat(),
    );
    let deployed = hob(home.path(), &["deploy", "desk", "--control", &unix]);
    assert_eq!(deployed.code, 0, "{}", deployed.stderr);
    let said = std::fs::read_to_string(home.path().join("stderr.log")).unwrap();
    let address = said.split("control API at ").nth(1).and_then(|rest| rest.split([',', ' ', '\n']).next());
    let address = address.unwrap_or_else(|| panic!("{said}")).to_owned();
    std::fs::write(home.path().join("schema.json"), get(&address, "/v1/openapi.json")).unwrap();
    let operations = operations(&std::fs::read_to_string(home.path().join("schema.json")).unwrap());
    let cases = std::env::var("HOB_SCHEMA_CASES").map_or(CASES, |cases| cases.parse().unwrap());
    let mut all = 0;
    for token in [Some(TOKEN), None] {
        let ran = finish(&mut schemathesis(home.path(), &packages, &address, token, cases));
        assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
        let generated = generated(&ran.stdout);
        assert!(
            generated >= operations * cases,
            "{generated} cases of {operations} operations, {cases} each: {}",
            ran.stdout
        );
        all += generated;
    }
    for (cases_min, least) in GENERATED_MIN {
        assert!(
            cases < *cases_min || all >= *least,
            "{all} cases where there should be {least}, with {cases} for each operation"
        );
    }
    println!("schemathesis: {all} cases of {operations} operations");
    let mut still = command(home.path());
    assert_eq!(finish(still.args(["ls", "--control", &unix])).code, 0, "the node is still there");
    drop(node);
}
