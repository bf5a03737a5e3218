//! Faults of schedules: another hour, a run that is left out, a node that was down.

use crate::stage::{Fault, Group, Stage, ask, eventually};
use std::time::{Duration, SystemTime};

const APP: &str = r#"
[functions.digest]
run = ["sh", "-c", "cat >/dev/null"]
contract = "stdio"
private = true

[functions.long]
run = ["sh", "-c", "until %GO%; do sleep 0.1; done"]
contract = "stdio"
private = true
timeout = "1h"

[functions.fails]
run = ["sh", "-c", "echo 'disk quota of report exceeded' >&2; exit 1"]
contract = "stdio"
private = true

[[on]]
name = "nightly"
schedule = "0 3 * * *"
call = "digest"

[[on]]
name = "overlapping"
schedule = "@every 1s"
call = "long"

[[on]]
name = "resting"
schedule = "@every 1s"
call = "digest"

[[on]]
name = "failing"
schedule = "@every 1s"
call = "fails"
retry = { attempts = 1 }
"#;

pub(crate) static GROUP: Group = Group { name: "schedules", prepare, faults: FAULTS };

fn prepare(stage: &mut Stage) {
    stage.deploy("clock", &APP.replace("%GO%", &stage.may_go()), &[]);
}

static FAULTS: &[Fault] = &[
    Fault {
        name: "a schedule is read in another zone",
        inject: |stage| {
            let zone = stage.ok(&["cron", "show", "nightly", "-o", "json"]);
            assert!(zone.contains("\"UTC\""), "{zone}");
            vec![ask(&["--cron", "nightly"]), ask(&["clock/nightly"])]
        },
        cause: &["03:00", "`UTC`", "next"],
        fix: &["`zone = \""],
    },
    Fault {
        name: "a schedule's name is misspelt",
        inject: |stage| {
            assert!(stage.hob(&["cron", "show", "nighly"]).0 != 0);
            vec![ask(&["--cron", "nighly"])]
        },
        cause: &["`nighly`"],
        fix: &["`nightly`"],
    },
    Fault {
        name: "a run is left out since the one before is not over",
        inject: |stage| {
            eventually("a run is left out", || {
                (stage.number(&["cron", "show", "overlapping"], "/skipped")? > 0).then_some(())
            });
            vec![ask(&["--cron", "overlapping"])]
        },
        cause: &["left out", "not over"],
        fix: &["overlap = \"allow\""],
    },
    Fault {
        name: "a schedule is paused",
        inject: |stage| {
            stage.ok(&["cron", "pause", "resting"]);
            vec![ask(&["--cron", "resting"]), ask(&["clock/resting"])]
        },
        cause: &["`clock/resting`", "paused"],
        fix: &["hob cron resume clock/resting"],
    },
    Fault {
        name: "a schedule's runs fail",
        inject: |stage| {
            eventually("a run is given up", || {
                let (code, letters, _) = stage.hob(&["dlq", "ls", "-o", "name"]);
                (code == 0 && letters.contains("hob.schedules.clock.dead")).then_some(())
            });
            vec![ask(&["--cron", "failing"]), ask(&["--function", "fails"])]
        },
        cause: &["fail", "disk quota of report exceeded"],
        fix: &["`fails`"],
    },
];

/// The node is down when runs are due. It is a group of its own, since that takes a minute.
pub(crate) static DOWN: Group = Group { name: "a node that is down", prepare: down, faults: DOWN_FAULTS };

fn down(stage: &mut Stage) {
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let due = now() + Duration::from_secs(6);
    let written = stage.run("sh", &format!("date -u -d @{} +%Y-%m-%dT%H:%M:%S", due.as_secs()));
    let app = format!(
        r#"
[functions.digest]
run = ["sh", "-c", "cat >/dev/null"]
contract = "stdio"
private = true
[[on]]
name = "skips"
schedule = "at({written})"
call = "digest"
missed = "skip"
[[on]]
name = "makes-up"
schedule = "at({written})"
call = "digest"
missed = "once"
"#
    );
    stage.deploy("clock", &app, &[]);
    stage.kill();
    assert!(now() < due, "the node was killed before its runs were due");
    // A run that is at most a minute late is on time.
    eventually("the runs are missed", || (now().as_secs() > due.as_secs() + 61).then_some(()));
    stage.serve();
}

static DOWN_FAULTS: &[Fault] = &[
    Fault {
        name: "a run was missed while the node was down, and is left out",
        inject: |stage| {
            eventually("the run is left out", || {
                (stage.number(&["cron", "show", "skips"], "/skipped")? == 1).then_some(())
            });
            vec![ask(&["--cron", "skips"])]
        },
        cause: &["left out", "the node was not running"],
        fix: &["missed = \"once\"", "hob cron fire clock/skips"],
    },
    Fault {
        name: "a run was missed while the node was down, and was made up for",
        inject: |stage| {
            eventually("the run is made up for", || {
                (stage.number(&["cron", "show", "makes-up"], "/fired")? == 1).then_some(())
            });
            vec![ask(&["--cron", "makes-up"])]
        },
        cause: &["missed", "the node was not running", "made up"],
        fix: &["missed = \"skip\""],
    },
];
