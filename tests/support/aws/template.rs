//! Evaluates `template.yaml` as CloudFormation does, with logical names in place of ARNs and ids. A test can then give
//! a function the template's environment and compare its calls with its role.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use yaml_serde::Value;

/// The functions in the order of the flow.
pub(crate) const FUNCTIONS: [&str; 4] = ["subscribe", "send", "broadcast", "deliver"];

/// The template with parameter values.
pub(crate) struct Template {
    root: Value,
    parameters: BTreeMap<String, String>,
}

/// An action and a resource.
pub(crate) type Right = (String, String);

impl Template {
    /// Reads the template. `given` are the operator's parameters.
    pub(crate) fn read(given: &[(&str, &str)]) -> Self {
        Self::parse(&text(), given)
    }

    /// The template with `old` replaced by `new`. Tests use it to show what a check would find.
    pub(crate) fn seeded(given: &[(&str, &str)], old: &str, new: &str) -> Self {
        let text = text();
        assert!(text.contains(old), "{old} is no longer in the template");
        Self::parse(&text.replace(old, new), given)
    }

    fn parse(text: &str, given: &[(&str, &str)]) -> Self {
        let root: Value = yaml_serde::from_str(text).expect("it is YAML");
        let mut template = Self {
            root,
            parameters: BTreeMap::new(),
        };
        for (name, default) in template.defaults() {
            let given = given.iter().find(|(given, _)| *given == name);
            let value = given.map_or(default.unwrap_or_default(), |(_, it)| (*it).to_owned());
            template.parameters.insert(name, value);
        }
        template
    }

    /// Each parameter with its default.
    pub(crate) fn defaults(&self) -> BTreeMap<String, Option<String>> {
        let parameters = self.root["Parameters"].as_mapping().expect("parameters");
        let default = |(name, parameter): (&Value, &Value)| {
            let default = &parameter["Default"];
            let number = default.as_i64().map(|number| number.to_string());
            let text = default.as_str().map(str::to_owned);
            (name.as_str().expect("a name").to_owned(), text.or(number))
        };
        parameters.iter().map(default).collect()
    }

    pub(crate) fn output(&self, name: &str) -> String {
        let value = &self.root["Outputs"][name]["Value"];
        self.text(value).expect("a value")
    }

    /// Logical names of the resources of one type.
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

    pub(crate) fn environment(&self, function: &str) -> Vec<(String, String)> {
        let variables = &self.properties(&logical(function))["Environment"]["Variables"];
        let variables = variables.as_mapping().expect("variables");
        let variable = |(name, value): (&Value, &Value)| {
            let value = self.text(value).expect("a value");
            (name.as_str().expect("a name").to_owned(), value)
        };
        variables.iter().map(variable).collect()
    }

    /// The rights that a function's role grants.
    pub(crate) fn rights(&self, function: &str) -> BTreeSet<Right> {
        let role = self.properties(&format!("{}Role", logical(function)));
        let mut rights = BTreeSet::new();
        for statement in self.statements(role) {
            assert_eq!(statement["Effect"], "Allow");
            let action = statement["Action"].as_str().expect("one action").to_owned();
            let resource = self.text(&statement["Resource"]).expect("one resource");
            rights.insert((action, named(&resource)));
        }
        rights
    }

    fn statements<'a>(&'a self, role: &'a Value) -> Vec<&'a Value> {
        let policies = role["Policies"].as_sequence().expect("policies").iter();
        let statements = policies.flat_map(|policy| {
            let statements = &policy["PolicyDocument"]["Statement"];
            statements.as_sequence().expect("statements")
        });
        statements.filter_map(|it| self.chosen(it)).collect()
    }

    /// Values that are ARNs where something else is needed, such as a queue's URL, and the other way round. Every
    /// role's resource must be an ARN; a function's variable must be one exactly if its name ends in `_ARN` or `_ROLE`.
    /// In words.
    pub(crate) fn mistaken_for_arns(&self) -> Vec<String> {
        let mut mistaken = Vec::new();
        for role in self.of_type("AWS::IAM::Role") {
            for statement in self.statements(self.properties(&role)) {
                let resource = &statement["Resource"];
                if resource != "*" && !self.is_arn(resource) {
                    mistaken.push(format!("{role}: {statement:?}"));
                }
            }
        }
        for function in FUNCTIONS.map(logical) {
            let variables = &self.properties(&function)["Environment"]["Variables"];
            for (name, value) in variables.as_mapping().expect("variables") {
                let name = name.as_str().expect("a name");
                let wanted = name.ends_with("_ARN") || name.ends_with("_ROLE");
                if wanted != self.is_arn(value) {
                    mistaken.push(format!("{function}: {name}: {value:?}"));
                }
            }
        }
        mistaken
    }

    /// Whether CloudFormation makes an ARN of this value.
    fn is_arn(&self, value: &Value) -> bool {
        let Some(Value::Tagged(tagged)) = self.chosen(value) else {
            return false;
        };
        let text = tagged.value.as_str().unwrap_or_default();
        match tagged.tag.to_string().trim_start_matches('!') {
            "GetAtt" => text.ends_with(".Arn"),
            "Sub" => text.starts_with("arn:") || text.split('}').next().unwrap().ends_with(".Arn"),
            // `Ref` to a secret is its ARN. Most other references are names, ids or URLs.
            "Ref" => {
                self.root["Resources"][text]["Type"] == "AWS::SecretsManager::Secret"
                    || self.reference(text).starts_with("arn:")
            }
            _ => false,
        }
    }

    /// The routes that a function answers, such as `POST /push/send`.
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

    /// The branch that `!If` chooses. `None` for `AWS::NoValue`.
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

    /// Every condition of the template asks whether a parameter is given.
    fn holds(&self, condition: &str) -> bool {
        let parameter = condition.strip_prefix("Has").expect("Has<parameter>");
        let value = self.parameters.get(parameter).expect("a parameter");
        !value.is_empty()
    }

    /// The text of a value. `None` for `AWS::NoValue` and for a missing value.
    pub(crate) fn text(&self, value: &Value) -> Option<String> {
        let value = self.chosen(value)?;
        if let Value::Tagged(tagged) = value {
            if tagged.tag == "Join" {
                return Some(self.joined(&tagged.value));
            }
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

    fn joined(&self, value: &Value) -> String {
        let parts = value[1].as_sequence().expect("parts").iter();
        let parts: Vec<String> = parts.filter_map(|part| self.text(part)).collect();
        parts.join(value[0].as_str().expect("a separator"))
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
            match name.strip_prefix('!') {
                Some(literal) => whole += &format!("${{{literal}}}"),
                None => whole += &self.reference(name),
            }
            whole += rest;
        }
        whole
    }
}

fn text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("template.yaml");
    std::fs::read_to_string(path).expect("it is there")
}

/// A function's logical name.
pub(crate) fn logical(function: &str) -> String {
    let (first, rest) = function.split_at(1);
    first.to_uppercase() + rest
}

/// The resource that an ARN names, in the form of a call.
fn named(resource: &str) -> String {
    for head in [":event-bus/", ":parameter", ":schedule/"] {
        if let Some((_, name)) = resource.split_once(head) {
            return name.to_owned();
        }
    }
    resource.to_owned()
}
