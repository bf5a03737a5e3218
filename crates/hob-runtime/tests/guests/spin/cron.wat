;; A component for the cron trigger of Spin: fails unless the tick is on a full minute.
(component
  (import "fermyon:spin-cron/cron-types@2.0.0" (instance $types
    (type $metadata-t (record (field "timestamp" u64)))
    (export "metadata" (type $metadata (eq $metadata-t)))
    (type $error-t (variant (case "other" string)))
    (export "error" (type $error (eq $error-t)))))
  (alias export $types "metadata" (type $metadata))
  (alias export $types "error" (type $error))
  (core module $guest
    (memory (export "memory") 1)
    (data (i32.const 64) "between the minutes")
    ;; result<_, error> at 16: which case, then error: which case, pointer, length.
    (func (export "tick") (param $timestamp i64) (result i32)
      (i32.store8 (i32.const 16) (i64.ne (i64.rem_u (local.get $timestamp) (i64.const 60)) (i64.const 0)))
      (i32.store8 (i32.const 20) (i32.const 0))
      (i32.store (i32.const 24) (i32.const 64))
      (i32.store (i32.const 28) (i32.const 19))
      (i32.const 16)))
  (core instance $core (instantiate $guest))
  (type $handle (func (param "metadata" $metadata) (result (result (error $error)))))
  (func $lifted (type $handle) (canon lift (core func $core "tick") (memory (core memory $core "memory"))))
  (export "handle-cron-event" (func $lifted)))
