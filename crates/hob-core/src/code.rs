//! Every stable error code, its HTTP status, its owner and its exit code: one line each.
//!
//! **Why.** A code is safe to search for, to alert on and to translate; a message is not. So a
//! user-facing error cannot be built without one.
//!
//! **How.** One macro line makes the variant, its text and its attributes. `docs/errors/<code>.md`
//! explains each; a test fails while a page is missing.
//!
//! **Not here:** the words of a single error ([`crate::fault::Fault`]).

use serde::{Deserialize, Serialize};

/// Who has to act when something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// Hob itself, or the machine it runs on.
    Platform,
    /// The function's own code.
    Code,
    /// A limit that the function's settings (or their defaults) set.
    Limit,
    /// A system that the function or the node depends on.
    Dependency,
    /// Whoever sent the request or typed the command.
    Caller,
}

/// Exit codes of the program, the same for every command.
pub mod exit {
    /// The user's function failed.
    pub const FUNCTION: u8 = 1;
    /// The command line or a file it names is wrong.
    pub const USAGE: u8 = 2;
    /// What was named does not exist.
    pub const NOT_FOUND: u8 = 3;
    /// Refused by policy or for lack of rights.
    pub const REFUSED: u8 = 4;
    /// Somebody else changed the same thing.
    pub const CONFLICT: u8 = 5;
    /// It took too long.
    pub const TIMEOUT: u8 = 6;
    /// Hob or the machine failed.
    pub const PLATFORM: u8 = 7;
}

macro_rules! codes {
    ($($variant:ident = $text:literal, $status:literal, $owner:ident, $exit:ident, $summary:literal;)*) => {
        /// A stable identifier of one kind of user-facing error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $summary] $variant,)* }

        impl Code {
            /// Every code, in order of its number.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The text that stays the same for ever, such as `HOB-0101`.
            pub const fn text(self) -> &'static str { match self { $(Code::$variant => $text,)* } }
            /// The HTTP status with which a request fails for this reason.
            pub const fn status(self) -> u16 { match self { $(Code::$variant => $status,)* } }
            /// Who has to act.
            pub const fn owner(self) -> Owner { match self { $(Code::$variant => Owner::$owner,)* } }
            /// The exit code of a command that fails for this reason.
            pub const fn exit(self) -> u8 { match self { $(Code::$variant => exit::$exit,)* } }
            /// One line that says what the code means.
            pub const fn summary(self) -> &'static str { match self { $(Code::$variant => $summary,)* } }
        }
    };
}

codes! {
    // Manifest and command line.
    ManifestSyntax      = "HOB-0101", 400, Caller, USAGE, "the manifest is not valid TOML";
    ManifestUnknownKey  = "HOB-0102", 400, Caller, USAGE, "the manifest has a key that Hob does not know";
    ManifestValue       = "HOB-0103", 400, Caller, USAGE, "a manifest key has a value that Hob cannot take";
    NameInvalid         = "HOB-0104", 400, Caller, USAGE, "a name is not a short DNS label";
    RouteSyntax         = "HOB-0105", 400, Caller, USAGE, "a route cannot be understood";
    RouteConflict       = "HOB-0106", 409, Caller, CONFLICT, "two functions claim the same route";
    NothingToRun        = "HOB-0107", 400, Caller, USAGE, "nothing that Hob can run was found there";
    FileMissing         = "HOB-0108", 400, Caller, NOT_FOUND, "a file that is named does not exist";
    SettingOverLimit    = "HOB-0109", 400, Caller, USAGE, "a setting is above the limit that Hob sets";
    ContractMismatch    = "HOB-0110", 400, Caller, USAGE, "the host cannot carry that contract";
    Usage               = "HOB-0111", 400, Caller, USAGE, "the command line cannot be understood";
    ForeignSyntax       = "HOB-0120", 400, Caller, USAGE, "a manifest of another platform cannot be read";
    ForeignUnmet        = "HOB-0121", 400, Caller, USAGE, "a manifest of another platform asks for what Hob cannot honour";
    ForeignAmbiguous    = "HOB-0122", 400, Caller, USAGE, "it is not clear which manifest of another platform is meant";
    ImportExists        = "HOB-0123", 409, Caller, CONFLICT, "there is a `hob.toml` already";
    ForeignFiles        = "HOB-0124", 400, Caller, USAGE, "several files make no manifest together";
    // Artifacts and builds.
    ArtifactTooLarge    = "HOB-0201", 413, Caller, USAGE, "an artifact is larger than the limit";
    DigestMismatch      = "HOB-0202", 400, Caller, USAGE, "an artifact's bytes do not have the digest it was sent under";
    UploadTruncated     = "HOB-0203", 400, Caller, PLATFORM, "an upload ended before all of its bytes had come";
    ArtifactMissing     = "HOB-0204", 409, Caller, NOT_FOUND, "a deploy names an artifact that was never uploaded";
    PackagePath         = "HOB-0205", 400, Caller, USAGE, "a package holds a path that is not allowed";
    BuildFailed         = "HOB-0206", 400, Code, FUNCTION, "the build command failed";
    // Making a function ready.
    WrongWorld          = "HOB-0301", 400, Code, FUNCTION, "the component exports nothing that Hob can call";
    ImportMissing       = "HOB-0302", 400, Code, FUNCTION, "the module imports something that the host does not offer";
    ComponentInvalid    = "HOB-0303", 400, Code, FUNCTION, "the file is not a valid component or module";
    CompileLimit        = "HOB-0304", 400, Limit, FUNCTION, "compiling took more time, memory or space than allowed";
    ForeignBinary       = "HOB-0305", 400, Caller, FUNCTION, "the binary is for another processor or system";
    ProgramMissing      = "HOB-0306", 400, Caller, NOT_FOUND, "the program to start was not found or may not be executed";
    StartTimeout        = "HOB-0307", 504, Code, FUNCTION, "the program did not become ready in time";
    StartExit           = "HOB-0308", 502, Code, FUNCTION, "the program ended before it was ready";
    ResourcesTooLarge   = "HOB-0309", 400, Limit, FUNCTION, "the component needs more than an instance may have";
    InitFailed          = "HOB-0330", 502, Code, FUNCTION, "the function could not be initialised";
    FunctionError       = "HOB-0331", 502, Code, FUNCTION, "the function answered with an error";
    ArchiveInvalid      = "HOB-0332", 400, Caller, USAGE, "an archive cannot be unpacked";
    ScriptInvalid       = "HOB-0340", 400, Code, FUNCTION, "the JavaScript file is no module that Hob can run";
    ScriptHandler       = "HOB-0341", 400, Code, FUNCTION, "the JavaScript module has no handler for what calls it";
    ScriptThrew         = "HOB-0342", 502, Code, FUNCTION, "the JavaScript handler threw an exception";
    // Apps and revisions.
    AppNotFound         = "HOB-0351", 404, Caller, NOT_FOUND, "there is no such app";
    RevisionNotFound    = "HOB-0352", 404, Caller, NOT_FOUND, "the app has no such revision";
    FunctionNotFound    = "HOB-0353", 404, Caller, NOT_FOUND, "the app has no such function";
    DeployConflict      = "HOB-0354", 409, Caller, CONFLICT, "another deploy of the same app is under way";
    NothingToRollBack   = "HOB-0355", 409, Caller, CONFLICT, "the app has no earlier revision";
    // Requests.
    RouteNotFound       = "HOB-0401", 404, Caller, NOT_FOUND, "no route matches the request";
    MethodNotAllowed    = "HOB-0402", 405, Caller, NOT_FOUND, "the route exists, but not for this method";
    HeadersTooLarge     = "HOB-0403", 431, Caller, USAGE, "the request's headers are too large";
    UriTooLong          = "HOB-0404", 414, Caller, USAGE, "the request's address is too long";
    BodyTooLarge        = "HOB-0405", 413, Caller, USAGE, "the request's body is larger than the function allows";
    RequestMalformed    = "HOB-0406", 400, Caller, USAGE, "the request is not valid HTTP, or could be read in two ways";
    RequestTimeout      = "HOB-0407", 408, Caller, TIMEOUT, "the request did not arrive in time";
    HostUnknown         = "HOB-0408", 404, Caller, NOT_FOUND, "no app answers to that host name";
    LoopTooDeep         = "HOB-0409", 508, Code, FUNCTION, "functions called each other too deeply";
    // Calls.
    CallTimeout         = "HOB-0501", 504, Limit, TIMEOUT, "the function did not answer before its deadline";
    Crashed             = "HOB-0502", 502, Code, FUNCTION, "the function crashed while it handled the call";
    QueueFull           = "HOB-0503", 503, Limit, TIMEOUT, "too many calls are waiting for this function";
    QueueTimeout        = "HOB-0504", 503, Limit, TIMEOUT, "the call waited too long for a free instance";
    MemoryLimit         = "HOB-0505", 502, Limit, FUNCTION, "the function needed more memory than it may have";
    BadResponse         = "HOB-0506", 502, Code, FUNCTION, "the function's answer is not a valid response";
    EgressDenied        = "HOB-0507", 403, Limit, REFUSED, "the function may not reach that address";
    ExitFailure         = "HOB-0508", 500, Code, FUNCTION, "the program ended with a failure";
    Stopping            = "HOB-0509", 503, Platform, PLATFORM, "the node is shutting down";
    DependencyFailed    = "HOB-0510", 502, Dependency, FUNCTION, "a system that was called did not answer properly";
    BudgetSpent         = "HOB-0511", 503, Limit, REFUSED, "the budget of the app or function is spent";
    WorkerEnded         = "HOB-0512", 502, Platform, PLATFORM, "the worker process in which the call ran has ended";
    WorkerMissing       = "HOB-0513", 503, Platform, PLATFORM, "there is no worker process for the space's WASM functions";
    WorkerBroke         = "HOB-0514", 502, Platform, PLATFORM, "the worker process broke the rules between it and the node, and was ended";
    CircuitOpen         = "HOB-0515", 503, Code, FUNCTION, "the function fails again and again, and calls are refused for a while";
    StartRefused        = "HOB-0516", 503, Platform, PLATFORM, "the machine did not let the function's program start";
    WallsMissing        = "HOB-0520", 500, Platform, PLATFORM, "the machine gives no walls for native functions, and the node needs them";
    NotShown            = "HOB-0525", 400, Caller, USAGE, "a folder of the machine cannot be shown to functions";
    // State.
    StoreIo             = "HOB-0601", 500, Platform, PLATFORM, "the store could not be read or written";
    StoreCorrupt        = "HOB-0602", 500, Platform, PLATFORM, "stored data is damaged";
    StoreConflict       = "HOB-0603", 409, Caller, CONFLICT, "stored data was changed by somebody else";
    StoreFull           = "HOB-0604", 507, Platform, PLATFORM, "the disk is full";
    DataLocked          = "HOB-0605", 409, Caller, CONFLICT, "another node uses the same data folder";
    // The AWS Lambda API.
    AwsSignature        = "HOB-0620", 403, Caller, REFUSED, "a request to the Lambda API is not signed as it should be";
    AwsUnsupported      = "HOB-0621", 501, Caller, USAGE, "the Lambda API of Hob has no such operation";
    AwsRequest          = "HOB-0622", 400, Caller, USAGE, "a request to the Lambda API cannot be understood or honoured";
    LambdaNotFound      = "HOB-0623", 404, Caller, NOT_FOUND, "the function has no such version, alias or setting";
    LambdaConflict      = "HOB-0624", 409, Caller, CONFLICT, "something of that name is there already, or has changed meanwhile";
    AwsOff              = "HOB-0625", 404, Caller, NOT_FOUND, "the node has no Lambda API";
    KeyNotFound         = "HOB-0626", 404, Caller, NOT_FOUND, "there is no such access key";
    KeysUnusable        = "HOB-0627", 500, Caller, PLATFORM, "the file of access keys cannot be used";
    // Control.
    Unauthorized        = "HOB-0701", 401, Caller, REFUSED, "the control API needs a valid token";
    Forbidden           = "HOB-0702", 403, Caller, REFUSED, "the request to the control API is not allowed";
    NodeUnreachable     = "HOB-0703", 502, Caller, PLATFORM, "no node answers there";
    ControlRequest      = "HOB-0704", 400, Caller, USAGE, "the request to the control API cannot be understood";
    ControlOpen         = "HOB-0705", 400, Caller, REFUSED, "the control API is never opened on TCP without a token, nor beyond this machine without TLS";
    DashboardOff        = "HOB-0706", 404, Caller, NOT_FOUND, "the node has no dashboard";
    DashboardOpen       = "HOB-0707", 400, Caller, REFUSED, "the dashboard is never opened beyond this machine without TLS";
    SpaceNotFound       = "HOB-0708", 404, Caller, NOT_FOUND, "there is no such space";
    SpaceExists         = "HOB-0709", 409, Caller, CONFLICT, "there is a space of that name already, or something is in its place";
    SpaceNotEmpty       = "HOB-0710", 409, Caller, CONFLICT, "the space still has apps or topics";
    SpaceForbidden      = "HOB-0711", 403, Caller, REFUSED, "only the operator of the node may do that";
    SpaceQuota          = "HOB-0712", 403, Limit, REFUSED, "the space has as much as its quota allows";
    SpaceRate           = "HOB-0713", 429, Limit, REFUSED, "the space gets more requests per second than its quota allows";
    SpaceCalls          = "HOB-0714", 429, Limit, REFUSED, "the space has as many calls at a time as its quota allows";
    SpaceUnavailable    = "HOB-0715", 503, Platform, PLATFORM, "the space is not served";
    HostTaken           = "HOB-0716", 409, Caller, CONFLICT, "a host of the app's routes belongs to somebody else";
    TokenExpired        = "HOB-0720", 401, Caller, REFUSED, "the API token has expired";
    TokenRevoked        = "HOB-0721", 401, Caller, REFUSED, "the API token was revoked";
    ScopeMissing        = "HOB-0722", 403, Caller, REFUSED, "whoever asks lacks the scope that the operation needs";
    SpaceDenied         = "HOB-0723", 403, Caller, REFUSED, "whoever asks belongs to another space";
    TokenNotFound       = "HOB-0724", 404, Caller, NOT_FOUND, "there is no such API token";
    TooManyAttempts     = "HOB-0725", 429, Caller, REFUSED, "too many requests without a valid token came from that address";
    AuditUnwritable     = "HOB-0726", 503, Platform, PLATFORM, "the audit log cannot be written, so nothing is changed";
    AuditBroken         = "HOB-0727", 500, Platform, PLATFORM, "the audit log is not whole";
    SecretNotSet        = "HOB-0730", 409, Caller, NOT_FOUND, "a function names a secret that is not set";
    SecretNotFound      = "HOB-0731", 404, Caller, NOT_FOUND, "there is no such secret, or no such version of it";
    SecretInvalid       = "HOB-0732", 400, Caller, USAGE, "a secret has a name or a value that Hob cannot take";
    SecretKeyUnusable   = "HOB-0733", 500, Caller, PLATFORM, "the key for secrets cannot be used";
    SecretDamaged       = "HOB-0734", 500, Platform, PLATFORM, "a stored secret cannot be opened";
    SecretInUse         = "HOB-0735", 409, Caller, CONFLICT, "a function of the app still names the secret";
    // Events.
    EventMalformed      = "HOB-0801", 400, Caller, USAGE, "what was sent is not a valid CloudEvent";
    EventTooLarge       = "HOB-0802", 413, Caller, USAGE, "an event is larger than the limit";
    TopicNotFound       = "HOB-0803", 404, Caller, NOT_FOUND, "there is no such topic";
    TopicFull           = "HOB-0804", 507, Limit, PLATFORM, "the topic holds as much as it may";
    TopicReserved       = "HOB-0805", 403, Caller, REFUSED, "the topic is one of the node's own";
    EventLoop           = "HOB-0806", 508, Code, FUNCTION, "events caused each other too many times in a row";
    SubscriptionNotFound = "HOB-0807", 404, Caller, NOT_FOUND, "there is no such subscription";
    ScheduleNotFound    = "HOB-0808", 404, Caller, NOT_FOUND, "there is no such schedule";
    FilterInvalid       = "HOB-0809", 400, Caller, USAGE, "a filter cannot be understood";
    ScheduleInvalid     = "HOB-0810", 400, Caller, USAGE, "a schedule cannot be understood";
    DeadLetterNotFound  = "HOB-0811", 404, Caller, NOT_FOUND, "there is no such dead letter";
    AsyncCallNotFound   = "HOB-0812", 404, Caller, NOT_FOUND, "there is no such asynchronous call, or its result has expired";
    LogReadOnly         = "HOB-0813", 503, Platform, PLATFORM, "nothing more is written to the log after a failed write";
    LogDamaged          = "HOB-0814", 500, Platform, PLATFORM, "stored events are damaged";
    TriggerConflict     = "HOB-0815", 409, Caller, CONFLICT, "two triggers of an app have the same name";
    EventExpired        = "HOB-0816", 410, Caller, TIMEOUT, "the event expired before it could be delivered";
    IngressFull         = "HOB-0817", 503, Limit, TIMEOUT, "there is no room for another body with events or calls";
    CallExpired         = "HOB-0821", 504, Limit, TIMEOUT, "an asynchronous call is older than it may be";
    // Platform.
    Internal            = "HOB-0901", 500, Platform, PLATFORM, "a fault in Hob itself";
    AddressInUse        = "HOB-0902", 500, Caller, CONFLICT, "the address to listen on is taken or not allowed";
    MachineLacks        = "HOB-0903", 500, Platform, PLATFORM, "this machine lacks something that Hob needs";
}

impl Code {
    /// The code with that text, or `None`.
    pub fn parse(text: &str) -> Option<Code> {
        Self::ALL.iter().copied().find(|code| code.text() == text)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn codes_are_unique_ordered_and_well_formed() {
        let texts: Vec<&str> = Code::ALL.iter().map(|code| code.text()).collect();
        let mut sorted = texts.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(texts, sorted, "codes must be unique and in order");
        for code in Code::ALL {
            assert_eq!(Code::parse(code.text()), Some(*code));
            assert!((400..600).contains(&code.status()), "{code} must be an error status");
            assert!(!code.summary().ends_with('.'), "{code}: one sentence without a period");
        }
    }
}
