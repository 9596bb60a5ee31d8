//! Stand-ins for the world around pushcast. None of them checks pushcast with pushcast's own code.
//!
//! | a test needs | it takes |
//! |---|---|
//! | a push service that checks every request as real ones do, and misbehaves on request | [`push_service`] |
//! | subscribers: one with keys that really decrypt, or many at once | [`subscribers`] |
//! | Firefox, Chromium or WebKit themselves | [`browsers`] |
//! | AWS on this machine: DynamoDB, SQS, KMS and the others, the Lambda runtime, the deployed stack | [`aws`] |
//! | the built program, its server and its API | [`program`] |
//! | `deliver` and `broadcast` in this process, with clock, queue and faults in the test's hand | [`worker_harness`] |
//! | random numbers that are the same in every run | [`random`] |
//! | to wait for a condition | [`waiting`] |
//! | logged metrics | [`metrics_log`] |
//! | many cases of one test | [`table`] |

pub(crate) mod aws;
pub(crate) mod browsers;
pub(crate) mod metrics_log;
pub(crate) mod program;
pub(crate) mod push_service;
pub(crate) mod random;
pub(crate) mod subscribers;
pub(crate) mod table;
pub(crate) mod waiting;
pub(crate) mod worker_harness;
