//! Faults of revisions: another one answers than somebody thinks.

use crate::stage::{Fault, Group, Question, Stage, appears, ask, eventually};

fn app(number: u32) -> String {
    format!(
        "[functions.page]\nrun = [\"sh\", \"-c\", \"echo {number}\"]\ncontract = \"stdio\"\nroute = \"/page\"\n"
    )
}

/// A program that does not start without a variable.
const BROKEN: &str = r#"
[functions.page]
run = ["python3", "-c", "import os; os.environ['LICENCE_KEY']"]
contract = "http"
route = "/page"
[functions.page.http]
start-timeout = "20s"
"#;

/// Publishes what the current revision does not know any more, when it is told to.
const CHAIN: &str = r#"
[functions.begin]
run = ["sh", "begin.sh"]
contract = "stdio"
route = "/begin"
timeout = "60s"

[functions.hear]
run = ["sh", "-c", "cat >/dev/null; echo heard by %NUMBER% >&2"]
contract = "stdio"
private = true

[[on]]
name = "hears"
topic = "begun"
call = "hear"
"#;

const BEGIN: &str = "touch %FOLDER%begun
until [ -e %FOLDER%go ] || ! [ -e %FOLDER%begun ]; do sleep 0.05; done
curl -fsS -H 'ce-specversion: 1.0' -H \"ce-id: %TOPIC%-1\" -H 'ce-source: /begin' -H 'ce-type: begun' -X POST http://bus.internal/%TOPIC%
";

pub(crate) static GROUP: Group = Group { name: "changes", prepare: |_| (), faults: FAULTS };

/// Deploys a chain whose first revision publishes after the second was deployed.
fn chain(stage: &Stage, (name, topic): (&str, &str), first: &str, second: &str) {
    let folder = stage.path(&format!("{name}-")).display().to_string();
    let begin = BEGIN.replace("%FOLDER%", &folder).replace("%TOPIC%", topic);
    stage.deploy(name, &first.replace("%NUMBER%", "1").replace("begun", topic), &[("begin.sh", &begin)]);
    std::thread::scope(|scope| {
        let request = scope.spawn(|| stage.seen(name, "POST /begin", 200));
        appears(&stage.path(&format!("{name}-begun")));
        stage.deploy(name, &second.replace("%NUMBER%", "2").replace("begun", topic), &[("begin.sh", &begin)]);
        std::fs::write(stage.path(&format!("{name}-go")), "").unwrap();
        request.join().unwrap();
    });
}

fn asked(stage: &Stage, app: &str, revision: u32) -> Vec<Question> {
    let answer = stage.request("GET /page", &format!("{app}.localhost"), &[], "");
    assert_eq!(answer.body.trim(), revision.to_string(), "{answer:?}");
    let route = format!("GET http://{app}.localhost/page");
    vec![
        ask(&[&answer.id]),
        ask(&["--route", &route]),
        ask(&["--function", &format!("{app}/page")]),
        ask(&[app]),
    ]
}

static FAULTS: &[Fault] = &[
    Fault {
        name: "somebody has rolled the app back",
        inject: |stage| {
            stage.deploy("web", &app(1), &[]);
            stage.deploy("web", &app(2), &[]);
            stage.ok(&["rollback", "web"]);
            asked(stage, "web", 1)
        },
        cause: &["revision 1", "rolled back"],
        fix: &["hob rollback web --to 2"],
    },
    Fault {
        name: "a deploy has failed, and the old revision goes on",
        inject: |stage| {
            stage.deploy("shop", &app(1), &[]);
            stage.write("shop", BROKEN, &[]);
            assert_ne!(stage.hob(&["deploy", "shop"]).0, 0);
            asked(stage, "shop", 1)
        },
        cause: &["revision 1", "deploy", "failed", "`LICENCE_KEY`"],
        fix: &["`LICENCE_KEY`", "`env`", "hob deploy"],
    },
    Fault {
        name: "a first deploy has failed",
        inject: |stage| {
            stage.write("new", BROKEN, &[]);
            assert_ne!(stage.hob(&["deploy", "new"]).0, 0);
            vec![
                ask(&["new"]),
                ask(&["--route", "http://new.localhost/page"]),
                ask(&["--function", "new/page"]),
            ]
        },
        cause: &["new", "deploy", "failed", "`LICENCE_KEY`"],
        fix: &["`LICENCE_KEY`", "`env`", "hob deploy"],
    },
    Fault {
        name: "an event is handled by the old revision, which published it",
        inject: |stage| {
            chain(stage, ("chain", "begun"), CHAIN, CHAIN);
            eventually("it is delivered", || {
                (stage.number(&["sub", "show", "chain/hears"], "/delivered")? == 1).then_some(())
            });
            assert!(stage.ok(&["logs"]).contains("heard by 1"));
            vec![ask(&["begun-1"]), ask(&["begun/1"])]
        },
        cause: &["revision 1", "published", "revision 2"],
        fix: &["hob replay begun --from 1 --limit 1 --to chain/hear"],
    },
    Fault {
        name: "an event belongs to a revision without the subscription",
        inject: |stage| {
            // The first revision does not subscribe, and the second one does.
            let (before, _) = CHAIN.split_once("[[on]]").unwrap();
            chain(stage, ("other", "said"), before, CHAIN);
            stage.ok(&["send", "said", "--id", "said-2", "--type", "begun"]);
            eventually("the next one is delivered", || {
                (stage.number(&["sub", "show", "other/hears"], "/delivered")? == 1).then_some(())
            });
            vec![ask(&["said-1"]), ask(&["said/1"])]
        },
        cause: &["other/hears", "revision 1", "no such subscription"],
        fix: &["hob replay said --from 1 --limit 1 --to other/hear"],
    },
    Fault {
        name: "a subscription is gone with the new revision",
        inject: |stage| {
            stage.deploy("third", &CHAIN.replace("begun", "told"), &[("begin.sh", "true")]);
            let renamed = CHAIN.replace("begun", "told").replace("name = \"hears\"", "name = \"listens\"");
            stage.deploy("third", &renamed, &[("begin.sh", "true")]);
            stage.ok(&["send", "told", "--id", "g-1", "--type", "x"]);
            eventually("it is delivered by the other", || {
                (stage.number(&["sub", "show", "third/listens"], "/delivered")? == 1).then_some(())
            });
            vec![ask(&["third/hears"])]
        },
        cause: &["current revision of `third`", "no subscription `third/hears`"],
        fix: &["hob rollback third"],
    },
    Fault {
        name: "an app was removed",
        inject: |stage| {
            stage.deploy("gone", &app(1), &[]);
            let id = stage.seen("gone", "GET /page", 200);
            stage.ok(&["rm", "gone", "--yes"]);
            let answer = stage.request("GET /page", "gone.localhost", &[], "");
            assert_eq!(answer.status, 404);
            drop(id);
            vec![ask(&[&answer.id]), ask(&["gone"]), ask(&["--route", "http://gone.localhost/page"])]
        },
        cause: &["gone", "removed"],
        fix: &["hob deploy"],
    },
];
