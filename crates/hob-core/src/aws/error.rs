//! The errors of the AWS Lambda API by the names that its clients turn into exceptions.
//!
//! **How.** Every fault of Hob has one of these names ([`Exception::of`]), unless the operation knows a better one.
//!
//! **Not here:** failures of a function, which are answers ([`function_error`]).

use crate::code::Code;

macro_rules! exceptions {
    ($($variant:ident = $name:literal, $status:literal;)*) => {
        /// The name of an error of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "AWS documents its names")]
        pub enum Exception { $($variant,)* }

        impl Exception {
            /// Its name, as `x-amzn-ErrorType` carries it.
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)* } }
            /// Its HTTP status.
            pub const fn status(self) -> u16 { match self { $(Self::$variant => $status,)* } }
        }
    };
}

exceptions! {
    InvalidParameterValue = "InvalidParameterValueException", 400;
    InvalidRequestContent = "InvalidRequestContentException", 400;
    CodeStorageExceeded = "CodeStorageExceededException", 400;
    AccessDenied = "AccessDeniedException", 403;
    IncompleteSignature = "IncompleteSignatureException", 403;
    InvalidSignature = "InvalidSignatureException", 403;
    MissingAuthenticationToken = "MissingAuthenticationTokenException", 403;
    UnrecognizedClient = "UnrecognizedClientException", 403;
    ResourceNotFound = "ResourceNotFoundException", 404;
    ResourceConflict = "ResourceConflictException", 409;
    PreconditionFailed = "PreconditionFailedException", 412;
    RequestTooLarge = "RequestTooLargeException", 413;
    TooManyRequests = "TooManyRequestsException", 429;
    Service = "ServiceException", 500;
    UnknownOperation = "UnknownOperationException", 501;
}

impl Exception {
    /// What a fault of Hob is to a client of the API.
    pub fn of(code: Code) -> Self {
        match code {
            Code::AppNotFound
            | Code::FunctionNotFound
            | Code::RevisionNotFound
            | Code::TopicNotFound
            | Code::LambdaNotFound
            | Code::SubscriptionNotFound => Self::ResourceNotFound,
            Code::DeployConflict | Code::StoreConflict | Code::LambdaConflict | Code::RouteConflict => {
                Self::ResourceConflict
            }
            Code::QueueFull
            | Code::QueueTimeout
            | Code::CircuitOpen
            | Code::BudgetSpent
            | Code::TopicFull => Self::TooManyRequests,
            Code::BodyTooLarge | Code::ArtifactTooLarge | Code::EventTooLarge => Self::RequestTooLarge,
            Code::AwsUnsupported => Self::UnknownOperation,
            Code::AwsSignature => Self::InvalidSignature,
            code if code.status() >= 500 && !is_of_the_function(code) => Self::Service,
            _ => Self::InvalidParameterValue,
        }
    }

    /// Who is to blame, as the body says it.
    pub fn side(self) -> &'static str {
        if self.status() >= 500 { "Server" } else { "User" }
    }
}

/// Whether a fault is the function's own, so that a client is told of it as the function's error.
fn is_of_the_function(code: Code) -> bool {
    function_error(code).is_some()
}

/// The type of the error that stands in the answer of a function which Hob answered for; `None` where it is not the
/// function that failed (AWS Lambda Runtime API, "errorType").
pub fn function_error(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::CallTimeout | Code::StartTimeout => "Sandbox.Timedout",
        Code::Crashed | Code::ExitFailure | Code::StartExit => "Runtime.ExitError",
        Code::MemoryLimit => "Runtime.OutOfMemory",
        Code::ProgramMissing | Code::ForeignBinary => "Runtime.InvalidEntrypoint",
        Code::BadResponse => "Function.ResponseInvalid",
        Code::LoopTooDeep => "Function.RecursiveInvocation",
        Code::DependencyFailed => "Function.DependencyFailed",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Exception, function_error};
    use crate::code::Code;

    #[test]
    fn every_fault_has_a_name_that_clients_know() {
        for (code, name) in [
            (Code::AppNotFound, "ResourceNotFoundException"),
            (Code::DeployConflict, "ResourceConflictException"),
            (Code::QueueFull, "TooManyRequestsException"),
            (Code::BodyTooLarge, "RequestTooLargeException"),
            (Code::StoreIo, "ServiceException"),
            (Code::Stopping, "ServiceException"),
            (Code::ManifestValue, "InvalidParameterValueException"),
            (Code::StartExit, "InvalidParameterValueException"),
            (Code::AwsSignature, "InvalidSignatureException"),
        ] {
            assert_eq!(Exception::of(code).name(), name, "{code}");
        }
        for code in Code::ALL {
            let exception = Exception::of(*code);
            // What is the caller's fault must not look as if trying again would help.
            assert!(
                code.status() >= 500 || exception.status() < 500 || *code == Code::AwsUnsupported,
                "{code}"
            );
            assert!(function_error(*code).is_none_or(|kind| kind.contains('.')), "{code}");
        }
    }
}
