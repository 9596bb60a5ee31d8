//! `cargo bench --bench worker`: the function `deliver`, as it is built and with the template's environment and time,
//! works through a campaign to 5 000 subscribers, and another one, in another stack, through a campaign to 50 000. Says how
//! much memory either took: fails when the second took more than a fifth more, since a worker holds a page, not an
//! audience. As a test, the same with fewer subscribers, to see that it runs.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that unwraps fails, and says where"
)]

#[expect(dead_code, reason = "the tests use the rest of it")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use pushcast::clock::Clock;
use pushcast::json::Members;
use pushcast::subscribers::MAX_AT_ONCE;
use pushcast::subscribers::registration::Registration;
use serde_json::json;

use support::aws::lambda_runtime::Function;
use support::aws::lambda_stack::{LambdaStack, allowed, event};
use support::subscribers::browser::Browser;

/// Both are more than one page. The larger one is many segments as well.
const MANY: [usize; 2] = [5_000, 50_000];
const FEW: [usize; 2] = [1_000, 4_000];

/// How much more the larger campaign may take, in percent: what an allocator makes of more of the same.
const MORE: u64 = 20;

/// What one campaign took.
struct Took {
    /// Memory of the worker before the campaign, and its peak, in KiB; nothing where there is no `/proc`.
    before: Option<u64>,
    peak: Option<u64>,
    time: Duration,
    invocations: usize,
}

/// A line of Linux's `/proc/<pid>/status`, in KiB; nothing elsewhere.
fn memory(function: &Function, name: &str) -> Option<u64> {
    let pid = function.process.id()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Stores `n` subscribers, each with keys of its own.
async fn seed(stack: &LambdaStack, n: usize) {
    let (store, now) = (stack.store(), Clock::system().now());
    let allowed = allowed(&stack.service);
    let registration = |browser: &Browser| {
        let json = browser.to_json();
        Registration::from_operator(Members::of(&json).unwrap(), &allowed).unwrap()
    };
    let browsers: Vec<_> = (0..n)
        .map(|_| stack.service.subscribe(Some(&stack.public)))
        .collect();
    for some in browsers.chunks(MAX_AT_ONCE) {
        let some: Vec<_> = some.iter().map(registration).collect();
        let stored = store.subscribers.subscribe_all(&some, now).await;
        assert_eq!(stored.unwrap(), some.len());
    }
}

/// Works through one campaign to `n` subscribers: every job by the same process, as Lambda keeps one for many.
async fn campaign(n: usize) -> Took {
    let mut stack = LambdaStack::deploy().await;
    seed(&stack, n).await;
    let limit = stack.template.properties("Deliver")["Timeout"].as_i64();
    let limit = SignedDuration::from_secs(limit.expect("a time-out"));
    let before = memory(&stack.deliver, "VmRSS");
    let began = Instant::now();
    let started = stack.broadcast.invoke(event("broadcast")).await.unwrap();
    let path = format!("/push/campaigns/{}", started["campaign"].as_str().unwrap());
    let mut invocations = 0;
    let campaign = loop {
        for (event, receipt) in stack.jobs().await {
            let deadline = Clock::system().now() + limit;
            let answer = stack
                .deliver
                .invoke_until(event, deadline.as_millisecond())
                .await;
            assert_eq!(answer.unwrap(), json!({"batchItemFailures": []}));
            stack.delete(&receipt).await;
            invocations += 1;
        }
        let campaign = stack.api("GET", &path).await;
        if campaign["status"] != "running" {
            break campaign;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let time = began.elapsed();
    let peak = memory(&stack.deliver, "VmHWM");
    assert_eq!(campaign["status"], "done", "{campaign}");
    assert_eq!(campaign["counts"]["accepted"], n, "{campaign}");
    assert_eq!(stack.service.deliveries().len(), n, "everyone, once");
    Took {
        before,
        peak,
        time,
        invocations,
    }
}

#[expect(clippy::print_stdout, reason = "what was measured is what it is for")]
#[tokio::main]
async fn main() -> ExitCode {
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let mib = |kib: Option<u64>| kib.map_or("?".to_owned(), |kib| format!("{} MiB", kib / 1024));
    println!("a deliver worker, and the campaigns that it works through");
    let mut peaks = Vec::new();
    for n in if measuring { MANY } else { FEW } {
        let took = campaign(n).await;
        println!(
            "  {n} subscribers: {} at most, {} before; {} invocations, {:.1} s",
            mib(took.peak),
            mib(took.before),
            took.invocations,
            took.time.as_secs_f64()
        );
        peaks.extend(took.peak);
    }
    // Between small ones, allocators make more of a difference than audiences.
    if let [fewer, more] = peaks[..]
        && measuring
        && more * 100 > fewer * (100 + MORE)
    {
        println!("the larger campaign took more than {MORE} % more memory");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
