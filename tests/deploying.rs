//! The README, docs/deploy.md and docs/operations.md agree with the template and the tools. Files that the template
//! names exist.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use pushcast::campaign::Status;
use pushcast::telemetry::metrics::{Metrics, Pushes};
use serde_json::Value;
use webpush::PushService;

use crate::support::aws::template::{FUNCTIONS, Template};
use crate::support::metrics_log::{Log, OUTCOMES};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

const README: &str = include_str!("../README.md");
const DEPLOY: &str = include_str!("../docs/deploy.md");
const OPERATIONS: &str = include_str!("../docs/operations.md");
/// Both ways to configure the key of earlier subscriptions.
const OLDER: [(&str, &str); 2] = [
    (
        "OlderVapidKey",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:push/old-key-AbCdEf",
    ),
    (
        "OlderKmsKey",
        "arn:aws:kms:eu-west-1:123456789012:key/older",
    ),
];

/// The text of all pages about deploying.
fn pages() -> String {
    let section = README.split("\n## ").find(|it| it.starts_with("Deploy\n"));
    let section = section.expect("a section");
    format!("{section}\n{DEPLOY}\n{OPERATIONS}")
}

#[test]
#[ignore = "needs Python: tests/run"]
fn the_table_of_costs_equals_the_output_of_its_command() {
    let output = Command::new("python3")
        .arg(root().join("tests/template/cost.py"))
        .output();
    let output = output.expect("Python");
    let table = String::from_utf8(output.stdout).expect("text");
    assert!(!table.trim().is_empty());
    assert!(
        README.contains(table.trim()),
        "the README does not say:\n{table}"
    );
}

#[test]
fn the_template_has_every_parameter_and_output_that_the_pages_name() {
    let template = Template::read(&[]);
    let (pages, known) = (pages(), template.names());
    let words = pages.split('`').skip(1).step_by(2);
    let named: Vec<&str> = words
        .flat_map(|code| code.split(['=', ' ']))
        .filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase()))
        .filter(|word| word.chars().all(|c| c.is_ascii_alphanumeric()))
        .filter(|word| word.contains(|c: char| c.is_ascii_lowercase()))
        .collect();
    for wanted in [
        "Contact",
        "SiteOrigins",
        "OlderVapidKey",
        "AlarmEmail",
        "ApiUrl",
        "ReadToken",
    ] {
        assert!(pages.contains(wanted), "{wanted}");
    }
    for name in named {
        let elsewhere = [
            "Authorization",
            "SecureString",
            "Bearer",
            "DefaultRouteSettings",
            "VapidKey",
        ];
        assert!(
            known.contains(name) || elsewhere.contains(&name),
            "{name} is not in the template"
        );
    }
}

#[test]
fn the_table_of_parameters_lists_each_parameter_with_its_default() {
    let section = DEPLOY
        .split("\n## ")
        .find(|it| it.starts_with("Parameters\n"));
    let rows = section
        .expect("a section")
        .lines()
        .filter(|line| line.starts_with("| `"));
    let said: BTreeSet<(String, String)> = rows
        .map(|row| {
            let cells: Vec<&str> = row
                .split('|')
                .map(|cell| cell.trim().trim_matches('`'))
                .collect();
            assert!(cells.len() == 5 && !cells[3].is_empty(), "{row}");
            (cells[1].to_owned(), cells[2].to_owned())
        })
        .collect();
    let defaults = Template::read(&[]).defaults().into_iter();
    let parameters = defaults.map(|(name, default)| {
        let default = match default {
            None => "required".to_owned(),
            Some(default) if default.is_empty() => "empty".to_owned(),
            Some(default) => default,
        };
        (name, default)
    });
    assert_eq!(said, parameters.collect());
}

/// Runs the README's block that sets the variables, with an AWS CLI that knows the stack's outputs.
#[test]
fn the_block_that_reads_the_outputs_can_be_pasted() {
    let block = README
        .split("```bash\n")
        .find(|it| it.starts_with("output() {"));
    let block = block
        .and_then(|rest| rest.split("```").next())
        .expect("a block");
    let template = Template::read(&[]);
    let mut aws = String::from("#!/bin/sh\ncase \"$*\" in\n");
    for output in ["ApiUrl", "ReadToken", "ReadUserSecret"] {
        let value = template.output(output).replace('\'', r"'\''");
        aws += &format!("*\"OutputKey=='{output}'\"*) echo '{value}';;\n");
    }
    for secret in ["ApiToken", "UserSecret"] {
        aws += &format!(
            "*get-secret-value*\"--secret-id {secret} \"*) echo '{{\"value\":\"the {secret}\"}}';;\n"
        );
    }
    aws += "*) exit 1;;\nesac\n";
    let folder = tempfile::tempdir().expect("a folder");
    for (name, script) in [("aws", &aws[..]), ("curl", "#!/bin/sh\necho \"$1\"\n")] {
        let path = folder.path().join(name);
        std::fs::write(&path, script).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .expect("it is ours");
    }
    let path = std::env::var("PATH").expect("a path");
    let said = Command::new("sh")
        .args([
            "-euc",
            &format!("{block}\necho \"$PUSHCAST_TOKEN, $PUSHCAST_USER_SECRET\""),
        ])
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .output()
        .expect("sh runs");
    let url = template.output("ApiUrl");
    assert_eq!(
        String::from_utf8_lossy(&said.stdout),
        format!("{url}/push/key\nthe ApiToken, the UserSecret\n"),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
}

/// The keys of a function, and what its role may do with each. The current key is first.
#[test]
fn every_function_with_the_stack_s_key_may_also_use_the_older_key() {
    let [secret, kms] = OLDER;
    for (given, keys) in [
        (&[][..], "kms:VapidKey".to_owned()),
        (
            &[secret],
            format!("kms:VapidKey,secretsmanager:{}", secret.1),
        ),
        (&[kms], format!("kms:VapidKey,kms:{}", kms.1)),
        (
            &OLDER,
            format!("kms:VapidKey,secretsmanager:{},kms:{}", secret.1, kms.1),
        ),
    ] {
        let template = Template::read(given);
        for function in FUNCTIONS {
            let environment = template.environment(function);
            let variable = environment
                .iter()
                .find(|(name, _)| name == "PUSHCAST_VAPID_KEYS");
            let wanted = (function != "broadcast").then_some(&keys);
            assert_eq!(variable.map(|(_, value)| value), wanted, "{function}");
            let rights = template.rights(function);
            let on = |resource: &str| -> BTreeSet<_> {
                let on = rights.iter().filter(|(_, it)| it == resource);
                on.map(|(action, _)| action.clone()).collect()
            };
            let own = if given.contains(&kms) {
                on("VapidKey")
            } else {
                BTreeSet::new()
            };
            assert_eq!(on(kms.1), own, "{function}");
            let read = usize::from(given.contains(&secret) && function != "broadcast");
            assert_eq!(on(secret.1).len(), read, "{function}");
            let rights = rights
                .iter()
                .filter(|(action, _)| action.starts_with("kms:"));
            assert!(
                rights
                    .clone()
                    .all(|(_, it)| it == "VapidKey" || it == kms.1)
            );
        }
    }
}

#[test]
fn every_place_for_an_arn_holds_an_arn() {
    for given in [&[][..], &OLDER] {
        let mistaken = Template::read(given).mistaken_for_arns();
        assert!(mistaken.is_empty(), "{mistaken:#?}");
    }
    for (right, wrong) in [
        (
            "Action: 'sqs:SendMessage', Resource: !GetAtt Jobs.Arn",
            "Action: 'sqs:SendMessage', Resource: !Ref Jobs",
        ),
        ("Resource: !GetAtt Ledger.Arn", "Resource: !Ref Ledger"),
        ("${Subscriptions.Arn}/index", "${Subscriptions}/index"),
        (
            "PUSHCAST_SCHEDULE_ROLE: !GetAtt ScheduleRole.Arn",
            "PUSHCAST_SCHEDULE_ROLE: !Ref ScheduleRole",
        ),
        (
            "PUSHCAST_BROADCAST_ARN: !GetAtt Broadcast.Arn",
            "PUSHCAST_BROADCAST_ARN: !Ref Broadcast",
        ),
        (
            "PUSHCAST_QUEUE_URL: !Ref Jobs",
            "PUSHCAST_QUEUE_URL: !GetAtt Jobs.Arn",
        ),
        (
            "PUSHCAST_LEDGER_TABLE: !Ref Ledger",
            "PUSHCAST_LEDGER_TABLE: !GetAtt Ledger.Arn",
        ),
    ] {
        let mistaken = Template::seeded(&OLDER, right, wrong).mistaken_for_arns();
        assert!(!mistaken.is_empty(), "{wrong} is not noticed");
    }
}

#[test]
fn alarms_and_dashboard_read_metrics_that_the_program_writes() {
    let written = metrics_written();
    let looked_at =
        metrics_looked_at(&Template::read(&[])).expect("a namespace that is written to");
    let unknown: Vec<_> = looked_at.difference(&written).collect();
    assert!(unknown.is_empty(), "{unknown:?} are not among {written:?}");
    assert!(looked_at.len() >= 5, "{looked_at:?}");

    for (old, new) in [
        ("MetricName: campaigns", "MetricName: campaign"),
        (
            "{Name: status, Value: halted}",
            "{Name: state, Value: halted}",
        ),
        (
            "{Name: status, Value: halted}",
            "{Name: status, Value: stopped}",
        ),
        ("Namespace: !Sub 'pushcast/", "Namespace: !Sub 'push/"),
        (
            r#"MetricName=\"accepted\"', 'Sum'"#,
            r#"MetricName=\"accept\"', 'Sum'"#,
        ),
        (
            r#"NOT MetricName=\"latency\""#,
            r#"NOT MetricName=\"latencies\""#,
        ),
        (
            r#",service} MetricName=\"latency\"', 'p99'"#,
            r#",origin} MetricName=\"latency\"', 'p99'"#,
        ),
        (r#"[".", "prunes"]"#, r#"[".", "pruned"]"#),
        (
            r#"["pushcast/${AWS::StackName}", "pages"]"#,
            r#"["push/${AWS::StackName}", "pages"]"#,
        ),
    ] {
        let looked_at = metrics_looked_at(&Template::seeded(&[], old, new));
        let fine = looked_at.is_ok_and(|it| it.is_subset(&written));
        assert!(!fine, "{new} is not noticed");
    }
}

#[test]
fn the_table_of_costs_counts_every_metric_of_an_alarm() {
    let template = Template::read(&[]);
    let alarms = template.of_type("AWS::CloudWatch::Alarm");
    let metrics = alarms
        .iter()
        .map(|alarm| metrics_of(template.properties(alarm)).len());
    let line = format!("\nALARM_METRICS = {}\n", metrics.sum::<usize>());
    assert!(include_str!("template/cost.py").contains(&line), "{line}");
}

/// Every metric that is written, with its dimensions: by name, `latency service`, and by value, `campaigns
/// status=halted`.
fn metrics_written() -> BTreeSet<String> {
    let (log, now) = (Log::default(), Timestamp::UNIX_EPOCH);
    let metrics = Metrics::to("n", log.clone());
    let mut pushes = Pushes::default();
    for outcome in OUTCOMES {
        pushes.push(PushService::Fcm, &outcome, Some(Duration::from_millis(1)));
    }
    pushes.pruned();
    metrics.page(&pushes, now);
    for status in Status::ALL.iter().filter(|status| !status.is_under_way()) {
        metrics.campaign_ended(status.label(), now);
    }
    let mut written = BTreeSet::new();
    for line in log.lines() {
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        let dimensions = directive["Dimensions"][0].as_array().expect("names");
        let (mut names, mut values) = (String::new(), String::new());
        for name in dimensions.iter().filter_map(Value::as_str) {
            names += &format!(" {name}");
            values += &format!(" {name}={}", line[name].as_str().expect("text"));
        }
        for metric in directive["Metrics"].as_array().expect("metrics") {
            let metric = metric["Name"].as_str().expect("a name");
            written.extend([format!("{metric}{names}"), format!("{metric}{values}")]);
        }
    }
    written
}

/// An alarm's metrics: one, or several combined by an expression.
fn metrics_of(alarm: &yaml_serde::Value) -> Vec<&yaml_serde::Value> {
    match alarm["Metrics"].as_sequence() {
        Some(metrics) => {
            let metrics = metrics.iter().map(|metric| &metric["MetricStat"]["Metric"]);
            metrics.filter(|metric| metric.is_mapping()).collect()
        }
        None => vec![alarm],
    }
}

/// Our metrics that alarms and the dashboard read, in the same form. An error names an unknown namespace.
fn metrics_looked_at(template: &Template) -> Result<BTreeSet<String>, String> {
    let namespace = namespace(template);
    let ours = |name: &str| match name {
        name if name == namespace => Ok(true),
        name if name.starts_with("AWS/") => Ok(false),
        name => Err(name.to_owned()),
    };
    let mut found = BTreeSet::new();
    for alarm in template.of_type("AWS::CloudWatch::Alarm") {
        for metric in metrics_of(template.properties(&alarm)) {
            let part = |of: &yaml_serde::Value, name: &str| template.text(&of[name]).expect("text");
            if ours(&part(metric, "Namespace"))? {
                let dimensions = metric["Dimensions"].as_sequence().into_iter().flatten();
                let dimensions =
                    dimensions.map(|it| format!(" {}={}", part(it, "Name"), part(it, "Value")));
                found.insert(part(metric, "MetricName") + &dimensions.collect::<String>());
            }
        }
    }
    let body = template.text(&template.properties("Dashboard")["DashboardBody"]);
    let body: Value = serde_json::from_str(&body.expect("text")).expect("JSON");
    for widget in body["widgets"].as_array().expect("widgets") {
        let mut above = "";
        for row in widget["properties"]["metrics"].as_array().expect("rows") {
            // SEARCH('{"namespace",dimension} MetricName="name" NOT MetricName="name"', ..): excluded metrics must
            // exist, too.
            if let Some(search) = row[0]["expression"].as_str() {
                let quoted: Vec<&str> = search.split('"').collect();
                if ours(quoted[1])? {
                    let dimension = quoted[2]
                        .trim_start_matches(',')
                        .split('}')
                        .next()
                        .expect("a schema");
                    let names = quoted[3..].iter().step_by(2);
                    found.extend(names.map(|name| format!("{name} {dimension}")));
                }
                continue;
            }
            // ["namespace", "name", "dimension", "value"]. "." repeats the value above, "..." all but the last.
            let words: Vec<&str> = row
                .as_array()
                .expect("a row")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            if words[0] != "." && words[0] != "..." {
                above = words[0];
            }
            if ours(above)? {
                let dimensions = words[2..].chunks(2).map(|it| format!(" {}", it.join("=")));
                found.insert(words[1].to_owned() + &dimensions.collect::<String>());
            }
        }
    }
    Ok(found)
}

/// The namespace that the functions write to.
fn namespace(template: &Template) -> String {
    let environments = FUNCTIONS
        .iter()
        .flat_map(|function| template.environment(function));
    let namespaces = environments.filter(|(name, _)| name == "PUSHCAST_METRICS_NAMESPACE");
    let namespaces: BTreeSet<String> = namespaces.map(|(_, value)| value).collect();
    assert_eq!(namespaces.len(), 1, "{namespaces:?}");
    namespaces.into_iter().next().expect("one")
}
