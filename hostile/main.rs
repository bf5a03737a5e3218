//! The hostile suite: threats T1 to T32, each brought about against a node that runs, and a table of what became of it.
//!
//! **Why.** "Strangers can share a machine" is a promise, and this is what holds it: what an attack reached, in figures,
//! with the real program on the machine that you have.
//!
//! **How.** Each row of [`THREATS`] has a node of its own with a quiet app as its neighbour, and runs alone, so that the
//! neighbour's figures are its own. A row fails when the attack got what it must not get, when a neighbour's call failed,
//! or when the node ended. The neighbour's calls come at a fixed rate, and none of them may wait for long; their p99 is printed
//! and not judged, since machines are shared; on a quiet one
//! `HOSTILE_STRICT=1 cargo test --release -p hob --test hostile` demands that a neighbour's p99 beside an attack is at
//! most twice that without. A row is skipped only where `hob doctor` says that the machine lacks the wall, or where this user
//! may not attack so: both are named. An argument that is no option chooses rows: `cargo test -p hob --test hostile -- T1 T24`.
//!
//! **Not here:** the same for each part by itself, such as the tables of the runtime's own tests.

#![expect(clippy::unwrap_used, reason = "a test program, whose end is a panic")]
#![expect(clippy::print_stdout, reason = "the table is what it is there for")]

mod api;
#[path = "../crates/hob-node/src/archive/hostile/archives.rs"]
mod archives;
mod arena;
mod artifacts;
#[path = "../crates/hob-runtime/tests/shared/hostile.rs"]
mod attack;
mod canary;
#[path = "../crates/hob/tests/all/canary.rs"]
mod canary_bird;
mod clients;
mod events;
mod guests;
#[path = "../crates/hob-runtime/tests/hostile/table.rs"]
mod native;
mod network;
mod pages;
mod programs;
#[path = "../exam/stage.rs"]
#[expect(dead_code, reason = "it belongs to the exam, and a part of it is needed here")]
mod stage;
mod tenants;
#[path = "../crates/hob/tests/all/unchunk.rs"]
mod unchunk;
mod uploads;
mod words;

use arena::{Arena, Outcome};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

/// One threat.
struct Threat {
    /// Its number, as `SECURITY.md` has it.
    id: &'static str,
    /// What it is.
    name: &'static str,
    /// Brings it about and says what became of it.
    prove: fn(&Arena) -> Outcome,
}

static THREATS: &[Threat] = &[
    Threat { id: "T1", name: "guests that loop", prove: guests::loops },
    Threat { id: "T2", name: "guests that exhaust", prove: guests::exhaust },
    Threat { id: "T3", name: "captured worker", prove: tenants::captured },
    Threat { id: "T4", name: "hostile programs", prove: programs::contained },
    Threat { id: "T5", name: "hostile images", prove: programs::images },
    Threat { id: "T6", name: "fork bomb", prove: programs::forks },
    Threat { id: "T7", name: "memory hog", prove: programs::hog },
    Threat { id: "T8", name: "full disk", prove: programs::fill },
    Threat { id: "T9", name: "idle connections", prove: clients::idle },
    Threat { id: "T10", name: "addresses that lead inside", prove: network::ssrf },
    Threat { id: "T11", name: "smuggled requests", prove: network::smuggle },
    Threat { id: "T12", name: "injected headers and lines", prove: words::inject },
    Threat { id: "T13", name: "slow clients", prove: clients::slow },
    Threat { id: "T14", name: "endless bodies and heads", prove: clients::endless },
    Threat { id: "T15", name: "bombs", prove: uploads::bombs },
    Threat { id: "T16", name: "archives that write elsewhere", prove: uploads::elsewhere },
    Threat { id: "T17", name: "floods of HTTP/2", prove: clients::floods },
    Threat { id: "T18", name: "endless WebSocket frames", prove: api::sockets },
    Threat { id: "T19", name: "strangers at the control API", prove: api::strangers },
    Threat { id: "T20", name: "scripts in what is shown", prove: pages::scripts },
    Threat { id: "T21", name: "crossing between tenants", prove: tenants::cross },
    Threat { id: "T22", name: "secrets that appear elsewhere", prove: canary::searched },
    Threat { id: "T23", name: "poisonous event", prove: events::poison },
    Threat { id: "T24", name: "chain of events without end", prove: events::circle },
    Threat { id: "T25", name: "forged number of hops", prove: events::forged },
    Threat { id: "T26", name: "noisy neighbour", prove: clients::noise },
    Threat { id: "T27", name: "tenants in one process", prove: tenants::apart },
    Threat { id: "T28", name: "flood of log lines", prove: words::flood },
    Threat { id: "T29", name: "forged web hooks", prove: events::hooks },
    Threat { id: "T30", name: "altered artifacts", prove: artifacts::turned },
    Threat { id: "T31", name: "old TLS", prove: api::tls },
    Threat { id: "T32", name: "denial of wallet", prove: events::wallet },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let chosen: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with('-')).collect();
    let mut failed = 0;
    println!("{:<4} {:<30} {:<8} figures", "", "threat", "");
    for threat in THREATS.iter().filter(|threat| chosen.is_empty() || chosen.contains(&threat.id)) {
        let began = Instant::now();
        let (word, figures) = match prove(threat) {
            Outcome::Held(figures) => ("held", figures),
            Outcome::Skipped(why) => ("skipped", why),
            Outcome::NotBuilt(why) => ("no such", why),
            Outcome::Broken(what) => {
                failed += 1;
                ("BROKEN", what)
            }
        };
        println!("{:<4} {:<30} {word:<8} {figures} [{:.0?}]", threat.id, threat.name, began.elapsed());
    }
    println!("{failed} of the threats did harm");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Brings a threat about, and looks whether the node and the neighbour are still there.
fn prove(threat: &Threat) -> Outcome {
    let proof = || {
        let mut arena = Arena::start();
        let outcome = (threat.prove)(&arena);
        match (arena.harm(), outcome) {
            (Some(harm), _) => Outcome::Broken(harm),
            (None, Outcome::Held(figures)) => arena.fair(figures),
            (None, outcome) => outcome,
        }
    };
    catch_unwind(AssertUnwindSafe(proof)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Outcome::Broken(text.unwrap_or_else(|| "it panicked".to_owned()).replace('\n', " "))
    })
}
