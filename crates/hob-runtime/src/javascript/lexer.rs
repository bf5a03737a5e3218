//! Splits JavaScript into as much as is needed to find its `import` and `export` words.
//!
//! **Why.** Whether a word is code or stands in a string, a comment, a template or a regular expression decides
//! whether it means anything; a parser of all of JavaScript would be a hundred times as large.
//!
//! **How.** One pass over the bytes (ECMA-262, 12). What a `/` begins depends on what came before: after a value it
//! divides, else a regular expression begins. For `)` and `}` the lexer remembers what opened them. What is not valid
//! is passed over: the engine that runs the program says what is wrong with it.

/// A word of the program that may be a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Where it begins, in bytes.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
    /// How many brackets of all kinds are open.
    pub(super) depth: usize,
    /// Whether it is a name after a dot.
    pub(super) member: bool,
}

/// What the last token was, as far as it tells what a `/` means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// A value: a `/` divides.
    Value,
    /// Something that a value follows.
    Operator,
    /// A dot: a name follows.
    Dot,
    /// `if`, `while`, `for`, `with`: after their parentheses a statement follows.
    Head,
    /// A `)` or `=>`, or a word or sign before a block.
    Block,
}

/// What a bracket that is open was opened by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Value,
    Head,
    Block,
    Template,
}

/// Words after which a value follows, not an operator (ECMA-262, 12.7.2).
const BEFORE_VALUE: [&str; 15] = [
    "return",
    "typeof",
    "case",
    "in",
    "instanceof",
    "new",
    "void",
    "delete",
    "throw",
    "await",
    "yield",
    "default",
    "extends",
    "of",
    "export",
];
const BEFORE_BLOCK: [&str; 4] = ["else", "do", "try", "finally"];
const HEADS: [&str; 4] = ["if", "while", "for", "with"];

/// Every word of a program outside strings, comments, templates and regular expressions.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut lexer = Lexer {
        text,
        bytes: text.as_bytes(),
        at: 0,
        before: Before::Block,
        open: Vec::new(),
        words: Vec::new(),
    };
    if text.starts_with("#!") {
        lexer.line();
    }
    while lexer.at < lexer.bytes.len() {
        lexer.token();
    }
    lexer.words
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    before: Before,
    open: Vec<Open>,
    words: Vec<Word>,
}

impl Lexer<'_> {
    fn token(&mut self) {
        let rest = &self.bytes[self.at..];
        match rest[0] {
            b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
            b'/' if rest.starts_with(b"//") => self.line(),
            b'/' if rest.starts_with(b"/*") => {
                self.at += self.text[self.at + 2..].find("*/").map_or(rest.len(), |end| end + 4);
            }
            b'/' if self.before == Before::Value => self.sign(Before::Operator),
            b'/' => self.pattern(),
            quote @ (b'"' | b'\'') => self.string(quote),
            b'`' => self.template(),
            b'0'..=b'9' => self.number(),
            b'.' if rest.get(1).is_some_and(u8::is_ascii_digit) => self.number(),
            b'.' if rest.starts_with(b"...") => {
                self.at += 3;
                self.before = Before::Operator;
            }
            b'.' => self.sign(Before::Dot),
            b'(' => {
                self.open.push(if self.before == Before::Head { Open::Head } else { Open::Value });
                self.sign(Before::Operator);
            }
            b'[' => {
                self.open.push(Open::Value);
                self.sign(Before::Operator);
            }
            b'{' => self.brace(),
            b')' | b']' | b'}' => self.close(rest[0]),
            b';' => self.sign(Before::Block),
            b'=' if rest.starts_with(b"=>") => {
                self.at += 2;
                self.before = Before::Block;
            }
            b'+' | b'-' if rest.get(1) == Some(&rest[0]) => {
                // After a value it belongs to it, before one it does not matter.
                self.at += 2;
            }
            sign if is_word(sign) || sign == b'#' => self.word(),
            _ => self.sign(Before::Operator),
        }
    }

    fn sign(&mut self, before: Before) {
        self.at += 1;
        self.before = before;
    }

    /// To the end of the line.
    fn line(&mut self) {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    }

    fn word(&mut self) {
        let start = self.at;
        self.at += 1;
        while self.bytes.get(self.at).copied().is_some_and(is_word) {
            self.at += 1;
        }
        let word = &self.text[start..self.at];
        let member = self.before == Before::Dot;
        self.words.push(Word { start, end: self.at, depth: self.open.len(), member });
        self.before = match word {
            _ if member => Before::Value,
            word if HEADS.contains(&word) => Before::Head,
            word if BEFORE_BLOCK.contains(&word) => Before::Block,
            word if BEFORE_VALUE.contains(&word) => Before::Operator,
            // `for await (`.
            _ => Before::Value,
        };
    }

    fn number(&mut self) {
        while self.bytes.get(self.at).is_some_and(|byte| is_word(*byte) || *byte == b'.') {
            self.at += 1;
        }
        self.before = Before::Value;
    }

    fn string(&mut self, quote: u8) {
        self.at += 1;
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += match byte {
                b'\\' => 2,
                // It is not closed: the engine will say so.
                b'\n' => break,
                _ => 1,
            };
            if *byte == quote {
                break;
            }
        }
        self.settle(Before::Value);
    }

    /// From a backtick, or the end of an expression in a template, to the next of either.
    fn template(&mut self) {
        self.at += 1;
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'\\' => self.at += 2,
                b'`' => {
                    self.at += 1;
                    break;
                }
                b'$' if self.bytes.get(self.at + 1) == Some(&b'{') => {
                    self.at += 2;
                    self.open.push(Open::Template);
                    self.before = Before::Operator;
                    return;
                }
                _ => self.at += 1,
            }
        }
        self.settle(Before::Value);
    }

    fn pattern(&mut self) {
        let mut class = false;
        self.at += 1;
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'[' => class = true,
                b']' => class = false,
                b'/' if !class => break,
                b'\n' => break,
                _ => {}
            }
        }
        // Its flags are no word of the program.
        while self.bytes.get(self.at).copied().is_some_and(is_word) {
            self.at += 1;
        }
        self.settle(Before::Value);
    }

    /// An escape at the very end may have gone beyond it, or into a character.
    fn settle(&mut self, before: Before) {
        self.at = self.at.min(self.bytes.len());
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        self.before = before;
    }

    fn brace(&mut self) {
        let value = self.before == Before::Operator;
        self.open.push(if value { Open::Value } else { Open::Block });
        self.sign(Before::Block);
    }

    fn close(&mut self, sign: u8) {
        match self.open.pop() {
            Some(Open::Template) if sign == b'}' => self.template(),
            Some(Open::Head | Open::Block) => self.sign(Before::Block),
            _ => self.sign(Before::Value),
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::words;

    /// Goal: of all words `X` of a text, these are found: their depths, or `m` for a member.
    #[test]
    fn words_are_found_where_they_are_code() {
        for (text, expected) in [
            ("X", "0"),
            ("a.X; X", "m0"),
            ("{X}(X)[X]", "111"),
            ("'X' \"X\" `X` // X\n/* X */ X", "0"),
            ("'\\'X' X", "0"),
            ("`a${X}b${`${X}`}` X", "120"),
            ("a / X / b", "0"),
            ("a = /X/g; X", "0"),
            ("a = /[/]X/; X", "0"),
            ("return /X/; X", "0"),
            ("if (a) /X/.test(b); X", "0"),
            ("(a) / X / b", "0"),
            ("function f() {}\n/X/.test(a); X", "0"),
            ("a = {} / X / 2", "0"),
            ("a++ / X / 2", "0"),
            ("f(a => /X/.test(a)); X", "0"),
            ("[1 / 2, X, 3 / 4]", "1"),
            ("a.return / X / 2", "0"),
            ("#!/usr/bin/env X\nX", "0"),
            ("`${a}` / X / 2", "0"),
            ("`${{a: X}}` X", "20"),
            ("1.5 / X", "0"),
            ("'ä\\ä' X", "0"),
            ("'X", ""),
            ("`X${", ""),
            ("/X", ""),
            ("'\\", ""),
        ] {
            let found: String = words(text)
                .iter()
                .filter(|word| &text[word.start..word.end] == "X")
                .map(|word| if word.member { "m".to_owned() } else { word.depth.to_string() })
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
