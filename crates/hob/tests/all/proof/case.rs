//! The eight cases of the table, as data: what is asked of a function, and what it answers.
//!
//! **Streams.** A function that never ends its answer shows that pieces reach the caller while they are made, without a
//! clock: whoever kept the answer back until it is whole would never give it.

use super::client::Client;
use super::http::{Reply, ask};
use crate::support::{Node, PATIENCE};
use serde_json::Value;
use std::time::{Duration, Instant};

/// A row of the table's head.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    asks: &'static [Ask],
}

/// Something that is asked.
enum Ask {
    /// One request: method and path, headers, body, and the answer.
    One(&'static str, &'static str, fn() -> Vec<u8>, Answer),
    /// The function fails: the row says how its answer begins, and `hob logs` or `hob why` has the function's own words.
    Fail,
    /// An answer that does not end is read for a while.
    Endless,
    /// This many at a time, each with an answer of its own.
    AtOnce(usize),
}

/// How an answer has to be.
enum Answer {
    /// 200, and this text.
    Text(&'static str),
    /// 200, and this JSON.
    Json(&'static str),
    /// 200, a part of the head, and these bytes.
    Bytes(&'static str, fn() -> Vec<u8>),
    /// This status, and how the body begins.
    Begins(u16, &'static str),
    /// 200, and the head and the body have all of these.
    Parts(&'static [&'static str], &'static [&'static str]),
}

const MIB: usize = 1 << 20;
/// How much is read of an answer that does not end.
const ENOUGH: usize = MIB;
const JSON: &str = "content-type: application/json\r\n";
const OCTETS: &str = "content-type: application/octet-stream\r\n";

fn nothing() -> Vec<u8> {
    Vec::new()
}

fn every_byte() -> Vec<u8> {
    (0..=255).collect()
}

fn large() -> Vec<u8> {
    (0..=255).cycle().take(5 * MIB).collect()
}

fn much_text() -> Vec<u8> {
    vec![b'x'; 5 * MIB]
}

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "parse",
        asks: &[
            Ask::One(
                "POST /parse/7?q=a%20b",
                JSON,
                || r#"{"a":[1,"ü"]}"#.as_bytes().to_vec(),
                Answer::Json(r#"{"id":"7","q":"a b","a":[1,"ü"]}"#),
            ),
            Ask::One("POST /parse/7?q=a", JSON, || b"{".to_vec(), Answer::Begins(400, "")),
        ],
    },
    Case { name: "fail", asks: &[Ask::Fail] },
    Case { name: "time out", asks: &[Ask::One("GET /sleep", "", nothing, Answer::Begins(504, "HOB-0501"))] },
    Case {
        name: "stream",
        asks: &[Ask::One("GET /stream", "", nothing, Answer::Text("0123456789")), Ask::Endless],
    },
    Case {
        name: "5 MiB",
        asks: &[
            Ask::One("POST /length", OCTETS, large, Answer::Text("5242880")),
            Ask::One("GET /large", "", nothing, Answer::Bytes("", much_text)),
        ],
    },
    Case {
        name: "binary",
        asks: &[Ask::One(
            "POST /bytes",
            OCTETS,
            every_byte,
            Answer::Bytes("application/octet-stream", every_byte),
        )],
    },
    Case {
        name: "cookies",
        asks: &[Ask::One(
            "GET /cookies",
            "cookie: x=1; y=2\r\n",
            nothing,
            Answer::Parts(&["set-cookie: a=1; path=/", "set-cookie: b=2"], &["x=1", "y=2"]),
        )],
    },
    Case { name: "100 at once", asks: &[Ask::AtOnce(100)] },
];

/// Asks what a case asks of an app.
///
/// # Errors
/// What was not as it should be.
pub(crate) fn check(node: &Node, client: &Client, app: &str, case: &Case) -> Result<(), String> {
    let heard = client.watched.then(|| last_heard(node, app));
    for asked in case.asks {
        match asked {
            Ask::One(request, headers, body, answer) => {
                let reply = ask(node, app, request, headers, &body(), usize::MAX)?;
                compare(request, &reply, answer)?;
            }
            Ask::Fail => {
                let reply = ask(node, app, "GET /fail", "", &[], usize::MAX)?;
                if !reply.shown().starts_with(client.fails) {
                    return Err(format!("{}, not {}", reply.shown(), client.fails));
                }
                // Some clients print the error, others only tell the platform.
                let said = || node.ok(&["logs", app]) + &node.ok(&["why", &format!("{app}/guest")]);
                soon(|| said().contains("no such thing"))
                    .map_err(|()| format!("its words are lost:\n{}", said()))?;
            }
            Ask::Endless => {
                let reply = ask(node, app, "GET /endless", "", &[], ENOUGH)?;
                if reply.status != 200 || reply.whole || reply.body.iter().any(|byte| *byte != b'x') {
                    return Err(format!("{:?} {}", reply.head, reply.shown()));
                }
            }
            Ask::AtOnce(calls) => at_once(node, app, *calls)?,
        }
    }
    if let Some(heard) = heard {
        soon(|| last_heard(node, app) != heard)
            .map_err(|()| "the extension has not heard of it".to_owned())?;
    }
    Ok(())
}

fn compare(request: &str, reply: &Reply, answer: &Answer) -> Result<(), String> {
    let text = String::from_utf8_lossy(&reply.body);
    let right = match answer {
        Answer::Text(expected) => reply.status == 200 && text == *expected,
        Answer::Json(expected) => {
            let value = |text: &str| serde_json::from_str::<Value>(text).ok();
            reply.status == 200 && value(&text) == value(expected)
        }
        Answer::Bytes(head, bytes) => {
            reply.status == 200 && reply.head.contains(head) && reply.body == bytes()
        }
        Answer::Begins(status, begin) => reply.status == *status && text.starts_with(begin),
        Answer::Parts(head, body) => {
            reply.status == 200
                && head.iter().all(|part| reply.head.contains(part))
                && body.iter().all(|part| text.contains(part))
        }
    };
    if right && reply.whole { Ok(()) } else { Err(format!("{request}: {:?} {}", reply.head, reply.shown())) }
}

fn at_once(node: &Node, app: &str, calls: usize) -> Result<(), String> {
    std::thread::scope(|scope| {
        let one = |number: usize| {
            let path = format!("/hello/{number}");
            let reply = ask(node, app, &format!("GET {path}"), "", &[], usize::MAX)?;
            compare(&path, &reply, &Answer::Begins(200, ""))?;
            if reply.body == path.as_bytes() { Ok(()) } else { Err(format!("{path}: {}", reply.shown())) }
        };
        let calls: Vec<_> = (0..calls).map(|number| scope.spawn(move || one(number))).collect();
        calls.into_iter().try_for_each(|call| call.join().unwrap())
    })
}

/// Waits for something that is about to be so.
fn soon(check: impl Fn() -> bool) -> Result<(), ()> {
    let end = Instant::now() + PATIENCE;
    while !check() {
        if Instant::now() > end {
            return Err(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The last call that an app's extension has said it heard of.
fn last_heard(node: &Node, app: &str) -> Option<String> {
    let said = node.ok(&["logs", app]);
    said.lines().rev().find(|line| line.contains("watcher: invoke ")).map(str::to_owned)
}
