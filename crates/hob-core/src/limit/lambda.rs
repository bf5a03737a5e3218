//! Limits of the Lambda API and of the contract `lambda`.

use super::{ASYNC_BODY_BYTES_MAX, HEADER_BYTES_MAX};
use std::time::Duration;

/// Payload of a call by the Lambda API (Lambda quotas, "Invocation payload").
pub const AWS_INVOKE_BYTES_MAX: usize = (6 << 20) + 100;
/// Payload of an asynchronous call by the Lambda API.
pub const AWS_ASYNC_BYTES_MAX: usize = ASYNC_BODY_BYTES_MAX;
/// Answer to a call by the Lambda API that is not streamed.
pub const AWS_RESPONSE_BYTES_MAX: usize = (6 << 20) + 100;
/// Request that brings an archive to the Lambda API: 50 MiB (Lambda quotas, "Deployment package size"), in base64.
pub const AWS_ARCHIVE_BYTES_MAX: usize = (50 << 20) / 3 * 4 + (64 << 10);
/// Bodies of requests to the Lambda API that a node holds until it knows who sent them, all together.
pub const AWS_INGRESS_BYTES_MAX: usize = 320 << 20;
/// Memory of a function of the Lambda API, in MiB.
pub const AWS_MEMORY_MIB: std::ops::RangeInclusive<u64> = 128..=32_768;
/// Time-out of a function of the Lambda API, in seconds.
pub const AWS_TIMEOUT_S: std::ops::RangeInclusive<u64> = 1..=900;
/// Client context of a call by the Lambda API, in base64.
pub const AWS_CLIENT_CONTEXT_BYTES_MAX: usize = 3583;
/// Time in which the body of a request to the Lambda API has to arrive.
pub const AWS_BODY_TIMEOUT: Duration = Duration::from_secs(120);
/// What a caller of the Lambda API gets of a call's log: its end.
pub const AWS_LOG_TAIL_BYTES: usize = 4 << 10;
/// How long nothing more has to come until a call's log counts as whole.
pub const AWS_LOG_QUIET: Duration = Duration::from_millis(20);
/// How long a caller waits for a log at most, besides the call.
pub const AWS_LOG_WAIT_MAX: Duration = Duration::from_millis(200);
/// Published versions of one function of the Lambda API: each keeps a revision.
pub const AWS_VERSIONS_MAX: usize = 100;
/// Aliases of one function of the Lambda API.
pub const AWS_ALIASES_MAX: usize = 100;
/// Pause before instances are provisioned again that could not be.
pub const AWS_PROVISION_PAUSE: Duration = Duration::from_secs(5);
/// Text of an error in a dead letter, in bytes (as AWS Lambda).
pub const AWS_LETTER_MESSAGE_BYTES_MAX: usize = 1 << 10;
/// Layers of one function (as AWS Lambda).
pub const AWS_LAYERS_MAX: usize = 5;
/// Versions of one layer.
pub const AWS_LAYER_VERSIONS_MAX: usize = 100;
/// Patterns of one event source mapping (as AWS Lambda on request).
pub const AWS_FILTERS_MAX: usize = 10;
/// Access keys of the Lambda API.
pub const ACCESS_KEYS_MAX: usize = 100;
/// Time in which an AWS Lambda runtime has to ask for its first event, besides the function's `timeout`: Lambda gives
/// that much, and then begins anew within the time of the call.
pub const LAMBDA_INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// What `body` may say for a Lambda function: an event is held in memory before the runtime gets it.
pub const LAMBDA_BODY_BYTES_CEILING: u64 = 32 << 20;
/// Answer of a Lambda function that is not streamed: 6 MiB, and what Lambda's own host adds.
pub const LAMBDA_RESPONSE_BYTES_MAX: u64 = (6 << 20) + 100;
/// Answer of a Lambda function that is streamed.
pub const LAMBDA_STREAM_BYTES_MAX: u64 = 200 << 20;
/// Request line and headers of a Lambda runtime: a traceback comes as one header of up to 1 MiB.
pub const LAMBDA_HEADER_BYTES_MAX: usize = (1 << 20) + HEADER_BYTES_MAX;
/// Status, headers and cookies before the body of a streamed answer.
pub const LAMBDA_PRELUDE_BYTES_MAX: usize = 64 << 10;
/// Error of a streamed answer that is looked for at its end.
pub const LAMBDA_ERROR_BYTES_MAX: usize = 256 << 10;
/// Time without a call after which an instance of contract `lambda` stands still (Lambda does that at once).
pub const LAMBDA_FREEZE_AFTER: Duration = Duration::from_secs(1);
/// Extensions of one Lambda instance (Lambda quotas).
pub const LAMBDA_EXTENSIONS_MAX: usize = 10;
/// Time that external extensions of a Lambda instance have to end, of which the runtime may take 30 percent.
pub const LAMBDA_SHUTDOWN_EXTERNAL: Duration = Duration::from_secs(2);
/// Time that a Lambda runtime has to end when it holds an extension.
pub const LAMBDA_SHUTDOWN_INTERNAL: Duration = Duration::from_millis(500);
/// Telemetry records of one subscription that wait to be sent; more are dropped and counted.
pub const LAMBDA_TELEMETRY_QUEUED_MAX: usize = 10_000;
/// Time in which an extension has to take telemetry.
pub const LAMBDA_TELEMETRY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections from the processes of one Lambda instance, besides one for each call at a time.
pub const LAMBDA_CONNECTIONS_SPARE: usize = 32;
