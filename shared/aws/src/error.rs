//! What can go wrong with AWS, told apart by how it is treated. SDK errors are mapped here and nowhere else.

use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// How a failed call is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorKind {
    /// Too many calls: try again more slowly.
    Throttled,
    /// AWS did not answer, or failed itself: try again.
    Unavailable,
    /// The role may not do it: a person must change the role or tag the resource.
    Denied,
    /// The resource is being changed by somebody else: the next cycle decides again.
    Stale,
    /// A limit of AWS.
    Limit,
    /// AWS counts decreases of this resource, or changes of it, and there is none left now.
    DecreaseLimit,
    /// It does not exist.
    NotFound,
    /// AWS refuses the request itself.
    Invalid,
}

impl ErrorKind {
    /// The stable name that the state machine matches. Renaming one is a breaking change.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Throttled => "Throttled",
            ErrorKind::Unavailable => "Unavailable",
            ErrorKind::Denied => "Denied",
            ErrorKind::Stale => "Stale",
            ErrorKind::Limit => "LimitExceeded",
            ErrorKind::DecreaseLimit => "DecreaseLimitExceeded",
            ErrorKind::NotFound => "NotFound",
            ErrorKind::Invalid => "Invalid",
        }
    }

    /// Every kind.
    pub const ALL: [ErrorKind; 8] = [
        ErrorKind::Throttled,
        ErrorKind::Unavailable,
        ErrorKind::Denied,
        ErrorKind::Stale,
        ErrorKind::Limit,
        ErrorKind::DecreaseLimit,
        ErrorKind::NotFound,
        ErrorKind::Invalid,
    ];
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsError {
    /// How it is treated.
    pub kind: ErrorKind,
    /// What was tried: `describe group web`.
    pub doing: String,
    /// What AWS said.
    pub said: String,
}

impl AwsError {
    /// An error of a kind that AWS did not send but its answer means.
    pub fn new(kind: ErrorKind, doing: impl Into<String>, said: impl Into<String>) -> AwsError {
        AwsError { kind, doing: doing.into(), said: said.into() }
    }

    /// Maps the error of any SDK call. `doing` says what was tried.
    pub fn of<E>(error: SdkError<E, HttpResponse>, doing: impl Into<String>) -> AwsError
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let doing = doing.into();
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.code().map(str::to_owned);
        let message = error.message().map(str::to_owned);
        let kind = match (&error, code.as_deref()) {
            (SdkError::ServiceError(_), Some(code)) => {
                by_code(code, message.as_deref().unwrap_or_default(), status)
            }
            (SdkError::ServiceError(_), None) => by_status(status),
            // An answer that cannot be read to its end says nothing, and the call may have taken effect.
            (SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_), _) => {
                ErrorKind::Unavailable
            }
            _ => ErrorKind::Invalid,
        };
        let said = match (code, message) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code,
            _ => causes(&error),
        };
        AwsError { kind, doing, said }
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AwsError { kind, doing, said } = self;
        match kind {
            ErrorKind::Denied => write!(
                f,
                "could not {doing}: {said} (the function's role must allow it, and the resource must carry the tag the role asks for)"
            ),
            _ => write!(f, "could not {doing}: {said}"),
        }
    }
}

impl std::error::Error for AwsError {}

/// An error and what caused it, as one sentence. Never the debug form: that holds whole responses.
fn causes(error: &dyn std::error::Error) -> String {
    const LETTERS_MAX: usize = 300;
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        told = format!("{told}: {next}");
        cause = next.source();
    }
    told.chars().take(LETTERS_MAX).collect()
}

fn by_code(code: &str, message: &str, status: Option<u16>) -> ErrorKind {
    if let Some(kind) = by_message(code, message) {
        return kind;
    }
    match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "ProvisionedThroughputExceededException"
        | "SlowDown"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete" => ErrorKind::Throttled,
        "InternalFailure"
        | "InternalServerError"
        | "InternalServerException"
        | "ServiceUnavailable"
        | "InternalError"
        | "ServiceUnavailableException"
        | "ServerException"
        | "InternalServiceError"
        | "InternalServiceFault"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "ServiceException" => ErrorKind::Unavailable,
        "ResourceInUseException"
        | "ScalingActivityInProgress"
        | "ResourceContention"
        | "ConcurrentUpdateException"
        | "ResourceContentionFault"
        | "ConflictException"
        | "ResourceConflictException"
        | "InvalidReplicationGroupState"
        | "InvalidCacheClusterState"
        | "ServiceNotActiveException" => ErrorKind::Stale,
        "LimitExceededException"
        | "LimitExceeded"
        | "ResourceLimitExceeded"
        | "ServiceQuotaExceededException"
        | "ClusterQuotaForCustomerExceeded"
        | "NodeQuotaForCustomerExceeded"
        | "NodeGroupsPerReplicationGroupQuotaExceeded"
        | "InsufficientCacheClusterCapacity" => ErrorKind::Limit,
        "ResourceNotFoundException"
        | "ServiceNotFoundException"
        | "ClusterNotFoundException"
        | "ParameterNotFound"
        | "NoSuchKey"
        | "NoSuchBucket"
        | "ObjectNotFoundException"
        | "TableNotFoundException"
        | "ExecutionDoesNotExist"
        | "NotFound"
        | "NotFoundException"
        | "ResourceNotFound"
        | "TargetGroupNotFound"
        | "LoadBalancerNotFound"
        | "ReplicationGroupNotFoundFault" => ErrorKind::NotFound,
        code if code.starts_with("AccessDenied") || code.starts_with("Unauthorized") => ErrorKind::Denied,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "NotAuthorized"
        | "AuthorizationError" => ErrorKind::Denied,
        _ => by_status(status),
    }
}

/// What only the message tells, where a service has one code for several things.
fn by_message(code: &str, message: &str) -> Option<ErrorKind> {
    let message = message.to_lowercase();
    let says = |part: &str| message.contains(part);
    Some(match code {
        // DynamoDB has no code of its own for the decreases that it counts, beside the one of every other limit.
        "LimitExceededException" if says("decrease") => ErrorKind::DecreaseLimit,
        // So many tables at a time may be updated; in minutes others are done.
        "LimitExceededException" if says("simultaneous") => ErrorKind::Stale,
        // Kinesis has one code for every limit.
        "LimitExceededException" if says("rate exceeded") => ErrorKind::Throttled,
        // SageMaker has one code for what is not there, for what is being updated, and for what is wrong.
        "ValidationException" if says("in-progress endpoint") => ErrorKind::Stale,
        "ValidationException" if says("could not find endpoint") => ErrorKind::NotFound,
        // Auto Scaling has no code of its own for a group that is gone.
        "ValidationError" if says("not found") => ErrorKind::NotFound,
        _ => return None,
    })
}

fn by_status(status: Option<u16>) -> ErrorKind {
    match status {
        Some(429) => ErrorKind::Throttled,
        Some(401 | 403) => ErrorKind::Denied,
        Some(404) => ErrorKind::NotFound,
        Some(status) if 500 <= status => ErrorKind::Unavailable,
        None => ErrorKind::Unavailable,
        Some(_) => ErrorKind::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart_by_how_they_are_treated() {
        for (code, message, status, expected) in [
            ("Throttling", "", Some(400), ErrorKind::Throttled),
            ("ProvisionedThroughputExceededException", "", Some(400), ErrorKind::Throttled),
            ("InternalFailure", "", Some(500), ErrorKind::Unavailable),
            ("SomethingNew", "", Some(503), ErrorKind::Unavailable),
            ("AccessDeniedException", "", Some(400), ErrorKind::Denied),
            ("ResourceInUseException", "", Some(400), ErrorKind::Stale),
            ("LimitExceededException", "", Some(400), ErrorKind::Limit),
            (
                "LimitExceededException",
                "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day.",
                Some(400),
                ErrorKind::DecreaseLimit,
            ),
            (
                "LimitExceededException",
                "Subscriber limit exceeded: Only 500 tables can be created, updated, or deleted simultaneously",
                Some(400),
                ErrorKind::Stale,
            ),
            ("ValidationError", "AutoScalingGroup name not found - null", Some(400), ErrorKind::NotFound),
            (
                "ValidationError",
                "New SetDesiredCapacity value 9 is above max value 8",
                Some(400),
                ErrorKind::Invalid,
            ),
            ("SomethingNew", "", Some(400), ErrorKind::Invalid),
        ] {
            assert_eq!(by_code(code, message, status), expected, "{code}");
        }
    }
}
