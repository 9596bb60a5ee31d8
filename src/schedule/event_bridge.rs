//! Schedules in AWS: a schedule group of EventBridge Scheduler, which stores the schedules and calls `broadcast`.
//!
//! The input of the call names the schedule and the scheduled time. A repeated call has the same input and so the same
//! campaign id.

use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_scheduler::operation::create_schedule::CreateScheduleError;
use aws_sdk_scheduler::operation::delete_schedule::DeleteScheduleError;
use aws_sdk_scheduler::operation::get_schedule::{GetScheduleError, GetScheduleOutput};
use aws_sdk_scheduler::primitives::DateTime;
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode,
    RetryPolicy, ScheduleState, Target,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::config::SchedulerTarget;

use super::{Expression, Listed, Schedule, Schedules, SchedulesError, Stored, zone};

/// Maximum retries of a call of `broadcast` that fails. After them, the firing goes to the dead-letter queue.
const MAX_RETRIES: i32 = 24;
/// Retries end after this time. AWS's default is a day, and the message would come a day late.
const MAX_RETRY_SECONDS: i32 = 3600;
/// Schedules that are read at a time: `ListSchedules` returns names without the details.
const READS_AT_ONCE: usize = 10;

/// A schedule group of EventBridge Scheduler.
#[derive(Debug, Clone)]
pub struct EventBridgeSchedules {
    client: Client,
    target: SchedulerTarget,
}

impl EventBridgeSchedules {
    /// `client` must be built with [`behavior_version`](crate::aws::behavior_version), and the group must exist.
    pub fn new(client: Client, target: SchedulerTarget) -> Self {
        Self { client, target }
    }

    /// The call of `broadcast`: function, role, retries and input.
    fn call(&self, schedule: &Schedule) -> Target {
        let input = json!({
            "schedule": "<aws.scheduler.schedule-arn>",
            "scheduled_time": "<aws.scheduler.scheduled-time>",
            "message": schedule.message,
        });
        Target::builder()
            .arn(&self.target.broadcast)
            .role_arn(&self.target.role)
            .dead_letter_config(
                DeadLetterConfig::builder()
                    .arn(&self.target.failed_events)
                    .build(),
            )
            .retry_policy(
                RetryPolicy::builder()
                    .maximum_retry_attempts(MAX_RETRIES)
                    .maximum_event_age_in_seconds(MAX_RETRY_SECONDS)
                    .build(),
            )
            .input(input.to_string())
            .build()
            .expect("ARN and role are given")
    }

    async fn show(&self, name: String, now: Timestamp) -> Result<Option<Listed>, SchedulesError> {
        let get = self.client.get_schedule().name(&name);
        match get.group_name(&self.target.group).send().await {
            Ok(found) => Ok(Some(listed(name, &found, now))),
            // It was deleted after `ListSchedules`, by an operator or because it was to fire once and has fired.
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(GetScheduleError::is_resource_not_found_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(failed("GetSchedule", error)),
        }
    }
}

impl Schedules for EventBridgeSchedules {
    async fn list(&self, now: Timestamp) -> Result<Vec<Listed>, SchedulesError> {
        let list = self.client.list_schedules().group_name(&self.target.group);
        let summaries = list.into_paginator().items().send();
        let summaries: Result<Vec<_>, _> = summaries.collect().await;
        let summaries = summaries.map_err(|error| failed("ListSchedules", error))?;
        let mut names: Vec<String> = summaries.into_iter().filter_map(|it| it.name).collect();
        names.sort_unstable();
        let found: Vec<Option<Listed>> = stream::iter(names)
            .map(|name| self.show(name, now))
            .buffered(READS_AT_ONCE)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn create(&self, schedule: &Schedule, now: Timestamp) -> Result<Stored, SchedulesError> {
        let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off);
        let window = window.build().expect("the mode is given");
        let completed = if schedule.expression.is_once() {
            ActionAfterCompletion::Delete
        } else {
            ActionAfterCompletion::None
        };
        // EventBridge Scheduler fires a rate without a start date at once. The local server fires one period from now:
        // both must do the same.
        let start = schedule.expression.period();
        let start = start.and_then(|_| schedule.next_after(now, now));
        let start = start.map(|start| DateTime::from_secs(start.as_second()));
        let create = self
            .client
            .create_schedule()
            .group_name(&self.target.group)
            .name(&schedule.name)
            .schedule_expression(schedule.expression.as_str())
            .schedule_expression_timezone(schedule.zone_name())
            .set_start_date(start)
            .flexible_time_window(window.clone())
            .target(self.call(schedule))
            .action_after_completion(completed.clone());
        match create.send().await {
            Ok(_) => return Ok(Stored::New),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(CreateScheduleError::is_conflict_exception) => {}
            Err(error) => return Err(failed("CreateSchedule", error)),
        }
        self.client
            .update_schedule()
            .group_name(&self.target.group)
            .name(&schedule.name)
            .schedule_expression(schedule.expression.as_str())
            .schedule_expression_timezone(schedule.zone_name())
            .set_start_date(start)
            .flexible_time_window(window)
            .target(self.call(schedule))
            .action_after_completion(completed)
            .send()
            .await
            .map_err(|error| failed("UpdateSchedule", error))?;
        Ok(Stored::Replaced)
    }

    async fn delete(&self, name: &str) -> Result<bool, SchedulesError> {
        let delete = self.client.delete_schedule().name(name);
        match delete.group_name(&self.target.group).send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DeleteScheduleError::is_resource_not_found_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(failed("DeleteSchedule", error)),
        }
    }
}

/// A schedule as the API shows it. Members that cannot be read stay empty: an operator may have changed it in AWS.
fn listed(name: String, found: &GetScheduleOutput, now: Timestamp) -> Listed {
    let expression = found.schedule_expression().unwrap_or_default();
    let timezone = found.schedule_expression_timezone().unwrap_or("UTC");
    let input = found.target().and_then(Target::input);
    let input = input.and_then(|input| serde_json::from_str::<Value>(input).ok());
    let is_off = found.state() == Some(&ScheduleState::Disabled);
    let next = expression.parse().ok().filter(|_| !is_off);
    let next = next.and_then(|read: Expression| {
        let time = |time: &DateTime| Timestamp::from_second(time.secs()).ok();
        // A rate fires first at its start date, which is one period after the anchor.
        let anchor = match (found.start_date().and_then(time), read.period()) {
            (Some(start), Some(period)) => start.checked_sub(period).ok(),
            (start, _) => start.or_else(|| found.creation_date().and_then(time)),
        };
        read.next_after(now, &zone(timezone)?, anchor.unwrap_or(now))
    });
    Listed {
        name,
        expression: expression.to_owned(),
        timezone: timezone.to_owned(),
        message: input
            .and_then(|input| input.get("message").cloned())
            .unwrap_or_default(),
        next,
    }
}

fn failed<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> SchedulesError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let code = error.code().unwrap_or_default();
    let transient = match &error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            true
        }
        SdkError::ServiceError(service) => {
            service.raw().status().is_server_error()
                || matches!(code, "ThrottlingException" | "ConflictException")
                // The schedule was deleted between create and update: the next attempt creates it.
                || (operation, code) == ("UpdateSchedule", "ResourceNotFoundException")
        }
        // The request could not be built. `_`: the enum is non-exhaustive.
        SdkError::ConstructionFailure(_) | _ => false,
    };
    if matches!(
        code,
        "ValidationException" | "ServiceQuotaExceededException"
    ) {
        let why = error.message().unwrap_or(code);
        return SchedulesError::Refused(why.to_owned());
    }
    SchedulesError::Scheduler {
        operation,
        transient,
        source: Box::new(error),
    }
}
