//! Guests of WASI 0.2 that do not behave, as data: the runtime's own tests run them, and the hostile suite by the whole program.

/// What goes wrong, the guest's handler, and how the call ends: a fault's code, or a status.
pub(crate) const HOSTILE: &[(&str, &str, &str)] = &[
    ("trap", "unreachable", "HOB-0502"),
    ("loop", "(loop $l (br $l))", "HOB-0501"),
    ("calls the host for ever", "(loop $l (drop (call $now)) (br $l))", "HOB-0501"),
    (
        "grows its memory until it is refused, then traps",
        "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
        "HOB-0505",
    ),
    ("overflows its stack", "(call $deep (i64.const 1))", "HOB-0502"),
    ("divides by zero", "(drop (i32.div_u (i32.const 1) (i32.const 0)))", "HOB-0502"),
    ("reads outside its memory", "(drop (i32.load (i32.const 0x7fffffff)))", "HOB-0502"),
    ("never answers", "", "HOB-0506"),
    (
        "answers with an error",
        "(call $set (local.get $out) (i32.const 1) (i32.const 4) (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
        "HOB-0506",
    ),
    ("takes a million fields", "(loop $l (drop (call $fields)) (br $l))", "HOB-0502"),
    (
        "makes a million answers",
        "(loop $l (call $body (call $response (call $fields)) (i32.const 0)) (br $l))",
        "HOB-0502",
    ),
    ("asks for 1 GiB of random bytes", "(call $random-bytes (i64.const 0x40000000) (i32.const 0))", "HOB-0502"),
    (
        "passes a list longer than its memory",
        "(call $append (call $fields) (i32.const 3072) (i32.const 6) (i32.const 0) (i32.const 0x7fffffff) (i32.const 64))",
        "HOB-0502",
    ),
    (
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
        "sets a header value of 128 KiB, is refused and traps",
        "(call $append (call $fields) (i32.const 3072) (i32.const 6) (i32.const 65536) (i32.const 131072) (i32.const 64))
         (if (i32.load8_u (i32.const 64)) (then unreachable))",
        "HOB-0502",
    ),
    (
        "traps while its body streams",
        "(local $s i32) (local.set $s (call $begin (local.get $out) (call $fields) (i32.const 200)))
         (call $put (local.get $s) (i32.const 1024) (i32.const 15) (i32.const 32)) unreachable",
        "HOB-0502",
    ),
    (
        "returns before its body is finished, which ends it",
        "(drop (call $begin (local.get $out) (call $fields) (i32.const 200)))",
        "200",
    ),
    (
        "loops after it has answered",
        "(call $answer (local.get $out) (call $fields) (i32.const 200)) (loop $l (br $l))",
        "200",
    ),
    (
        "writes a log without end",
        "(local $e i32) (local.set $e (call $get-stderr))
         (loop $l (call $put (local.get $e) (i32.const 65536) (i32.const 4096) (i32.const 32)) (br $l))",
        "HOB-0501",
    ),
    (
        "fills its memory over and over",
        "(loop $l (memory.fill (i32.const 65536) (i32.const 1) (i32.const 65536)) (br $l))",
        "HOB-0501",
    ),
];

const DEEP: &str = "(func $deep (param i64) (result i64) (i64.add (call $deep (local.get 0)) (local.get 0)))";

/// The core code of a guest whose handler does this; `$out` is the response-outparam.
pub(crate) fn code(handler: &str) -> String {
    let handler = handler.replace("(call $deep (i64.const 1))", "(drop (call $deep (i64.const 1)))");
    format!("{DEEP} (func (export \"handle\") (param $req i32) (param $out i32) {handler})")
}
