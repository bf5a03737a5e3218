//! What a person or a script sees: results on stdout, everything else on stderr.
//!
//! **Why.** A result that mixes with progress cannot be piped. So no other module writes to a
//! standard stream, and every command can speak JSON because there is just one way to show a result.
//!
//! **How.** [`Output::result`] takes a value once and shows it in the chosen [`Format`];
//! [`Output::note`] and [`Output::fault`] go to stderr. A reader that has gone (`| head`) closes
//! the output quietly.

mod progress;
mod screen;
pub(crate) mod shown;
mod style;
mod table;
mod yaml;

pub(crate) use progress::Progress;
pub(crate) use screen::Screen;
pub(crate) use style::Style;
pub(crate) use table::Table;

use hob_core::code::Code;
use hob_core::fault::{Fault, FaultWire, Result};
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// In which form a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// JSON, for programs.
    Json,
    /// YAML, for people who keep files.
    Yaml,
    /// Only names, one on each line.
    Name,
    /// The table with every column.
    Wide,
}

/// Flags that every command takes.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Flags {
    /// Write the result as json, yaml, name or wide.
    #[arg(short = 'o', long = "output", value_name = "FORMAT", global = true)]
    format: Option<Format>,
    /// The same as `-o json`.
    #[arg(long, global = true, conflicts_with = "format")]
    json: bool,
    /// Write nothing to stderr but errors.
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say more about what happens; twice: everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
}

/// The standard streams of one run of the program.
#[derive(Debug)]
pub(crate) struct Output {
    format: Option<Format>,
    quiet: bool,
    verbose: u8,
    stdout: Style,
    stderr: Style,
    closed: AtomicBool,
}

impl Output {
    /// The output that the flags and the terminal ask for.
    pub(crate) fn new(flags: &Flags) -> Self {
        Self {
            format: flags.format.or_else(|| flags.json.then_some(Format::Json)),
            quiet: flags.quiet,
            verbose: flags.verbose,
            stdout: Style::of(std::io::stdout().is_terminal()),
            stderr: Style::of(std::io::stderr().is_terminal()),
            closed: AtomicBool::new(false),
        }
    }

    /// The output for an error in the command line itself, where flags could not be read properly.
    pub(crate) fn before_flags(words: &[std::ffi::OsString]) -> Self {
        let json = words.iter().any(|word| word == "--json" || word == "-ojson")
            || words.windows(2).any(|pair| (pair[0] == "-o" || pair[0] == "--output") && pair[1] == "json");
        Self::new(&Flags { json, ..Flags::default() })
    }

    /// Shows one result: as data, as names, or as the text that `human` makes.
    pub(crate) fn result<T: Serialize>(
        &self,
        value: &T,
        names: &[String],
        human: impl FnOnce(&Self) -> String,
    ) {
        let data = || serde_json::to_value(value).expect("results are plain data with text keys");
        match self.format {
            Some(Format::Json) => {
                self.line(&serde_json::to_string_pretty(&data()).expect("a value is always valid JSON"));
            }
            Some(Format::Yaml) => self.write(yaml::write(&data()).as_bytes()),
            Some(Format::Name) => names.iter().for_each(|name| self.line(name)),
            Some(Format::Wide) | None => {
                let text = human(self);
                // An empty table is no line either.
                if !text.is_empty() {
                    self.line(text.trim_end());
                }
            }
        }
    }

    /// Shows one of many results that come one after the other: a line of JSON, or text.
    pub(crate) fn item<T: Serialize>(&self, value: &T, human: impl FnOnce(&Self) -> String) {
        match self.format {
            Some(Format::Json) => {
                self.line(&serde_json::to_string(value).expect("results are plain data with text keys"));
            }
            Some(Format::Yaml) => {
                let data = serde_json::to_value(value).expect("results are plain data with text keys");
                self.line("---");
                self.write(yaml::write(&data).as_bytes());
            }
            Some(Format::Name | Format::Wide) | None => self.line(&human(self)),
        }
    }

    /// One line on stdout.
    pub(crate) fn line(&self, text: &str) {
        self.write(format!("{text}\n").as_bytes());
    }

    /// Bytes on stdout, as they are.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let mut stdout = std::io::stdout().lock();
        if stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err() {
            self.closed.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the reader of stdout has gone, so that going on makes no sense.
    pub(crate) fn closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// One line on stderr about what happens; silent with `-q`.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            error_line(text);
        }
    }

    /// A warning on stderr; silent with `-q`.
    pub(crate) fn warn(&self, text: &str) {
        self.note(&format!("{} {text}", self.stderr.yellow("warning:")));
    }

    /// One line on stderr for whoever asked with `-v`.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose > 0 {
            error_line(text);
        }
    }

    /// How text on stderr may look.
    pub(crate) fn note_style(&self) -> Style {
        self.stderr
    }

    /// How text on stdout may look.
    pub(crate) fn result_style(&self) -> Style {
        self.stdout
    }

    /// Text with more weight, for stdout.
    pub(crate) fn strong(&self, text: &str) -> String {
        self.stdout.bold(text)
    }

    /// Text with less weight, for stdout.
    pub(crate) fn dim_result(&self, text: &str) -> String {
        self.stdout.dim(text)
    }

    /// Text about something that went wrong, for stdout.
    pub(crate) fn alarm(&self, text: &str) -> String {
        self.stdout.red(text)
    }

    /// Text about something to look at, for stdout.
    pub(crate) fn attention(&self, text: &str) -> String {
        self.stdout.yellow(text)
    }

    /// Whether tables show every column.
    pub(crate) fn wide(&self) -> bool {
        self.format == Some(Format::Wide)
    }

    /// How much of the node's own log is wanted.
    pub(crate) fn log_level(&self) -> &'static str {
        match (self.quiet, self.verbose) {
            (true, _) => "error",
            (false, 0) => "warn",
            (false, 1) => "info",
            (false, _) => "debug",
        }
    }

    /// Whether stderr has colour.
    pub(crate) fn colourful(&self) -> bool {
        self.stderr.colourful()
    }

    /// Whether only errors are wanted on stderr.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether a question can be asked.
    pub(crate) fn interactive(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Asks a question on the terminal; true for `y` or `yes`.
    pub(crate) fn ask(&self, question: &str) -> bool {
        let mut stderr = std::io::stderr().lock();
        let mut answer = String::new();
        let asked = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
        asked.is_ok()
            && std::io::stdin().read_line(&mut answer).is_ok()
            && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
    }

    /// Asks before `doing` something that cannot be undone; without a terminal, `command` with `--yes` is
    /// what to write.
    ///
    /// # Errors
    /// `HOB-0111` when the answer is no, or nobody can be asked.
    pub(crate) fn confirm(&self, doing: &str, command: &str) -> Result<()> {
        if !self.interactive() {
            return Err(Fault::new(Code::Usage, format!("{doing} needs a yes"))
                .hint(format!("run `{command} --yes`")));
        }
        if self.ask(&format!("{doing}: there is no way back, go on?")) {
            return Ok(());
        }
        Err(Fault::new(Code::Usage, format!("{doing} was not confirmed, so nothing was done")))
    }

    /// A region for steps of something that takes time.
    pub(crate) fn progress(&self) -> Progress {
        Progress::new(self.quiet, self.stderr.terminal())
    }

    /// A live view on the terminal; `None` where the result is for a program, or nobody sees it.
    pub(crate) fn screen(&self) -> Option<Screen> {
        let for_people = matches!(self.format, None | Some(Format::Wide));
        (for_people && !self.quiet && self.stdout.terminal()).then(Screen::enter)
    }

    /// An error of this program.
    pub(crate) fn fault(&self, fault: &Fault) {
        self.fault_wire(&fault.to_wire(None));
        if let Some(detail) = fault.detail_text() {
            self.detail(&format!("  detail: {detail}"));
        }
    }

    /// An error as it came from a node.
    pub(crate) fn fault_wire(&self, fault: &FaultWire) {
        if self.format == Some(Format::Json) {
            error_line(&serde_json::to_string(fault).expect("a fault has text keys only"));
            return;
        }
        let head = self.stderr.red(&format!("error[{}]:", fault.code));
        error_line(&format!("{head} {}", fault.message));
        if let Some(place) = &fault.place {
            error_line(&format!("  {} {place}", self.stderr.blue("-->")));
        }
        if let Some(hint) = &fault.hint {
            error_line(&format!("  {} {hint}", self.stderr.blue("hint:")));
        }
        if let Some(id) = &fault.id {
            error_line(&format!("  {} {id}", self.stderr.blue("id:")));
        }
    }
}

fn error_line(text: &str) {
    // Nobody is left to tell when stderr is closed.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
