//! Following a campaign to its end: a bar on a terminal, lines elsewhere.

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
use crate::campaign::{figures, is_under_way, number, over, path, read_of, text};
use crate::output::{complain, say};

/// Time between two requests for the campaign.
const LOOK: Duration = Duration::from_millis(500);
/// Shortest time between two lines.
const LINE: Duration = Duration::from_secs(3);
/// Time over which the speed is measured.
const WINDOW: Duration = Duration::from_secs(15);

/// One campaign, while it is watched.
pub(crate) struct Watch {
    patience: Duration,
    json: bool,
    bar: ProgressBar,
    speed: Speed,
    /// What the last line showed, and when.
    shown: Option<(Value, Instant)>,
}

impl Watch {
    /// A server that has answered once is asked again for as long as `patience`.
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

    /// Until its end: the exit code says whether it is done.
    pub(crate) async fn run(mut self, api: &Api, id: &str) -> Result<ExitCode> {
        let path = path(id);
        let mut answered = None;
        loop {
            match api.get(&path).await {
                Ok(campaign) => {
                    answered = Some(Instant::now());
                    if let Some(code) = self.look(&campaign)? {
                        return Ok(code);
                    }
                }
                Err(error) => {
                    let waits = answered.is_some_and(|at| at.elapsed() < self.patience);
                    if !(waits && error.may_pass()) {
                        self.bar.finish_and_clear();
                        return Err(error).with_context(|| format!("watching campaign {id}"));
                    }
                    self.bar.set_message("no answer: asking again");
                }
            }
            sleep(LOOK).await;
        }
    }

    /// Shows the campaign; the exit code, if it has ended.
    fn look(&mut self, campaign: &Value) -> Result<Option<ExitCode>> {
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
        complain(format_args!(
            "to go on with it: pushcast campaigns resume {id}"
        ));
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
            && (shown == campaign || at.elapsed() < LINE)
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
        if let Some((pushed, read)) = self.speed.a_second() {
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
            message += ", waiting to try those again";
        }
        message
    }
}

/// Speed of the campaign: what was over at each look.
#[derive(Default)]
struct Speed(VecDeque<(Instant, u64, u64)>);

impl Speed {
    fn take(&mut self, campaign: &Value, now: Instant) {
        let pushed = over(&campaign["counts"]);
        self.0.push_back((now, pushed, number(campaign, "scanned")));
        while self.0.len() > 2 && now - self.0[0].0 > WINDOW {
            self.0.pop_front();
        }
    }

    /// Pushes that are over, and subscribers that were read, each a second.
    fn a_second(&self) -> Option<(f64, f64)> {
        let ((first, pushed, read), (last, pushed_now, read_now)) =
            (self.0.front()?, self.0.back()?);
        let seconds = (*last - *first).as_secs_f64();
        // A shorter time says nothing yet.
        (seconds > 0.4).then(|| {
            let of = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
            (of(*pushed_now, *pushed), of(*read_now, *read))
        })
    }
}
