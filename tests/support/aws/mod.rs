//! AWS on this machine, and the stack deployed to it.

/// One gate for every call, which records caller, action and resource.
pub(crate) mod cloud;
mod dynamodb;
/// A DynamoDB that throttles, loses answers and dies.
pub(crate) mod faulty_dynamodb;
/// The Lambda Runtime API, and a function that runs against it.
pub(crate) mod lambda_runtime;
/// The four functions with the environment that the template gives them.
pub(crate) mod lambda_stack;
/// An AWS written by others.
pub(crate) mod ministack;
/// Caller, action and resource of a call, as an IAM policy names them.
pub(crate) mod rights;
/// EventBridge Scheduler.
pub(crate) mod scheduler;
mod sqs;
/// `template.yaml`, evaluated.
pub(crate) mod template;
