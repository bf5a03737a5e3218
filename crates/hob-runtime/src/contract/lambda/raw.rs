//! Calls whose body is the event, byte for byte: how Lambda's own Invoke API calls.
//!
//! **How.** Who calls a pool puts a [`RawCall`] into the request's extensions. The request's body then is the
//! event. The reply carries a [`RawReply`] in its extensions and has the result as its body: status 200, or 502
//! when the handler failed and the body is its error. A streamed result comes without its prelude taken off:
//! media type and bytes are the runtime's.
//!
//! What Hob has to say of a call (time-outs, exits, answers that are too large) is a fault as for every other
//! call; [`error_payload`] is the shape in which Lambda says it. The tail of the log is among the node's log
//! records of the invocation.

use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::id::InvocationId;
use serde_json::{Value, json};
use std::time::Duration;

/// In the extensions of a request: its body is the event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawCall {
    /// The id that the handler sees, which is the same for every attempt of one call; `None`: this call's own.
    pub id: Option<InvocationId>,
    /// The function as it was called, with the alias or version that was asked for; `None`: by its name alone.
    pub arn: Option<String>,
    /// The number of the version that is called. Who calls has chosen its pool; a call that is made later has it from here.
    pub version: Option<u32>,
    /// JSON text, from the caller's `X-Amz-Client-Context` (which is base64).
    pub client_context: Option<String>,
    /// JSON text, `{"cognitoIdentityId":"…","cognitoIdentityPoolId":"…"}`.
    pub cognito_identity: Option<String>,
    /// For whom it is called, from `X-Amz-Tenant-Id`.
    pub tenant: Option<String>,
}

/// In the extensions of the reply to a [`RawCall`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawReply {
    /// The handler failed, and the body is its error: `X-Amz-Function-Error: Unhandled`.
    pub failed: bool,
}

/// In the extensions of a request whose body is a batch of CloudEvents: what is known of each of them, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchCall {
    /// One for each event.
    pub items: Vec<BatchItem>,
}

/// An event of a [`BatchCall`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchItem {
    /// Its number in the topic.
    pub sequence: u64,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// When it was published, milliseconds since the Unix epoch.
    pub published_ms: u64,
}

/// The request's id as runtimes and Lambda's clients have it: a UUID (RFC 9562, section 4).
pub fn request_id(id: InvocationId) -> String {
    super::session::show_id(id.0)
}

/// What Lambda answers in a function's place for this fault: `errorType` and `errorMessage`. `timeout` is the
/// function's.
pub fn error_payload(fault: &Fault, id: InvocationId, timeout: Duration) -> Value {
    let id = request_id(id);
    let told = |kind: &str, what: String| json!({ "errorType": kind, "errorMessage": format!("RequestId: {id} Error: {what}") });
    let detail = fault.detail_text().unwrap_or_else(|| fault.message());
    match fault.code() {
        Code::CallTimeout => {
            told("Sandbox.Timedout", format!("Task timed out after {:.2} seconds", timeout.as_secs_f64()))
        }
        Code::Crashed | Code::StartExit | Code::ExitFailure => {
            told("Runtime.ExitError", format!("Runtime exited with error: {detail}"))
        }
        Code::MemoryLimit => {
            told("Runtime.ExitError", "Runtime exited with error: signal: killed".to_owned())
        }
        Code::ProgramMissing | Code::ForeignBinary => {
            json!({ "errorType": "Runtime.InvalidEntrypoint", "errorMessage": format!("RequestId: {id} Error: Couldn't find valid bootstrap(s): {}", fault.message()) })
        }
        Code::BadResponse => json!({ "errorType": "Function.ResponseSizeTooLarge", "errorMessage": detail }),
        Code::InitFailed | Code::FunctionError => {
            let (kind, message) = detail.split_once(": ").unwrap_or((detail, ""));
            json!({ "errorType": kind, "errorMessage": message })
        }
        _ => json!({ "errorType": "Runtime.Unknown", "errorMessage": fault.message() }),
    }
}

#[cfg(test)]
mod tests {
    use super::error_payload;
    use hob_core::code::Code;
    use hob_core::fault::Fault;
    use hob_core::id::InvocationId;
    use std::time::Duration;

    #[test]
    fn faults_are_said_as_lambda_says_them() {
        let id = "00000000-0000-0000-0000-00000000002a";
        for (fault, kind, message) in [
            (
                Fault::new(Code::CallTimeout, "late"),
                "Sandbox.Timedout",
                format!("RequestId: {id} Error: Task timed out after 3.00 seconds"),
            ),
            (
                Fault::new(Code::Crashed, "it ended").detail("exit status 3"),
                "Runtime.ExitError",
                format!("RequestId: {id} Error: Runtime exited with error: exit status 3"),
            ),
            (
                Fault::new(Code::MemoryLimit, "it ended"),
                "Runtime.ExitError",
                format!("RequestId: {id} Error: Runtime exited with error: signal: killed"),
            ),
            (
                Fault::new(Code::InitFailed, "no").detail("ImportError: no x: y"),
                "ImportError",
                "no x: y".to_owned(),
            ),
        ] {
            let told = error_payload(&fault, InvocationId(42), Duration::from_secs(3));
            assert_eq!(
                (told["errorType"].as_str(), told["errorMessage"].as_str()),
                (Some(kind), Some(&*message))
            );
        }
    }
}
