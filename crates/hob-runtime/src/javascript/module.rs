//! An ES module becomes program text that an engine without modules evaluates: the body of an async function.
//!
//! **Why.** The engine in the WASM component loads modules only while it is made, but evaluates text at any time.
//! So every JavaScript function can share one compiled component, and deploying one compiles nothing.
//!
//! **How.** `export` is rewritten in place and as long as it was, so that lines and columns in stacks are those of the
//! file, except in its first line. What was exported is handed over at the end of the body:
//!
//! ```text
//! export default X;            $hob.default = X;
//! export default class A {}                   class A {}  … ;$hob.default=A;
//! export { a as default };                              … ;$hob.default=a;
//! export const b = 1;                 const b = 1;
//! ```
//!
//! **Not here:** linking several files. A bundle has no imports, and that is what such functions are deployed as.

use super::lexer::{Word, words};

/// Why a module cannot be made a program, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Line, from 1; 0 when it is the whole file.
    pub(crate) line: usize,
    /// What is wrong, without the file.
    pub(crate) what: String,
    /// What to do.
    pub(crate) hint: String,
    /// Whether it is for Node.
    node: bool,
}

/// What stands before the file's text, in its first line. `$load` stands for `import()`.
const HEAD: &str = "(async function($hob,$load){\"use strict\";";
/// The same before a script that adds listeners, where the environment is global: as long, so that columns agree.
const HEAD_CLASSIC: &str = "(async function($hob,$load){$hob.classic;";
const TAIL: &str = "\n})";
/// The name of a default export that has none.
const NAMELESS: &str = "$hob_default";

/// Makes a module the text of a function that takes `$hob`, on which it puts its default export, and `$load`.
///
/// # Errors
/// For imports, and when nothing is exported as default.
pub(crate) fn program(text: &str) -> Result<String, Refusal> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let words = words(text);
    let mut module =
        Module { text, out: text.as_bytes().to_vec(), extra: 0, tail: String::new(), default: false };
    for (index, word) in words.iter().enumerate() {
        match module.word(word) {
            _ if word.member => {}
            "import" => module.import(word)?,
            "export" if word.depth == 0 => module.export(word, &words[index + 1..])?,
            _ => {}
        }
    }
    if text.starts_with("#!") {
        module.out[0] = b'/';
        module.out[1] = b'/';
    }
    let head = match module.default {
        true => HEAD,
        false if adds_listener(text, &words) => HEAD_CLASSIC,
        false => return Err(nothing_exported(text)),
    };
    let body = String::from_utf8(module.out).expect("only whole characters were replaced");
    Ok(format!("{head}{body}\n;{}{TAIL}", module.tail))
}

/// Whether a file looks like a module with handlers: it exports something as default, and wants nothing of Node.
pub(crate) fn is_module(text: &str) -> bool {
    match program(text) {
        Ok(_) => true,
        Err(refusal) => !refusal.node && exports_default(text),
    }
}

/// Whether something is exported as default, whatever is imported.
fn exports_default(text: &str) -> bool {
    let words = words(text);
    let word = |index: usize| words.get(index).map_or("", |word| &text[word.start..word.end]);
    (0..words.len()).any(|index| {
        let exports = words[index].depth == 0 && !words[index].member && word(index) == "export";
        let list = || words[index + 1..].iter().take_while(|next| next.depth > 0).count();
        exports && (word(index + 1) == "default" || (1..=list()).any(|next| word(index + next) == "default"))
    })
}

/// Whether it is a script in the older form: `addEventListener("fetch", event => event.respondWith(…))`.
fn adds_listener(text: &str, words: &[Word]) -> bool {
    words.iter().filter(|word| &text[word.start..word.end] == "addEventListener").any(|word| {
        let rest = text[word.end..].trim_start().trim_start_matches('(').trim_start();
        ["fetch", "scheduled"]
            .iter()
            .any(|kind| rest.strip_prefix(['"', '\'', '`']).is_some_and(|rest| rest.starts_with(kind)))
    })
}

fn nothing_exported(text: &str) -> Refusal {
    let common = words(text).windows(2).any(|pair| {
        let [first, second] = pair else { return false };
        &text[first.start..first.end] == "module" && &text[second.start..second.end] == "exports"
    });
    let hint = if common {
        "it is a CommonJS module: write `export default { async fetch(request, env, ctx) { … } }` instead of `module.exports`"
    } else {
        "write `export default { async fetch(request, env, ctx) { return new Response(\"hello\") } }`"
    };
    Refusal { line: 0, what: "exports nothing as default".to_owned(), hint: hint.to_owned(), node: common }
}

struct Module<'a> {
    text: &'a str,
    /// The text with replacements; as long as the text, and `extra` bytes more.
    out: Vec<u8>,
    extra: usize,
    tail: String,
    default: bool,
}

impl<'a> Module<'a> {
    fn word(&self, word: &Word) -> &'a str {
        &self.text[word.start..word.end]
    }

    fn line(&self, at: usize) -> usize {
        self.text[..at].bytes().filter(|byte| *byte == b'\n').count() + 1
    }

    /// What follows a place, after white space and comments.
    fn after(&self, mut at: usize) -> usize {
        loop {
            let rest = &self.text[at..];
            at = self.text.len() - rest.trim_start().len();
            let rest = &self.text[at..];
            if rest.starts_with("//") {
                at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                at += rest.find("*/").map_or(rest.len(), |end| end + 2);
            } else {
                return at;
            }
        }
    }

    /// Puts something in the place of a part of the text; what is left of the part becomes blanks.
    fn put(&mut self, start: usize, end: usize, with: &str) {
        let (start, end) = (start + self.extra, end + self.extra);
        let lines: Vec<u8> = self.out[start..end].iter().copied().filter(|byte| *byte == b'\n').collect();
        let blanks = (end - start).saturating_sub(with.len() + lines.len());
        let new: Vec<u8> = with.bytes().chain(std::iter::repeat_n(b' ', blanks)).chain(lines).collect();
        self.extra += new.len() - (end - start).min(new.len());
        self.out.splice(start..end, new);
    }

    fn import(&mut self, word: &Word) -> Result<(), Refusal> {
        let next = self.after(word.end);
        let rest = &self.text[next..];
        if rest.starts_with(':') || rest.starts_with('=') {
            // A key of an object, or a field of a class.
            return Ok(());
        }
        if rest.starts_with('(') {
            self.put(word.start, word.end, "$load");
            return Ok(());
        }
        if let Some(name) = rest.strip_prefix('.') {
            let end = next + 1 + name.find(|sign: char| !sign.is_alphanumeric()).unwrap_or(name.len());
            self.put(word.start, end, "$hob.meta");
            return Ok(());
        }
        if word.depth > 0 {
            return Ok(());
        }
        Err(self.imported(word.start, next))
    }

    /// The refusal of an import or a re-export; the module's name is the first string that follows.
    fn imported(&self, at: usize, next: usize) -> Refusal {
        let rest = &self.text[next..];
        let name = rest.find(['"', '\'']).and_then(|quote| {
            let name = &rest[quote + 1..];
            name.find(['"', '\'', '\n']).map(|end| &name[..end])
        });
        let name = name.unwrap_or("another module");
        let node = name.starts_with("node:") || BUILTIN.contains(&name);
        let hint = if name.starts_with("cloudflare:") {
            "Hob offers no modules of that vendor: what a function needs comes from `env` and over HTTP"
                .to_owned()
        } else if node {
            format!(
                "`{name}` is a module of Node: run the file with it, `run = [\"node\", \"…\"]` and `host = \"process\"`"
            )
        } else {
            "make one file of it: `npx esbuild FILE --bundle --format=esm --outfile=bundle.js`".to_owned()
        };
        Refusal {
            line: self.line(at),
            what: format!("imports `{name}`, and Hob runs single files"),
            hint,
            node,
        }
    }

    fn export(&mut self, word: &Word, rest: &[Word]) -> Result<(), Refusal> {
        let next = self.after(word.end);
        match rest.first().map(|word| (self.word(word), *word)) {
            _ if self.text[next..].starts_with('*') => Err(self.imported(word.start, next)),
            _ if self.text[next..].starts_with('{') => self.list(word, next, rest),
            Some(("default", default)) => {
                self.default(word, &default, &rest[1..]);
                Ok(())
            }
            _ => {
                self.put(word.start, word.end, "");
                Ok(())
            }
        }
    }

    /// `export default …`.
    fn default(&mut self, export: &Word, default: &Word, rest: &[Word]) {
        self.default = true;
        let text = self.text;
        let mut named = rest.iter().map(|word| (&text[word.start..word.end], *word));
        let first = self.after(default.end);
        let (mut kind, mut at) = (named.next(), first);
        if let Some(("async", word)) = kind
            && word.start == at
            && self.text[self.after(word.end)..].starts_with("function")
        {
            at = self.after(word.end);
            kind = named.next();
        }
        match kind {
            Some(("function" | "class", word)) if word.start == at => {
                let mut after = self.after(word.end);
                if self.text[after..].starts_with('*') {
                    after = self.after(after + 1);
                }
                self.put(export.start, default.end, "");
                let own = named.next().filter(|(name, own)| own.start == after && *name != "extends");
                let name = own.map_or(NAMELESS, |(name, _)| name);
                if own.is_none() {
                    self.put(after, after, &format!(" {NAMELESS} "));
                }
                self.tail.push_str(&format!("$hob.default={name};"));
            }
            _ => self.put(export.start, default.end, "$hob.default ="),
        }
    }

    /// `export { a, b as c }`.
    fn list(&mut self, word: &Word, open: usize, rest: &[Word]) -> Result<(), Refusal> {
        let Some(length) = self.text[open..].find('}') else { return Ok(()) };
        let mut end = open + length + 1;
        let after = self.after(end);
        if self.text[after..].starts_with("from") {
            return Err(self.imported(word.start, after));
        }
        if self.text[after..].starts_with(';') {
            end = after + 1;
        }
        let names: Vec<&str> =
            rest.iter().take_while(|word| word.start < end).map(|word| self.word(word)).collect();
        for (index, name) in names.iter().enumerate() {
            if *name == "default" && index >= 2 && names[index - 1] == "as" {
                self.default = true;
                self.tail.push_str(&format!("$hob.default={};", names[index - 2]));
            }
        }
        // What stood before it may have no semicolon.
        self.put(word.start, end, ";");
        Ok(())
    }
}

/// Modules of Node that are imported without `node:` as often as with it.
const BUILTIN: [&str; 15] = [
    "assert",
    "buffer",
    "child_process",
    "crypto",
    "events",
    "fs",
    "http",
    "https",
    "net",
    "os",
    "path",
    "process",
    "stream",
    "url",
    "util",
];

#[cfg(test)]
mod tests {
    use super::{HEAD, HEAD_CLASSIC, TAIL, is_module, program};

    /// Goal: the body that a module becomes, `⏎` for a line's end.
    #[test]
    fn exports_become_assignments_in_place() {
        for (text, expected) in [
            ("export default { fetch };", "$hob.default = { fetch };⏎;"),
            ("export  default\nx;", "$hob.default = ⏎x;⏎;"),
            ("export default class A {}", "               class A {}⏎;$hob.default=A;"),
            (
                "export default class extends B {}",
                "               class  $hob_default extends B {}⏎;$hob.default=$hob_default;",
            ),
            (
                "export default function () {}",
                "               function  $hob_default () {}⏎;$hob.default=$hob_default;",
            ),
            (
                "export default async function* f() {}",
                "               async function* f() {}⏎;$hob.default=f;",
            ),
            ("export default async () => 1", "$hob.default = async () => 1⏎;"),
            (
                "var a;\nexport {\n  b,\n  a as default\n};\nc",
                "var a;⏎;                           ⏎⏎⏎⏎c⏎;$hob.default=a;",
            ),
            ("export const a = 1, b = 2; export default a", "       const a = 1, b = 2; $hob.default = a⏎;"),
            (
                "const a = { export: 1, import: 2 }; a.export; export default a",
                "const a = { export: 1, import: 2 }; a.export; $hob.default = a⏎;",
            ),
            ("export default () => import('x')", "$hob.default = () => $load ('x')⏎;"),
            ("export default import.meta.url", "$hob.default = $hob.meta  .url⏎;"),
            ("#!/usr/bin/env node\nexport default a", "///usr/bin/env node⏎$hob.default = a⏎;"),
            (
                "/* export default */ export default 'export'",
                "/* export default */ $hob.default = 'export'⏎;",
            ),
        ] {
            let made = program(text).map(|made| {
                let body = made.strip_prefix(HEAD).unwrap().strip_suffix(TAIL).unwrap();
                body.replace('\n', "⏎")
            });
            assert_eq!(made.as_deref(), Ok(expected), "{text}");
            assert!(is_module(text), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_one_program_is_refused_by_line() {
        for (text, line, what) in [
            ("\nimport a from './a.js';\nexport default a", 2, "imports `./a.js`"),
            ("import 'node:fs'\nexport default 1", 1, "imports `node:fs`"),
            ("import { a,\n b } from \"x\"\nexport default 1", 1, "imports `x`"),
            ("\n\nexport * from './b.js'", 3, "imports `./b.js`"),
            ("export { default } from 'c'", 1, "imports `c`"),
            ("module.exports = { fetch() {} }", 0, "exports nothing as default"),
            ("export const a = 1;", 0, "exports nothing as default"),
            ("", 0, "exports nothing as default"),
        ] {
            let refusal = program(text).unwrap_err();
            assert_eq!(refusal.line, line, "{text}");
            assert!(refusal.what.starts_with(what), "{text}: {refusal:?}");
        }
        for (text, expected) in [
            ("const a = 'export default'; module.exports = a", false),
            ("import http from 'node:http'; export default {}", false),
            ("import { Hono } from 'hono'; const a = new Hono(); export { a as default }", true),
            ("import x from 'x'; console.log(x)", false),
        ] {
            assert_eq!(is_module(text), expected, "{text}");
        }
        let classic = program("addEventListener('fetch', e => e.respondWith(new Response('a')))").unwrap();
        assert!(classic.starts_with(HEAD_CLASSIC) && HEAD.len() == HEAD_CLASSIC.len(), "{classic}");
    }
}
