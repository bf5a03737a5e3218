//! Every limit of Hob, in one place, with relations between them checked at compile time.
//!
//! **Why.** A queue, body, depth or time without a bound is an outage waiting. Having them all on
//! one page lets a person see what the platform promises to refuse.
//!
//! **How.** Constants, units last in the name. Settings may lower a limit or raise it up to the
//! matching `_CEILING`. Those of tenants stand in `limit/tenant.rs`, of clients' connections in `limit/client.rs`, of the Lambda
//! API and contract in `limit/lambda.rs`, the relations in `limit/relation.rs`.
//!
//! **Not here:** limits that belong to one machine (file descriptors, memory), which the node probes.

mod client;
mod lambda;
mod relation;
mod tenant;

pub use client::*;
pub use lambda::*;
pub use tenant::*;

use std::time::Duration;

/// Longest app or function name, so that `<function>--<app>` is one DNS label (RFC 1035, 2.3.4: 63).
pub const NAME_BYTES_MAX: usize = 30;
/// Functions of one app.
pub const FUNCTIONS_PER_APP_MAX: usize = 256;
/// Routes of one app.
pub const ROUTES_PER_APP_MAX: usize = 1024;
/// One route, as it is written.
pub const ROUTE_BYTES_MAX: usize = 1024;
/// Revisions of one app that are kept for rollback and preview.
pub const REVISIONS_KEPT_MAX: usize = 20;
/// Functions of one deploy that are made ready at a time.
pub const DEPLOY_CONCURRENCY: usize = 2;
/// How long an uploaded artifact that no revision needs is kept, so that the deploy for which it came
/// finds it.
pub const UPLOAD_KEPT: Duration = Duration::from_secs(3600);
/// Artifacts of a space that are kept for clients which are still uploading: more than any one deploy can name. Of more
/// the oldest are forgotten.
pub const UPLOADS_KEPT_MAX: usize = 200_000;
/// How long a starting node waits for a data folder that another process has.
pub const DATA_LOCK_WAIT: Duration = Duration::from_millis(300);
/// Requests that wait for the thread which keeps the control state.
pub const STATE_REQUESTS_QUEUED_MAX: usize = 1024;
/// Commits that share one write to the disk.
pub const STATE_COMMITS_GROUPED_MAX: usize = 256;
/// Size of a manifest.
pub const MANIFEST_BYTES_MAX: usize = 1 << 20;
/// How deep lists and maps of a foreign manifest may be nested.
pub const FOREIGN_DEPTH_MAX: usize = 64;
/// Values of a foreign manifest, with every use of a YAML anchor counted anew.
pub const FOREIGN_VALUES_MAX: usize = 100_000;
/// Text that variables and functions of a foreign manifest may stand for, all together.
pub const FOREIGN_TEXT_BYTES_MAX: usize = 4 << 20;
/// Files of a foreign manifest: those that it is made of, and those that it names.
pub const FOREIGN_FILES_MAX: usize = 200;
/// What is listed of that which cannot be honoured in a foreign manifest.
pub const FOREIGN_NOTES_MAX: usize = 1000;
/// Environment variables of one function.
pub const ENV_VARS_MAX: usize = 256;
/// Addresses in one function's egress list.
pub const EGRESS_ENTRIES_MAX: usize = 256;
/// One environment variable's name and value.
pub const ENV_VAR_BYTES_MAX: usize = 32 << 10;

/// One uploaded artifact.
pub const ARTIFACT_BYTES_MAX: u64 = 512 << 20;
/// Files of one function's package.
pub const PACKAGE_FILES_MAX: usize = 20_000;
/// Artifacts that one request asks for; a client with more asks again.
pub const ARTIFACTS_ASKED_MAX: usize = 20_000;
/// All files of one function's package together.
pub const PACKAGE_BYTES_MAX: u64 = 1 << 30;
/// Path of one file inside a package.
pub const PATH_BYTES_MAX: usize = 1024;
/// One part of such a path, between slashes: what file systems of Linux take.
pub const PATH_PART_BYTES_MAX: usize = 255;
/// How many times its own size an archive may hold, which is more than programs and texts compress to.
pub const ARCHIVE_RATIO_MAX: u64 = 100;
/// What an archive may hold however small it is: zeros compress a thousand times, and a package may have some.
pub const ARCHIVE_BYTES_ANYWAY: u64 = 64 << 20;
/// Folders in each other of an archive, its file included.
pub const ARCHIVE_DEPTH_MAX: usize = 64;
/// Body of a control API request other than an artifact.
pub const CONTROL_BODY_BYTES_MAX: usize = 16 << 20;

/// Request body of a function, unless its manifest says otherwise (as AWS Lambda).
pub const BODY_BYTES_DEFAULT: u64 = 6 << 20;
/// What a manifest may raise it to.
pub const BODY_BYTES_CEILING: u64 = 8 << 30;
/// Time for one call, unless the manifest says otherwise.
pub const CALL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// What a manifest may raise it to.
pub const CALL_TIMEOUT_CEILING: Duration = Duration::from_secs(24 * 3600);
/// Memory of one instance, unless the manifest says otherwise.
pub const MEMORY_BYTES_DEFAULT: u64 = 128 << 20;
/// Memory of one instance of a native program, unless the manifest says otherwise.
pub const MEMORY_BYTES_DEFAULT_PROCESS: u64 = 512 << 20;
/// What a manifest may raise it to.
pub const MEMORY_BYTES_CEILING: u64 = 64 << 30;
/// Smallest memory that a manifest may ask for.
pub const MEMORY_BYTES_MIN: u64 = 1 << 20;
/// Processors of one instance, in thousandths (`cpu`): at least what the kernel shares out, a thousandth of a second in each period.
pub const CPU_MILLI_MIN: u32 = 10;
/// Highest setting for the processors of one instance, in thousandths.
pub const CPU_MILLI_CEILING: u32 = 1_024_000;
/// In how long an instance gets its processor time again once it has spent it, microseconds: as container engines have it.
pub const CPU_PERIOD_US: u64 = 100_000;
/// Memory of one WASM instance: what a pooled slot can hold.
pub const WASM_MEMORY_BYTES_CEILING: u64 = 4 << 30;
/// Time for a program to become ready.
pub const START_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// What a manifest may raise it to.
pub const START_TIMEOUT_CEILING: Duration = Duration::from_secs(600);
/// Idle time after which a connection to a child is not used again: shorter than what servers allow.
pub const CHILD_CONNECTION_IDLE_MAX: Duration = Duration::from_secs(1);
/// Idle connections to one child that are kept.
pub const CHILD_CONNECTIONS_KEPT_MAX: usize = 256;
/// Time between SIGTERM and SIGKILL.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(10);
/// What a manifest may raise it to.
pub const GRACE_CEILING: Duration = Duration::from_secs(300);

/// Instances of one function, unless the manifest says otherwise.
pub const INSTANCES_DEFAULT_WASM: u32 = 4096;
/// Instances of one native function, unless the manifest says otherwise.
pub const INSTANCES_DEFAULT_PROCESS: u32 = 8;
/// What a manifest may raise it to.
pub const INSTANCES_CEILING: u32 = 10_000;
/// Calls at a time in one instance of an `http` function, unless the manifest says otherwise.
pub const CONCURRENCY_DEFAULT_HTTP: u32 = 80;
/// Requests at a time for the files of one function, unless the manifest says otherwise.
pub const CONCURRENCY_DEFAULT_STATIC: u32 = CONCURRENCY_CEILING;
/// Bytes of a file that is read at once and kept; a larger one is streamed from the disk.
pub const STATIC_KEPT_BYTES_MAX: u64 = 256 << 10;
/// Bytes of a file that is streamed, read at a time.
pub const STATIC_PIECE_BYTES: usize = 128 << 10;
/// Bytes of a file below which compressing saves nothing.
pub const STATIC_GZIP_BYTES_MIN: u64 = 1 << 10;
/// Bytes of a file above which it is not compressed on its way.
pub const STATIC_GZIP_BYTES_MAX: u64 = 8 << 20;
/// Share of a function's `memory` that files which are kept there may take, percent.
pub const STATIC_KEPT_PERCENT: u64 = 50;
/// Headers that the files of a function may get besides.
pub const STATIC_HEADERS_MAX: usize = 32;
/// Path prefixes whose files never change.
pub const STATIC_IMMUTABLE_MAX: usize = 32;
/// Variables of one Spin component.
pub const SPIN_VARIABLES_MAX: usize = 256;
/// Calls at a time in one WASI 0.3 instance, unless the manifest says otherwise.
pub const CONCURRENCY_DEFAULT_WASI3: u32 = 16;
/// What a manifest may raise it to.
pub const CONCURRENCY_CEILING: u32 = 1000;
/// Calls that one WASI 0.3 instance serves before it is replaced.
pub const WASI3_CALLS_PER_INSTANCE: u32 = 128;
/// Time without a call after which an instance stops, unless the manifest says otherwise.
pub const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// What a manifest may raise it to.
pub const IDLE_TIMEOUT_CEILING: Duration = Duration::from_secs(24 * 3600);
/// Calls that wait for an instance of one function.
pub const QUEUE_CALLS_MAX: usize = 10_000;
/// Longest wait for an instance.
pub const QUEUE_WAIT_MAX: Duration = Duration::from_secs(30);
/// How often a call goes to another instance because the one that it had ended before anything of it had seen the call.
pub const UNTAKEN_CALLS_MAX: u32 = 3;
/// Time in which a connection to an outside address has to stand, its name included.
pub const EGRESS_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle time after which a connection to an outside address is closed.
pub const EGRESS_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Idle connections to one outside address that are kept.
pub const EGRESS_IDLE_CONNECTIONS_MAX: usize = 8;
/// Sets of connections that are kept, one for each app and egress list.
pub const EGRESS_CLIENTS_MAX: usize = 1024;
/// Names of outside addresses that are looked up at a time: each keeps a thread that files need as well.
pub const EGRESS_LOOKUPS_MAX: usize = 128;
/// Those of one app, so that names which nobody answers for keep no other app waiting.
pub const EGRESS_LOOKUPS_PER_APP_MAX: usize = 16;
/// Pause after a start that failed; doubles with each further failure.
pub const START_BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest pause between starts that fail.
pub const START_BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Failures in a row, of starts or of instances that crash while they serve, after which calls are refused.
pub const BREAKER_FAILURES: u32 = 5;
/// Once a probe has run for so long, its instance counts as working.
pub const BREAKER_PROVEN: Duration = Duration::from_secs(5);
/// What is kept on the way down is the peak of this time, or of `scale.idle` where that is shorter (Knative's
/// stable window; a tenth of it is the panic window).
pub const SCALE_WINDOW: Duration = Duration::from_secs(60);
/// Parts of that window.
pub const SCALE_BUCKETS: usize = 60;
/// Nothing goes down while the panic window needs so many times the instances that are ready.
pub const SCALE_PANIC_TIMES: u32 = 2;
/// Times that a moving average follows: the weight of a new one is one of so many.
pub const AVERAGE_TIMES: u32 = 32;
/// Times after which an average is relied on to refuse a call.
pub const AVERAGE_TIMES_MIN: u32 = 8;
/// Least time over which the calls of one instance are judged.
pub const ADAPT_WINDOW_MIN: Duration = Duration::from_millis(100);
/// Least number of calls by which an instance is judged.
pub const ADAPT_SAMPLES_MIN: u32 = 32;
/// Latency above the best that is never held against an instance.
pub const ADAPT_LATENCY_SLACK: Duration = Duration::from_millis(20);
/// How long the best latency of an instance is remembered, at least.
pub const ADAPT_BEST_KEPT: Duration = Duration::from_secs(30);
/// Longest `Retry-After` that a queue or an open circuit gives, seconds.
pub const RETRY_AFTER_MAX_S: u32 = 60;
/// Times of one function at which a number of instances is provisioned.
pub const PROVISIONED_MAX: usize = 16;
/// Longest sleep until the next change of provisioned instances, so that a clock that is set is noticed.
pub const PROVISION_SLEEP_MAX: Duration = Duration::from_secs(3600);
/// Changes of provisioned instances that a forecast walks through; of more it takes a part of the month for the whole.
pub const FORECAST_CHANGES_MAX: usize = 10_000;
/// Depth of functions that call each other.
pub const CALL_DEPTH_MAX: u32 = 16;

/// Files, sockets and pipes that one process of a native function may have open.
pub const PROCESS_FILES_MAX: u64 = 8192;
/// Processes and threads of the node's user, which bounds a fork bomb where the node is not root.
pub const PROCESS_TASKS_MAX: u64 = 4096;
/// Time in which a worker process has to be ready for functions.
pub const WORKER_START_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a worker that has calls is asked whether it is there.
pub const WORKER_PING_INTERVAL: Duration = Duration::from_secs(1);
/// How often the memory of a worker is looked at that has no calls.
pub const WORKER_LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// A worker that has not said anything for so long, though it was asked, is ended.
pub const WORKER_SILENCE_MAX: Duration = Duration::from_secs(15);
/// Workers of one space that may be started within [`WORKER_STARTS_WINDOW`].
pub const WORKER_STARTS_MAX: usize = 128;
/// See [`WORKER_STARTS_MAX`].
pub const WORKER_STARTS_WINDOW: Duration = Duration::from_secs(10);
/// Idle lanes to one worker that are kept.
pub const WORKER_LANES_KEPT_MAX: usize = 256;
/// Requests that the guests of one worker may have on their way at a time.
pub const WORKER_EXITS_MAX: usize = 1024;
/// Lanes that wait until a worker takes them, and apart from them answers to its wishes for ways out. A call that would need
/// one more lane is refused; a worker that wishes for one more way out is ended.
pub const WORKER_ORDERS_MAX: usize = 4096;
/// How long orders may wait for a worker without a moment in which none does.
pub const WORKER_BACKLOG_MAX: Duration = Duration::from_secs(60);
/// Notices on what its functions have used that a worker may send a second; a sound one sends ten.
pub const WORKER_TOTALS_PER_SECOND: u64 = 100;
/// Of these, as many as may come at once when a worker or its node stood still.
pub const WORKER_TOTALS_BURST: u64 = 6000;
/// What a worker has beyond the time in which it has to be done: for opening and loading that of a start, for an answer's
/// end its call's deadline, for stopping its grace. After that it is ended.
pub const WORKER_SLACK: Duration = Duration::from_secs(30);
/// How often is said that a worker has dropped lines of one call or instance, at most.
pub const WORKER_DROPPED_INTERVAL: Duration = Duration::from_secs(1);
/// Compiled code that a worker is given before it is exchanged for another one when it is idle: it never lets go of any.
pub const WORKER_CODE_BYTES_MAX: u64 = 1 << 30;
/// Memory that a worker may have besides what all instances of the node may have together, bytes.
pub const WORKER_OWN_BYTES_MAX: u64 = 512 << 20;
/// Files, sockets and pipes that a worker may have open.
pub const WORKER_FILES_MAX: u64 = 16_384;
/// One frame between a node and a worker, bytes.
pub const WALL_FRAME_BYTES_MAX: usize = 1 << 20;
/// The frame with which a function's code is loaded: its settings, and its program where that is text.
pub const WALL_LOAD_BYTES_MAX: usize = 64 << 20;
/// Parts in which bodies cross.
pub const WALL_PART_BYTES_MAX: usize = 64 << 10;
/// Bytes of a body that may be sent before the other side has taken them.
pub const WALL_WINDOW_BYTES: usize = 256 << 10;
/// Parts of a body below this are put together where they wait, bytes: each would else cost more than what is in it.
pub const WALL_GATHERED_BYTES_MAX: usize = 16 << 10;
/// Headers in one frame; of more than that the rest is not sent.
pub const WALL_HEADERS_MAX: usize = 8192;
/// Lines of a call that wait until the node reads them, bytes; what comes above this is dropped.
pub const WALL_SAID_BYTES_MAX: usize = 256 << 10;
/// Processes and threads of one instance behind walls, besides one for each call that it may have at a time.
pub const WALL_TASKS_MAX: u64 = 64;
/// How long it may take until a native program is executed, its walls included, milliseconds. It takes about one; what takes
/// longer than this was stopped, or waits for a disk that does not answer, and is ended.
pub const PROCESS_BIRTH_MS_MAX: u64 = 5000;
/// Threads of an instance that are asked for their children when its memory is watched through `/proc`.
pub const WATCHED_THREADS_MAX: usize = 2048;
/// Open files of an instance at which the same watch looks whether they are memory.
pub const WATCHED_FILES_MAX: usize = 2048;
/// Processes and threads that a control group counts besides those of an instance: the first of its room, and who builds its walls.
pub const CGROUP_TASKS_OWN: u64 = 2;
/// The share of the processors of all native functions together where the node is in a group beside theirs, which has 100
/// (cgroup v2, `cpu.weight`): as much as their niceness says.
pub const CGROUP_CPU_WEIGHT: u64 = 11;
/// The same for each processor where the node's threads, of 1024 each, are beside the group (cgroup v1, `cpu.shares`).
pub const CGROUP_CPU_SHARES: u64 = 110;
/// Bytes of `/tmp`, the working folder and `/dev/shm` of one instance behind walls together; never more than its memory.
pub const WALL_PRIVATE_BYTES_MAX: u64 = 512 << 20;
/// Files and folders in these.
pub const WALL_FILES_MAX: u64 = 65_536;
/// Bytes of the folders and links that make the root of an instance behind walls.
pub const WALL_ROOT_BYTES_MAX: u64 = 4 << 20;
/// The first of the users outside as which instances run behind walls where the node is root: beyond those that systems and
/// containers give away.
pub const WALL_USER_FIRST: u32 = 0x7000_0000;
/// How many such users there are; each instance has its own.
pub const WALL_USERS_MAX: u32 = 0x0800_0000;
/// Networks of former instances that are kept for the next ones of the same function, for each space.
pub const WALL_NETWORKS_KEPT_MAX: usize = 16;
/// Connections that one instance behind walls may have open to the node at a time.
pub const WALL_CONNECTIONS_MAX: usize = 256;
/// Names for which one instance behind walls is given addresses.
pub const WALL_NAMES_MAX: usize = 4096;
/// Ports of the outside at which one instance behind walls may connect without the proxy.
pub const WALL_EGRESS_PORTS_MAX: usize = 64;
/// Output of a `stdio` program that is held back until its exit code is known.
pub const STDIO_HELD_BYTES_MAX: usize = 64 << 10;

/// Tables, elements and handles of one WASM instance.
pub const WASM_TABLE_ELEMENTS_MAX: usize = 100_000;
/// Core instances, and tables, of one WASM instance; a component has several.
pub const WASM_CORE_INSTANCES_MAX: usize = 64;
/// Linear memories of one WASM instance.
pub const WASM_MEMORIES_MAX: usize = 16;
/// Host resources (streams, fields, pollables) that one WASM instance may hold.
pub const WASM_HANDLES_MAX: usize = 1024;
/// Bytes that a guest may pass to the host in one call.
pub const WASM_HOSTCALL_BYTES_MAX: usize = 16 << 20;
/// One set of header fields that a guest builds, as it lies in memory.
pub const WASM_FIELDS_BYTES_MAX: usize = 64 << 10;
/// Fields of one set that a JavaScript function builds, so that they take no more as they lie in memory.
pub const JAVASCRIPT_FIELDS_MAX: usize = 512;
/// Making an instance of a component that is kept, in which the start functions of its modules run: meanwhile it has one
/// of the node's few starts, so that a function's own `timeout` may only shorten it.
pub const WASM_START_TIMEOUT: Duration = Duration::from_secs(30);
/// Stack of a WASM guest, bytes; the rest of its 2 MiB is for what the node does when it calls. An interpreter takes
/// half a KiB of it for each call in its program.
pub const WASM_STACK_BYTES_MAX: usize = 1536 << 10;
/// Streams that one instance of a JavaScript function compresses or decompresses at a time: each takes up to 400 KiB of the node.
pub const JAVASCRIPT_CODERS_MAX: usize = 32;
/// Bytes that one of these streams takes at a time: the piece of `crates/hob-runtime/javascript/shim/compress.js`.
pub const JAVASCRIPT_PIECE_BYTES_MAX: usize = 8192;
/// Bytes that it gives for one piece: the most that Deflate makes of it (1,032 times as much), and what it held back.
pub const JAVASCRIPT_RECODED_BYTES_MAX: usize = 9 << 20;
/// Evaluating a JavaScript module at its deploy.
pub const JAVASCRIPT_EVALUATE_TIMEOUT: Duration = Duration::from_secs(5);
/// Random bytes that a guest may ask for in one call.
pub const WASM_RANDOM_BYTES_MAX: u64 = 1 << 20;
/// Bytes that wait between a guest and whoever reads its output or writes its input.
pub const WASM_PIPE_BYTES_MAX: usize = 64 << 10;
/// How often a running guest is made to yield.
pub const WASM_EPOCH_TICK: Duration = Duration::from_millis(2);
/// Ticks without a guest after which nothing ticks until the next one comes.
pub const WASM_IDLE_TICKS: u32 = 50;
/// How long a guest's turn on a processor is kept for it after it was told.
pub const TURN_LAPSE: Duration = Duration::from_millis(20);
/// After this long without a call of another app, guests of the only app that is called need no turns.
pub const TURN_ALONE_AFTER: Duration = Duration::from_secs(60);
/// With so many clocks of apps or spaces that share the processors, those are forgotten that would begin anew anyway.
pub const TURN_CLOCKS_SWEPT_ABOVE: usize = 256;
/// Apps that a node counts the waiting of apart; the names of others are forgotten when nothing of them is loaded.
pub const CROWD_APPS_MAX: usize = 4096;
/// Percent of the machine's memory that instances may have together, unless `--memory` says otherwise.
pub const MEMORY_SHARE_PERCENT: u64 = 75;
/// Percent of the machine's memory that have to be available for another instance to start.
pub const MEMORY_LEFT_PERCENT: u64 = 5;
/// Percent of its limit that an instance is taken to need before one of its function was seen.
pub const MEMORY_ESTIMATE_PERCENT: u64 = 25;
/// What a WASM instance is taken to need at least.
pub const MEMORY_ESTIMATE_MIN_WASM: u64 = 1 << 20;
/// What a child process is taken to need at least.
pub const MEMORY_ESTIMATE_MIN_PROCESS: u64 = 8 << 20;
/// How often is looked what memory the machine has available, while instances start.
pub const MEMORY_LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// An instance that is there for so long is taken to need what it has, be that less than others of its function had.
pub const MEMORY_SETTLED: Duration = Duration::from_secs(10);
/// How long a program that serves one call counts as starting, at most: nobody tells when its start is over.
pub const CALL_START_MAX: Duration = Duration::from_millis(50);
/// Programs that start at a time, for each processor; half as many while guests wait for a processor.
pub const STARTS_PER_CPU: u32 = 2;
/// Functions whose code is loaded at a time, for each processor.
pub const LOADS_PER_CPU: u32 = 2;
/// How much lower than the node's the priority of child processes is (`nice`).
pub const PROCESS_NICENESS: i32 = 10;
/// Niceness of the threads on which WASM guests compute: the lowest priority (setpriority(2)).
pub const ASIDE_NICENESS: i32 = 19;
/// When polls there have taken so long together, it is judged whether others use all of the machine.
pub const ASIDE_WINDOW: Duration = Duration::from_millis(100);
/// They do where less than this part of it was spent, percent. Beside programs of the usual priority the lowest gets 1 or 2.
pub const ASIDE_SHARE_PERCENT_MIN: u32 = 5;
/// For how long guests compute as all others do after that.
pub const ASIDE_REST: Duration = Duration::from_secs(10);
/// Polls of a WASM guest that has computed which are made there, until it shows that it needs little.
pub const ASIDE_POLLS: u32 = 8;
/// Polls there after which its task looks after it, whether it is over its time: some tenths of a second.
pub const ASIDE_POLLS_MAX: u32 = 50;
/// Turn of a thread of the node on a processor that others want too: the shortest that the kernel gives.
pub const NODE_SLICE: Duration = Duration::from_micros(100);
/// Working folders that are kept for the next programs of a function.
pub const WORK_FOLDERS_KEPT_MAX: usize = 32;
/// WASM instances of all functions of one node.
pub const WASM_INSTANCES_MAX: u32 = 4096;
/// Time for compiling one component.
pub const COMPILE_TIMEOUT: Duration = Duration::from_secs(180);
/// Memory for compiling one component.
pub const COMPILE_MEMORY_BYTES_MAX: u64 = 3 << 30;
/// A component or module in binary form; the largest that interpreters come in have some 60 MiB.
pub const WASM_BINARY_BYTES_MAX: u64 = 256 << 20;
/// A component or module as text: reading it takes up to 80 times as much memory, and the node does it.
pub const WASM_TEXT_BYTES_MAX: u64 = 1 << 20;
/// Size of a component's machine code.
pub const COMPILED_BYTES_MAX: u64 = 512 << 20;
/// A component that is expected to take longer to compile serves with quick code first, and is optimised
/// behind it.
pub const COMPILE_AT_ONCE_MAX: Duration = Duration::from_secs(1);
/// Time for optimising one component behind its quick code: it runs when nothing else wants the processor.
pub const OPTIMISE_TIMEOUT: Duration = Duration::from_secs(1800);
/// How far optimising steps back for everything else: the lowest priority (setpriority(2)). One component is
/// optimised at a time.
pub const OPTIMISE_NICE: i32 = 19;
/// Components that wait to be optimised; the next start of the node finds what comes above this.
pub const OPTIMISE_QUEUED_MAX: usize = 1024;
/// Compiled functions that are kept for other components with the same code, all together.
pub const COMPILE_CACHE_BYTES_MAX: u64 = 512 << 20;
/// Compiled functions that one component may leave for others.
pub const COMPILE_PACK_BYTES_MAX: u64 = 128 << 20;
/// Part of the machine's memory that mapped machine code may take: one in so many. What was used least
/// recently goes first, and is mapped again by the next call.
pub const CODE_RESIDENT_SHARE: u64 = 8;
/// What mapped machine code may take on any machine.
pub const CODE_RESIDENT_BYTES_MIN: u64 = 64 << 20;

/// One log line; what is longer is cut and marked.
pub const LOG_LINE_BYTES_MAX: usize = 64 << 10;
/// Log bytes per second and function; what is above is counted and dropped.
pub const LOG_BYTES_PER_SECOND: u64 = 1 << 20;
/// Lines of an instance's output that are kept for the message when it fails.
pub const LOG_TAIL_LINES: usize = 5;
/// Fields of one structured log line, and attributes of one span; of more it is said how many are missing.
pub const LOG_FIELDS_MAX: usize = 64;
/// Name of one such field.
pub const LOG_FIELD_NAME_BYTES_MAX: usize = 128;
/// Value of one such field; what is longer is cut and marked.
pub const LOG_FIELD_BYTES_MAX: usize = 4 << 10;
/// How long after a call what its instance prints is still taken for the call's, unless another has begun.
pub const LOG_AFTER_CALL: Duration = Duration::from_millis(100);
/// Log records that a node keeps in memory.
pub const LOG_RECORDS_KEPT: usize = 20_000;
/// Their texts and fields together; of long records fewer are kept.
pub const LOG_BYTES_KEPT: u64 = 64 << 20;

/// Alert rules of one app.
pub const ALERTS_PER_APP_MAX: usize = 100;
/// Longest time for which a value has to be bad before somebody is told.
pub const ALERT_FOR_CEILING: Duration = Duration::from_secs(24 * 3600);
/// How long a value has to be bad, unless the rule says otherwise.
pub const ALERT_FOR_DEFAULT: Duration = Duration::from_secs(60);
/// A value has to be good for this long, at least, before an alert is taken back.
pub const ALERT_CLEAR_MIN: Duration = Duration::from_secs(60);
/// How often budgets and alert rules are looked at.
pub const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// The time over which shares and percentiles are measured for alerts.
pub const WATCH_WINDOW: Duration = Duration::from_secs(60);
/// The time over which crashes and failed starts are counted for alerts: several of the longest pauses between starts.
pub const CRASH_WINDOW: Duration = Duration::from_secs(300);
/// Crashes and failed starts of one function within that time, above which the node tells of them by itself.
pub const CRASHES_TOLD_ABOVE: u64 = 2;
/// Time that the gateway's certificate is still valid, below which the node tells of it by itself.
pub const CERTIFICATE_LEFT_MIN: Duration = Duration::from_secs(14 * 24 * 3600);
/// Percent of the data folder's disk that are free, below which the node tells of it by itself.
pub const DISK_FREE_PERCENT_MIN: u64 = 5;
/// Percentages of one budget at which somebody is told.
pub const BUDGET_ALERTS_MAX: usize = 10;
/// Longest wait before an event is tried again that a spent budget holds up, so that a raised one is noticed.
pub const BUDGET_RETRY_MAX: Duration = Duration::from_secs(5);

/// How long a link that signs in to the dashboard is good for.
pub const DASHBOARD_LINK_TIMEOUT: Duration = Duration::from_secs(300);
/// Links that nobody has used; of more the oldest are forgotten.
pub const DASHBOARD_LINKS_MAX: usize = 16;
/// Browsers that are signed in; of more those are forgotten that were not seen for longest.
pub const DASHBOARD_SESSIONS_MAX: usize = 64;
/// How long a browser that is not seen stays signed in.
pub const DASHBOARD_SESSION_IDLE: Duration = Duration::from_secs(3600);
/// How long a browser stays signed in at most.
pub const DASHBOARD_SESSION_AGE: Duration = Duration::from_secs(24 * 3600);
/// Browser windows that are shown what changes, as it changes.
pub const DASHBOARD_STREAMS_MAX: usize = 64;
/// How often a page that is open is looked at for changes.
pub const DASHBOARD_REFRESH: Duration = Duration::from_secs(2);
/// A form that a browser sends.
pub const DASHBOARD_FORM_BYTES_MAX: usize = 1 << 20;
/// Events, log records and calls that one page shows.
pub const DASHBOARD_ROWS_MAX: u64 = 200;
/// What a page shows of the answer to a test call, or of one event's data.
pub const DASHBOARD_SHOWN_BYTES_MAX: usize = 64 << 10;

/// Time in which a stopping node lets running calls finish.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Name of a subscription or schedule: a function's and a topic's joined, as far as they fit.
pub const TRIGGER_NAME_BYTES_MAX: usize = 63;
/// Name of a topic, without the `.dead` that may be added to it.
pub const TOPIC_NAME_BYTES_MAX: usize = 120;
/// Subscriptions, schedules and event routes of one app.
pub const TRIGGERS_PER_APP_MAX: usize = 256;
/// Topics of one node.
pub const TOPICS_MAX: usize = 10_000;
/// One event: its attributes and data as they are stored (CloudEvents 1.0 asks for at least 64 KiB).
pub const EVENT_BYTES_MAX: usize = 1 << 20;
/// Attributes of one event, with the required ones.
pub const EVENT_ATTRIBUTES_MAX: usize = 64;
/// Name of one attribute; the specification advises 20.
pub const EVENT_ATTRIBUTE_NAME_BYTES_MAX: usize = 64;
/// Value of one attribute.
pub const EVENT_ATTRIBUTE_BYTES_MAX: usize = 32 << 10;
/// Events of one batch, and all of it together.
pub const EVENT_BATCH_MAX: usize = 1000;
/// One batch of events on the wire.
pub const EVENT_BATCH_BYTES_MAX: usize = 8 << 20;
/// Bodies with events and asynchronous calls of space `default` that a node holds at a time, all together; more wait.
pub const INGRESS_BYTES_MAX: usize = 256 << 20;
/// Strangers' part of that room, and of a space's: one of so many, so that functions and the control API always publish.
pub const INGRESS_OUTSIDE_SHARE: usize = 2;
/// What bodies of one client address may have of strangers' part: one of so many, and at least one whole body.
pub const INGRESS_CLIENT_SHARE: usize = 4;
/// A stranger's body that is there whole with its first piece and has no more bytes counts for no address: nobody waits for
/// its client.
pub const INGRESS_SMALL_BYTES_MAX: usize = 16 << 10;
/// How long a body waits for room; it is refused then, and what it has is free.
pub const INGRESS_WAIT_MAX: Duration = Duration::from_secs(5);
/// Time in which a whole body with events or of an asynchronous call has to be there.
pub const INGRESS_BODY_TIMEOUT: Duration = Duration::from_secs(120);
/// Filters of one subscription, nested ones included.
pub const FILTERS_MAX: usize = 64;
/// How deep filters and CESQL expressions may be nested.
pub const FILTER_DEPTH_MAX: usize = 32;
/// One CESQL expression.
pub const CESQL_BYTES_MAX: usize = 8 << 10;
/// Text that the functions of one CESQL expression may make for one event, all together.
pub const CESQL_TEXT_BYTES_MAX: usize = 256 << 10;
/// Publications that chain: an event caused by a call that was caused by an event … (as AWS Lambda).
pub const EVENT_HOPS_MAX: u32 = 16;
/// How long a topic keeps events that every subscription has settled, unless it says otherwise.
pub const TOPIC_AGE_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);
/// What a topic may raise it to.
pub const TOPIC_AGE_CEILING: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Settled events of one topic that are kept, in bytes on disk, unless it says otherwise.
pub const TOPIC_BYTES_DEFAULT: u64 = 1 << 30;
/// All events of one topic, unsettled ones too: publishing is refused above.
pub const TOPIC_BYTES_CEILING: u64 = 64 << 30;
/// Settled events of one topic that are kept by a node without a disk, in bytes; unsettled ones eight times
/// as much.
pub const MEMORY_TOPIC_BYTES_MAX: u64 = 64 << 20;
/// How long `(source, id)` of an event is remembered to drop a second one, unless the topic says otherwise.
pub const DEDUP_WINDOW_DEFAULT: Duration = Duration::from_secs(600);
/// What a topic may raise it to.
pub const DEDUP_WINDOW_CEILING: Duration = Duration::from_secs(24 * 3600);
/// Events of one topic that are remembered for that, at most: the newest.
pub const DEDUP_EVENTS_MAX: usize = 1 << 18;
/// Publications that wait for the thread which writes the log.
pub const LOG_REQUESTS_QUEUED_MAX: usize = 4096;
/// Bytes of publications that share one write to the disk.
pub const LOG_GROUP_BYTES_MAX: usize = 16 << 20;
/// One file of a topic.
pub const LOG_SEGMENT_BYTES: u64 = 64 << 20;
/// Space that is prepared for the first segment of a topic; each further one gets twice as much.
pub const LOG_PREPARED_BYTES_MIN: u64 = 64 << 10;
/// The newest records of a topic that are kept in memory for those who read at its end.
pub const LOG_TAIL_BYTES: usize = 256 << 10;
/// Longest time for which a record of durability `memory` is not on disk.
pub const LOG_SYNC_INTERVAL: Duration = Duration::from_millis(500);
/// How often whoever waits for a time of the wall clock looks at it, since it may be set.
pub const CLOCK_LOOK_INTERVAL: Duration = Duration::from_secs(30);
/// How often is looked for records that need not be kept any more.
pub const LOG_RETENTION_INTERVAL: Duration = Duration::from_secs(1);
/// Topics whose files are kept open.
pub const LOG_TOPICS_OPEN_MAX: usize = 512;
/// Events that a subscription has read and not settled: those that run, wait for a retry or for their key.
pub const SUBSCRIPTION_WINDOW_MAX: usize = 10_000;
/// Events that a subscription reads at a time, in bytes.
pub const SUBSCRIPTION_READ_BYTES_MAX: usize = 4 << 20;
/// Events that a subscription keeps in memory until they are delivered, in bytes; others are read again.
pub const SUBSCRIPTION_CACHE_BYTES_MAX: usize = 8 << 20;
/// Deliveries of one subscription at a time, unless it says otherwise.
pub const SUBSCRIPTION_CONCURRENCY_DEFAULT: u32 = 16;
/// What a subscription may raise it to.
pub const SUBSCRIPTION_CONCURRENCY_CEILING: u32 = 1000;
/// Events of one call that a subscription may ask for (as AWS Lambda); a call has [`EVENT_BATCH_MAX`] at most.
pub const DELIVERY_BATCH_CEILING: u32 = 10_000;
/// How long the first event of a call may wait for others (as AWS Lambda).
pub const DELIVERY_BATCH_WINDOW_CEILING: Duration = Duration::from_secs(300);
/// Events of one call in bytes, unless its function takes less; what is gathered beyond goes into the next one.
pub const DELIVERY_BATCH_BYTES_MAX: usize = 4 << 20;
/// Events per second of one subscription at most.
pub const SUBSCRIPTION_RATE_CEILING: u32 = 1_000_000;
/// Attempts to deliver one event, unless the subscription says otherwise.
pub const DELIVERY_ATTEMPTS_DEFAULT: u32 = 5;
/// What a subscription may raise it to.
pub const DELIVERY_ATTEMPTS_CEILING: u32 = 100;
/// Attempts of an asynchronous call, unless the function says otherwise (as AWS Lambda).
pub const CALL_ATTEMPTS_DEFAULT: u32 = 3;
/// Pause after the first failed attempt, unless the subscription says otherwise; doubles with each further one.
pub const DELIVERY_BACKOFF_MIN_DEFAULT: Duration = Duration::from_secs(1);
/// Longest pause between attempts, unless the subscription says otherwise.
pub const DELIVERY_BACKOFF_MAX_DEFAULT: Duration = Duration::from_secs(300);
/// What a subscription may raise it to, and the longest `Retry-After` that is honoured.
pub const DELIVERY_BACKOFF_CEILING: Duration = Duration::from_secs(24 * 3600);
/// Largest answer to a delivery that is looked at: it may be an event.
pub const DELIVERY_ANSWER_BYTES_MAX: usize = EVENT_BYTES_MAX;
/// What a dead letter keeps of the last answer.
pub const DEAD_LETTER_ANSWER_BYTES_MAX: usize = 1024;
/// Dead letters that one request names to be redriven or dropped.
pub const LETTERS_DEALT_MAX: usize = 1000;
/// Dead letters of one answer, in bytes: it ends with the letter that goes beyond.
pub const LETTERS_LISTED_BYTES_MAX: usize = 4 << 20;
/// Asynchronous calls of one function that run at a time.
pub const ASYNC_CONCURRENCY: u32 = 64;
/// Attempts to send the result of an asynchronous call to the address that its caller named.
pub const CALLBACK_ATTEMPTS: u32 = 5;
/// Request body of an asynchronous call.
pub const ASYNC_BODY_BYTES_MAX: usize = 1000 << 10;
/// Result of an asynchronous call that is kept; what is longer is cut and marked.
pub const ASYNC_RESULT_BYTES_MAX: usize = 1000 << 10;
/// How long the result of an asynchronous call can be read.
pub const ASYNC_RESULT_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Results of asynchronous calls that can be found, at most: the newest.
pub const ASYNC_RESULTS_MAX: usize = 100_000;
/// Runs of one schedule that are made up for after a pause, with the policy `all`.
pub const MISSED_RUNS_MAX: usize = 1000;
/// How late a run may begin before it counts as missed.
pub const SCHEDULE_LATE_MAX: Duration = Duration::from_secs(60);
/// Random delay of a schedule's runs at most.
pub const SCHEDULE_JITTER_CEILING: Duration = Duration::from_secs(3600);
/// One schedule expression.
pub const SCHEDULE_BYTES_MAX: usize = 256;
/// Shortest step of `@every`.
pub const SCHEDULE_STEP_MIN: Duration = Duration::from_secs(1);
/// Longest step of `@every` and `rate(…)`: a hundred years, so that sums stay far from overflow.
pub const SCHEDULE_STEP_MAX: Duration = Duration::from_secs(36_500 * 24 * 3600);
/// Runs left out that are counted in one decision; of more it is only said that there are more.
pub const SKIPPED_RUNS_COUNTED_MAX: u64 = 10_000;

/// Facts in one file; the oldest files are removed whole.
pub const FACTS_PER_SEGMENT: u64 = 100_000;
/// After this long a new file of facts begins.
pub const FACTS_SEGMENT_AGE: Duration = Duration::from_secs(24 * 3600);
/// How long facts are kept.
pub const FACTS_KEPT: Duration = Duration::from_secs(14 * 24 * 3600);
/// Facts on disk: the oldest go above this.
pub const FACTS_BYTES_MAX: u64 = 1 << 30;
/// Facts in memory (engine `memory`): the oldest go above this.
pub const FACTS_MEMORY_BYTES_MAX: u64 = 64 << 20;
/// Facts that wait to be written; what comes above this is dropped and counted.
pub const FACTS_QUEUED_MAX: usize = 65_536;
/// Facts that are written together.
pub const FACTS_BATCH_MAX: usize = 1024;
/// How long a fact may wait to be written with others.
pub const FACTS_BATCH_WAIT: Duration = Duration::from_millis(100);
/// A call that takes so long is always kept.
pub const FACTS_SLOW_CALL: Duration = Duration::from_millis(500);
/// Other successful calls of one function that are kept in a second.
pub const FACTS_CALLS_PER_SECOND: u32 = 50;
/// Accepted events of one topic, and events that one subscription left out, that are kept in a second.
pub const FACTS_EVENTS_PER_SECOND: u32 = 500;
/// Requests that nobody was called for that are kept in a second.
pub const FACTS_REFUSED_PER_SECOND: u32 = 500;
/// Facts that a follower may be behind before it misses some.
pub const FACTS_FOLLOWED_MAX: usize = 4096;
/// Facts that one request to the control API lists.
pub const FACTS_LISTED_MAX: usize = 10_000;
/// Calls to the world outside that are kept of one call.
pub const FACTS_OUTSIDE_MAX: usize = 32;
/// The beginning of an answer with an error status that is kept of one call, bytes.
pub const FACTS_SAID_BYTES_MAX: usize = 512;
/// One request with spans or log records of a function (OpenTelemetry protocol).
pub const OTLP_BODY_BYTES_MAX: usize = 4 << 20;
/// Spans or log records of one such request; of more it is said how many were rejected.
pub const OTLP_ITEMS_MAX: usize = 2048;
/// How deep the values of attributes may be nested.
pub const OTLP_DEPTH_MAX: usize = 8;
/// Such requests that are decoded at a time: a small message can be a large value.
pub const OTLP_DECODED_MAX: usize = 4;
/// Spans of one function that are kept in a second.
pub const OTLP_SPANS_PER_SECOND: u32 = 1000;
/// Spans, or log records, that wait to be exported; what comes above this is dropped and counted.
pub const OTLP_QUEUED_MAX: usize = 8192;
/// Their bytes, as far as they can be reckoned.
pub const OTLP_QUEUED_BYTES_MAX: usize = 32 << 20;
/// Bytes after which no more are added to one exported request.
pub const OTLP_BATCH_BYTES_MAX: usize = 2 << 20;
/// Spans, or log records, of one exported request.
pub const OTLP_BATCH_MAX: usize = 512;
/// How long a span or log record may wait to be exported with others.
pub const OTLP_BATCH_WAIT: Duration = Duration::from_secs(2);
/// How often metrics are exported.
pub const OTLP_METRICS_INTERVAL: Duration = Duration::from_secs(60);
/// Time in which a collector has to answer.
pub const OTLP_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the first request that a collector could not take; doubles with each further one.
pub const OTLP_BACKOFF_MIN: Duration = Duration::from_secs(1);
/// Longest such pause, and longest `Retry-After` that is honoured.
pub const OTLP_BACKOFF_MAX: Duration = Duration::from_secs(30);
/// How long one batch is tried before it is dropped and counted.
pub const OTLP_GIVE_UP: Duration = Duration::from_secs(300);
/// What is read of a collector's answer.
pub const OTLP_ANSWER_BYTES_MAX: usize = 64 << 10;
/// Time that a stopping node gives its export to send what waits.
pub const OTLP_FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// Failed attempts that are remembered to link the next attempt's span to.
pub const OTLP_ATTEMPTS_MAX: usize = 10_000;

/// Cold starts of one function whose phases are remembered.
pub const COLD_STARTS_KEPT: usize = 16;
/// Series of meters of one node: functions of revisions that were called. What is above is counted as
/// the function `_other`.
pub const METERS_MAX: usize = 1024;
/// Subscriptions and schedules of one function and revision whose use is counted apart; that of more
/// counts as none's.
pub const METER_TRIGGERS_MAX: usize = 32;
/// Functions that one report on what runs now tells of.
pub const TOP_ROWS_MAX: u32 = 1000;
/// Functions that it tells of, unless more are asked for.
pub const TOP_ROWS_DEFAULT: u32 = 100;
/// Shortest time over which what runs now is measured.
pub const TOP_WINDOW_MIN: Duration = Duration::from_millis(500);
/// Longest time over which what runs now is measured.
pub const TOP_WINDOW_MAX: Duration = Duration::from_secs(60);
/// How often somebody who follows is told what runs now.
pub const TOP_INTERVAL: Duration = Duration::from_secs(1);
/// Connections of one load test (`hob bench`).
pub const BENCH_CONNECTIONS_MAX: usize = 10_000;
/// Pairs of slices in which two revisions are compared, unless calls are so slow that there is room for fewer.
pub const BENCH_PAIRS: u32 = 40;
/// Shortest slice of a comparison: less is the noise of a few calls.
pub const BENCH_SLICE_MIN: Duration = Duration::from_millis(25);
/// How long a load test waits for the answers that are under way at its end.
pub const BENCH_GRACE: Duration = Duration::from_secs(5);
/// After so long without any answer, while connections are refused, a load test ends.
pub const BENCH_GONE: Duration = Duration::from_secs(3);
/// Series of one gauge; the values of others are added up in one.
pub const METRIC_SERIES_MAX: usize = 2000;
/// Series of one metric where all spaces are told at once; the values of others are added up, by space.
pub const METRIC_SERIES_OF_ALL_MAX: usize = 5000;
/// How often what was used is added to what is stored: so much of it a kill of the node can lose.
pub const USAGE_FLUSH_EVERY: Duration = Duration::from_secs(60);
/// Rows of one app's use in one hour or day.
pub const USAGE_ROWS_MAX: usize = 512;
/// Apps whose use is written in one commit.
pub const USAGE_WRITES_MAX: usize = 64;
/// How long use is kept by the hour; afterwards it is that of days.
pub const USAGE_HOURS_KEPT: Duration = Duration::from_secs(14 * 24 * 3600);
/// How long use is kept: 13 months.
pub const USAGE_DAYS_KEPT: Duration = Duration::from_secs(396 * 24 * 3600);
