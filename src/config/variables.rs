//! The names of all variables.

/// Name of the table of subscriptions.
pub const SUBSCRIPTIONS_TABLE: &str = "PUSHCAST_SUBSCRIPTIONS_TABLE";
/// Name of the ledger table.
pub const LEDGER_TABLE: &str = "PUSHCAST_LEDGER_TABLE";
/// URL of the job queue.
pub const QUEUE_URL: &str = "PUSHCAST_QUEUE_URL";
/// VAPID keys, comma-separated, the current one first: `kms:<id or alias>`, `secretsmanager:<ARN or name>`, files, or
/// the keys themselves.
pub const VAPID_KEYS: &str = "PUSHCAST_VAPID_KEYS";
/// VAPID subject, where push services can reach the operator: a `mailto:` or `https:` URL.
pub const VAPID_SUBJECT: &str = "PUSHCAST_VAPID_SUBJECT";
/// URL of the API for the client commands.
pub const URL: &str = "PUSHCAST_URL";
/// The API token, or `secretsmanager:<arn>#<member>`.
pub const TOKEN: &str = "PUSHCAST_TOKEN";
/// The secret with which the backend signs user ids, or `secretsmanager:<arn>#<member>`.
pub const USER_SECRET: &str = "PUSHCAST_USER_SECRET";
/// Origins added to the allow-list, comma-separated.
pub const PUSH_ORIGINS: &str = "PUSHCAST_PUSH_ORIGINS";
/// PEM file with extra root certificates for the push client.
pub const CA_FILE: &str = "PUSHCAST_CA_FILE";
/// EventBridge Scheduler's group of schedules.
pub const SCHEDULE_GROUP: &str = "PUSHCAST_SCHEDULE_GROUP";
/// ARN of the role that EventBridge Scheduler assumes to call `broadcast`.
pub const SCHEDULE_ROLE: &str = "PUSHCAST_SCHEDULE_ROLE";
/// ARN of the function `broadcast`.
pub const BROADCAST_ARN: &str = "PUSHCAST_BROADCAST_ARN";
/// ARN of the queue that keeps a firing which EventBridge Scheduler could not deliver.
pub const FAILED_EVENTS_ARN: &str = "PUSHCAST_FAILED_EVENTS_ARN";
/// Origins of the pages that may subscribe, comma-separated.
pub const CORS_ORIGINS: &str = "PUSHCAST_CORS_ORIGINS";
/// CloudWatch namespace of the metrics. Without it, no metrics are written to the log.
pub const METRICS_NAMESPACE: &str = "PUSHCAST_METRICS_NAMESPACE";
