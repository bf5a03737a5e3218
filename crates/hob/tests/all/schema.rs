//! The control API against schemathesis: no answer is a failure of the node, and none is for a stranger.
//!
//! **How.** A node with an app serves its control API on TCP with a token; schemathesis makes calls out of the OpenAPI
//! document, valid and invalid ones, with the token and without: 8,000 in a usual run. `HOB_SCHEMA_CASES=40` is the number
//! for each operation and pass with which more than 12,000 are tried.

use super::clients::{PYTHON, packages_of};
use super::support::{PATIENCE, Serving, command, finish, hob, write};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

const PACKAGES: &[&str] = &["schemathesis==4.32.5"];
const TOKEN: &str = "a-token-for-schemathesis";
/// Cases for each operation and pass.
const CASES: &str = "4";

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

#[test]
fn no_call_of_the_control_api_is_a_failure_or_for_strangers() {
    let packages = match packages_of(&PYTHON, PACKAGES) {
        Ok(packages) => packages,
        Err(why) => {
            println!("skipped schemathesis: {why}");
            return;
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
    let cases = std::env::var("HOB_SCHEMA_CASES").unwrap_or_else(|_| CASES.to_owned());
    for token in [Some(TOKEN), None] {
        let mut run = Command::new("python3");
        run.current_dir(home.path())
            .env("PYTHONPATH", format!("{}:{}", packages.display(), home.path().display()))
            .envs([("SCHEMATHESIS_HOOKS", "schema_hooks"), ("HOB_SCHEMA_TOKEN", TOKEN)])
            .args(["-m", "schemathesis.cli", "run", "schema.json", "--url", &format!("http://{address}")])
            .args([
                "--checks",
                "not_a_server_error,status_code_conformance,nobody_without_a_token",
                "--max-examples",
                &cases,
            ])
            .args(["--phases", "coverage,fuzzing", "--seed", "1", "--request-timeout", "30", "--no-color"])
            .args(["--continue-on-failure", "--suppress-health-check", "all"]);
        if let Some(token) = token {
            run.args(["--header", &format!("Authorization: Bearer {token}")]);
        }
        let ran = finish(&mut run);
        assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
        let counted = ran.stdout.lines().find(|line| line.contains("generated, "));
        println!(
            "schemathesis, {}: {}",
            if token.is_some() { "with the token" } else { "without" },
            counted.unwrap_or("?").trim()
        );
    }
    let mut still = command(home.path());
    assert_eq!(finish(still.args(["ls", "--control", &unix])).code, 0, "the node is still there");
    drop(node);
}
