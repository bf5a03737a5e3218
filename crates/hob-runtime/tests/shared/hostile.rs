//! Guests of WASI 0.2 that do not behave, as data: the runtime's own tests run them, and the hostile suite by the whole program.
//!
//! **How.** [`KINDS`] are the twelve of `reference/reliability.md` (T2), of which each has a guest; [`deep_types`] is the one
//! that must not even be deployed.

/// What a guest may try to have without end.
pub(crate) const KINDS: [&str; 12] = [
    "memory",
    "table",
    "fields",
    "streams",
    "pollables",
    "random",
    "log",
    "environment",
    "recursion",
    "huge result",
    DEEP_TYPES,
    "bulk operation",
];
const DEEP_TYPES: &str = "deep types";

/// The kinds that no guest is of.
pub(crate) fn missing_kinds() -> Vec<&'static str> {
    let is_there = |kind: &str| kind == DEEP_TYPES || HOSTILE.iter().any(|(of, ..)| *of == kind);
    KINDS.into_iter().filter(|kind| !is_there(kind)).collect()
}

/// A variable of the environment that each of them has: reading it a few thousand times fills its memory.
pub(crate) const LONG: &str = match std::str::from_utf8(&[b'x'; 4096]) {
    Ok(text) => text,
    Err(_) => "",
};

/// One of [`KINDS`] or what it is else, what goes wrong, the guest's handler, and how the call ends: a fault's code, or a
/// status.
pub(crate) const HOSTILE: &[(&str, &str, &str, &str)] = &[
    ("trap", "trap", "unreachable", "HOB-0502"),
    ("loop", "loop", "(loop $l (br $l))", "HOB-0501"),
    ("loop", "calls the host for ever", "(loop $l (drop (call $now)) (br $l))", "HOB-0501"),
    (
        "memory",
        "grows its memory until it is refused, then traps",
        "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
        "HOB-0505",
    ),
    ("recursion", "overflows its stack", "(call $deep (i64.const 1))", "HOB-0502"),
    ("trap", "divides by zero", "(drop (i32.div_u (i32.const 1) (i32.const 0)))", "HOB-0502"),
    ("trap", "reads outside its memory", "(drop (i32.load (i32.const 0x7fffffff)))", "HOB-0502"),
    ("answer", "never answers", "", "HOB-0506"),
    (
        "answer",
        "answers with an error",
        "(call $set (local.get $out) (i32.const 1) (i32.const 4) (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
        "HOB-0506",
    ),
    ("fields", "takes a million fields", "(loop $l (drop (call $fields)) (br $l))", "HOB-0502"),
    (
        "streams",
        "makes a million answers",
        "(loop $l (call $body (call $response (call $fields)) (i32.const 0)) (br $l))",
        "HOB-0502",
    ),
    (
        "random",
        "asks for 1 GiB of random bytes",
        "(call $random-bytes (i64.const 0x40000000) (i32.const 0))",
        "HOB-0502",
    ),
    (
        "huge result",
        "passes a list longer than its memory",
        "(call $append (call $fields) (i32.const 3072) (i32.const 6) (i32.const 0) (i32.const 0x7fffffff) (i32.const 64))",
        "HOB-0502",
    ),
    (
        "fields",
        "adds fields without end",
        "(local $f i32) (local $n i32) (local.set $f (call $fields))
         (loop $l
           (call $append (local.get $f) (i32.const 3072) (i32.const 6) (i32.const 1024) (i32.const 8) (i32.const 64))
           (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (br_if $l (i32.lt_u (local.get $n) (i32.const 100000))))
         (call $answer (local.get $out) (call $fields) (i32.const 200))",
        "HOB-0502",
    ),
    (
        "huge result",
        "sets a header value of 128 KiB, is refused and traps",
        "(call $append (call $fields) (i32.const 3072) (i32.const 6) (i32.const 65536) (i32.const 131072) (i32.const 64))
         (if (i32.load8_u (i32.const 64)) (then unreachable))",
        "HOB-0502",
    ),
    (
        "streams",
        "traps while its body streams",
        "(local $s i32) (local.set $s (call $begin (local.get $out) (call $fields) (i32.const 200)))
         (call $put (local.get $s) (i32.const 1024) (i32.const 15) (i32.const 32)) unreachable",
        "HOB-0502",
    ),
    (
        "answer",
        "returns before its body is finished, which ends it",
        "(drop (call $begin (local.get $out) (call $fields) (i32.const 200)))",
        "200",
    ),
    (
        "loop",
        "loops after it has answered",
        "(call $answer (local.get $out) (call $fields) (i32.const 200)) (loop $l (br $l))",
        "200",
    ),
    (
        "log",
        "writes a log without end",
        "(local $e i32) (local.set $e (call $get-stderr))
         (loop $l (call $put (local.get $e) (i32.const 65536) (i32.const 4096) (i32.const 32)) (br $l))",
        "HOB-0501",
    ),
    (
        "bulk operation",
        "fills its memory over and over",
        "(loop $l (memory.fill (i32.const 65536) (i32.const 1) (i32.const 65536)) (br $l))",
        "HOB-0501",
    ),
    (
        "table",
        "grows its table until it is refused, then answers",
        "(loop $l (br_if $l (i32.ne (table.grow $hoard (ref.null func) (i32.const 1000)) (i32.const -1)))) (call $answer (local.get $out) (call $fields) (i32.const 200))",
        "200",
    ),
    (
        "pollables",
        "hoards a million pollables",
        "(loop $l (drop (call $later (i64.const 1000000000000))) (br $l))",
        "HOB-0502",
    ),
    ("streams", "hoards a million streams", "(loop $l (drop (call $get-stderr)) (br $l))", "HOB-0502"),
    (
        "environment",
        "asks for its environment for ever",
        "(loop $l (call $variables (i32.const 64)) (br $l))",
        "HOB-0505",
    ),
];

const DEEP: &str = "(func $deep (param i64) (result i64) (i64.add (call $deep (local.get 0)) (local.get 0)))";

/// The core code of a guest whose handler does this; `$out` is the response-outparam.
pub(crate) fn code(handler: &str) -> String {
    let handler = handler.replace("(call $deep (i64.const 1))", "(drop (call $deep (i64.const 1)))");
    format!(
        "(table $hoard 1 funcref) {DEEP} (func (export \"handle\") (param $req i32) (param $out i32) {handler})"
    )
}

/// A guest with a function besides, whose parameter is a list of lists, thousands deep: who goes down into its type without a
/// limit has no stack left.
pub(crate) fn deep_types(guest: &str) -> String {
    const DEPTH: usize = 20_000;
    let types: String = (1..DEPTH).map(|depth| format!("(type $t{depth} (list $t{}))", depth - 1)).collect();
    let (head, end) = guest.rsplit_once(')').expect("a component ends with a parenthesis");
    format!(
        "{head} (type $t0 (list u8)) {types}
           (core module $deep (func (export \"f\") (param i32 i32)))
           (core instance $deep (instantiate $deep))
           (func $deep (param \"deep\" $t{}) (canon lift (core func $deep \"f\") (memory $memory) (realloc $realloc)))
           (export \"deep\" (func $deep))){end}",
        DEPTH - 1
    )
}
