//! Metrics as log lines in Embedded Metric Format, from which CloudWatch reads them. No metric costs an API call.
//! Without a configured namespace, nothing is written.
//!
//! | metric | dimension | means |
//! |---|---|---|
//! | `accepted`, `gone` and the other outcomes | `service` | pushes, by push service |
//! | `latency` | `service` | milliseconds from a push to its answer, with the wait for a permit |
//! | `pages`, `prunes` | none | settled pages of campaigns; removed subscribers |
//! | `campaigns` | `status` | campaigns that ended, as `done`, `halted` or `cancelled` |
//!
//! An outcome that did not occur is left out: CloudWatch charges for a metric in every hour in which it has a value.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use webpush::{Outcome, PushService};

/// Latency buckets per doubling. A recorded latency is at most 9 % off.
const BUCKETS_PER_DOUBLING: f64 = 4.0;

/// Writes metrics to its output, or nowhere.
#[derive(Clone, Default)]
pub struct Metrics(Option<Arc<Sink>>);

struct Sink {
    namespace: String,
    out: Mutex<Box<dyn Write + Send>>,
}

/// Results of one page of a campaign, or of one send request.
#[derive(Debug, Clone, Default)]
pub struct Pushes {
    services: BTreeMap<&'static str, Service>,
    prunes: u64,
}

#[derive(Debug, Clone, Default)]
struct Service {
    outcomes: BTreeMap<&'static str, u64>,
    /// Number of answers by latency bucket.
    latencies: BTreeMap<i32, u64>,
}

impl Pushes {
    /// Counts one push. `latency` is `None` when there was no exchange.
    pub fn push(&mut self, service: PushService, outcome: &Outcome, latency: Option<Duration>) {
        let service = self.services.entry(service.label()).or_default();
        *service.outcomes.entry(outcome.label()).or_default() += 1;
        if let Some(latency) = latency {
            *service.latencies.entry(bucket(latency)).or_default() += 1;
        }
    }

    /// Counts one removed subscriber.
    pub fn pruned(&mut self) {
        self.prunes += 1;
    }
}

impl Metrics {
    /// Writes to the standard output, which is the log in Lambda. Without a namespace, writes nothing.
    pub fn new(namespace: Option<String>) -> Self {
        namespace.map_or_else(Self::off, |namespace| {
            Self::to(namespace, std::io::stdout())
        })
    }

    /// Writes nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Writes to `out`.
    pub fn to(namespace: impl Into<String>, out: impl Write + Send + 'static) -> Self {
        Self(Some(Arc::new(Sink {
            namespace: namespace.into(),
            out: Mutex::new(Box::new(out)),
        })))
    }

    /// Writes the results of one page of a campaign.
    pub fn page(&self, pushes: &Pushes, now: Timestamp) {
        self.services(pushes, now);
        self.write(&[], now, |line| {
            line.count("pages", 1);
            line.prunes(pushes);
        });
    }

    /// Writes the results of one send request.
    pub fn request(&self, pushes: &Pushes, now: Timestamp) {
        self.services(pushes, now);
        if pushes.prunes > 0 {
            self.write(&[], now, |line| line.prunes(pushes));
        }
    }

    fn services(&self, pushes: &Pushes, now: Timestamp) {
        for (label, service) in &pushes.services {
            self.write(&[("service", label)], now, |line| {
                for (outcome, n) in &service.outcomes {
                    line.count(outcome, *n);
                }
                if !service.latencies.is_empty() {
                    let values: Vec<f64> = service.latencies.keys().copied().map(millis).collect();
                    let counts: Vec<u64> = service.latencies.values().copied().collect();
                    let histogram = json!({"Values": values, "Counts": counts});
                    line.put("latency", "Milliseconds", histogram);
                }
            });
        }
    }

    /// Writes that a campaign has ended with `status`.
    pub fn campaign_ended(&self, status: &str, now: Timestamp) {
        self.write(&[("status", status)], now, |line| {
            line.count("campaigns", 1);
        });
    }

    fn write(&self, dimensions: &[(&str, &str)], now: Timestamp, fill: impl FnOnce(&mut Line)) {
        let Some(sink) = &self.0 else {
            return;
        };
        let mut line = Line::default();
        fill(&mut line);
        let line = line.finish(&sink.namespace, dimensions, now);
        let mut out = sink.out.lock().unwrap_or_else(PoisonError::into_inner);
        // A failed write of a metric must not fail the push that it counts.
        drop(writeln!(out, "{line}").and_then(|()| out.flush()));
    }
}

/// One document of Embedded Metric Format.
#[derive(Debug, Default)]
struct Line {
    definitions: Vec<Value>,
    members: Map<String, Value>,
}

impl Line {
    fn count(&mut self, name: &str, n: u64) {
        self.put(name, "Count", json!(n));
    }

    fn prunes(&mut self, pushes: &Pushes) {
        if pushes.prunes > 0 {
            self.count("prunes", pushes.prunes);
        }
    }

    fn put(&mut self, name: &str, unit: &str, value: Value) {
        self.definitions.push(json!({"Name": name, "Unit": unit}));
        self.members.insert(name.to_owned(), value);
    }

    fn finish(self, namespace: &str, dimensions: &[(&str, &str)], now: Timestamp) -> Value {
        let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
        let mut document = Map::new();
        let directive = json!({
            "Namespace": namespace, "Dimensions": [names], "Metrics": self.definitions,
        });
        let head = json!({"Timestamp": now.as_millisecond(), "CloudWatchMetrics": [directive]});
        document.insert("_aws".to_owned(), head);
        for (name, value) in dimensions {
            document.insert((*name).to_owned(), json!(value));
        }
        document.extend(self.members);
        Value::Object(document)
    }
}

/// Bucket of a latency. Half a millisecond to a minute span 68 buckets, and one document may hold 100 values, so every
/// bucket fits.
fn bucket(latency: Duration) -> i32 {
    let ms = (latency.as_secs_f64() * 1000.0).clamp(0.5, 60_000.0);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the logarithm of a number between 0.5 and 60 000 is small"
    )]
    let bucket = (ms.log2() * BUCKETS_PER_DOUBLING).round() as i32;
    bucket
}

/// The latency in the middle of a bucket, in milliseconds with two decimals.
fn millis(bucket: i32) -> f64 {
    ((f64::from(bucket) / BUCKETS_PER_DOUBLING).exp2() * 100.0).round() / 100.0
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = self.0.as_ref().map(|sink| &sink.namespace);
        f.debug_tuple("Metrics").field(&namespace).finish()
    }
}
