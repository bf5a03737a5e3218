//! A call that waits too long in the queue: half a minute, so it has a group of its own.

use crate::stage::{Fault, Group, Stage, appears, ask};

const APP: &str = r#"
[functions.busy]
run = ["sh", "busy.sh"]
contract = "stdio"
route = "/busy"
timeout = "10m"
scale = { max = 1 }
"#;

const BUSY: &str = "touch %RUNS%; until %GO%; do sleep 0.1; done\n";

pub(crate) static GROUP: Group = Group { name: "a long queue", prepare, faults: FAULTS };

fn prepare(stage: &mut Stage) {
    let runs = stage.path("runs").display().to_string();
    stage.deploy(
        "late",
        APP,
        &[("busy.sh", &BUSY.replace("%RUNS%", &runs).replace("%GO%", &stage.may_go()))],
    );
}

static FAULTS: &[Fault] = &[Fault {
    name: "a call waits too long in the queue",
    inject: |stage| {
        std::thread::scope(|scope| {
            let first = scope.spawn(|| stage.request("GET /busy", "late.localhost", &[], ""));
            appears(&stage.path("runs"));
            let second = stage.request("GET /busy", "late.localhost", &[], "");
            std::fs::write(stage.go(), "").unwrap();
            assert_eq!((first.join().unwrap().status, second.status), (200, 503));
            vec![ask(&[&second.id]), ask(&["--function", "late/busy"])]
        })
    },
    cause: &["waited 30s", "`busy`", "1 instance"],
    fix: &["`scale.max`"],
}];
