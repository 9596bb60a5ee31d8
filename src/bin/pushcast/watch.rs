//! Following a campaign to its end: a bar on a terminal, lines elsewhere.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::api::Api;
use crate::campaigns::path;
use crate::output::{complain, say};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Between two lines, at least.
const LINE: Duration = Duration::from_secs(3);
/// Over which time the pace is taken.
const WINDOW: Duration = Duration::from_secs(15);

/// Of the people of an audience, in the order in which they are shown.
const COUNTS: [&str; 7] = [
    "accepted",
    "gone",
    "mismatched",
    "too_large",
    "refused",
    "failed",
    "retrying",
];

/// One campaign, while it is watched.
pub(crate) struct Watch {
    patience: Duration,
    json: bool,
    bar: ProgressBar,
    pace: Pace,
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
            pace: Pace::default(),
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
        if matches!(status, "planned" | "running") {
            self.pace.take(campaign, Instant::now());
            return self.show(campaign).map(|()| None);
        }
        self.bar.finish_and_clear();
        if self.json {
            say(campaign)?;
        } else {
            say(format_args!("{status}: {}", self.line(campaign)))?;
        }
        if status == "done" {
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
        if !matches!(text(campaign, "status"), "planned" | "running") {
            return message;
        }
        let left = number(campaign, "subscribers").saturating_sub(number(campaign, "scanned"));
        if let Some((pushed, read)) = self.pace.a_second() {
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

/// How fast it goes.
#[derive(Default)]
struct Pace(VecDeque<(Instant, u64, u64)>);

impl Pace {
    fn take(&mut self, campaign: &Value, now: Instant) {
        let counts = &campaign["counts"];
        let pushed = COUNTS.iter().map(|name| number(counts, name)).sum::<u64>()
            - number(counts, "retrying");
        self.0.push_back((now, pushed, number(campaign, "scanned")));
        while self.0.len() > 2 && now - self.0[0].0 > WINDOW {
            self.0.pop_front();
        }
    }

    /// Messages that are over, and subscribers that were read.
    fn a_second(&self) -> Option<(f64, f64)> {
        let ((first, pushed, read), (last, pushed_now, read_now)) =
            (self.0.front()?, self.0.back()?);
        let seconds = (*last - *first).as_secs_f64();
        // What is less says nothing yet.
        (seconds > 0.4).then(|| {
            let of = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
            (of(*pushed_now, *pushed), of(*read_now, *read))
        })
    }
}

/// `accepted 9,120, gone 31`: the counts that are not 0.
pub(crate) fn figures(counts: &Value) -> String {
    let counted: Vec<_> = COUNTS
        .iter()
        .map(|name| (name, number(counts, name)))
        .filter(|(_, n)| *n > 0)
        .map(|(name, n)| format!("{} {}", name.replace('_', " "), HumanCount(n)))
        .collect();
    if counted.is_empty() {
        return "nobody pushed to".to_owned();
    }
    counted.join(", ")
}

/// `15,500 of 20,011`.
pub(crate) fn read_of(campaign: &Value) -> String {
    let [scanned, subscribers] = ["scanned", "subscribers"].map(|name| number(campaign, name));
    format!("{} of {}", HumanCount(scanned), HumanCount(subscribers))
}

/// A member's text.
pub(crate) fn text<'a>(campaign: &'a Value, name: &str) -> &'a str {
    campaign[name].as_str().unwrap_or_default()
}

fn number(of: &Value, name: &str) -> u64 {
    of[name].as_u64().unwrap_or_default()
}
