//! Manifests of other platforms through the real program: checked, imported, run, refused.
//!
//! **Not here:** what each setting becomes (`hob-core`, `foreign`).

use super::support::{command, finish, hob, write};
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
