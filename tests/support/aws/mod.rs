//! AWS on this machine, and what is deployed to it.

/// Every call comes in through one gate, which notes who called what.
pub(crate) mod cloud;
mod dynamodb;
/// A DynamoDB that has bad days: throttles, drops answers, dies.
pub(crate) mod faulty_dynamodb;
/// The Lambda Runtime API and one function that runs against it.
pub(crate) mod lambda_runtime;
/// The four functions with the environment that the template gives them.
pub(crate) mod lambda_stack;
/// An AWS of others' making.
pub(crate) mod ministack;
/// Who calls what on which resource, as an IAM policy names it.
pub(crate) mod rights;
/// EventBridge Scheduler.
pub(crate) mod scheduler;
mod sqs;
/// `template.yaml`, read.
pub(crate) mod template;
