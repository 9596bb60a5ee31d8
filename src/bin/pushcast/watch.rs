//! Follows a campaign to its end, with a progress bar on a terminal and lines elsewhere.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use pushcast::campaign::Status;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::api::Api;
use crate::campaign::{figures, finished, is_under_way, number, path, read_of, text};
use crate::output::{complain, say};

/// Time between two requests for the campaign.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Shortest time between two lines.
const LINE_INTERVAL: Duration = Duration::from_secs(3);
/// Time over which the speed is measured.
const SPEED_WINDOW: Duration = Duration::from_secs(15);

/// One campaign, while it is watched.
pub(crate) struct Watch {
    patience: Duration,
    json: bool,
    bar: ProgressBar,
    speed: Speed,
    /// The campaign in the last line, and when it was printed.
    shown: Option<(Value, Instant)>,
}

impl Watch {
    /// Once the server has answered, failed requests are retried for up to `patience`.
    pub(crate) fn new(patience: Duration, json: bool) -> Self {
        let terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
        let bar = if terminal && !json {
            let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {wide_msg}");
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        } else {
            ProgressBar::hidden()
        };
        Self {
            patience,
            json,
            bar,
            speed: Speed::default(),
            shown: None,
        }
    }

    /// Follows the campaign to its end. The exit code tells whether it is done.
    pub(crate) async fn run(mut self, api: &Api, id: &str) -> Result<ExitCode> {
        let path = path(id);
        let mut answered = None;
        loop {
            match api.get(&path).await {
                Ok(campaign) => {
                    answered = Some(Instant::now());
                    if let Some(code) = self.update(&campaign)? {
                        return Ok(code);
                    }
                }
                Err(error) => {
                    let may_retry = answered.is_some_and(|at| at.elapsed() < self.patience);
                    if !(may_retry && error.is_transient()) {
                        self.bar.finish_and_clear();
                        return Err(error).with_context(|| format!("watching campaign {id}"));
                    }
                    self.bar.set_message("no answer, retrying");
                }
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Shows the campaign. Returns the exit code if it has ended.
    fn update(&mut self, campaign: &Value) -> Result<Option<ExitCode>> {
        let status = text(campaign, "status");
        if is_under_way(campaign) {
            self.speed.take(campaign, Instant::now());
            return self.show(campaign).map(|()| None);
        }
        self.bar.finish_and_clear();
        if self.json {
            say(campaign)?;
        } else {
            say(format_args!("{status}: {}", self.line(campaign)))?;
        }
        if status == Status::Done.label() {
            return Ok(Some(ExitCode::SUCCESS));
        }
        if let Some(reason) = campaign["reason"].as_str() {
            complain(format_args!("{status}: {reason}"));
        }
        let id = text(campaign, "id");
        complain(format_args!("to resume it: pushcast campaigns resume {id}"));
        Ok(Some(ExitCode::FAILURE))
    }

    fn show(&mut self, campaign: &Value) -> Result<()> {
        if !self.bar.is_hidden() {
            let all = number(campaign, "subscribers");
            self.bar.set_length(all);
            self.bar.set_position(number(campaign, "scanned").min(all));
            self.bar.set_message(self.message(campaign));
            return Ok(());
        }
        if let Some((shown, at)) = &self.shown
            && (shown == campaign || at.elapsed() < LINE_INTERVAL)
        {
            return Ok(());
        }
        self.shown = Some((campaign.clone(), Instant::now()));
        if self.json {
            return say(campaign);
        }
        let status = text(campaign, "status");
        say(format_args!("{status}: {}", self.line(campaign)))
    }

    fn line(&self, campaign: &Value) -> String {
        format!("read {}; {}", read_of(campaign), self.message(campaign))
    }

    fn message(&self, campaign: &Value) -> String {
        let mut message = figures(&campaign["counts"]);
        if !is_under_way(campaign) {
            return message;
        }
        let left = number(campaign, "subscribers").saturating_sub(number(campaign, "scanned"));
        if let Some((pushed, read)) = self.speed.per_second() {
            if pushed >= 0.5 {
                message += &format!(", {pushed:.0} a second");
            }
            let seconds = if read > 0.0 { left as f64 / read } else { 0.0 };
            if let Ok(left) = Duration::try_from_secs_f64(seconds)
                && left >= Duration::from_secs(1)
            {
                message += &format!(", {} left", HumanDuration(left));
            }
        }
        if left == 0 && number(&campaign["counts"], "retrying") > 0 {
            message += ", waiting to retry";
        }
        message
    }
}

/// Speed of the campaign, from the finished pushes and read subscribers at each request.
#[derive(Default)]
struct Speed(VecDeque<(Instant, u64, u64)>);

impl Speed {
    fn take(&mut self, campaign: &Value, now: Instant) {
        let pushed = finished(&campaign["counts"]);
        self.0.push_back((now, pushed, number(campaign, "scanned")));
        while self.0.len() > 2 && now - self.0[0].0 > SPEED_WINDOW {
            self.0.pop_front();
        }
    }

    /// Finished pushes per second, and read subscribers per second.
    fn per_second(&self) -> Option<(f64, f64)> {
        let ((first, pushed, read), (last, pushed_now, read_now)) =
            (self.0.front()?, self.0.back()?);
        let seconds = (*last - *first).as_secs_f64();
        // A shorter time gives no useful speed.
        (seconds > 0.4).then(|| {
            let speed = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
            (speed(*pushed_now, *pushed), speed(*read_now, *read))
        })
    }
}
