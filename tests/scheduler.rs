use std::collections::BTreeMap;

use aws_sdk_scheduler::config::retry::RetryConfig;
use aws_sdk_scheduler::config::{Credentials, Region};
use aws_sdk_scheduler::types::ActionAfterCompletion;
use aws_sdk_scheduler::{Client, Config};
use jiff::Timestamp;
use pushcast::aws::behavior_version;
use pushcast::config::SchedulerTarget;
use pushcast::json::Members;
use pushcast::problem::Problem;
use pushcast::schedule::{EventBridgeSchedules, Schedule, Schedules as _, SchedulesError, Stored};
use serde_json::{Value, json};

use crate::support::aws::ministack::Ministack;
use crate::support::aws::scheduler::Scheduler;
use crate::support::aws::template::Template;

const GROUP: &str = "pushcast";
const ROLE: &str = "arn:aws:iam::000000000000:role/schedules";
const BROADCAST: &str = "arn:aws:lambda:eu-west-1:000000000000:function:broadcast";
const FAILED_EVENTS: &str = "arn:aws:sqs:eu-west-1:123456789012:failed-events";
/// 2026-06-01T12:00:00.5Z, a Monday.
const NOW: i64 = 1_780_315_200_500;

fn now() -> Timestamp {
    Timestamp::from_millisecond(NOW).unwrap()
}

fn target(group: &str) -> SchedulerTarget {
    SchedulerTarget {
        group: group.to_owned(),
        role: ROLE.to_owned(),
        broadcast: BROADCAST.to_owned(),
        failed_events: FAILED_EVENTS.to_owned(),
    }
}

fn client(url: &str) -> Client {
    let config = Config::builder()
        .behavior_version(behavior_version())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(url);
    Client::from_conf(config.build())
}

fn schedule(name: &str, expression: &str, zone: &str) -> Schedule {
    let json = json!({
        "name": name, "expression": expression, "timezone": zone,
        "message": {"to": {"audience": "news"}, "data": "\"quoted\" <b>"},
    });
    Schedule::read(Members::of(&json).expect("an object")).expect("it is good")
}

/// Starts EventBridge Scheduler, and the schedule store that talks to it.
async fn start() -> (Scheduler, EventBridgeSchedules) {
    let scheduler = Scheduler::start(GROUP).await;
    let schedules = EventBridgeSchedules::new(client(&scheduler.url), target(GROUP));
    (scheduler, schedules)
}

#[tokio::test]
async fn the_scheduler_gets_the_target_and_the_expression() {
    let (scheduler, store) = start().await;
    let told = |name: &str| scheduler.state().schedules[name].clone();
    let weekdays = schedule("weekdays", "cron(0 9 ? * MON-FRI *)", "Europe/Berlin");
    assert_eq!(store.create(&weekdays, now()).await.unwrap(), Stored::New);
    let body = told("weekdays");
    assert_eq!(body["ScheduleExpression"], "cron(0 9 ? * MON-FRI *)");
    assert_eq!(body["ScheduleExpressionTimezone"], "Europe/Berlin");
    assert_eq!(body["FlexibleTimeWindow"], json!({"Mode": "OFF"}));
    assert_eq!(body["ActionAfterCompletion"], "NONE");
    assert_eq!(body["StartDate"], Value::Null);
    assert_eq!(body["Target"]["Arn"], BROADCAST);
    assert_eq!(body["Target"]["RoleArn"], ROLE);
    assert_eq!(body["Target"]["DeadLetterConfig"]["Arn"], FAILED_EVENTS);
    let policy = json!({"MaximumRetryAttempts": 24, "MaximumEventAgeInSeconds": 3600});
    assert_eq!(body["Target"]["RetryPolicy"], policy);
    let template = Template::read(&[]);
    let example = &template.properties("ExampleSchedule")["Target"]["RetryPolicy"];
    assert_eq!(serde_json::to_value(example).unwrap(), policy, "one policy");
    // The event that `broadcast` gets, once the scheduler has replaced the placeholders in angle brackets.
    let input: Value = serde_json::from_str(body["Target"]["Input"].as_str().unwrap()).unwrap();
    assert_eq!(
        input,
        json!({
            "schedule": "<aws.scheduler.schedule-arn>",
            "scheduled_time": "<aws.scheduler.scheduled-time>",
            "message": {"to": {"audience": "news"}, "data": "\"quoted\" <b>"},
        })
    );

    let once = schedule("it", "at(2026-12-24T09:00:00)", "UTC");
    assert_eq!(store.create(&once, now()).await.unwrap(), Stored::New);
    assert_eq!(told("it")["ActionAfterCompletion"], "DELETE");
    // A rate first fires one period from now.
    let rate = schedule("it", "rate(2 hours)", "UTC");
    assert_eq!(store.create(&rate, now()).await.unwrap(), Stored::Replaced);
    assert_eq!(told("it")["StartDate"].as_f64(), Some(1_780_322_400.0));
    assert_eq!(told("it")["ActionAfterCompletion"], "NONE");
    assert_eq!(told("it")["Target"]["RetryPolicy"], policy);
    let listed = store.list(now()).await.unwrap();
    let next: Vec<String> = listed
        .iter()
        .map(|it| it.next.unwrap().to_string())
        .collect();
    assert_eq!(next, ["2026-06-01T14:00:00Z", "2026-06-02T07:00:00Z"]);
    let later = store
        .list("2026-06-01T15:30:00Z".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(later[0].next, Some("2026-06-01T16:00:00Z".parse().unwrap()));
}

#[tokio::test]
async fn the_list_of_schedules_is_complete_over_pages_and_while_it_changes() {
    let (scheduler, store) = start().await;
    let name = |n: usize| format!("schedule-{n:02}");
    for n in 0..23 {
        store
            .create(&schedule(&name(n), "rate(1 day)", "UTC"), now())
            .await
            .unwrap();
    }
    let names = async || -> Vec<String> {
        let listed = store.list(now()).await.unwrap();
        listed.into_iter().map(|it| it.name).collect()
    };
    assert_eq!(names().await, (0..23).map(name).collect::<Vec<_>>());
    scheduler.state().vanishes = Some(name(3));
    let left: Vec<String> = (0..23).filter(|n| *n != 3).map(name).collect();
    assert_eq!(names().await, left);
    // Schedules of others in the group are shown as far as the API can.
    scheduler.state().schedules = BTreeMap::from([(
        "by-hand".to_owned(),
        json!({"ScheduleExpression": "rate(5 lightyears)", "Target": {"Arn": "a", "RoleArn": "r", "Input": "{"}}),
    )]);
    let listed = store.list(now()).await.unwrap();
    assert_eq!(listed[0].expression, "rate(5 lightyears)");
    assert_eq!((&listed[0].message, listed[0].next), (&Value::Null, None));
    // A disabled schedule, such as the template's example, has no next firing.
    let mut weekly =
        json!({"ScheduleExpression": "rate(1 day)", "Target": {"Arn": "a", "RoleArn": "r"}});
    for (state, fires) in [("ENABLED", true), ("DISABLED", false)] {
        weekly["State"] = state.into();
        let only = BTreeMap::from([("weekly".to_owned(), weekly.clone())]);
        scheduler.state().schedules = only;
        let listed = store.list(now()).await.unwrap();
        assert_eq!(listed[0].next.is_some(), fires, "{state}");
    }
}

#[tokio::test]
async fn a_refusal_of_the_scheduler_reaches_the_caller_and_a_failure_is_a_server_error() {
    let (scheduler, store) = start().await;
    let daily = schedule("daily", "cron(0 9 * * ? *)", "UTC");
    let fails = async |faults: &[(u16, &'static str, &'static str)]| {
        scheduler.state().faults.extend(faults);
        let failed = store
            .create(&daily, now())
            .await
            .expect_err("it is refused");
        let said = failed.to_string();
        let problem = Problem::from(failed);
        let shown = serde_json::to_string(&problem).unwrap();
        (problem.status().as_u16(), said, shown)
    };
    let invalid = (400, "ValidationException", "Invalid Schedule Expression.");
    let (status, _, shown) = fails(&[invalid]).await;
    assert_eq!(status, 400);
    assert!(shown.contains("Invalid Schedule Expression."), "{shown}");
    let (status, ..) =
        fails(&[(402, "ServiceQuotaExceededException", "Too many schedules.")]).await;
    assert_eq!(status, 400);
    for transient in [
        (429, "ThrottlingException", "Rate exceeded"),
        (500, "InternalServerException", "oops"),
        (503, "", ""),
    ] {
        let (status, said, shown) = fails(&[transient]).await;
        assert_eq!(status, 503, "{transient:?}");
        assert_eq!(said, "EventBridge Scheduler CreateSchedule failed");
        assert!(shown.contains("urn:pushcast:scheduler-busy"), "{shown}");
    }
    let denied = (
        403,
        "AccessDeniedException",
        "User arn:secret is not authorized",
    );
    let (status, _, shown) = fails(&[denied]).await;
    assert_eq!(status, 500);
    assert!(!shown.contains("secret"), "{shown}");
    // A missing group is a 404 of the scheduler, but it is our fault and not the caller's.
    let (status, ..) = fails(&[(404, "ResourceNotFoundException", "Schedule group")]).await;
    assert_eq!(status, 500);
    // Somebody deleted the schedule before we could replace it: the caller tries again.
    let (status, said, _) = fails(&[(409, "ConflictException", "exists")]).await;
    assert_eq!(
        (status, said.as_str()),
        (503, "EventBridge Scheduler UpdateSchedule failed")
    );

    let nobody = EventBridgeSchedules::new(client("http://127.0.0.1:1"), target(GROUP));
    let failed = nobody.delete("daily").await.expect_err("nobody is there");
    assert!(matches!(
        failed,
        SchedulesError::Scheduler {
            operation: "DeleteSchedule",
            transient: true,
            ..
        }
    ));
}

/// Replaces and deletes one of two schedules.
async fn changes_stay_in_their_group(store: &EventBridgeSchedules, other: &EventBridgeSchedules) {
    let weekly = schedule("refresh", "cron(0 9 ? * 2 *)", "UTC");
    assert_eq!(
        store.create(&weekly, now()).await.unwrap(),
        Stored::Replaced
    );
    let listed = store.list(now()).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].expression, "cron(0 9 ? * 2 *)");
    assert_eq!(
        listed[0].next,
        Some("2026-06-08T09:00:00Z".parse().unwrap())
    );

    assert!(
        !other.delete("refresh").await.unwrap(),
        "it is in another group"
    );
    assert!(store.delete("refresh").await.unwrap());
    assert!(!store.delete("refresh").await.unwrap());
    assert_eq!(store.list(now()).await.unwrap().len(), 1);
}

#[tokio::test]
#[ignore = "needs Python peers: tests/run"]
async fn another_aws_stores_schedules_unchanged() {
    let ministack = Ministack::start().await;
    let aws = client(&ministack.url);
    for group in [GROUP, "other"] {
        let made = aws.create_schedule_group().name(group).send().await;
        made.expect("a group");
    }
    let store = EventBridgeSchedules::new(aws.clone(), target(GROUP));
    let other = EventBridgeSchedules::new(aws.clone(), target("other"));
    let weekdays = schedule("weekdays", "cron(0 9 ? * MON-FRI *)", "Europe/Berlin");
    assert_eq!(store.create(&weekdays, now()).await.unwrap(), Stored::New);
    let refresh = schedule("refresh", "rate(6 hours)", "UTC");
    assert_eq!(store.create(&refresh, now()).await.unwrap(), Stored::New);
    let once = schedule("once", "at(2099-12-24T09:00:00)", "America/New_York");
    assert_eq!(other.create(&once, now()).await.unwrap(), Stored::New);

    let listed = store.list(now()).await.unwrap();
    let named: Vec<&str> = listed.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(named, ["refresh", "weekdays"], "and no other group's");
    assert_eq!(
        listed[0].next,
        Some("2026-06-01T18:00:00Z".parse().unwrap())
    );
    assert_eq!(listed[1].expression, "cron(0 9 ? * MON-FRI *)");
    assert_eq!(listed[1].timezone, "Europe/Berlin");
    assert_eq!(listed[1].message, weekdays.message);
    assert_eq!(
        listed[1].next,
        Some("2026-06-02T07:00:00Z".parse().unwrap())
    );
    changes_stay_in_their_group(&store, &other).await;
    let kept = aws
        .get_schedule()
        .group_name("other")
        .name("once")
        .send()
        .await
        .unwrap();
    assert_eq!(
        kept.action_after_completion(),
        Some(&ActionAfterCompletion::Delete)
    );

    let nowhere = EventBridgeSchedules::new(aws, target("nowhere"));
    let failed = nowhere
        .create(&weekdays, now())
        .await
        .expect_err("there is no such group");
    assert!(
        matches!(
            failed,
            SchedulesError::Scheduler {
                transient: false,
                ..
            }
        ),
        "{failed:?}"
    );
}
