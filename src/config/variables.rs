//! The names of the variables: the one list of what may be configured.

/// Name of the table of subscriptions.
pub const SUBSCRIPTIONS_TABLE: &str = "PUSHCAST_SUBSCRIPTIONS_TABLE";
/// Name of the ledger table.
pub const LEDGER_TABLE: &str = "PUSHCAST_LEDGER_TABLE";
/// URL of the queue of jobs.
pub const QUEUE_URL: &str = "PUSHCAST_QUEUE_URL";
/// VAPID keys, comma-separated, the first is current: `kms:<id or alias>`, `secretsmanager:<ARN or name>`, files, or
/// the keys themselves.
pub const VAPID_KEYS: &str = "PUSHCAST_VAPID_KEYS";
/// Whom push services may write to: `mailto:` or `https:`.
pub const VAPID_SUBJECT: &str = "PUSHCAST_VAPID_SUBJECT";
/// Where the client commands find the API.
pub const URL: &str = "PUSHCAST_URL";
/// The API token, or `secretsmanager:<arn>#<member>`.
pub const TOKEN: &str = "PUSHCAST_TOKEN";
/// The secret under which user ids are signed, or `secretsmanager:<arn>#<member>`.
pub const USER_SECRET: &str = "PUSHCAST_USER_SECRET";
/// Origins added to the allow-list, comma-separated.
pub const PUSH_ORIGINS: &str = "PUSHCAST_PUSH_ORIGINS";
/// Extra roots for the push client, PEM.
pub const CA_FILE: &str = "PUSHCAST_CA_FILE";
/// EventBridge Scheduler's group of schedules.
pub const SCHEDULE_GROUP: &str = "PUSHCAST_SCHEDULE_GROUP";
/// ARN of the role that EventBridge Scheduler calls `broadcast` as.
pub const SCHEDULE_ROLE: &str = "PUSHCAST_SCHEDULE_ROLE";
/// ARN of the function `broadcast`.
pub const BROADCAST_ARN: &str = "PUSHCAST_BROADCAST_ARN";
/// ARN of the queue that keeps a firing which EventBridge Scheduler could not deliver.
pub const FAILED_EVENTS_ARN: &str = "PUSHCAST_FAILED_EVENTS_ARN";
/// Pages that may subscribe, comma-separated origins.
pub const CORS_ORIGINS: &str = "PUSHCAST_CORS_ORIGINS";
/// Namespace of the metrics that are written to the log; none are without it.
pub const METRICS_NAMESPACE: &str = "PUSHCAST_METRICS_NAMESPACE";
