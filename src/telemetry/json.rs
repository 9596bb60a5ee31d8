//! One line of the log as one flat JSON object: the members of the line, and those of the spans that it stands in, so
//! that a line names the request (`requestId`) and the campaign it belongs to.

use std::error::Error;
use std::fmt;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes lines as Lambda's own are: `level`, `message`, and what else there is.
#[derive(Debug)]
pub(super) struct FlatJson;

impl<S> FormatEvent<S, JsonFields> for FlatJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        let level = event.metadata().level().as_str();
        line.insert("level".to_owned(), json!(level));
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            // The innermost comes first, and wins.
            for (name, value) in members(fields.map_or("", |fields| fields.as_str())) {
                line.entry(name).or_insert(value);
            }
        }
        let mut own = Members(&mut line);
        event.record(&mut own);
        line.insert("target".to_owned(), json!(event.metadata().target()));
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// What a line itself says. An error brings its causes: what AWS has answered is the last of them.
struct Members<'a>(&'a mut Map<String, Value>);

impl Members<'_> {
    fn insert(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Members<'_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value.into());
    }

    fn record_error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
        let chain = std::iter::successors(Some(error), |&error| error.source());
        let mut said: Vec<String> = chain.map(ToString::to_string).collect();
        // The SDK's errors say what their causes say.
        said.dedup();
        self.insert(field, said.join(": ").into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}").into());
    }
}

fn members(json: &str) -> Map<String, Value> {
    serde_json::from_str(json).unwrap_or_default()
}
