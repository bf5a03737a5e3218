//! A live view that fills the terminal: redrawn in place, keys as they are pressed, all as before at its end.
//!
//! **How.** Plain ANSI: the alternate screen, the cursor home, and every line cleared behind its text. Keys come
//! one by one because line editing and echo are off; Ctrl-C stays a signal. [`Screen`] puts the terminal back when
//! it is dropped, by an error too.
//!
//! **Not here:** what is shown, which is made by functions that know no terminal.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{IsTerminal, Read, Write};
use tokio::task::JoinHandle;

/// A size for terminals that do not tell theirs: that of a punched card, by 24 lines.
const UNKNOWN: (usize, usize) = (80, 24);
/// To the alternate screen, with the cursor hidden.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
/// And back.
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
/// The cursor goes to the upper left corner.
const HOME: &str = "\u{1b}[H";
/// What stands behind the cursor in its line goes.
const CLEAR_LINE: &str = "\u{1b}[K";
/// What stands below the cursor goes.
const CLEAR_BELOW: &str = "\u{1b}[J";

/// A terminal that shows a live view.
pub(crate) struct Screen {
    /// What the terminal was like; `None`: keys cannot be read.
    before: Option<Termios>,
    pressed: Option<JoinHandle<Option<char>>>,
}

impl Screen {
    /// Takes the terminal over.
    pub(crate) fn enter() -> Self {
        let stdin = std::io::stdin();
        let before = stdin.is_terminal().then(|| tcgetattr(&stdin).ok()).flatten();
        if let Some(before) = &before {
            let mut keys = before.clone();
            keys.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
            // Without it keys wait for Enter, which is no harm.
            let _ = tcsetattr(&stdin, OptionalActions::Now, &keys);
        }
        write(ENTER);
        Self { before, pressed: None }
    }

    /// Columns and lines of the terminal, as they are now.
    pub(crate) fn size(&self) -> (usize, usize) {
        size()
    }

    /// Shows this text instead of what was there. Lines that do not fit below are left out.
    pub(crate) fn show(&self, text: &str) {
        let (_, height) = self.size();
        let lines: Vec<&str> = text.lines().take(height).collect();
        write(&format!("{HOME}{}{CLEAR_LINE}{CLEAR_BELOW}", lines.join(&format!("{CLEAR_LINE}\r\n"))));
    }

    /// The next key; never, where there is no keyboard. May be dropped and asked for again.
    pub(crate) async fn key(&mut self) -> char {
        loop {
            if self.before.is_none() {
                return std::future::pending().await;
            }
            let pressed = self.pressed.get_or_insert_with(|| tokio::task::spawn_blocking(read));
            let key = pressed.await;
            self.pressed = None;
            match key {
                Ok(Some(key)) => return key,
                // The keyboard has gone.
                Ok(None) | Err(_) => self.before = None,
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        write(LEAVE);
        if let Some(before) = &self.before {
            // A terminal that has gone needs nothing.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Columns and lines of the terminal on stdout.
fn size() -> (usize, usize) {
    let told = tcgetwinsize(std::io::stdout()).ok();
    told.filter(|size| size.ws_col > 0 && size.ws_row > 0)
        .map_or(UNKNOWN, |size| (size.ws_col.into(), size.ws_row.into()))
}

fn read() -> Option<char> {
    let mut byte = [0];
    let read = std::io::stdin().lock().read(&mut byte).ok()?;
    (read > 0).then(|| char::from(byte[0]))
}

fn write(text: &str) {
    let mut stdout = std::io::stdout().lock();
    // Whoever has closed the terminal does not look any more.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
