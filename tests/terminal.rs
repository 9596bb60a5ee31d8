use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::support::program::{PROGRAM, Server};
use crate::support::push_service::PushService;
use crate::support::push_service::behaviour::{Behaviour, Canned};
use crate::support::subscribers::Subscribers;
use crate::support::waiting::PATIENCE;

/// Clears a line of a terminal (ECMA-48: erase in line, all of it).
const CLEAR: &str = "\u{1b}[2K";

/// A command in a terminal: `script` provides the terminal and copies its output.
struct Terminal {
    script: Child,
    screen: ChildStdout,
    shown: Vec<u8>,
}

impl Terminal {
    /// Runs `pushcast campaigns watch` in a terminal of this kind.
    fn watching(server: &Server, id: &str, kind: &str) -> Self {
        // The shell sets the width, because the test has no terminal to inherit one from.
        let watch = format!(
            "stty cols 120 rows 24; exec '{PROGRAM}' campaigns watch {id} --url {}",
            server.url
        );
        let mut script = Command::new("script");
        script
            .args(["--quiet", "--return", "--command", &watch, "/dev/null"])
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs([("TERM", kind), ("SHELL", "/bin/sh")])
            .env("PUSHCAST_TOKEN", server.token())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut script = script.spawn().expect("it starts");
        Self {
            screen: script.stdout.take().expect("a pipe"),
            script,
            shown: Vec::new(),
        }
    }

    /// All output so far, with the codes that move the cursor.
    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    /// The bar's line at each drawing.
    fn frames(&self) -> Vec<Frame> {
        let shown = self.shown();
        let lines = shown.split(['\r', '\n']);
        lines.filter_map(Frame::read).collect()
    }

    /// Reads until the bar's line is `ready`.
    async fn until(&mut self, ready: impl Fn(&Frame) -> bool) {
        while !self.frames().iter().any(&ready) {
            let more = timeout(PATIENCE, self.screen.read_buf(&mut self.shown)).await;
            let more = more.unwrap_or_else(|_| panic!("nothing more than: {:?}", self.shown()));
            assert_ne!(more.expect("it reads"), 0, "it ended: {:?}", self.shown());
        }
    }

    /// Reads to the end. Returns the command's exit code.
    async fn end(&mut self) -> Option<i32> {
        let rest = timeout(PATIENCE, self.screen.read_to_end(&mut self.shown)).await;
        let rest = rest.unwrap_or_else(|_| panic!("it does not end: {:?}", self.shown()));
        rest.expect("it reads");
        let ended = timeout(PATIENCE, self.script.wait()).await;
        ended.expect("it ends").expect("it ran").code()
    }
}

/// The bar's line.
#[derive(Debug, Clone, PartialEq)]
struct Frame {
    /// Filled and empty cells of the bar.
    bar: (usize, usize),
    percent: usize,
    /// The text after the bar.
    text: String,
}

impl Frame {
    fn read(line: &str) -> Option<Self> {
        let line = line.replace(CLEAR, "");
        let (bar, rest) = line.split_once(' ')?;
        let (percent, text) = rest.trim_start().split_once('%')?;
        let percent = percent.parse().ok()?;
        let filled = bar.chars().filter(|it| *it == '█').count();
        Some(Self {
            bar: (filled, bar.chars().count() - filled),
            percent,
            text: text.trim().to_owned(),
        })
    }

    /// Whether a part of `accepted 1,200, 203 a second, 4 seconds left` fits.
    fn says(&self, what: impl Fn(&str) -> bool) -> bool {
        self.text.split(", ").any(what)
    }
}

/// For example `1,200`.
fn is_number(text: &str) -> bool {
    let number = text.replace(',', "").parse::<u64>();
    number.is_ok_and(|number| number > 0)
}

/// A campaign whose push service answers slowly until the test sets the flag.
async fn slow_campaign(n: usize) -> (PushService, Server, String, Arc<AtomicBool>) {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    Subscribers::import(&server, &service, n, |_| vec![]).await;
    let quick = Arc::new(AtomicBool::new(false));
    let now_quick = Arc::clone(&quick);
    service.plan(move |_, _| {
        let slow = !now_quick.load(Ordering::Relaxed);
        slow.then_some(Behaviour::Slow(Duration::from_millis(500)))
    });
    let id = server
        .broadcast(&json!({"to": {"audience": "all"}, "data": "x", "id": "slow"}))
        .await;
    (service, server, id, quick)
}

#[tokio::test]
#[ignore = "needs script: tests/run"]
async fn watch_on_a_terminal_shows_a_bar_with_counts_rate_and_remaining_time() {
    const ALL: usize = 1_500;
    let (service, server, id, quick) = slow_campaign(ALL).await;
    let mut terminal = Terminal::watching(&server, &id, "xterm");
    terminal
        .until(|frame| {
            let accepted = |part: &str| part.strip_prefix("accepted ").is_some_and(is_number);
            let rate = |part: &str| part.strip_suffix(" a second").is_some_and(is_number);
            let left = |part: &str| {
                let time = part.strip_suffix(" left").and_then(|it| it.split_once(' '));
                let units = ["second", "seconds", "minute", "minutes"];
                time.is_some_and(|(n, unit)| is_number(n) && units.contains(&unit))
            };
            let (filled, empty) = frame.bar;
            let says = [frame.says(accepted), frame.says(rate), frame.says(left)];
            says == [true; 3] && filled > 0 && empty > 0
        })
        .await;
    assert!(service.deliveries().len() < ALL, "it is under way");
    quick.store(true, Ordering::Relaxed);
    assert_eq!(terminal.end().await, Some(0));

    let frames = terminal.frames();
    for frame in &frames {
        let (filled, empty) = frame.bar;
        assert_eq!(filled + empty, 30, "{frame:?}");
        // Rounding may shift the bar by one cell.
        assert!(
            (filled * 100).abs_diff(frame.percent * 30) <= 130,
            "{frame:?}"
        );
    }
    let percents: Vec<_> = frames.iter().map(|frame| frame.percent).collect();
    assert!(percents.is_sorted(), "it never goes back: {percents:?}");
    assert!(percents.last() > percents.first(), "it grows: {percents:?}");

    let shown = terminal.shown();
    let after_the_bar = shown.rsplit(CLEAR).next().unwrap_or_default();
    assert_eq!(
        after_the_bar.trim(),
        "done: read 1,500 of 1,500; accepted 1,500",
        "the end is all that is left: {shown:?}"
    );
    assert_eq!(server.campaign(&id).await["status"], "done");
}

#[tokio::test]
#[ignore = "needs script: tests/run"]
async fn watch_removes_the_bar_of_a_cancelled_campaign_and_says_how_to_resume() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    Subscribers::import(&server, &service, 1, |_| vec![]).await;
    let away = Canned::status(503).header("retry-after", "600");
    service.plan(move |_, _| Some(Behaviour::Answer(away.clone())));
    let id = server
        .broadcast(&json!({"to": {"audience": "all"}, "data": "x", "id": "away"}))
        .await;
    let mut terminal = Terminal::watching(&server, &id, "xterm");
    terminal
        .until(|frame| frame.percent == 100 && frame.says(|part| part == "retrying 1"))
        .await;
    let cancelled = server
        .post_with_token(&format!("/push/campaigns/{id}/cancel"), &json!({}))
        .await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    assert_eq!(terminal.end().await, Some(1));
    let shown = terminal.shown();
    let after_the_bar = shown.rsplit(CLEAR).next().unwrap_or_default();
    let lines: Vec<_> = after_the_bar.trim().lines().map(str::trim).collect();
    assert_eq!(lines[0], "cancelled: read 1 of 1; retrying 1", "{shown:?}");
    assert!(
        lines[1].contains("pushcast campaigns resume away"),
        "{shown:?}"
    );
    assert_eq!(lines.len(), 2, "{shown:?}");
}

#[tokio::test]
#[ignore = "needs script: tests/run"]
async fn watch_writes_lines_on_a_terminal_that_cannot_draw() {
    let (_service, server, id, quick) = slow_campaign(600).await;
    let mut terminal = Terminal::watching(&server, &id, "dumb");
    server
        .campaign_until(&id, PATIENCE, |campaign| {
            campaign["counts"]["accepted"].as_u64() > Some(0)
        })
        .await;
    quick.store(true, Ordering::Relaxed);
    assert_eq!(terminal.end().await, Some(0));
    let shown = terminal.shown();
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    let lines: Vec<_> = shown.lines().map(str::trim).collect();
    assert!(lines.len() > 1, "{shown:?}");
    assert!(lines[0].starts_with("running: read "), "{shown:?}");
    let last = lines.last().copied();
    assert_eq!(last, Some("done: read 600 of 600; accepted 600"));
}
