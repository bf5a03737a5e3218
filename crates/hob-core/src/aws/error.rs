//! The errors of the AWS Lambda API by the names that its clients turn into exceptions.
//!
//! **How.** Every fault of Hob has one of these names ([`Exception::of`]), unless the operation knows a better one.
//!
//! **Not here:** failures of a function, which are answers ([`is_of_the_function`]).

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
    IncompleteSignature = "IncompleteSignatureException", 403;
    InvalidSignature = "InvalidSignatureException", 403;
    MissingAuthenticationToken = "MissingAuthenticationTokenException", 403;
    UnrecognizedClient = "UnrecognizedClientException", 403;
    ResourceNotFound = "ResourceNotFoundException", 404;
    ProvisionedNotFound = "ProvisionedConcurrencyConfigNotFoundException", 404;
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
            | Code::SpaceRate
            | Code::SpaceCalls
            | Code::TopicFull
            | Code::IngressFull => Self::TooManyRequests,
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

/// Whether a fault is the function's own, so that a client is told of it as the function's error, with status 200.
pub fn is_of_the_function(code: Code) -> bool {
    matches!(
        code,
        Code::CallTimeout
            | Code::StartTimeout
            | Code::Crashed
            | Code::ExitFailure
            | Code::StartExit
            | Code::MemoryLimit
            | Code::ProgramMissing
            | Code::ForeignBinary
            | Code::BadResponse
            | Code::LoopTooDeep
            | Code::DependencyFailed
            | Code::InitFailed
            | Code::FunctionError
    )
}

#[cfg(test)]
mod tests {
    use super::Exception;
    use crate::code::Code;

    #[test]
    fn every_fault_has_a_name_that_clients_know() {
        for (code, name) in [
            (Code::AppNotFound, "ResourceNotFoundException"),
            (Code::DeployConflict, "ResourceConflictException"),
            (Code::QueueFull, "TooManyRequestsException"),
            (Code::IngressFull, "TooManyRequestsException"),
            (Code::BodyTooLarge, "RequestTooLargeException"),
            (Code::StoreIo, "ServiceException"),
            (Code::Stopping, "ServiceException"),
            (Code::ManifestValue, "InvalidParameterValueException"),
            (Code::StartExit, "InvalidParameterValueException"),
            (Code::InitFailed, "InvalidParameterValueException"),
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
        }
    }
}
