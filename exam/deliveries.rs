//! Faults of deliveries: attempts that fail, and events that wait.

use crate::stage::{Fault, Group, Question, Stage, ask, eventually};

const APP: &str = r#"
[functions.stock]
run = ["sh", "stock.sh"]
contract = "stdio"
private = true
timeout = "60s"
scale = { max = 2 }

[[on]]
name = "keyed"
topic = "stock"
call = "stock"
retry = { attempts = 2, backoff = "10ms..20ms" }

[[on]]
name = "again"
topic = "orders"
call = "stock"
retry = { attempts = 3, backoff = "10ms..20ms" }

[[on]]
name = "patient"
topic = "slow"
call = "stock"
order-by = "partitionkey"
retry = { attempts = 5, backoff = "1h..2h" }

[[on]]
name = "rated"
topic = "drops"
call = "stock"
rate = "1/h"

[[on]]
name = "narrow"
topic = "queue"
call = "stock"
concurrency = 1
"#;

const STOCK: &str = "data=$(cat)
case $HTTP_CE_SUBJECT in
7) printf 'Status: 500\\r\\nContent-Type: text/plain\\r\\n\\r\\nno such shelf' ;;
refused) printf 'Status: 422\\r\\nContent-Type: text/plain\\r\\n\\r\\nno such order' ;;
odd) printf 'Content-Type: application/cloudevents+json\\r\\n\\r\\n{\"id\": 7}' ;;
broken) echo 'ValueError: 3 is no weight' >&2; exit 1 ;;
held) until [ -e \"$data\" ] || ! [ -d \"${data%/*}\" ]; do sleep 0.05; done ;;
esac
";

pub(crate) static GROUP: Group = Group { name: "deliveries", prepare, faults: FAULTS };

fn prepare(stage: &mut Stage) {
    stage.deploy("store", APP, &[("stock.sh", STOCK)]);
}

fn send(stage: &Stage, topic: &str, id: &str, subject: &str, rest: &[&str]) {
    stage.ok(&[&["send", topic, "held-until", "--id", id, "--subject", subject, "--type", "x"], rest].concat());
}

/// Sends an event that its subscription gives up; asked by its id and as its letter.
fn given_up(stage: &Stage, (topic, subscription): (&str, &str), id: &str, subject: &str) -> Vec<Question> {
    let dead = || stage.number(&["sub", "show", subscription], "/dead");
    let before = dead();
    send(stage, topic, id, subject, &[]);
    eventually("it is given up", || (dead() > before).then_some(()));
    let letters = stage.ok(&["dlq", "ls", topic, "-o", "json"]);
    let letters: serde_json::Value = serde_json::from_str(&letters).unwrap();
    let letter = letters.as_array().unwrap().iter().find(|letter| letter["event"]["id"] == id).unwrap();
    let place = format!("{topic}.dead/{}", letter["sequence"]);
    vec![ask(&[id]), ask(&[&place])]
}

static FAULTS: &[Fault] = &[
    Fault {
        name: "a function fails for one key only",
        inject: |stage| {
            for number in 1..4 {
                let (id, key) = (format!("k-{number}"), number.to_string());
                send(stage, "stock", &id, &key, &["--key", &key]);
            }
            eventually("the others pass", || {
                (stage.number(&["sub", "show", "keyed"], "/delivered")? == 3).then_some(())
            });
            given_up(stage, ("stock", "keyed"), "k-7", "7")
        },
        cause: &["`stock`", "500", "no such shelf", "subject `7`"],
        fix: &["`stock`", "hob dlq redrive"],
    },
    Fault {
        name: "an event is dead-lettered after retries",
        inject: |stage| given_up(stage, ("orders", "again"), "b-1", "broken"),
        cause: &["3 failed attempts", "3 is no weight"],
        fix: &["`stock`", "hob dlq redrive orders.dead"],
    },
    Fault {
        name: "an event is rejected at once",
        inject: |stage| given_up(stage, ("orders", "again"), "u-1", "refused"),
        cause: &["at once", "422", "no such order"],
        fix: &["`stock`", "hob dlq redrive orders.dead"],
    },
    Fault {
        name: "a function answers with what is no event",
        inject: |stage| given_up(stage, ("orders", "again"), "x-1", "odd"),
        cause: &["`stock`", "answered with", "not accepted"],
        fix: &["`stock`", "hob dlq redrive orders.dead"],
    },
    Fault {
        name: "a dead letter was redriven",
        inject: |stage| {
            given_up(stage, ("orders", "again"), "v-1", "refused");
            let letters = stage.ok(&["dlq", "ls", "orders", "-o", "json"]);
            let letters: serde_json::Value = serde_json::from_str(&letters).unwrap();
            let all = letters.as_array().unwrap();
            let letter = all.iter().find(|letter| letter["event"]["id"] == "v-1").unwrap();
            stage.ok(&["dlq", "redrive", "orders.dead", &letter["sequence"].to_string()]);
            let again = |letter: &serde_json::Value| letter["from_sequence"].as_u64() > Some(4);
            eventually("it is given up once more", || {
                let letters = stage.ok(&["dlq", "ls", "orders", "-o", "json"]);
                let letters: serde_json::Value = serde_json::from_str(&letters).unwrap();
                letters.as_array().unwrap().iter().any(again).then_some(())
            });
            vec![ask(&["v-1"]), ask(&[&format!("orders/{}", letter["from_sequence"])])]
        },
        cause: &["redriven", "store/again", "422"],
        fix: &["hob dlq redrive orders.dead"],
    },
    Fault {
        name: "an event waits behind another of its key",
        inject: |stage| {
            send(stage, "slow", "w-1", "broken", &["--key", "a"]);
            eventually("the first one fails", || {
                (stage.number(&["sub", "show", "patient"], "/waiting")? == 1).then_some(())
            });
            send(stage, "slow", "w-2", "x", &["--key", "a"]);
            eventually("the second one waits", || {
                (stage.number(&["sub", "show", "patient"], "/blocked")? == 1).then_some(())
            });
            vec![ask(&["w-2"]), ask(&["slow/2"])]
        },
        cause: &["behind", "slow/1", "partitionkey `a`", "3 is no weight"],
        fix: &["`stock`"],
    },
    Fault {
        name: "an event waits for its next attempt",
        inject: |stage| {
            assert_eq!(stage.number(&["sub", "show", "patient"], "/waiting"), Some(1));
            vec![ask(&["w-1"]), ask(&["slow/1"])]
        },
        cause: &["3 is no weight", "1 of 5 attempts"],
        fix: &["`stock`"],
    },
    Fault {
        name: "deliveries of a subscription fail",
        inject: |_| vec![ask(&["store/patient"]), ask(&["--topic", "slow"]), ask(&["--function", "stock"])],
        cause: &["3 is no weight", "`stock`"],
        fix: &["`stock`"],
    },
    Fault {
        name: "a rate makes an event wait",
        inject: |stage| {
            send(stage, "drops", "t-1", "x", &[]);
            send(stage, "drops", "t-2", "x", &[]);
            eventually("the first one passes", || {
                (stage.number(&["sub", "show", "rated"], "/delivered")? == 1).then_some(())
            });
            vec![ask(&["t-2"]), ask(&["drops/2"]), ask(&["store/rated"])]
        },
        cause: &["store/rated", "`rate`", "1/h"],
        fix: &["`rate`"],
    },
    Fault {
        name: "an event waits for a place in its subscription",
        inject: |stage| {
            stage.ok(&["send", "queue", &stage.go(), "--id", "n-1", "--subject", "held", "--type", "x"]);
            eventually("the first one runs", || {
                (stage.number(&["sub", "show", "narrow"], "/in_flight")? == 1).then_some(())
            });
            send(stage, "queue", "n-2", "x", &[]);
            vec![ask(&["n-2"]), ask(&["queue/2"])]
        },
        cause: &["store/narrow", "queue/1", "`concurrency`", "1"],
        fix: &["`concurrency`", "store/narrow"],
    },
    Fault {
        name: "an event is being handled for long",
        inject: |stage| {
            let questions = vec![ask(&["n-1"]), ask(&["queue/1"])];
            assert_eq!(stage.number(&["sub", "show", "narrow"], "/in_flight"), Some(1));
            questions
        },
        cause: &["store/narrow", "`stock`", "now", "attempt 1"],
        fix: &["hob logs store/stock"],
    },
    Fault {
        name: "an event is looked for that no topic has",
        inject: |_| vec![ask(&["orders/4711"])],
        cause: &["orders/4711", "no event"],
        fix: &["hob topic show orders"],
    },
];
