//! What the web's interfaces do in the runtime: the table `web.txt`, an expression and its value in a line.

use super::{request, worker};
use crate::support::Bench;
use hob_runtime::body::empty;
use std::fmt::Write as _;

/// All rows are one module, each a function that is called by its number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_web_s_interfaces_do_what_their_standards_say() {
    let rows: Vec<(&str, &str)> = include_str!("web.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(" ⇒ ").expect("a row has an expression and a value"))
        .collect();
    let mut source = String::from("const rows = [\n");
    for (expression, _) in &rows {
        writeln!(source, "async () => ({expression}),").unwrap();
    }
    source.push_str(
        "];
        export default { async fetch(request, env, ctx) {
            globalThis.ctx = ctx;
            const row = rows[Number(new URL(request.url).pathname.slice(1))];
            try { return new Response(String(await row())); }
            catch (error) { return new Response(`${error.name}: ${error.message}`); }
        } }",
    );
    let bench = Bench::open();
    let function = worker(&bench, &source).await.unwrap();
    let instance = function.instance().await.unwrap();
    let mut wrong = String::new();
    for (index, (expression, expected)) in rows.iter().enumerate() {
        let answer = function.call_in(&*instance, request("GET", &format!("/{index}"), empty())).await;
        if answer != Ok((200, (*expected).to_owned())) {
            writeln!(wrong, "{expression}\n  is {answer:?}\n  not {expected}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}\n{}", bench.logs.text());
}
