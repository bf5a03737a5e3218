//! Colour, where the terminal has it and nobody has declined it.
//!
//! **How.** `NO_COLOR` (no-color.org) and `TERM=dumb` switch colour off, `CLICOLOR_FORCE`
//! (bixense.com/clicolors) switches it on even in a pipe. Text reads well without it.

/// How text on one stream may look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    colour: bool,
    terminal: bool,
}

impl Style {
    /// The style of a stream that is or is not a terminal.
    pub(crate) fn of(terminal: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let forced = set("CLICOLOR_FORCE") && std::env::var_os("CLICOLOR_FORCE").is_some_and(|v| v != "0");
        let colour = !set("NO_COLOR") && (forced || (terminal && !dumb));
        Self { colour, terminal: terminal && !dumb }
    }

    /// Whether lines can be rewritten in place.
    pub(crate) fn terminal(self) -> bool {
        self.terminal
    }

    /// Whether text may have colour.
    pub(crate) fn colourful(self) -> bool {
        self.colour
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }
    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }
    pub(crate) fn red(self, text: &str) -> String {
        self.paint("1;31", text)
    }
    pub(crate) fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }
    pub(crate) fn blue(self, text: &str) -> String {
        self.paint("34", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
