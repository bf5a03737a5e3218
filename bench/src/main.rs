//! Load scenarios against Hob and against what else does the same, side by side.
//!
//! **Why.** A machine drifts by tens of per cent within minutes, so a number alone says little. Every
//! figure here is taken in short rounds in which the servers take turns, and is printed beside the
//! limit of the same rounds: what hyper does when it runs no function at all.
//!
//! **How.** One module per scenario: [`load`], [`echo`], [`call`], [`cold`], [`burst`]; [`share`] for neighbours; [`memory`],
//! [`density`], [`idle`], [`soak`] for the node as a whole; [`events`], [`deliver`], [`backlog`], [`growth`] for events; [`facts`] for
//! what telemetry costs, [`wall`] for what a worker process costs, [`walls`] for what walls cost a start; [`overhead`], [`starts`], [`script`] for what each contract costs ([`contract`]). [`server`] starts and measures a process, [`contestant`] and [`peers`] know the servers, [`client`] sends requests and [`publish`] events, both check every reply, [`report`] prints the
//! tables.
//!
//! **Not here:** verdicts. A person compares two runs; no test fails because a machine was slow.

mod backlog;
mod burst;
mod call;
mod client;
mod cold;
mod contestant;
mod contract;
mod control;
mod deliver;
mod density;
mod echo;
mod events;
mod facts;
mod growth;
mod hyper_server;
mod idle;
mod load;
mod memory;
mod overhead;
mod peers;
mod plan;
mod publish;
mod report;
mod script;
mod server;
mod share;
mod soak;
mod starts;
mod wall;
mod walls;

use clap::{Parser, Subcommand};
use plan::{Options, Plan, Scenario};

/// Any error: this is a tool for people, and nothing is decided by the kind of an error.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
/// What may fail.
pub(crate) type Result<T> = std::result::Result<T, Error>;

#[derive(Parser)]
#[command(name = "hob-bench", about, version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve one fixed reply on $PORT with bare hyper: the limit, and the `http` child.
    Hyper,
    /// Answer events of the AWS Lambda runtime API at $AWS_LAMBDA_RUNTIME_API: the `lambda` child.
    Bootstrap,
    /// Serve HTTP by a bootstrap that takes so many events at a time: a Lambda function without Hob.
    Emulator {
        /// Events that the bootstrap takes at a time.
        concurrency: usize,
    },
    /// Print one CGI answer and end: the `stdio` child.
    Cgi,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Hyper) => runtime()?.block_on(hyper_server::serve()),
        Some(Command::Bootstrap) => contract::bootstrap::serve(),
        Some(Command::Emulator { concurrency }) => {
            runtime()?.block_on(contract::emulator::serve(concurrency))
        }
        Some(Command::Cgi) => {
            contract::cgi();
            Ok(())
        }
        None => bench(&arguments.options),
    }
}

fn bench(options: &Options) -> Result<()> {
    let plan = Plan::new(options)?;
    plan.prepare_machine()?;
    runtime()?.block_on(run(&plan))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

async fn run(plan: &Plan) -> Result<()> {
    let mut report = report::Report::new(plan);
    report::line(&report.heading());
    for skipped in &report.skipped {
        report::line(&format!("skipped: {skipped}"));
    }
    for scenario in &plan.scenarios {
        match scenario {
            Scenario::Load => report.load = load::run(plan).await?,
            Scenario::Echo => report.echo = echo::run(plan).await?,
            Scenario::Call => report.call = call::run(plan).await?,
            Scenario::Noisy => report.noisy = share::noisy(plan).await?,
            Scenario::Loops => report.loops = share::loops(plan).await?,
            Scenario::Density => report.density = density::run(plan).await?,
            Scenario::Idle => report.idle = idle::run(plan).await?,
            Scenario::Soak => report.soak = soak::run(plan).await?,
            Scenario::Cold => report.cold = cold::run(plan).await?,
            Scenario::Burst => report.burst = burst::run(plan).await?,
            Scenario::Memory => report.memory = memory::run(plan).await?,
            Scenario::Events => report.events = events::run(plan).await?,
            Scenario::Deliver => report.deliver = deliver::run(plan).await?,
            Scenario::Backlog => report.backlog = backlog::run(plan).await?,
            Scenario::Growth => report.growth = growth::run(plan).await?,
            Scenario::Facts => report.facts = facts::run(plan).await?,
            Scenario::Overhead => report.overhead = overhead::run(plan).await?,
            Scenario::Starts => report.starts = starts::run(plan).await?,
            Scenario::Script => report.script = script::run(plan).await?,
            Scenario::Wall => report.wall = wall::run(plan).await?,
            Scenario::Walls => report.walls = walls::run(plan).await?,
        }
        report::line(&report.table(*scenario));
    }
    report.write_json(&plan.json)?;
    if plan.record {
        report.record(&plan.scenarios)?;
    }
    report.complete()
}
