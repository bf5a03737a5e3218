//! Goal: what a person writes means what it says, and every mistake is explained with its line.
//! Method: manifests, settings and messages as text.

use super::{
    Detected, FILE_NAME, Function, Manifest, Origin, Resolved, assemble, check, key, parse, resolve,
};
use crate::digest::Digest;
use crate::fault::{Fault, Result};
use crate::limit;
use crate::name::{AppName, FunctionName};
use crate::spec::{AppSpec, During, PackageFile, Provisioned};
use crate::unit::{show_bytes, show_duration};
use std::collections::BTreeMap;

/// The example of the design, as far as this version goes.
const QUOTES: &str = r#"
app = "quotes"

[functions.rate]
run = "rate.wasm"
route = "POST /rate"

[functions.letter]
run = ["python3", "letter.py"]
scale = { min = 1, max = 20, concurrency = 10, idle = "60s", calls = 1000 }
egress = ["smtp.example.com:587"]
env = { LANG = "en" }
timeout = "3s"
memory = "256 MiB"
cpu = 0.5
body = "1 MiB"
private = true
dir = "letter"
files = ["*.py", "data/**"]
build = "make"
host = "process"
contract = "http"

[functions.letter.http]
ready = "/healthz"
start-timeout = "10s"

[functions.front]
run = "sh 'front desk.sh' --fast"
contract = "stdio"
route = ["GET /", "/desk/*"]
"#;

fn detected(host: &str, contract: &str, run: &str) -> Detected {
    let run = run.split(' ').map(str::to_owned).collect();
    Detected { host: host.to_owned(), contract: contract.to_owned(), run }
}

fn package(paths: &[&str]) -> BTreeMap<String, PackageFile> {
    let file = PackageFile { digest: Digest::of(b""), size: 1, executable: false };
    paths.iter().map(|path| ((*path).to_owned(), file)).collect()
}

/// Resolves as the program does: `.wasm` files are detected, command lines are not.
fn resolve_all(manifest: &Manifest) -> Result<Vec<Resolved>> {
    let one = |function: &Function| {
        let first = function.run.as_ref().and_then(|run| run.value.first()).cloned().unwrap_or_default();
        let seen = first.ends_with(".wasm").then(|| detected("wasm", "wasi-http", &first));
        resolve(&manifest.file, function, seen.as_ref(), package(&[&first, "letter.py"]))
    };
    manifest.functions.iter().map(one).collect()
}

fn app(text: &str) -> Result<AppSpec> {
    let manifest = parse(text, FILE_NAME)?;
    assemble(&manifest, AppName::new("app")?, resolve_all(&manifest)?)
}

#[test]
fn everything_that_can_be_written_arrives() {
    let manifest = parse(QUOTES, FILE_NAME).unwrap();
    assert_eq!(manifest.app.as_ref().map(|app| (app.value.as_str(), app.line)), Some(("quotes", 2)));
    let names: Vec<(&str, usize)> = manifest.functions.iter().map(|f| (f.name.as_str(), f.line)).collect();
    assert_eq!(names, [("rate", 4), ("letter", 8), ("front", 28)], "in the order of the file");

    let all = resolve_all(&manifest).unwrap();
    let letter = &all[1].spec;
    let json = serde_json::to_value(letter).unwrap();
    for (pointer, expected) in [
        ("/host", "\"process\""),
        ("/contract", "\"http\""),
        ("/run", r#"["python3","letter.py"]"#),
        ("/env", r#"{"LANG":"en"}"#),
        ("/timeout_ms", "3000"),
        ("/memory_bytes", "268435456"),
        ("/cpu_milli", "500"),
        ("/body_bytes_max", "1048576"),
        ("/scale", r#"{"min":1,"max":20,"concurrency":10,"idle_ms":60000,"calls_per_instance":1000}"#),
        ("/egress", r#"["smtp.example.com:587"]"#),
        ("/private", "true"),
        ("/settings", r#"{"ready":"/healthz","start-timeout":"10s"}"#),
    ] {
        assert_eq!(json.pointer(pointer).unwrap().to_string(), expected, "{pointer}");
    }
    assert_eq!(all[2].spec.run, ["sh", "front desk.sh", "--fast"]);
    let function = &manifest.functions[1];
    assert_eq!(function.dir.as_ref().unwrap().value, "letter");
    assert_eq!(function.files.as_ref().unwrap().value, ["*.py", "data/**"]);
    assert_eq!(function.build.as_ref().unwrap().value, "make");

    let spec = assemble(&manifest, AppName::new("quotes").unwrap(), all).unwrap();
    let routes: Vec<String> = spec.routes.iter().map(|r| format!("{} {}", r.function, r.route)).collect();
    assert_eq!(routes, ["rate POST /rate", "front GET /", "front /desk/*"]);
}

#[test]
fn defaults_depend_on_host_and_contract() {
    let check = |written: &str, seen: Option<Detected>, expected: &str| {
        let manifest = parse(&format!("[functions.f]\n{written}"), FILE_NAME).unwrap();
        let files = package(&["f.wasm", "f.py", "f.sh", "bin/f"]);
        let resolved = resolve(FILE_NAME, &manifest.functions[0], seen.as_ref(), files).unwrap();
        let (spec, scale) = (&resolved.spec, &resolved.spec.scale);
        let found = format!(
            "{} {} {:?} | {} {} | {}..{} x{} calls {:?}",
            spec.host,
            spec.contract,
            spec.run.join(" "),
            show_duration(spec.timeout()),
            show_bytes(spec.memory_bytes),
            scale.min,
            scale.max,
            scale.concurrency,
            scale.calls_per_instance
        );
        assert_eq!(found, expected, "{written}");
    };
    let wasm = || Some(detected("wasm", "wasi-http", "f.wasm"));
    let python = || Some(detected("process", "http", "python3 f.py"));
    const WASM: &str = "wasm wasi-http \"f.wasm\" | 30s 128 MiB | 0..4096 x16 calls Some(128)";
    check("", wasm(), WASM);
    check("run = \"f.wasm\"", wasm(), WASM);
    check(
        "run = \"f.wasm --x\"\ncontract = \"stdio\"",
        wasm(),
        "wasm stdio \"f.wasm --x\" | 30s 128 MiB | 0..4096 x1 calls None",
    );
    check(
        "run = \"f.py -v\"",
        python(),
        "process http \"python3 f.py -v\" | 30s 512 MiB | 0..8 x80 calls None",
    );
    check(
        "run = \"python3 f.py\"",
        None,
        "process http \"python3 f.py\" | 30s 512 MiB | 0..8 x80 calls None",
    );
    check(
        "run = \"bin/f\"\ncontract = \"stdio\"\nscale.min = 12",
        None,
        "process stdio \"bin/f\" | 30s 512 MiB | 12..12 x1 calls None",
    );
    check(
        "run = \"f.wasm\"\nhost = \"process\"",
        wasm(),
        "process http \"f.wasm\" | 30s 512 MiB | 0..8 x80 calls None",
    );
}

#[test]
fn every_setting_knows_where_it_came_from() {
    let text = "[functions.f]\nrun = \"f.py\"\ntimeout = \"1s\"\n[functions.f.scale]\nmin = 1\n";
    let manifest = parse(text, FILE_NAME).unwrap();
    let seen = detected("process", "http", "python3 f.py");
    let resolved = resolve(FILE_NAME, &manifest.functions[0], Some(&seen), package(&["f.py"])).unwrap();
    let written: Vec<(&str, Origin)> = resolved
        .origins
        .iter()
        .map(|(key, origin)| (*key, *origin))
        .filter(|o| o.1 != Origin::Default)
        .collect();
    assert_eq!(
        written,
        [
            ("contract", Origin::Detected),
            ("host", Origin::Detected),
            ("run", Origin::Detected),
            ("scale.min", Origin::Manifest { line: 5 }),
            ("timeout", Origin::Manifest { line: 3 }),
        ]
    );
    assert_eq!(resolved.origins["memory"], Origin::Default);
}

#[test]
fn one_function_alone_answers_everything() {
    for (text, expected) in [
        ("[functions.a]\nrun = \"a\"", "a /*"),
        ("[functions.a]\nrun = \"a\"\nroute = \"GET /x\"", "a GET /x"),
        ("[functions.a]\nrun = \"a\"\nprivate = true", ""),
        ("[functions.a]\nrun = \"a\"\n[functions.b]\nrun = \"b\"", ""),
    ] {
        let routes: Vec<String> =
            app(text).unwrap().routes.iter().map(|r| format!("{} {}", r.function, r.route)).collect();
        assert_eq!(routes.join(", "), expected, "{text}");
    }
}

#[test]
fn the_same_settings_in_another_order_are_the_same_content() {
    let one = "[functions.a]\nrun = \"a\"\nenv = { X = \"1\", Y = \"2\" }\n[functions.a.http]\nready = \"/r\"\ngrace = \"1s\"";
    let two = "[functions.a.http]\ngrace = \"1s\"\nready = \"/r\"\n[functions.a]\nenv = { Y = \"2\", X = \"1\" }\nrun = [\"a\"]";
    assert_eq!(app(one).unwrap().digest(), app(two).unwrap().digest());
    assert_ne!(app(one).unwrap().digest(), app(&one.replace("1s", "2s")).unwrap().digest());
}

/// `code message | hint (place)`.
fn show(fault: &Fault) -> String {
    let hint = fault.hint_text().map(|hint| format!(" | {hint}")).unwrap_or_default();
    let place = fault.place().map(|place| format!(" ({place})")).unwrap_or_default();
    format!("{} {}{hint}{place}", fault.code(), fault.message())
}

fn refused(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let fault = app(text).expect_err(text);
        assert_eq!(&show(&fault), expected, "{text}");
    }
}

/// A manifest and its refusal.
const MISTAKES: &[(&str, &str)] = &[
    (
        "app = \"a\"\nfuntions = 1",
        "HOB-0102 `funtions` is not a key that Hob knows | did you mean `functions`? (hob.toml:2)",
    ),
    (
        "xyz = 1",
        "HOB-0102 `xyz` is not a key that Hob knows | known keys are `app`, `functions`, `on`, `topics`, `budget`, `alert` (hob.toml:1)",
    ),
    (
        "[functions.f]\nrun = \"f\"\n\ntiemout = \"3s\"",
        "HOB-0102 `functions.f.tiemout` is not a key that Hob knows | did you mean `timeout`? (hob.toml:4)",
    ),
    (
        "[functions.f]\nrun = \"f\"\nscale = { maximum = 1, mx = 2 }",
        "HOB-0102 `functions.f.scale.maximum` is not a key that Hob knows | known keys are `min`, `max`, `concurrency`, `idle`, `calls`, `provisioned` (hob.toml:3)",
    ),
    (
        "[functions.f]\nrun = \"f\"\n[functions.f.sacle]\nmin = 1",
        "HOB-0102 `functions.f.sacle` is not a key that Hob knows | did you mean `scale`? (hob.toml:3)",
    ),
    (
        "[functions.f]\nrun = \"f\"\ncontract = \"stdio\"\n[functions.f.http]\nready = \"/\"",
        "HOB-0102 `functions.f.http` has settings for contract `http`, but the contract is `stdio` | write `contract = \"http\"`, or move the settings to `stdio` (hob.toml:4)",
    ),
    (
        "[functions.f]\nrun = 3",
        "HOB-0103 `functions.f.run` is a number, but has to be text or a list of texts | write `[\"one\", \"two\"]` (hob.toml:2)",
    ),
    (
        "[functions.f]\nrun = \"\"",
        "HOB-0103 `functions.f.run` is empty | name a file, such as `run = \"hello.wasm\"` (hob.toml:2)",
    ),
    (
        "[functions.f]\nrun = \"a | b\"",
        "HOB-0103 `functions.f.run` has `|`, but no shell runs it | for a shell, write `run = [\"sh\", \"-c\", \"…\"]` (hob.toml:2)",
    ),
    (
        "[functions.f]\ntimeout = 3",
        "HOB-0103 `functions.f.timeout` is a number, but has to be a time with its unit | write for example `timeout = \"3s\"` (hob.toml:2)",
    ),
    (
        "[functions.f]\ntimeout = \"3 weeks\"",
        "HOB-0103 `functions.f.timeout`: `3 weeks` is not a time | write for example `30s` or `250ms` (hob.toml:2)",
    ),
    (
        "[functions.f]\nmemory = \"much\"",
        "HOB-0103 `functions.f.memory`: `much` is not a size | write for example `128 MiB` (hob.toml:2)",
    ),
    (
        "[functions.f]\ncpu = \"half\"",
        "HOB-0103 `functions.f.cpu`: `half` is no number of processors | write for example `0.5` (hob.toml:2)",
    ),
    (
        "[functions.f]\ncpu = true",
        "HOB-0103 `functions.f.cpu` is true or false, but has to be a number | write for example `cpu = 0.5` (hob.toml:2)",
    ),
    (
        "[functions.f]\nscale = 3",
        "HOB-0103 `functions.f.scale` is a number, but has to be a table | write `[functions.f.scale]` and its keys below (hob.toml:2)",
    ),
    (
        "[functions.f.scale]\nmax = -1",
        "HOB-0103 `functions.f.scale.max` cannot be -1 | write a whole number such as `max = 10` (hob.toml:2)",
    ),
    (
        "[functions.f]\nenv = { LEVEL = 3 }",
        "HOB-0103 `functions.f.env.LEVEL` is a number, but has to be text | write `LEVEL = \"3\"` (hob.toml:2)",
    ),
    (
        "[functions.f]\ndir = \"../x\"",
        "HOB-0103 `functions.f.dir` is `../x`, which is not below the folder | write a relative path with `/` and without `..` (hob.toml:2)",
    ),
    (
        "[functions.f]\nprivate = \"yes\"",
        "HOB-0103 `functions.f.private` is text, but has to be true or false | write `private = true` (hob.toml:2)",
    ),
    (
        "\n[functions.Big]",
        "HOB-0104 function name `Big` has characters other than a-z, 0-9 and `-` | use 1 to 30 lower-case letters, digits and single hyphens, such as `big` (hob.toml:2)",
    ),
    (
        "app = \"a--b\"",
        "HOB-0104 app name `a--b` begins or ends with a hyphen, or has two in a row | use 1 to 30 lower-case letters, digits and single hyphens, such as `a-b` (hob.toml:1)",
    ),
    ("app = \"a\"", "HOB-0107 app `app` has no functions | add `[functions.<name>]` with `run = \"…\"`"),
    (
        "\n[functions.f]",
        "HOB-0107 function `f` has nothing to run | add `run = \"…\"` below `[functions.f]` (hob.toml:2)",
    ),
];

#[test]
fn mistakes_in_the_text_are_explained_with_their_line() {
    refused(MISTAKES);
    for text in ["app = ", "[functions.f\n", "app = \"a\"\napp = \"b\"", "\u{0}"] {
        let fault = parse(text, FILE_NAME).expect_err(text);
        assert_eq!(fault.code().text(), "HOB-0101", "{text}");
        assert!(
            fault.place().unwrap().starts_with("hob.toml:") && !fault.message().contains('\n'),
            "{fault}"
        );
    }
    let large = "#".repeat(limit::MANIFEST_BYTES_MAX + 1);
    assert_eq!(
        show(&parse(&large, FILE_NAME).unwrap_err()),
        "HOB-0109 the manifest has 1048577 B, the limit is 1048576 B (hob.toml)"
    );
}

#[test]
fn limits_name_the_value_and_the_bound() {
    refused(&[
        (
            "[functions.f]\nrun = \"f\"\ntimeout = \"2d\"",
            "HOB-0109 `timeout` of function `f` is 48h, the limit is 24h | change the value (hob.toml:3)",
        ),
        (
            "[functions.f]\nrun = \"f\"\ntimeout = \"0s\"",
            "HOB-0103 `timeout` of function `f` is 0ms, the least is 1ms | change the value (hob.toml:3)",
        ),
        (
            "[functions.f]\nrun = \"f\"\nmemory = \"1 KiB\"",
            "HOB-0103 `memory` of function `f` is 1 KiB, the least is 1 MiB | change the value (hob.toml:3)",
        ),
        (
            "[functions.f]\nrun = \"f\"\nmemory = \"100 GiB\"",
            "HOB-0109 `memory` of function `f` is 100 GiB, the limit is 64 GiB | change the value (hob.toml:3)",
        ),
        (
            "[functions.f]\nrun = \"f.wasm\"\nmemory = \"5 GiB\"",
            "HOB-0109 `memory` of function `f` is 5 GiB, the limit is 4 GiB | change the value (hob.toml:3)",
        ),
        (
            "[functions.f]\nrun = \"f\"\ncpu = 0.001",
            "HOB-0103 `cpu` of function `f` is 0.001, the least is 0.01 | change the value (hob.toml:3)",
        ),
        (
            "[functions.f]\nrun = \"f\"\ncpu = 2000",
            "HOB-0109 `cpu` of function `f` is 2000, the limit is 1024 | change the value (hob.toml:3)",
        ),
        (
            "[functions.f]\nrun = \"f.wasm\"\ncpu = \"500m\"",
            "HOB-0103 `cpu` of function `f` is set, but `wasm` functions have no such limit | leave it out: a guest that computes gives way to all others by itself (hob.toml:3)",
        ),
        (
            "[functions.f]\nrun = \"f\"\nscale = { min = 3, max = 2 }",
            "HOB-0109 `scale.min` of function `f` is 3, the limit is 2 | lower `scale.min` or raise `scale.max` (hob.toml:3)",
        ),
        (
            "[functions.f]\nrun = \"f\"\nscale = { provisioned = 3, max = 2 }",
            "HOB-0109 `scale.provisioned` of function `f` is 3, the limit is 2 | lower it or raise `scale.max` (hob.toml:3)",
        ),
        (
            "[functions.f]\nrun = \"f\"\nscale.provisioned = [{ count = 1, from = \"0 8 * * *\", to = \"0 18 * * *\", zone = \"Europe/Zurch\" }]",
            "HOB-0810 there is no time zone `Europe/Zurch` | did you mean `Europe/Zurich`? (hob.toml:3)",
        ),
        (
            "[functions.f]\nrun = \"f\"\nscale.concurrency = 0",
            "HOB-0103 `scale.concurrency` of function `f` is 0, the least is 1 | change the value (hob.toml:3)",
        ),
        (
            "[functions.f]\nrun = \"f\"\negress = [\"example.com\"]",
            "HOB-0103 `egress` of function `f` has `example.com` | write `host:port`, such as `api.example.com:443` or `*.example.com:443` (hob.toml:3)",
        ),
        (
            "[functions.f]\nrun = \"f\"\nenv = { \"A B\" = \"\" }",
            "HOB-0103 function `f` has an environment variable named `A B` | names hold no `=` and no space (hob.toml:3)",
        ),
        (
            "[functions.f]\nrun = \"f\"\nroute = \"x\"",
            "HOB-0105 route `x` has no path | write `x/*` (hob.toml:3)",
        ),
        (
            "[functions.f]\nrun = \"f\"\nroute = \"/x\"\n[functions.g]\nrun = \"g\"\nroute = [\"/y\", \"/x\"]",
            "HOB-0106 functions `f` and `g` both claim `/x` | change or remove the route of `g`, or give each its own methods (hob.toml:6)",
        ),
    ]);
    for good in ["a.b:1", "*.b.org:443", "127.0.0.1:80", "[::1]:8080"] {
        assert!(app(&format!("[functions.f]\nrun = \"f\"\negress = [\"{good}\"]")).is_ok(), "{good}");
    }
    for bad in ["a:0", "a:99999", ":1", "a:b", "http://a:1", "[::g]:1", "*:1", "a:+1"] {
        assert!(app(&format!("[functions.f]\nrun = \"f\"\negress = [\"{bad}\"]")).is_err(), "{bad}");
    }
}

/// A node asks again, since any client may send a description.
#[test]
fn what_a_client_sends_is_checked_again() {
    let good = || app("[functions.f]\nrun = \"f.wasm\"").unwrap();
    let name = || FunctionName::new("f").unwrap();
    let refused = |expected: &str, change: &dyn Fn(&mut AppSpec)| {
        let mut spec = good();
        change(&mut spec);
        assert_eq!(show(&check(&spec).expect_err(expected)), expected);
    };
    check(&good()).unwrap();
    const PATH: &str = "package paths are relative, use `/`, have no empty, `.` or `..` part, and at most 1024 bytes, 255 in each part";
    let (part, start) = ("n".repeat(256), "n".repeat(60));
    for (path, shown) in [
        ("../x", "../x"),
        ("/etc/x", "/etc/x"),
        ("a//b", "a//b"),
        ("a/./b", "a/./b"),
        ("a\\b", "a\\\\b"),
        ("", ""),
        ("a\n", "a\\n"),
        (&part, &start),
    ] {
        refused(&format!("HOB-0205 package of function `f` holds the path `{shown}` | {PATH}"), &|spec| {
            spec.functions.get_mut("f").unwrap().package.extend(package(&[path]));
        });
    }
    refused("HOB-0205 package of function `f` has `f.wasm/x` below a file", &|spec| {
        spec.functions.get_mut("f").unwrap().package.extend(package(&["f.wasm/x"]));
    });
    refused(
        "HOB-0108 function `f` runs `f.wasm`, which is not in its package | check the path, or name the file in `files`; `run` is relative to `dir`",
        &|spec| spec.functions.get_mut("f").unwrap().package.clear(),
    );
    refused("HOB-0353 route `/x` names function `g`, which the app has not", &|spec| {
        spec.routes[0].route = "/x".to_owned();
        spec.routes[0].function = FunctionName::new("g").unwrap();
    });
    refused("HOB-0107 app `app` has no functions | add `[functions.<name>]` with `run = \"…\"`", &|spec| {
        spec.functions.clear();
    });
    refused("HOB-0109 app `app` has 257 functions, the limit is 256", &|spec| {
        let one = spec.functions[&name()].clone();
        spec.functions =
            (0..257).map(|i| (FunctionName::new(&format!("f{i}")).unwrap(), one.clone())).collect();
    });
    refused(
        "HOB-0201 file `f.wasm` of function `f` has 1 GiB, the limit is 512 MiB | choose what is deployed with `files`",
        &|spec| {
            spec.functions.get_mut("f").unwrap().package.get_mut("f.wasm").unwrap().size = 1 << 30;
        },
    );
    refused(
        "HOB-0109 `X` of function `f` has 32769 B, the limit is 32768 B | put large values in a file",
        &|spec| {
            let env = &mut spec.functions.get_mut("f").unwrap().env;
            env.insert("X".to_owned(), "x".repeat(limit::ENV_VAR_BYTES_MAX));
        },
    );
}

#[test]
fn the_table_of_keys_documents_itself() {
    for (table, keys) in key::tables() {
        for key in keys {
            assert!(key.summary.ends_with('.') && !key.kind.is_empty() && !key.default.is_empty(), "{table}");
            assert!(key.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", key.name);
        }
    }
}

#[test]
fn instances_are_provisioned_always_or_at_times() {
    let during = |from: &str, to: &str, zone: &str| {
        Some(During { from: from.to_owned(), to: to.to_owned(), zone: zone.to_owned() })
    };
    let good = [
        ("3", vec![(3, None)]),
        ("[{ count = 2 }]", vec![(2, None)]),
        (
            "[{ count = 20, from = \"0 8 * * 1-5\", to = \"0 18 * * 1-5\", zone = \"Europe/Zurich\" }]",
            vec![(20, during("0 8 * * 1-5", "0 18 * * 1-5", "Europe/Zurich"))],
        ),
        (
            "[\n{ count = 1 },\n{ count = 4, from = \"@daily\", to = \"0 1 * * *\" }]",
            vec![(1, None), (4, during("@daily", "0 1 * * *", "UTC"))],
        ),
    ];
    let resolved = |value: &str| {
        let text = format!("[functions.f]\nrun = \"f.py\"\nscale.provisioned = {value}\n");
        let manifest = parse(&text, FILE_NAME)?;
        let seen = detected("process", "http", "python3 f.py");
        resolve(FILE_NAME, &manifest.functions[0], Some(&seen), package(&["f.py"]))
    };
    for (value, expected) in good {
        let scale = resolved(value).unwrap().spec.scale;
        let expected: Vec<_> =
            expected.into_iter().map(|(count, during)| Provisioned { count, during }).collect();
        let highest = expected.iter().map(|one| one.count).max().unwrap();
        assert_eq!((scale.provisioned, scale.max), (expected, highest.max(8)), "{value}");
    }
    let bad = [
        (
            "\"3\"",
            "HOB-0103 `functions.f.scale.provisioned` is text, but has to be a number or a list (hob.toml:3)",
        ),
        ("[{ from = \"@daily\" }]", "HOB-0103 an entry of `scale.provisioned` lacks `count` (hob.toml:3)"),
        (
            "[\n{ count = 1, from = \"@daily\" }]",
            "HOB-0103 an entry of `scale.provisioned` needs both `from` and `to`, or neither (hob.toml:4)",
        ),
        (
            "[{ counts = 1 }]",
            "HOB-0102 `functions.f.scale.provisioned.counts` is not a key that Hob knows (hob.toml:3)",
        ),
    ];
    for (value, expected) in bad {
        assert_eq!(resolved(value).unwrap_err().to_string(), expected, "{value}");
    }
}
