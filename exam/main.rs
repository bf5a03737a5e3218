//! The diagnosis exam: faults are brought about one by one in running apps, and `hob why` is asked what a user would ask.
//!
//! **Why.** "It can always say why" is a promise, and this is what holds it: an answer counts only if its first line names
//! the cause and the next two say what mends it.
//!
//! **How.** Each group of [`Fault`]s has a node of its own, the real program with a data folder of its own, and runs beside
//! the others. A fault is first seen as its user sees it (a status, an event that does not come); then the questions
//! are asked. The score is printed, and it must be all of them. An argument that is no option chooses faults
//! by a part of their name: `cargo test -p hob --test exam -- filter`. `-v` prints whole answers.
//!
//! **Not here:** how a cause is found among facts (`hob-core/src/why`, with tables of its own).

#![expect(clippy::unwrap_used, reason = "a test program, whose end is a panic")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the score is what it is there for")]

mod changes;
mod deliveries;
mod events;
mod ids;
mod late;
mod outside;
mod requests;
mod schedules;
mod stage;
mod work;

use stage::{Fault, Group, Question, Stage};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

/// Longest first line, characters: whoever asks reads it at one glance.
const REASON_CHARS_MAX: usize = 320;

static GROUPS: &[&Group] = &[
    &schedules::DOWN,
    &late::GROUP,
    &outside::GROUP,
    &requests::GROUP,
    &events::GROUP,
    &deliveries::GROUP,
    &schedules::GROUP,
    &work::GROUP,
    &changes::GROUP,
    &ids::GROUP,
];

/// What became of one question.
struct Asked {
    fault: &'static str,
    question: String,
    answer: String,
    /// What is missing in it; empty: it is right.
    wrong: String,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let whole = arguments.iter().any(|argument| argument == "-v");
    let chosen: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |fault: &Fault| chosen.is_empty() || chosen.iter().any(|part| fault.name.contains(part));
    let (asked, began) = (Mutex::new(Vec::new()), Instant::now());
    std::thread::scope(|scope| {
        for group in GROUPS.iter().filter(|group| group.faults.iter().any(wanted)) {
            scope.spawn(|| {
                let answers = examine(group, &wanted);
                asked.lock().unwrap().extend(answers);
            });
        }
    });
    let mut asked: Vec<Asked> = asked.into_inner().unwrap();
    let names: Vec<&str> = GROUPS.iter().flat_map(|group| group.faults).map(|fault| fault.name).collect();
    asked.sort_by_key(|one| names.iter().position(|name| *name == one.fault));
    report(&asked, whole);
    println!("the exam took {:.0?}", began.elapsed());
    if asked.iter().all(|one| one.wrong.is_empty()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Brings the faults of a group about, one by one.
fn examine(group: &Group, wanted: &dyn Fn(&Fault) -> bool) -> Vec<Asked> {
    let began = Instant::now();
    let mut stage = Stage::start();
    (group.prepare)(&mut stage);
    let mut all = Vec::new();
    for fault in group.faults.iter().filter(|fault| wanted(fault)) {
        let injected = catch_unwind(AssertUnwindSafe(|| (fault.inject)(&mut stage)));
        let Ok(questions) = injected else {
            let (question, answer) = ("-".to_owned(), String::new());
            all.push(Asked {
                fault: fault.name,
                question,
                answer,
                wrong: "the fault did not happen".to_owned(),
            });
            continue;
        };
        all.extend(questions.iter().map(|question| judge(&stage, fault, question)));
    }
    eprintln!("group `{}`: {:.0?}", group.name, began.elapsed());
    all
}

/// Asks, and looks whether the first line names the cause, and the second one what mends it.
fn judge(stage: &Stage, fault: &Fault, question: &Question) -> Asked {
    let answer = stage.why(question);
    let lines: Vec<&str> = answer.lines().collect();
    let (reason, fix) =
        (lines.first().copied().unwrap_or_default(), lines.get(1).copied().unwrap_or_default());
    let mut wrong: Vec<String> = Vec::new();
    let lacks = |line: &str, words: &[&str]| -> Vec<String> {
        words.iter().filter(|word| !line.contains(*word)).map(|word| (*word).to_owned()).collect()
    };
    wrong.extend(lacks(reason, fault.cause).iter().map(|word| format!("line 1 does not name `{word}`")));
    wrong.extend(lacks(fix, fault.fix).iter().map(|word| format!("line 2 does not name `{word}`")));
    let length = reason.chars().count();
    if length > REASON_CHARS_MAX {
        wrong.push(format!("line 1 has {length} characters"));
    }
    if lines.len() < 3 {
        wrong.push("it has no three lines".to_owned());
    }
    Asked { fault: fault.name, question: question.join(" "), answer, wrong: wrong.join(", ") }
}

/// Prints the table and the score.
fn report(asked: &[Asked], whole: bool) {
    let mut faults: Vec<&str> = asked.iter().map(|one| one.fault).collect();
    faults.dedup();
    for one in asked {
        let first = one.answer.lines().next().unwrap_or_default();
        let mark = if one.wrong.is_empty() { "right" } else { "WRONG" };
        println!("{mark}  {}\n       hob why {}\n       {first}", one.fault, one.question);
        if whole || !one.wrong.is_empty() {
            println!("{}", one.answer.lines().map(|line| format!("     | {line}\n")).collect::<String>());
        }
        if !one.wrong.is_empty() {
            println!("       >>> {}", one.wrong);
        }
    }
    let right =
        |fault: &&&str| asked.iter().filter(|one| one.fault == **fault).all(|one| one.wrong.is_empty());
    println!("{} of {} ({} questions)", faults.iter().filter(right).count(), faults.len(), asked.len());
}
