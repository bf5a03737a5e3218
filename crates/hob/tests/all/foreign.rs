//! Manifests of other platforms through the real program: checked, imported, run, refused.
//!
//! **Not here:** what each setting becomes (`hob-core`, `foreign`).

use super::support::{Node, Serving, command, finish, hob, write};
use hob_core::foreign::DIALECTS;

#[test]
fn every_example_is_in_order_as_it_is_and_as_its_import() {
    for dialect in DIALECTS {
        let home = tempfile::tempdir().unwrap();
        let files: Vec<(&str, &[u8])> =
            dialect.example.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
        write(&home.path().join("app"), &files);
        let checked = |what: &str| {
            let outcome = hob(home.path(), &["check", what, "--json"]);
            assert_eq!(outcome.code, 0, "{}: {}", dialect.name, outcome.stderr);
            serde_json::from_str::<serde_json::Value>(&outcome.stdout).unwrap()
        };
        let (folder, named) = (checked("app"), checked(&format!("app/{}", dialect.example[0].0)));
        assert_eq!(folder["digest"], named["digest"], "{}", dialect.name);
        let shown = hob(home.path(), &["show", "app", "--resolved"]);
        let origin = format!("app/{}:", dialect.example[0].0);
        assert!(
            shown.stdout.contains(&origin),
            "{}: every setting has its line\n{}",
            dialect.name,
            shown.stdout
        );

        let text = hob(home.path(), &["import", "app", "--stdout"]).stdout;
        assert!(!home.path().join("app/hob.toml").exists(), "`--stdout` writes no file");
        let done = hob(home.path(), &["import", "app"]);
        assert_eq!(
            (done.code, done.stdout.lines().next()),
            (0, Some("wrote `app/hob.toml`")),
            "{}",
            done.stderr
        );
        let written = std::fs::read_to_string(home.path().join("app/hob.toml")).unwrap();
        assert_eq!(text.trim_end(), written.trim_end());
        assert_eq!(
            checked("app")["digest"],
            folder["digest"],
            "{}: the import is the same app",
            dialect.name
        );

        let again = hob(home.path(), &["import", "app"]);
        assert_eq!(again.code, 5, "{}", again.stdout);
        assert!(again.stderr.starts_with("error[HOB-0123]"), "{}", again.stderr);
        let forced = hob(home.path(), &["import", "app", "--force", "--json"]);
        let forced: serde_json::Value = serde_json::from_str(&forced.stdout).unwrap();
        assert_eq!((&forced["dialect"], &forced["written"]), (&dialect.name.into(), &"app/hob.toml".into()));
        assert_eq!(forced["manifest"].as_str().unwrap().trim_end(), written.trim_end());
    }
}

#[test]
fn what_cannot_be_honoured_is_named_by_its_line() {
    let home = tempfile::tempdir().unwrap();
    let sam = "Transform: AWS::Serverless-2016-10-31\nResources:\n  Hello:\n    Type: AWS::Serverless::Function\n    Properties:\n      Runtime: provided.al2023\n      VpcConfig: {}\n";
    write(
        home.path(),
        &[
            ("warned/template.yaml", sam.as_bytes()),
            ("warned/bootstrap", b"#!/bin/sh\n"),
            (
                "refused/template.yaml",
                format!("{sam}      FunctionUrlConfig: {{AuthType: AWS_IAM}}\n").as_bytes(),
            ),
            ("broken/template.yaml", format!("{sam}      Timeout: [\n").as_bytes()),
            ("both/template.yaml", sam.as_bytes()),
            ("both/template.yml", sam.as_bytes()),
            ("huge/template.yaml", &vec![b'#'; 2 << 20]),
            ("none/README", b""),
        ],
    );
    for (args, code, error, says) in [
        (["check", "refused"], 2, "HOB-0121", "--> refused/template.yaml:8"),
        (
            ["deploy", "refused"],
            2,
            "HOB-0121",
            "line 8, `Resources.Hello.Properties.FunctionUrlConfig.AuthType`",
        ),
        (["run", "refused"], 2, "HOB-0121", "hob import"),
        (["check", "broken"], 2, "HOB-0120", "broken/template.yaml:"),
        (["check", "both"], 2, "HOB-0122", "`both/template.yml`"),
        (["check", "huge"], 2, "HOB-0109", "huge/template.yaml"),
        (["import", "huge"], 2, "HOB-0109", "huge/template.yaml"),
        (["import", "none"], 2, "HOB-0107", "`template.yaml`"),
        (["import", "nowhere"], 3, "HOB-0108", "does not exist"),
    ] {
        let outcome = hob(home.path(), &args);
        assert_eq!(outcome.code, code, "{args:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(&format!("error[{error}]: ")), "{args:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(says), "{args:?} should say `{says}`: {}", outcome.stderr);
    }
    let warned = hob(home.path(), &["check", "warned", "--json"]);
    assert!(
        warned.stderr.contains("warning: warned/template.yaml:7: `Resources.Hello.Properties.VpcConfig`"),
        "{}",
        warned.stderr
    );
    let json: serde_json::Value = serde_json::from_str(&warned.stdout).unwrap();
    assert_eq!((&json["unmet"][0]["line"], &json["unmet"][0]["level"]), (&7.into(), &"warning".into()));
    let imported = hob(home.path(), &["import", "refused", "--stdout"]);
    assert!(imported.stdout.contains("# TO DECIDE: line 8, "), "{}", imported.stdout);
    assert_eq!(finish(command(home.path()).args(["import", "warned", "--set", "novalue"])).code, 2);
}

const SERVICE: &str = "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: orders, annotations: {hob.dev/run: python3 app.py}}\nspec: {template: {spec: {containers: [{image: x, ports: [{containerPort: 9000}]}]}}}\n";

fn trigger(name: &str, service: &str) -> String {
    format!(
        "apiVersion: eventing.knative.dev/v1\nkind: Trigger\nmetadata: {{name: {name}}}\nspec: {{subscriber: {{ref: {{kind: Service, name: {service}}}}}}}\n"
    )
}

/// Folders with a manifest of Knative in several files, and such that are none.
fn folders() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let two = format!("{}---\n{}", trigger("one", "orders"), trigger("two", "orders"));
    let bad = format!("{}  delivery: {{retry: [}}\n", trigger("bad", "orders"));
    write(
        home.path(),
        &[
            ("shop/service.yaml", SERVICE.as_bytes()),
            ("shop/trigger.yaml", two.as_bytes()),
            ("shop/compose.yml", b"services: {web: {image: x}}\n"),
            ("shop/app.py", b""),
            ("config/100-orders.yaml", SERVICE.as_bytes()),
            ("config/200-trigger.yaml", trigger("one", "orders").as_bytes()),
            ("config/300-other.yml", b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n"),
            ("app.py", b""),
            ("broken/service.yaml", SERVICE.as_bytes()),
            ("broken/trigger.yaml", bad.as_bytes()),
            ("twice/service.yaml", SERVICE.as_bytes()),
            ("twice/again.yaml", SERVICE.as_bytes()),
            ("lost/service.yaml", SERVICE.as_bytes()),
            ("lost/trigger.yaml", trigger("one", "nobody").as_bytes()),
            ("toml/hob.toml", b"[functions.a]\nrun = \"true\"\n"),
            ("empty/README", b""),
            ("sam/template.yaml", b"Transform: AWS::Serverless-2016-10-31\nResources: {}\n"),
        ],
    );
    home
}

/// Files of a folder belong together, and so do those that are named; what is not named is told.
#[test]
fn a_manifest_of_knative_may_stand_in_several_files() {
    let home = folders();
    for (args, subscriptions, says) in [
        (&["shop"][..], 2, "shop/service.yaml:4: `spec.template.spec.containers[0].ports`"),
        (&["-f", "shop"], 2, ""),
        (
            &["shop/service.yaml"],
            0,
            "shop/trigger.yaml:1: `kind`: Trigger `one` calls Service `orders`, but its file was not named",
        ),
        (&["shop/service.yaml", "-f", "shop/trigger.yaml"], 2, ""),
        (&["-f", "shop/service.yaml", "-f", "shop/trigger.yaml"], 2, ""),
        (&[".", "-f", "config"], 1, "config/300-other.yml:2: `kind`: Hob has no `Deployment`"),
        (&[".", "-f", "config/100-orders.yaml", "--file", "config/200-trigger.yaml"], 1, ""),
    ] {
        let outcome = finish(command(home.path()).args(["check", "--json"]).args(args));
        assert_eq!(outcome.code, 0, "{args:?}: {}", outcome.stderr);
        let json: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(
            (&json["app"], &json["subscriptions"]),
            (&"orders".into(), &subscriptions.into()),
            "{args:?}"
        );
        assert!(outcome.stderr.contains(says), "{args:?} should say `{says}`: {}", outcome.stderr);
        assert_eq!(outcome.stderr.contains("was not named"), says.contains("was not named"), "{args:?}");
    }
    let imported = hob(home.path(), &["import", "shop", "--stdout"]);
    assert!(
        imported
            .stdout
            .starts_with("# Written by `hob import` from `service.yaml`, `trigger.yaml` (Knative).")
    );
    assert_eq!(imported.stdout.matches("[[on]]").count(), 2, "{}", imported.stdout);
}

#[test]
fn files_that_make_no_manifest_together_are_refused() {
    let home = folders();
    for (args, code, error, says) in [
        (&["broken"][..], 2, "HOB-0120", "--> broken/trigger.yaml:"),
        (&["twice"], 2, "HOB-0121", "there are two of Service `orders`"),
        (&["lost"], 2, "HOB-0121", "--> lost/trigger.yaml:4"),
        (&["toml", "-f", "shop"], 2, "HOB-0124", "is no manifest that has further files"),
        (&["shop", "-f", "sam/template.yaml"], 2, "HOB-0124", "`sam/template.yaml` is none"),
        (&["-f", "empty"], 2, "HOB-0107", "empty"),
        (&["shop", "-f", "nowhere.yaml"], 3, "HOB-0108", "nowhere.yaml"),
    ] {
        let outcome = finish(command(home.path()).arg("check").args(args));
        assert_eq!(outcome.code, code, "{args:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(&format!("error[{error}]: ")), "{args:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(says), "{args:?} should say `{says}`: {}", outcome.stderr);
    }
}

const WORKER: &str =
    "export default { fetch(request, env) { return new Response(`${env.PLACE} ${env.TOKEN}`) } };\n";
const WRANGLER: &str = "name = \"hello\"\nmain = \"worker.js\"\ncompatibility_date = \"2026-01-01\"\nvars = { PLACE = \"top\" }\n[env.staging.vars]\nPLACE = \"staging\"\n";

/// What is given on the command line reaches every command that takes it, and a name that nobody asks for is told.
#[test]
fn values_reach_every_command_that_takes_them() {
    let home = tempfile::tempdir().unwrap();
    write(
        home.path(),
        &[
            ("app/wrangler.toml", WRANGLER.as_bytes()),
            ("app/worker.js", WORKER.as_bytes()),
            ("app/.dev.vars", b"TOKEN=abc123\n"),
            ("own/hob.toml", b"[functions.hello]\nrun = \"worker.js\"\n"),
            ("own/worker.js", WORKER.as_bytes()),
        ],
    );
    let help = hob(home.path(), &["--help"]).stdout;
    let commands =
        help.lines().filter(|line| line.starts_with("  ")).filter_map(|line| line.split_whitespace().next());
    let takes =
        |name: &&str| hob(home.path(), &[name, "--help"]).stdout.contains("Value of a parameter (SAM)");
    let found: Vec<&str> = commands.filter(takes).collect();
    assert_eq!(found, ["run", "import", "dev", "deploy", "show", "check"], "each has a row below");

    let node = Node::start_with(&["--dashboard", "none"]);
    for form in
        [&["--set", "env=staging"][..], &["--env", "staging"], &["--set", "env=staging", "--set", "typo=1"]]
    {
        for (command, says) in [
            (&["check", "app", "--json"][..], "\"app\": \"hello-staging\""),
            (&["show", "app", "--resolved", "--json"], "\"app\": \"hello-staging\""),
            (&["import", "app", "--stdout"], "app = \"hello-staging\""),
        ] {
            let outcome = finish(super::support::command(home.path()).args(command).args(form));
            assert_eq!(outcome.code, 0, "{command:?} {form:?}: {}", outcome.stderr);
            assert!(outcome.stdout.contains(says), "{command:?} {form:?}: {}", outcome.stdout);
            assert!(outcome.stdout.contains("staging\""), "{command:?} {form:?}: {}", outcome.stdout);
            assert!(!outcome.stdout.contains("abc123"), "{command:?}: a secret is shown");
            assert_eq!(
                outcome.stderr.contains("`--set typo=…`"),
                form.len() > 2,
                "{command:?}: {}",
                outcome.stderr
            );
        }
        for command in ["run", "dev"] {
            let args: Vec<&str> =
                [command, "app", "--dashboard", "none"].iter().chain(form).copied().collect();
            let serving = Serving::start(home.path(), &args);
            assert_eq!(serving.get("/"), (200, "staging abc123".to_owned()), "{command} {form:?}");
        }
    }
    let path = home.path().join("app");
    let path = path.to_str().unwrap();
    let refused = node.hob(&["deploy", path, "--env", "staging"]);
    assert!(
        refused.stderr.contains("error[HOB-0730]")
            && refused.stderr.contains("hob secret set hello-staging TOKEN"),
        "{}",
        refused.stderr
    );
    let set = home.path().join("token");
    std::fs::write(&set, "xyz789").unwrap();
    let set = node.hob(&["secret", "set", "hello-staging", "TOKEN", "--from-file", set.to_str().unwrap()]);
    assert_eq!(set.code, 0, "{}", set.stderr);
    let deployed = node.hob(&["deploy", path, "--env", "staging", "--json"]);
    assert!(deployed.stdout.contains("\"hello-staging\""), "{}{}", deployed.stdout, deployed.stderr);
    let known = hob(home.path(), &["check", "app", "--set", "env=nothing"]);
    assert!(known.stderr.contains("there is no environment `nothing`"), "{}", known.stderr);
    let shown = node.hob(&["show", "hello-staging", "--set", "a=b"]);
    assert!(shown.code == 2 && shown.stderr.contains("add `--resolved`"), "{}", shown.stderr);
    let own = hob(home.path(), &["check", "own", "--set", "a=b"]);
    assert!(own.stderr.contains("`--set a=…` is for manifests of other platforms"), "{}", own.stderr);
}

/// A node that ends with its command takes secrets from the environment, and says so where one is missing.
#[test]
fn secrets_of_a_short_lived_node_come_from_the_environment() {
    let home = tempfile::tempdir().unwrap();
    let toml = "[functions.hello]\nrun = \"worker.js\"\nenv = { PLACE = \"here\" }\nsecrets = [\"TOKEN\"]\n";
    write(home.path(), &[("app/hob.toml", toml.as_bytes()), ("app/worker.js", WORKER.as_bytes())]);
    let args = ["run", "app", "--dashboard", "none"];
    let serving = Serving::by(command(home.path()).args(args).env("TOKEN", "hunter2"), home.path());
    assert_eq!(serving.get("/"), (200, "here hunter2".to_owned()));
    drop(serving);
    let missing = finish(command(home.path()).args(args).args(["--http", "127.0.0.1:0"]));
    assert_eq!(missing.code, 3, "{}", missing.stderr);
    assert!(
        missing.stderr.contains("error[HOB-0730]: function `hello` names the secret `TOKEN`"),
        "{}",
        missing.stderr
    );
    assert!(missing.stderr.contains("set `TOKEN` before the command"), "{}", missing.stderr);
}
