//! Steps of something that takes time: one live region on a terminal, plain lines in a pipe.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// How often a count is written in a pipe.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// One live region. It vanishes when it is dropped; the result follows as a line of its own.
#[derive(Debug)]
pub(crate) struct Progress {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Silent,
    Lines { last: RefCell<String>, counted: Cell<Instant> },
    Live(ProgressBar),
}

impl Progress {
    pub(super) fn new(quiet: bool, terminal: bool) -> Self {
        let kind = match (quiet, terminal) {
            (true, _) => Kind::Silent,
            (false, false) => Kind::Lines { last: RefCell::default(), counted: Cell::new(Instant::now()) },
            (false, true) => Kind::Live(live()),
        };
        Self { kind }
    }

    /// Says what happens now. In a pipe, the same text is written once.
    pub(crate) fn step(&self, text: &str, percent: Option<u8>) {
        match &self.kind {
            Kind::Silent => {}
            Kind::Lines { last, .. } => {
                if last.replace(text.to_owned()) != text {
                    super::error_line(text);
                }
            }
            Kind::Live(bar) => {
                bar.set_message(percent.map_or_else(|| text.to_owned(), |done| format!("{text} {done} %")));
            }
        }
    }

    /// Says how far something is that counts fast. In a pipe, that is written now and then.
    pub(crate) fn count(&self, text: impl FnOnce() -> String) {
        match &self.kind {
            Kind::Silent => {}
            Kind::Lines { counted, .. } => {
                if counted.get().elapsed() >= COUNT_INTERVAL {
                    counted.set(Instant::now());
                    super::error_line(&text());
                }
            }
            Kind::Live(bar) => bar.set_message(text()),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Kind::Live(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }
}

fn live() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(
        ProgressStyle::with_template("{spinner} {msg} {elapsed}")
            .expect("the template is a constant and valid"),
    );
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
