//! One line of the log as one flat JSON object: the members of the line, and those of the spans that it stands in, so
//! that a line names the request (`requestId`) and the campaign it belongs to.

use std::fmt;

use serde_json::{Map, Value, json};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
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
        let mut own = String::new();
        write_fields(context, Writer::new(&mut own), event)?;
        line.extend(members(&own));
        line.insert("target".to_owned(), json!(event.metadata().target()));
        writeln!(writer, "{}", Value::Object(line))
    }
}

fn write_fields<S>(
    context: &FmtContext<'_, S, JsonFields>,
    writer: Writer<'_>,
    fields: impl RecordFields,
) -> fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    context.field_format().format_fields(writer, fields)
}

fn members(json: &str) -> Map<String, Value> {
    serde_json::from_str(json).unwrap_or_default()
}
