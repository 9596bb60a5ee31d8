//! Each function has one name in five places: a binary, a module, payloads, a test and a resource of the template.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::aws::lambda_stack::{event, text};
use crate::support::aws::template::{FUNCTIONS, Template, logical};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn stems(folder: &str) -> BTreeSet<String> {
    let files = std::fs::read_dir(root().join(folder)).expect("a folder");
    let paths = files.map(|file| file.expect("a file").path());
    let stem = |path: PathBuf| path.file_stem().expect("a name").display().to_string();
    paths.map(stem).collect()
}

fn words() -> BTreeSet<String> {
    FUNCTIONS.map(str::to_owned).into()
}

#[test]
fn functions_binaries_modules_payloads_and_tests_use_the_same_words() {
    let template = Template::read(&[]);
    let functions = template.of_type("AWS::Serverless::Function");
    assert_eq!(functions, FUNCTIONS.map(logical).into());
    for function in FUNCTIONS {
        assert_eq!(template.binary(&logical(function)), function);
    }

    let mut binaries = stems("src/bin");
    assert!(binaries.remove("pushcast"), "the program beside them");
    assert_eq!(binaries, words());

    // The modules of functions that answer requests are in `src/http`.
    for folders in [&["src", "src/http"][..], &["tests"]] {
        let stems: BTreeSet<_> = folders.iter().flat_map(|folder| stems(folder)).collect();
        let files: BTreeSet<_> = stems.intersection(&words()).cloned().collect();
        assert_eq!(files, words(), "{folders:?}");
    }

    let payloads = stems("events");
    assert!(payloads.is_superset(&words()), "{payloads:?}");
    for payload in &payloads {
        assert!(
            words().iter().any(|word| payload.contains(word)),
            "{payload}"
        );
    }

    let read = |test: &str| std::fs::read_to_string(root().join(test)).expect("a test");
    let mut tests = read("tests/functions.rs") + &read("tests/support/aws/lambda_stack.rs");
    tests.retain(|c| !c.is_whitespace());
    for payload in &payloads {
        let fed = ["event", "event_with", "request"].map(|by| format!("{by}(\"{payload}\""));
        assert!(
            fed.iter().any(|call| tests.contains(call)),
            "no test feeds {payload} to a function"
        );
    }
}

#[test]
fn a_binary_only_reads_configuration_makes_clients_and_runs() {
    for function in FUNCTIONS {
        let path = root().join(format!("src/bin/{function}.rs"));
        let lines = std::fs::read_to_string(path)
            .expect("it is there")
            .lines()
            .count();
        assert!(lines <= 25, "src/bin/{function}.rs has {lines} lines");
    }
}

/// The gateway does not hand a function any request for a path that the template does not list.
#[test]
fn the_gateway_knows_every_path_that_the_api_describes() {
    let text = std::fs::read_to_string(root().join("openapi.yaml")).expect("it is there");
    let document: serde_json::Value = yaml_serde::from_str(&text).expect("it is YAML");
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in ["get", "post", "put", "delete"] {
            if item[method].is_object() {
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    let template = Template::read(&[]);
    let routes = FUNCTIONS
        .iter()
        .flat_map(|function| template.routes(function));
    let routes: BTreeSet<_> = routes.collect();
    let unknown: Vec<_> = described.difference(&routes).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_payloads_have_the_form_that_aws_sends() {
    for name in ["subscribe", "unsubscribe", "send"] {
        let event = event(name);
        assert_eq!(event["version"], "2.0");
        let body = text(&event);
        let length = event["headers"]["content-length"].as_str();
        assert_eq!(length, Some(&body.len().to_string()[..]), "{name}");
        let template = Template::read(&[]);
        let routes = FUNCTIONS
            .iter()
            .flat_map(|function| template.routes(function));
        let route = event["routeKey"].as_str().expect("a route");
        assert!(routes.into_iter().any(|known| known == route), "{route}");
    }
    let (scheduled, template) = (event("broadcast-schedule"), Template::read(&[]));
    let input = template.properties("ExampleSchedule")["Target"]["Input"].as_str();
    let input: serde_json::Value = serde_json::from_str(input.expect("text")).expect("JSON");
    let members = |json: &serde_json::Value| {
        json.as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(members(&scheduled), members(&input));
}
