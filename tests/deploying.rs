//! docs/deploy.md says what the template and the tools say.

use std::path::Path;
use std::process::Command;

use crate::support::template::Template;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/deploy.md")).expect("it is there")
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
        page().contains(table.trim()),
        "docs/deploy.md does not say:\n{table}"
    );
}

#[test]
fn parameters_and_outputs_that_the_page_names_are_the_template_s() {
    let template = Template::read(&[]);
    let (page, known) = (page(), template.names());
    let words = page.split('`').skip(1).step_by(2);
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
        assert!(page.contains(wanted), "{wanted}");
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
