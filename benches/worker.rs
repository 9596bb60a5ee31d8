//! `cargo bench --bench worker`: the built function `deliver`, with the template's environment and time-out, works
//! through a campaign to 5 000 subscribers, then in another stack through a campaign to 50 000. The benchmark prints
//! the peak memory of each. It fails if the second is more than 20 % above the first, since a worker must hold only a
//! page of subscribers, not the audience. As a test, it only checks that campaigns to fewer subscribers run.

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

/// Both are more than one page. The larger one also has many segments.
const BENCH_SUBSCRIBERS: [usize; 2] = [5_000, 50_000];
const TEST_SUBSCRIBERS: [usize; 2] = [1_000, 4_000];

/// Maximum additional memory of the larger campaign, in percent. An allocator needs some when more is allocated in
/// total.
const MAX_GROWTH: u64 = 20;

/// The measurements of one campaign.
struct Measured {
    /// Memory of the worker before the campaign, and its peak, in KiB. `None` on systems without `/proc`.
    before: Option<u64>,
    peak: Option<u64>,
    time: Duration,
    invocations: usize,
}

/// A value of Linux's `/proc/<pid>/status`, in KiB. `None` on other systems.
fn memory(function: &Function, name: &str) -> Option<u64> {
    let pid = function.process.id()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Stores `n` subscribers, each with its own keys.
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

/// Works through one campaign to `n` subscribers. One process handles every job, as Lambda reuses a process.
async fn campaign(n: usize) -> Measured {
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
    assert_eq!(
        stack.service.deliveries().len(),
        n,
        "each subscriber gets one push"
    );
    Measured {
        before,
        peak,
        time,
        invocations,
    }
}

#[expect(clippy::print_stdout, reason = "the benchmark prints its results")]
#[tokio::main]
async fn main() -> ExitCode {
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let mib = |kib: Option<u64>| kib.map_or("?".to_owned(), |kib| format!("{} MiB", kib / 1024));
    println!("a deliver worker, and the campaigns that it works through");
    let mut peaks = Vec::new();
    let sizes = if measuring {
        BENCH_SUBSCRIBERS
    } else {
        TEST_SUBSCRIBERS
    };
    for n in sizes {
        let measured = campaign(n).await;
        println!(
            "  {n} subscribers: {} peak, {} before; {} invocations, {:.1} s",
            mib(measured.peak),
            mib(measured.before),
            measured.invocations,
            measured.time.as_secs_f64()
        );
        peaks.extend(measured.peak);
    }
    // With small campaigns, the allocator makes more of a difference than the audience.
    if let [fewer, more] = peaks[..]
        && measuring
        && more * 100 > fewer * (100 + MAX_GROWTH)
    {
        println!("the larger campaign took more than {MAX_GROWTH} % more memory");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
