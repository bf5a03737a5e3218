//! Faults of events that do not come to whoever should get them.

use crate::stage::{Fault, Group, Question, Stage, ask, eventually};

const APP: &str = r#"
[functions.letter]
run = ["sh", "-c", "cat >/dev/null"]
contract = "stdio"
private = true

[functions.echo]
run = ["sh", "echo.sh"]
contract = "stdio"
private = true

[[on]]
name = "letters"
topic = "orders"
where = { exact = { type = "order.created" } }
call = "letter"

[[on]]
name = "british"
topic = "policies"
where = { exact = { country = "UK" } }
call = "letter"

[[on]]
name = "large"
topic = "amounts"
where = "type = 'sale' AND INT(amount) > 100"
call = "letter"

[[on]]
name = "bills"
topic = "invoces"
call = "letter"

[[on]]
name = "resting"
topic = "quiet"
call = "letter"

[[on]]
name = "circle"
topic = "round"
call = "echo"

[[on]]
name = "once"
topic = "parcels"
call = "letter"
"#;

/// Answers an event with an event, which comes back to it.
const ECHO: &str = "cat >/dev/null
printf 'Content-Type: text/plain\\r\\nce-specversion: 1.0\\r\\nce-id: %s-\\r\\nce-source: /echo\\r\\nce-type: again\\r\\n\\r\\n' \"$HTTP_CE_ID\"
";

const EARLY: &str = r#"
[functions.late]
run = ["sh", "-c", "cat >/dev/null"]
contract = "stdio"
private = true
[[on]]
name = "late"
topic = "early"
call = "late"
"#;

pub(crate) static GROUP: Group = Group { name: "events", prepare, faults: FAULTS };

fn prepare(stage: &mut Stage) {
    stage.deploy("desk", APP, &[("echo.sh", ECHO)]);
}

/// Sends an event with this id and waits until every subscription of its topic has dealt with it.
fn send(stage: &Stage, topic: &str, id: &str, rest: &[&str]) {
    stage.ok(&[&["send", topic, "--id", id], rest].concat());
}

/// Waits until a subscription has nothing left to do, and has delivered so many.
fn settled(stage: &Stage, subscription: &str, delivered: u64) {
    let show = ["sub", "show", subscription];
    eventually("the subscription settles", || {
        let lag = stage.number(&show, "/lag")?;
        (lag == 0 && stage.number(&show, "/delivered")? == delivered).then_some(())
    });
}

/// An event that a subscription leaves out: asked by its id and by its topic and type.
fn left_out(
    stage: &Stage,
    (topic, subscription): (&str, &str),
    id: &str,
    kind: &str,
    rest: &[&str],
) -> Vec<Question> {
    send(stage, topic, id, &[&["--type", kind], rest].concat());
    settled(stage, subscription, 0);
    vec![ask(&[id])]
}

static FAULTS: &[Fault] = &[
    Fault {
        name: "a filter is one letter off",
        inject: |stage| {
            let mut questions = left_out(stage, ("orders", "letters"), "o-1", "order.creatd", &[]);
            questions.push(ask(&["--topic", "orders", "--type", "order.creatd"]));
            questions.push(ask(&["orders/1"]));
            questions.push(ask(&["--topic", "orders"]));
            questions
        },
        cause: &["desk/letters", "`exact.type`", "`order.created`", "`order.creatd`", "one character apart"],
        fix: &["`order.created`", "`order.creatd`"],
    },
    Fault {
        name: "a publisher misspells a type",
        inject: |_| vec![ask(&["--topic", "orders", "--type", "order.created"])],
        cause: &["no event of type `order.created`", "`orders`", "`order.creatd`"],
        fix: &["write `order.created` instead of `order.creatd`"],
    },
    Fault {
        name: "a filter wants another value",
        inject: |stage| left_out(stage, ("policies", "british"), "p-1", "bought", &["--set", "country=GB"]),
        cause: &["desk/british", "`exact.country`", "`UK`", "`GB`"],
        fix: &["`exact.country`", "desk/british"],
    },
    Fault {
        name: "an event lacks the attribute that a filter wants",
        inject: |stage| {
            send(stage, "policies", "p-2", &["--type", "bought"]);
            settled(stage, "british", 0);
            vec![ask(&["p-2"])]
        },
        cause: &["desk/british", "`exact.country`", "does not have"],
        fix: &["`country`"],
    },
    Fault {
        name: "an expression of a filter does not match",
        inject: |stage| left_out(stage, ("amounts", "large"), "a-1", "sale", &["--set", "amount=7"]),
        cause: &["desk/large", "INT(amount) > 100", "amount `7`"],
        fix: &["`where`", "desk/large"],
    },
    Fault {
        name: "a publisher misspells a topic",
        inject: |stage| {
            send(stage, "oders", "o-2", &["--type", "order.created"]);
            assert_eq!(stage.number(&["sub", "show", "letters"], "/delivered"), Some(0));
            vec![
                ask(&["o-2"]),
                ask(&["--topic", "oders"]),
                ask(&["--topic", "oders", "--type", "order.created"]),
            ]
        },
        cause: &["nobody subscribes to topic `oders`", "`orders`"],
        fix: &["publish to `orders`"],
    },
    Fault {
        name: "a trigger misspells a topic",
        inject: |stage| {
            send(stage, "invoices", "i-1", &["--type", "invoice.sent"]);
            assert_eq!(stage.number(&["sub", "show", "bills"], "/delivered"), Some(0));
            vec![
                ask(&["i-1"]),
                ask(&["--topic", "invoices"]),
                ask(&["desk/bills"]),
                ask(&["--topic", "invoces"]),
            ]
        },
        cause: &["`invoices`", "`invoces`"],
        fix: &["topic = \"invoices\""],
    },
    Fault {
        name: "a topic is asked about that nobody knows",
        inject: |stage| {
            assert!(stage.hob(&["topic", "show", "nothing-like-it"]).0 != 0);
            vec![ask(&["--topic", "nothing-like-it"])]
        },
        cause: &["`nothing-like-it`", "does not exist"],
        fix: &["[[on]]", "topic = \"nothing-like-it\""],
    },
    Fault {
        name: "a subscription is paused",
        inject: |stage| {
            stage.ok(&["sub", "pause", "resting"]);
            send(stage, "quiet", "q-1", &["--type", "x"]);
            assert_eq!(stage.number(&["sub", "show", "resting"], "/lag"), Some(1));
            vec![ask(&["q-1"]), ask(&["--topic", "quiet"]), ask(&["desk/resting"])]
        },
        cause: &["desk/resting", "paused"],
        fix: &["hob sub resume desk/resting"],
    },
    Fault {
        name: "an event is dropped as a duplicate",
        inject: |stage| {
            send(stage, "parcels", "d-1", &["--type", "x"]);
            let said = stage.ok(&["send", "parcels", "--id", "d-1", "--type", "x"]);
            assert!(said.contains("duplicate"), "{said}");
            vec![ask(&["d-1"])]
        },
        cause: &["`d-1`", "duplicate", "parcels/1"],
        fix: &["`id`"],
    },
    Fault {
        name: "a loop of events is stopped",
        inject: |stage| {
            send(stage, "round", "r-1", &["--type", "x"]);
            eventually("the loop stops", || {
                let (code, letters, _) = stage.hob(&["dlq", "ls", "round", "-o", "name"]);
                (code == 0 && !letters.is_empty()).then_some(())
            });
            vec![ask(&["round.dead/1"]), ask(&["r-1"])]
        },
        cause: &["chain of events", "`round`", "16"],
        fix: &["desk/circle"],
    },
    Fault {
        name: "an event has expired",
        inject: |stage| {
            let past = ["--type", "x", "--set", "expirytime=2020-01-01T00:00:00Z"];
            send(stage, "parcels", "e-1", &past);
            eventually("it is given up", || {
                (stage.number(&["sub", "show", "once"], "/dead")? == 1).then_some(())
            });
            vec![ask(&["e-1"])]
        },
        cause: &["expired", "2020-01-01T00:00:00Z"],
        fix: &["`expirytime`"],
    },
    Fault {
        name: "an event is older than the subscription",
        inject: |stage| {
            send(stage, "early", "y-1", &["--type", "x"]);
            stage.deploy("early", EARLY, &[]);
            settled(stage, "early/late", 0);
            vec![ask(&["y-1"]), ask(&["early/1"])]
        },
        cause: &["early/late", "began", "after the event was published"],
        fix: &["hob sub seek early/late 1"],
    },
    Fault {
        name: "an event was passed over by a seek",
        inject: |stage| {
            stage.ok(&["sub", "pause", "bills"]);
            send(stage, "invoces", "s-1", &["--type", "x"]);
            stage.ok(&["sub", "seek", "bills", "now"]);
            stage.ok(&["sub", "resume", "bills"]);
            settled(stage, "bills", 0);
            vec![ask(&["s-1"])]
        },
        cause: &["desk/bills", "seek"],
        fix: &["hob sub seek desk/bills 1"],
    },
];
