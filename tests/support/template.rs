//! `template.yaml`, read: what CloudFormation would make of it, with logical names in the place of ARNs and ids, so that
//! a test can give a function the environment that the template gives it, and hold its calls to its role.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_norway::Value;

/// The functions, in the order of the flow.
pub(crate) const FUNCTIONS: [&str; 4] = ["subscribe", "send", "broadcast", "deliver"];

/// The template, with values for its parameters.
pub(crate) struct Template {
    root: Value,
    parameters: BTreeMap<String, String>,
}

/// A right: an action on a resource.
pub(crate) type Right = (String, String);

impl Template {
    /// Reads it; `given` are the parameters that a user gives.
    pub(crate) fn read(given: &[(&str, &str)]) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("template.yaml");
        let text = std::fs::read_to_string(path).expect("it is there");
        let root: Value = serde_norway::from_str(&text).expect("it is YAML");
        let mut parameters = BTreeMap::new();
        for (name, parameter) in root["Parameters"].as_mapping().expect("parameters") {
            let default = &parameter["Default"];
            let number = default.as_i64().map(|number| number.to_string());
            let text = default.as_str().map(str::to_owned);
            let default = text.or(number).unwrap_or_default();
            parameters.insert(name.as_str().expect("a name").to_owned(), default);
        }
        for (name, value) in given {
            parameters.insert((*name).to_owned(), (*value).to_owned());
        }
        Self { root, parameters }
    }

    /// Logical names of the resources of a type.
    pub(crate) fn of_type(&self, kind: &str) -> BTreeSet<String> {
        let resources = self.root["Resources"].as_mapping().expect("resources");
        let of_type = resources
            .iter()
            .filter(|(_, resource)| resource["Type"] == kind);
        let names = of_type.map(|(name, _)| name.as_str().expect("a name").to_owned());
        names.collect()
    }

    /// Names of parameters and outputs.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let of = |section: &str| self.root[section].as_mapping().expect("a section").keys();
        let names = of("Parameters").chain(of("Outputs"));
        names
            .map(|name| name.as_str().expect("a name").to_owned())
            .collect()
    }

    /// A resource's properties.
    pub(crate) fn properties(&self, name: &str) -> &Value {
        &self.root["Resources"][name]["Properties"]
    }

    /// The binary that a function is built from.
    pub(crate) fn binary(&self, name: &str) -> &str {
        let metadata = &self.root["Resources"][name]["Metadata"];
        metadata["BuildProperties"]["Binary"]
            .as_str()
            .unwrap_or_default()
    }

    /// A function's environment.
    pub(crate) fn environment(&self, function: &str) -> Vec<(String, String)> {
        let variables = &self.properties(&logical(function))["Environment"]["Variables"];
        let variables = variables.as_mapping().expect("variables");
        let variable = |(name, value): (&Value, &Value)| {
            let value = self.text(value).expect("a value");
            (name.as_str().expect("a name").to_owned(), value)
        };
        variables.iter().map(variable).collect()
    }

    /// What a function's role grants.
    pub(crate) fn rights(&self, function: &str) -> BTreeSet<Right> {
        let role = self.properties(&format!("{}Role", logical(function)));
        let mut rights = BTreeSet::new();
        for policy in role["Policies"].as_sequence().expect("policies") {
            let statements = &policy["PolicyDocument"]["Statement"];
            for statement in statements.as_sequence().expect("statements") {
                let Some(statement) = self.chosen(statement) else {
                    continue;
                };
                assert_eq!(statement["Effect"], "Allow");
                let action = statement["Action"].as_str().expect("one action").to_owned();
                let resource = self.text(&statement["Resource"]).expect("one resource");
                rights.insert((action, named(&resource)));
            }
        }
        rights
    }

    /// `POST /push/send` and the others that a function answers.
    pub(crate) fn routes(&self, function: &str) -> BTreeSet<String> {
        let events = &self.properties(&logical(function))["Events"];
        let events = events.as_mapping().expect("events");
        let http = events
            .iter()
            .filter(|(_, event)| event["Type"] == "HttpApi");
        let route = |(_, event): (_, &Value)| {
            let part = |name: &str| event["Properties"][name].as_str().expect("text").to_owned();
            format!("{} {}", part("Method"), part("Path"))
        };
        http.map(route).collect()
    }

    /// What `!If` chooses; nothing for `AWS::NoValue`.
    fn chosen<'a>(&'a self, value: &'a Value) -> Option<&'a Value> {
        let Value::Tagged(tagged) = value else {
            return Some(value);
        };
        if tagged.tag == "If" {
            let condition = tagged.value[0].as_str().expect("a condition");
            let chosen = &tagged.value[if self.holds(condition) { 1 } else { 2 }];
            return self.chosen(chosen);
        }
        (tagged.value != "AWS::NoValue").then_some(value)
    }

    /// Conditions are all of one kind: a parameter is given.
    fn holds(&self, condition: &str) -> bool {
        let parameter = condition.strip_prefix("Has").expect("Has<parameter>");
        let value = self.parameters.get(parameter).expect("a parameter");
        !value.is_empty()
    }

    fn text(&self, value: &Value) -> Option<String> {
        let value = self.chosen(value)?;
        if let Value::Tagged(tagged) = value {
            let text = tagged.value.as_str().expect("text");
            return Some(match tagged.tag.to_string().trim_start_matches('!') {
                "Ref" => self.reference(text),
                "GetAtt" => text.split('.').next().unwrap_or_default().to_owned(),
                "Sub" => self.substituted(text),
                other => panic!("!{other} is not read"),
            });
        }
        value.as_str().map(str::to_owned)
    }

    fn reference(&self, name: &str) -> String {
        let pseudo = match name {
            "AWS::Partition" => Some("aws"),
            "AWS::Region" => Some("eu-west-1"),
            "AWS::AccountId" => Some("123456789012"),
            "AWS::StackName" => Some("pushcast"),
            _ => None,
        };
        let value = pseudo.or_else(|| self.parameters.get(name).map(String::as_str));
        let logical = name.split('.').next().unwrap_or_default();
        value.unwrap_or(logical).to_owned()
    }

    fn substituted(&self, text: &str) -> String {
        let mut parts = text.split("${");
        let mut whole = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').expect("it is closed");
            whole += &self.reference(name);
            whole += rest;
        }
        whole
    }
}

/// The logical name of a function.
pub(crate) fn logical(function: &str) -> String {
    let (first, rest) = function.split_at(1);
    first.to_uppercase() + rest
}

/// What an ARN names, as a call would name it.
fn named(resource: &str) -> String {
    for head in [":event-bus/", ":parameter", ":schedule/"] {
        if let Some((_, name)) = resource.split_once(head) {
            return name.to_owned();
        }
    }
    resource.to_owned()
}
