//! Scenario `script`: a JavaScript module in Hob's own engine beside the same function as a child of Node.
//!
//! **How.** Both are functions of one node, so that a call costs the same way through Hob; Node's server alone stands
//! beside them. What an instance holds is the proportional set size (proc(5), `Pss`) of the node with all of its
//! descendants, at one instance and at many: what processes share counts once, so that Node's program does not count
//! for each child; the resident set size, where it does, stands beside it. Every instance has answered a call, since a module is evaluated at its first one.

use crate::client::{Target, burst, once, steady};
use crate::contestant::{Hob, warm};
use crate::contract::{Alone, Direct, FROM_MODULE, MODULE, SERVER};
use crate::load::{Contestant, Turn, rounds};
use crate::plan::Plan;
use crate::report::contract::ScriptRow;
use crate::report::median;
use crate::{Error, Result};
use std::fs;
use std::sync::Arc;
use tempfile::TempDir;

const APP: &str = "script";
/// Connections beyond which a machine is only fuller.
const MOST: usize = 32;
/// Calls at once, until each instance has got one.
const TRIES: usize = 5;

/// What is compared.
struct Program<'a> {
    what: &'static str,
    lines: String,
    node: Option<&'a std::path::Path>,
}

/// What instances hold, in MiB.
#[derive(Clone, Copy)]
struct Held {
    first: f64,
    each: f64,
    each_resident: f64,
    instances: u64,
}

pub(crate) async fn run(plan: &Plan) -> Result<Vec<ScriptRow>> {
    let folder = TempDir::with_prefix("hob-bench-")?;
    let programs = programs(plan);
    let mut held = Vec::new();
    for program in &programs {
        held.push(Some(instances(plan, program).await?));
    }
    let hob = Hob::start(plan)?;
    for (index, program) in programs.iter().enumerate() {
        let scale = program.node.map_or("", |_| "scale = { max = 1, concurrency = 1000 }\n");
        deploy(&hob, &format!("{APP}{index}"), program, scale)?;
    }
    let direct = match &plan.node {
        Some(node) => Some(Alone::Node(node).start(plan, folder.path()).await?),
        None => None,
    };
    let mut contestants: Vec<Contestant<'_>> = programs
        .iter()
        .enumerate()
        .map(|(index, program)| {
            Contestant::new(program.what, &hob.server, target(&hob, &format!("{APP}{index}"), "/hello"))
        })
        .collect();
    if let Some(Direct::Server(server, target)) = &direct {
        contestants.push(Contestant::new("Node's `http`, directly", server, Target::clone(target)));
        held.push(None);
    }
    let mut rows = Vec::new();
    for &connections in plan.connections.iter().filter(|count| **count <= MOST) {
        for contestant in &contestants {
            warm(&contestant.target).await?;
            steady(&contestant.target, connections, plan.round_time / 4).await?;
        }
        let rounds = rounds(plan, &contestants, connections).await?;
        for (index, contestant) in contestants.iter().enumerate() {
            rows.push(row(contestant, connections, &rounds, index, held[index]));
        }
    }
    Ok(rows)
}

fn programs(plan: &Plan) -> Vec<Program<'_>> {
    let module = "run = \"hello.js\"\ncontract = \"javascript\"\n".to_owned();
    let mut all = vec![Program { what: "hob, module in QuickJS", lines: module, node: None }];
    if let Some(node) = &plan.node {
        let lines = format!(
            "run = [\"{}\", \"server.js\"]\ncontract = \"http\"\nfiles = [\"server.js\"]\n",
            node.display()
        );
        all.push(Program { what: "hob, Node as `http` child", lines, node: Some(node) });
    }
    all
}

fn deploy(hob: &Hob, app: &str, program: &Program<'_>, scale: &str) -> Result<()> {
    let folder = hob.app_folder(app)?;
    fs::write(folder.join("hello.js"), MODULE)?;
    fs::write(folder.join("server.js"), SERVER)?;
    let lines = &program.lines;
    fs::write(folder.join("hob.toml"), format!("app = \"{app}\"\n[functions.hello]\n{lines}{scale}"))?;
    hob.deploy(&folder).map(drop)
}

fn target(hob: &Hob, app: &str, path: &str) -> Target {
    Target::get(hob.server.address, &hob.host(app, "hello"), path, format!("{FROM_MODULE} {path}\n"))
}

/// What the first instance holds, and each further one.
async fn instances(plan: &Plan, program: &Program<'_>) -> Result<Held> {
    let hob = Hob::start(plan)?;
    let most = plan.script_instances;
    let mib = || {
        let (proportional, resident) = hob.server.family_bytes()?;
        Ok::<_, Error>((proportional as f64 / f64::from(1 << 20), resident as f64 / f64::from(1 << 20)))
    };
    let before = mib()?;
    deploy(&hob, APP, program, &format!("scale = {{ max = {most}, concurrency = 1 }}\n"))?;
    once(&target(&hob, APP, "/wait")).await?;
    let one = mib()?;
    let wait = Arc::new(target(&hob, APP, "/wait"));
    let mut running = 1;
    for _ in 0..TRIES {
        let outcome = burst(&wait, most).await?;
        if let Some(failure) = outcome.first_failure {
            return Err(failure.into());
        }
        running = hob.control.instances(APP, "hello").await?;
        if running >= most as u64 {
            break;
        }
    }
    let further = running.saturating_sub(1).max(1) as f64;
    let all = mib()?;
    Ok(Held {
        first: one.0 - before.0,
        each: (all.0 - one.0) / further,
        each_resident: (all.1 - one.1) / further,
        instances: running,
    })
}

fn row(
    contestant: &Contestant<'_>,
    connections: usize,
    rounds: &[Vec<Turn>],
    index: usize,
    held: Option<Held>,
) -> ScriptRow {
    // The second one is the child of Node; without Node nothing is compared.
    let child = if rounds.first().is_some_and(|turns| turns.len() > 1) { 1 } else { index };
    let of = |value: &dyn Fn(&Vec<Turn>) -> f64| median(rounds.iter().map(value).collect());
    let all = || rounds.iter().map(|turns| &turns[index].outcome);
    ScriptRow {
        program: contestant.name.clone(),
        connections,
        per_second: of(&|turns| turns[index].requests_per_second),
        p50_us: of(&|turns| turns[index].outcome.latency.quantile(500).as_secs_f64() * 1e6),
        cpu_us: of(&|turns| turns[index].cpu_us),
        cpu_of_child: of(&|turns| turns[index].cpu_us / turns[child].cpu_us),
        instances: held.map(|held| held.instances),
        first_mib: held.map(|held| held.first),
        each_mib: held.map(|held| held.each),
        each_resident_mib: held.map(|held| held.each_resident),
        correct: all().map(|outcome| outcome.correct).sum(),
        failed: all().map(|outcome| outcome.failed).sum(),
        first_failure: all().find_map(|outcome| outcome.first_failure.clone()),
    }
}
