;; A component for the cron trigger of Spin that imports drafts of WASI and calls them.
(component
  (import "wasi:random/random@0.2.0-rc-2023-11-10" (instance $random-02 (export "get-random-u64" (func (result u64)))))
  (import "wasi:random/random@0.3.0-rc-2026-03-15" (instance $random-03 (export "get-random-u64" (func (result u64)))))
  (import "wasi:cli/exit@0.2.0-rc-2023-12-05" (instance $exit (export "exit" (func (param "status" (result))))))
  (import "fermyon:spin-cron/cron-types@2.0.0" (instance $types
    (type $metadata-t (record (field "timestamp" u64)))
    (export "metadata" (type $metadata (eq $metadata-t)))
    (type $error-t (variant (case "other" string)))
    (export "error" (type $error (eq $error-t)))))
  (alias export $types "metadata" (type $metadata))
  (alias export $types "error" (type $error))
  (core func $random-02 (canon lower (func $random-02 "get-random-u64")))
  (core func $random-03 (canon lower (func $random-03 "get-random-u64")))
  (core func $exit (canon lower (func $exit "exit")))
  (core module $guest
    (import "wasi" "random-02" (func $random-02 (result i64)))
    (import "wasi" "random-03" (func $random-03 (result i64)))
    (import "wasi" "exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "tick") (param i64) (result i32)
      ;; Two that are the same come once in 2^64.
      (if (i64.eq (call $random-02) (call $random-03)) (then (call $exit (i32.const 1))))
      (i32.const 16)))
  (core instance $wasi
    (export "random-02" (func $random-02)) (export "random-03" (func $random-03)) (export "exit" (func $exit)))
  (core instance $core (instantiate $guest (with "wasi" (instance $wasi))))
  (type $handle (func (param "metadata" $metadata) (result (result (error $error)))))
  (func $lifted (type $handle) (canon lift (core func $core "tick") (memory (core memory $core "memory"))))
  (export "handle-cron-event" (func $lifted)))
