//! The proof that functions run unchanged: real clients and frameworks from the registries, each with the same eight cases,
//! and one table of what became of them.
//!
//! **How.** [`client`] has a row for each client and makes its app; [`case`] has the cases as data. All rows run on one
//! node. A cell is `ok`, or `—` where the client's own platform has no such thing, for a reason that is printed; any other
//! cell fails the test. What this machine cannot install is named in the row, and fails the test with `HOB_CLIENTS=all`. The table is in
//! `docs/guides/moving-from/README.md`, where `UPDATE=1` writes it.
//!
//! **Not here:** what only one client can do (`lambda`, `lambda_api`, `frameworks`, `workers`, `triggers`).

pub(crate) mod case;
pub(crate) mod client;
pub(crate) mod http;

use super::support::Node;
use case::CASES;
use client::{CLIENTS, Client, Deployed};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Rows under way at a time: installing waits for the network, and a sleeping function for its deadline.
const ROWS_AT_ONCE: usize = 3;

/// What became of a case.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// It did what it should.
    Ok,
    /// The client's platform has no such thing, and why.
    None(&'static str),
    /// What was wrong.
    Wrong(String),
}

/// A row's cells in the order of [`CASES`]; or why the client is not here.
type Row = Result<Vec<Cell>, String>;

#[test]
fn every_client_passes_every_case() {
    let node = Node::with_packages(&["--lambda", "127.0.0.1:0"]);
    let next = AtomicUsize::new(0);
    let rows: Mutex<Vec<Option<Row>>> = Mutex::new(vec![None; CLIENTS.len()]);
    std::thread::scope(|scope| {
        for _ in 0..ROWS_AT_ONCE {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(client) = CLIENTS.get(at) else { return };
                    let row = row(&node, client);
                    rows.lock().unwrap()[at] = Some(row);
                }
            });
        }
    });
    let rows: Vec<Row> = rows.into_inner().unwrap().into_iter().flatten().collect();
    assert_eq!(rows.len(), CLIENTS.len(), "a row of the table has panicked");
    let table = table(&rows);
    // Not by a macro, whose output is kept back from whoever runs a test that passes.
    std::io::stdout().write_all(format!("\n{table}\n").as_bytes()).unwrap();
    let wrong: Vec<String> = CLIENTS
        .iter()
        .zip(&rows)
        .flat_map(|(client, row)| {
            row.iter().flatten().zip(CASES).map(|(cell, case)| (client.name, cell, case.name))
        })
        .filter_map(|(client, cell, case)| match cell {
            Cell::Wrong(why) => Some(format!("{client}, {case}: {why}")),
            _ => None,
        })
        .collect();
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), node.log());
    let skipped = rows.iter().any(Result::is_err);
    let all = std::env::var("HOB_CLIENTS").is_ok_and(|wanted| wanted == "all");
    assert!(!(skipped && all), "`HOB_CLIENTS=all`, but not every client is here");
    if !skipped {
        compare(&table);
    }
}

fn row(node: &Node, client: &Client) -> Row {
    let deployed = client.deploy(node)?;
    Ok(CASES
        .iter()
        .map(|case| {
            if let Some((_, why)) = client.none.iter().find(|(name, _)| *name == case.name) {
                return Cell::None(why);
            }
            let found = match &deployed {
                Deployed::App(app) => case::check(node, client, app, case),
                Deployed::Told(told) => {
                    told.get(case.name).cloned().unwrap_or_else(|| Err("not tried".to_owned()))
                }
            };
            found.map_or_else(Cell::Wrong, |()| Cell::Ok)
        })
        .collect())
}

/// The table as Markdown, and below it what its dashes mean.
fn table(rows: &[Row]) -> String {
    let mut text = "| client |".to_owned();
    for case in CASES {
        write!(text, " {} |", case.name).unwrap();
    }
    text += "\n|---|";
    text += &"---|".repeat(CASES.len());
    let mut notes = String::new();
    for (client, row) in CLIENTS.iter().zip(rows) {
        write!(text, "\n| {} |", client.name).unwrap();
        match row {
            Ok(cells) => {
                for (cell, case) in cells.iter().zip(CASES) {
                    let shown = match cell {
                        Cell::Ok => "ok",
                        Cell::Wrong(_) => "WRONG",
                        Cell::None(why) => {
                            writeln!(notes, "- {}, {}: {why}.", client.name, case.name).unwrap();
                            "—"
                        }
                    };
                    write!(text, " {shown} |").unwrap();
                }
            }
            Err(why) => write!(text, " skipped: {why} |").unwrap(),
        }
    }
    format!("{text}\n\n{notes}")
}

/// Whether the guide has this table.
fn compare(table: &str) {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/moving-from/README.md");
    let text = std::fs::read_to_string(&guide).unwrap();
    let (before, rest) = text.split_once("<!-- table -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of table -->").unwrap();
    let fresh = format!("{before}<!-- table -->\n{table}<!-- end of table -->{after}");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&guide, fresh).unwrap();
    } else {
        assert!(text == fresh, "the table in `{}` is stale: `UPDATE=1` writes it", guide.display());
    }
}
