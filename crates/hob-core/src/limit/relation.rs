//! What limits have to be to each other, checked when this is compiled.

use super::*;

const _: () = assert!(ARCHIVE_BYTES_ANYWAY < PACKAGE_BYTES_MAX);
const _: () = assert!(EGRESS_LOOKUPS_PER_APP_MAX < EGRESS_LOOKUPS_MAX);
const _: () = assert!(USAGE_HOURS_KEPT.as_millis() < USAGE_DAYS_KEPT.as_millis());
const _: () = assert!(ASYNC_BODY_BYTES_MAX < EVENT_BYTES_MAX && ASYNC_RESULT_BYTES_MAX < EVENT_BYTES_MAX);
const _: () =
    assert!(EVENT_BYTES_MAX <= EVENT_BATCH_BYTES_MAX && EVENT_BATCH_BYTES_MAX <= LOG_GROUP_BYTES_MAX);
const _: () = assert!((LOG_GROUP_BYTES_MAX as u64) < LOG_SEGMENT_BYTES);
const _: () = assert!(SPACE_INGRESS_BYTES_MAX <= INGRESS_BYTES_MAX);
const _: () = assert!(
    EVENT_BATCH_BYTES_MAX < SPACE_INGRESS_BYTES_MAX / INGRESS_OUTSIDE_SHARE,
    "a stranger's largest body leaves room for others'"
);
const _: () =
    assert!(ASYNC_BODY_BYTES_MAX <= EVENT_BATCH_BYTES_MAX && OTLP_BODY_BYTES_MAX <= EVENT_BATCH_BYTES_MAX);
const _: () = assert!(
    AWS_ARCHIVE_BYTES_MAX <= AWS_INGRESS_BYTES_MAX / INGRESS_CLIENT_SHARE,
    "one client's largest body leaves room for others'"
);
const _: () = assert!(INGRESS_WAIT_MAX.as_millis() < INGRESS_BODY_TIMEOUT.as_millis());
const _: () = assert!(DELIVERY_BACKOFF_MIN_DEFAULT.as_millis() <= DELIVERY_BACKOFF_MAX_DEFAULT.as_millis());
const _: () = assert!(2 * NAME_BYTES_MAX + 2 <= 63, "`<function>--<app>` must be one DNS label");
const _: () = assert!(URI_BYTES_MAX < HEADER_BYTES_MAX);
const _: () =
    assert!(2 * HEADER_BYTES_MAX + URI_BYTES_MAX < WALL_FRAME_BYTES_MAX, "every head crosses as one frame");
const _: () =
    assert!(WALL_PART_BYTES_MAX * 2 <= WALL_WINDOW_BYTES && WALL_WINDOW_BYTES < WALL_FRAME_BYTES_MAX);
const _: () = assert!(WALL_GATHERED_BYTES_MAX < WALL_PART_BYTES_MAX, "a whole part is not copied");
const _: () = assert!(
    WALL_HEADERS_MAX <= 24_576 && WALL_HEADERS_MAX >= 2 * HEADER_COUNT_MAX,
    "a map has room for as many headers (`http::HeaderMap`)"
);
const _: () = assert!(WORKER_EXITS_MAX < WORKER_ORDERS_MAX);
const _: () = assert!(WORKER_SILENCE_MAX.as_millis() < WORKER_BACKLOG_MAX.as_millis());
const _: () = assert!(6 * LOG_LINE_BYTES_MAX < WALL_FRAME_BYTES_MAX, "a line crosses, whatever is in it");
const _: () = assert!(BODY_BYTES_DEFAULT <= BODY_BYTES_CEILING);
const _: () = assert!(MEMORY_BYTES_DEFAULT <= WASM_MEMORY_BYTES_CEILING);
const _: () = assert!(INSTANCES_DEFAULT_WASM <= INSTANCES_CEILING && WASM_INSTANCES_MAX >= 3000);
const _: () = assert!(
    (WASM_HANDLES_MAX * WASM_FIELDS_BYTES_MAX) as u64 <= MEMORY_BYTES_DEFAULT,
    "what a guest can make the host hold must stay below what it may hold itself"
);
const _: () = assert!(
    JAVASCRIPT_PIECE_BYTES_MAX * 1032 + (64 << 10) <= JAVASCRIPT_RECODED_BYTES_MAX,
    "what the runtime gives is never refused for what becomes of it"
);
const _: () =
    assert!(JAVASCRIPT_FIELDS_MAX * 128 <= WASM_FIELDS_BYTES_MAX, "a field without a byte takes 104");
const _: () = assert!(
    COMPILE_PACK_BYTES_MAX * 4 <= COMPILE_CACHE_BYTES_MAX,
    "one component must not push all others out"
);
const _: () =
    assert!(WASM_TEXT_BYTES_MAX * 80 < WASM_BINARY_BYTES_MAX && WASM_BINARY_BYTES_MAX < PACKAGE_BYTES_MAX);
const _: () = assert!(COMPILE_TIMEOUT.as_millis() < OPTIMISE_TIMEOUT.as_millis());
const _: () = assert!(START_BACKOFF_MIN.as_millis() < START_BACKOFF_MAX.as_millis());
const _: () = assert!(CONCURRENCY_DEFAULT_HTTP <= CONCURRENCY_CEILING);
const _: () = assert!(OTLP_BATCH_MAX <= OTLP_QUEUED_MAX && OTLP_ITEMS_MAX <= OTLP_QUEUED_MAX);
const _: () = assert!(CONNECTIONS_PER_CLIENT_MAX < CONNECTIONS_MAX, "one client cannot take all");
const _: () = assert!(WASM_EPOCH_TICK.as_millis() < TURN_LAPSE.as_millis());
const _: () = assert!(MEMORY_SHARE_PERCENT + MEMORY_LEFT_PERCENT < 100);
const _: () = assert!(AUDIT_SEGMENT_BYTES * 4 <= AUDIT_BYTES_MAX, "removing one file leaves most of the log");
const _: () = assert!(AUDIT_SEGMENT_BYTES * 4 <= AUDIT_OTHERS_BYTES_MAX);
const _: () = assert!(AUDIT_TALLIES_PER_PRINCIPAL_MAX * 2 <= AUDIT_TALLIES_MAX, "one leaves room for others");
const _: () = assert!(TOKEN_LIFETIME_DEFAULT.as_millis() <= TOKEN_LIFETIME_MAX.as_millis());
const _: () = assert!(DASHBOARD_SESSION_IDLE.as_millis() < DASHBOARD_SESSION_AGE.as_millis());
const _: () = assert!(ARTIFACTS_ASKED_MAX <= UPLOADS_KEPT_MAX, "what one request asks for is kept");
