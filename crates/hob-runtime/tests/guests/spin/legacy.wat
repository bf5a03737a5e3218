;; A component as the SDKs of Spin 1 made them: `fermyon:spin/inbound-http` and `fermyon:spin/http`, without versions.
;;
;; Answers a request without a body with its address; one with a body by sending a GET to the address in it, whose
;; status and body are the answer, or 500 and the number of the error.
(component
  (import "fermyon:spin/http-types" (instance $types
    (type $method-t (enum "get" "post" "put" "delete" "patch" "head" "options"))
    (export "method" (type $method (eq $method-t)))
    (type $pairs (list (tuple string string)))
    (type $body (option (list u8)))
    (type $request-t (record (field "method" $method) (field "uri" string) (field "headers" $pairs) (field "params" $pairs) (field "body" $body)))
    (export "request" (type (eq $request-t)))
    (type $some-pairs (option $pairs))
    (type $response-t (record (field "status" u16) (field "headers" $some-pairs) (field "body" $body)))
    (export "response" (type (eq $response-t)))
    (type $error-t (enum "success" "destination-not-allowed" "invalid-url" "request-error" "runtime-error" "too-many-requests"))
    (export "http-error" (type (eq $error-t)))))
  (alias export $types "request" (type $request))
  (alias export $types "response" (type $response))
  (alias export $types "http-error" (type $http-error))
  (import "fermyon:spin/http" (instance $http
    (alias outer 1 $request (type $outer-request))
    (export "request" (type $request (eq $outer-request)))
    (alias outer 1 $response (type $outer-response))
    (export "response" (type $response (eq $outer-response)))
    (alias outer 1 $http-error (type $outer-error))
    (export "http-error" (type $error (eq $outer-error)))
    (export "send-request" (func (param "req" $request) (result (result $response (error $error)))))))

  (core module $memory
    (memory (export "memory") 4)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (core func $send (canon lower (func $http "send-request") (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))

  (core module $guest
    (import "memory" "memory" (memory 1))
    (import "http" "send" (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    ;; response at 16: status; headers: whether; body: whether, pointer, length.
    (func $answer (param $status i32) (param $at i32) (param $length i32) (result i32)
      (i32.store16 (i32.const 16) (local.get $status))
      (i32.store8 (i32.const 20) (i32.const 0))
      (i32.store8 (i32.const 32) (i32.const 1))
      (i32.store (i32.const 36) (local.get $at))
      (i32.store (i32.const 40) (local.get $length))
      (i32.const 16))
    (func (export "handle")
      (param $method i32) (param $uri i32) (param $uri-length i32) (param $headers i32) (param $headers-length i32)
      (param $params i32) (param $params-length i32) (param $some-body i32) (param $body i32) (param $body-length i32)
      (result i32)
      (if (i32.eqz (local.get $some-body))
        (then (return (call $answer (i32.const 200) (local.get $uri) (local.get $uri-length)))))
      ;; result<response, http-error> at 128.
      (call $send (i32.const 0) (local.get $body) (local.get $body-length) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 128))
      (if (i32.load8_u (i32.const 128))
        (then
          (i32.store8 (i32.const 256) (i32.add (i32.const 48) (i32.load8_u (i32.const 132))))
          (return (call $answer (i32.const 500) (i32.const 256) (i32.const 1)))))
      (call $answer (i32.load16_u (i32.const 132)) (i32.load (i32.const 152)) (i32.load (i32.const 156)))))
  (core instance $http-core (export "send" (func $send)))
  (core instance $core (instantiate $guest
    (with "memory" (instance $memory)) (with "http" (instance $http-core))))
  (type $handle (func (param "req" $request) (result $response)))
  (func $lifted (type $handle)
    (canon lift (core func $core "handle") (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (instance $inbound (export "handle-request" (func $lifted)))
  (export "fermyon:spin/inbound-http" (instance $inbound)))
