;; A command of WASI preview 1 for contract `stdio` with `wagi = true`: headers and a text on standard output.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  ;; One buffer: where it is and how long, then where its written length goes.
  (data (i32.const 0) "\10\00\00\00\2a\00\00\00")
  (data (i32.const 16) "content-type: text/plain\0a\0ahello from wagi\0a")
  (func (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
