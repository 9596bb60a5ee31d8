//! The README and docs/deploy.md say what the template and the tools say.

use std::path::Path;
use std::process::Command;

use crate::support::template::Template;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

const README: &str = include_str!("../README.md");

/// All that is said on deploying.
fn pages() -> String {
    let section = README.split("\n## ").find(|it| it.starts_with("Deploy\n"));
    let section = section.expect("a section");
    format!("{section}\n{}", include_str!("../docs/deploy.md"))
}

#[test]
#[ignore = "needs Python: tests/run"]
fn the_table_of_costs_is_what_the_command_prints() {
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
fn parameters_and_outputs_that_the_pages_name_are_the_template_s() {
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
        ];
        assert!(
            known.contains(name) || elsewhere.contains(&name),
            "{name} is not in the template"
        );
    }
}
