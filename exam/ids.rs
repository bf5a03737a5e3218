//! Questions about what nobody knows.

use crate::stage::{Fault, Group, ask};

const APP: &str = r#"
[functions.main]
run = ["true"]
contract = "stdio"
"#;

pub(crate) static GROUP: Group =
    Group { name: "ids", prepare: |stage| stage.deploy("one", APP, &[]), faults: FAULTS };

static FAULTS: &[Fault] = &[
    Fault {
        name: "an id is asked about that nobody knows",
        inject: |_| vec![ask(&["no-such-thing"]), ask(&["order-4711"])],
        cause: &["nothing", "called"],
        fix: &["hob-invocation-id", "topic/17"],
    },
    Fault {
        name: "an id is longer ago than anything is kept",
        // A UUID of version 7 names its time: this one is of the year 2020.
        inject: |_| vec![ask(&["016f5e66e80070008000000000000001"])],
        cause: &["2020-01-01", "longer ago", "kept"],
        fix: &["14 days"],
    },
    Fault {
        name: "an error code is asked about that has not happened",
        inject: |_| vec![ask(&["HOB-0505"])],
        cause: &["more memory than it may have", "not happened"],
        fix: &["docs/errors/HOB-0505.md"],
    },
    Fault {
        name: "a function is asked about that nobody calls",
        inject: |_| vec![ask(&["--function", "main"]), ask(&["one/main"])],
        cause: &["nobody has called `main`", "route"],
        fix: &["hob why --route"],
    },
    Fault {
        name: "a function's name is misspelt",
        inject: |_| vec![ask(&["--function", "mian"])],
        cause: &["`mian`"],
        fix: &["`main`"],
    },
];
