//! Audience expressions, tested through the library and the embedded database.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use proptest::prelude::*;
use pushcast::audience::{Audience, AudienceError, MAX_LEN};
use pushcast::clock::Chance;
use pushcast::dynamo::{embedded, schema};
use pushcast::json::Change;
use pushcast::store::Store;
use pushcast::subscribers::registration::{MadeWith, Registration};
use tokio::runtime::Runtime;
use webpush::{AllowList, Subscription};

use crate::support::subscribers::browser::Browser;

/// Tags that share their first letters. Together they use every kind of character that a tag may have.
const TAGS: [&str; 5] = ["news", "news.eu", "News_2", "a:b-c", "alle"];

fn tags<'a>(tags: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    tags.into_iter().map(str::to_owned).collect()
}

fn audience(text: &str) -> Audience {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> AudienceError {
    let parsed: Result<Audience, _> = text.parse();
    parsed.expect_err(text)
}

#[test]
fn an_audience_expression_selects_subscribers_by_their_tags() {
    let cases: &[(&str, &[&str], bool)] = &[
        ("all", &[], true),
        ("all", &["news"], true),
        ("news", &["news"], true),
        ("news", &[], false),
        ("news", &["news.eu"], false),
        ("News", &["news"], false),
        ("!news", &[], true),
        ("!news", &["news"], false),
        ("news && !(sports || beta)", &["news"], true),
        ("news && !(sports || beta)", &["news", "beta"], false),
        ("news && !(sports || beta)", &["sports"], false),
        // ! binds more than &&, and && more than ||.
        ("!a && b", &["b"], true),
        ("!a && b", &[], false),
        ("a || b && c", &["a"], true),
        ("a || b && c", &["b"], false),
        ("(a || b) && c", &["a"], false),
        ("a && b || c", &["c"], true),
        ("all && !beta", &["news"], true),
        ("all && !beta", &["beta"], false),
        ("beta || all", &[], true),
    ];
    for (text, given, admitted) in cases {
        let admits = audience(text).admits(&tags(given.iter().copied()));
        assert_eq!(admits, *admitted, "{text} of {given:?}");
    }
}

#[test]
fn an_audience_is_printed_without_needless_parentheses() {
    for (given, written) in [
        (" all ", "all"),
        ("((news))", "news"),
        ("news&&!( sports||beta )", "news && !(sports || beta)"),
        ("(a || b) || (c && d)", "a || b || c && d"),
        ("a && (b && c) && (d || e)", "a && b && c && (d || e)"),
        ("!!a && !!!b", "a && !b"),
        ("!(!(a || b))", "a || b"),
        ("all && news", "news"),
        ("news || !all", "news"),
        ("!(!all && news)", "all"),
        ("\tnews\n&&\r\nbeta", "news && beta"),
    ] {
        assert_eq!(audience(given).to_string(), written, "{given}");
    }
}

/// Expression and error message. Positions count characters, not bytes.
const SYNTAX_ERRORS: [(&str, &str); 20] = [
    (
        "",
        "at character 1: expected a tag, `!` or `(`, found the end",
    ),
    (
        "   ",
        "at character 4: expected a tag, `!` or `(`, found the end",
    ),
    (
        "news &&",
        "at character 8: expected a tag, `!` or `(`, found the end",
    ),
    (
        "news && )",
        "at character 9: expected a tag, `!` or `(`, found `)`",
    ),
    ("news & sports", "at character 6: expected `&&`, found `&`"),
    ("news | sports", "at character 6: expected `||`, found `|`"),
    (
        "news sports",
        "at character 6: expected `&&`, `||` or the end, found `s`",
    ),
    (
        "news, sports",
        "at character 5: expected `&&`, `||` or the end, found `,`",
    ),
    (
        "news and sports",
        "at character 6: expected `&&`, `||` or the end, found `a`",
    ),
    (
        "(news",
        "at character 6: expected `&&`, `||` or `)`, found the end",
    ),
    (
        "(news || (a && b)",
        "at character 18: expected `&&`, `||` or `)`, found the end",
    ),
    (
        "news)",
        "at character 5: expected `&&`, `||` or the end, found `)`",
    ),
    (
        "()",
        "at character 2: expected a tag, `!` or `(`, found `)`",
    ),
    (
        "news !sports",
        "at character 6: expected `&&`, `||` or the end, found `!`",
    ),
    (
        "|| news",
        "at character 1: expected a tag, `!` or `(`, found `|`",
    ),
    (
        "news && \u{fc}ber",
        "at character 9: expected a tag, `!` or `(`, found `\u{fc}`",
    ),
    (
        "\u{a0}\u{a0}caf\u{e9}",
        "at character 6: expected `&&`, `||` or the end, found `\u{e9}`",
    ),
    (
        "a \0",
        "at character 3: expected `&&`, `||` or the end, found `\\0`",
    ),
    ("!all", "matches nobody, because `all` matches everyone"),
    (
        "news && !all",
        "matches nobody, because `all` matches everyone",
    ),
];

#[test]
fn a_syntax_error_names_its_character() {
    for (text, error) in SYNTAX_ERRORS {
        assert_eq!(refused(text).to_string(), error, "{text}");
    }
}

#[test]
fn an_audience_expression_has_limits_on_length_tags_and_depth() {
    let tag = "t".repeat(64);
    audience(&tag);
    assert_eq!(
        refused(&format!("a || {tag}t")),
        AudienceError::LongTag { position: 6 }
    );

    let deep = |n: usize| format!("{}a || b{}", "(".repeat(n), ")".repeat(n));
    audience(&deep(16));
    assert_eq!(refused(&deep(17)), AudienceError::TooDeep { position: 17 });
    // A recursive parser would overflow its stack here.
    assert_eq!(refused(&deep(10_000)), AudienceError::TooLong);
    let alternating = |n: usize| format!("{}a{}", "!(".repeat(n), ")".repeat(n));
    assert_eq!(
        refused(&alternating(600)),
        AudienceError::TooDeep { position: 34 }
    );
    assert_eq!(
        audience(&format!("{}a", "!".repeat(2047))).to_string(),
        "!a"
    );

    let named = |n: usize| vec!["a"; n].join(" || ");
    audience(&named(100));
    assert_eq!(
        refused(&named(101)),
        AudienceError::TooManyTags { position: 501 }
    );

    let long = |last: usize| {
        let mut words = vec!["t".repeat(61); 32];
        words.push("t".repeat(last));
        words.join("&&")
    };
    assert_eq!(long(32).len(), MAX_LEN);
    let longest = audience(&long(32));
    assert_eq!(
        audience(&longest.to_string()),
        longest,
        "though it is written wider"
    );
    assert_eq!(refused(&long(33)), AudienceError::TooLong);
}

/// One subscriber for each subset of [`TAGS`].
struct Everyone {
    client: Client,
    tags: BTreeMap<String, BTreeSet<String>>,
}

impl Everyone {
    async fn subscribed() -> Self {
        let client = embedded::client(None).unwrap();
        let tables = embedded::tables();
        schema::create_missing(&client, &tables).await.unwrap();
        let store = Store::new(client.clone(), tables, Chance::system());
        let endpoint = |n: usize| format!("https://updates.push.services.mozilla.com/wpush/v2/{n}");
        let keys = Browser::new("keys".to_owned(), endpoint(0));
        let mut everyone = BTreeMap::new();
        for n in 0..1 << TAGS.len() {
            let chosen = (0..TAGS.len()).filter(|i| n & (1 << i) != 0);
            let chosen = tags(chosen.map(|i| TAGS[i]));
            let mut json = keys.to_json();
            json["endpoint"] = endpoint(n).into();
            let subscription =
                Subscription::from_json(&json.to_string(), &AllowList::default()).unwrap();
            let registration = Registration {
                subscription,
                expires_at: None,
                tags: Change::Set(chosen.clone()),
                user: Change::Keep,
                timezone: Change::Keep,
                vapid: MadeWith::Unknown,
                created_at: None,
            };
            let now = jiff::Timestamp::UNIX_EPOCH;
            store
                .subscribers
                .subscribe(&registration, now)
                .await
                .unwrap();
            everyone.insert(endpoint(n), chosen);
        }
        Self {
            client,
            tags: everyone,
        }
    }

    /// The endpoints that the database returns for this audience.
    async fn found(&self, audience: &Audience) -> BTreeSet<String> {
        let filter = audience.filter();
        let scan = self.client.scan().table_name("Subscriptions").limit(1000);
        let scan = match filter {
            None => scan,
            Some(filter) => scan
                .filter_expression(filter.expression)
                .set_expression_attribute_names(Some(filter.names))
                .set_expression_attribute_values(Some(filter.values)),
        };
        let found = scan
            .send()
            .await
            .unwrap_or_else(|error| panic!("{audience}: {:?}", error.into_service_error()));
        assert!(found.last_evaluated_key().is_none());
        let endpoint =
            |item: &HashMap<String, AttributeValue>| item["endpoint"].as_s().unwrap().clone();
        found.items().iter().map(endpoint).collect()
    }
}

/// A random expression and its meaning, independent of the parser.
#[derive(Debug, Clone)]
enum RandomExpression {
    All,
    Tag(usize),
    Not(Box<RandomExpression>),
    And(Box<RandomExpression>, Box<RandomExpression>),
    Or(Box<RandomExpression>, Box<RandomExpression>),
}

impl RandomExpression {
    fn any() -> impl Strategy<Value = Self> {
        let leaf = prop_oneof![1 => Just(Self::All), 9 => (0..TAGS.len()).prop_map(Self::Tag)];
        leaf.prop_recursive(7, 40, 2, |inner| {
            let two = || {
                (
                    inner.clone().prop_map(Box::new),
                    inner.clone().prop_map(Box::new),
                )
            };
            prop_oneof![
                inner.clone().prop_map(|it| Self::Not(Box::new(it))),
                two().prop_map(|(a, b)| Self::And(a, b)),
                two().prop_map(|(a, b)| Self::Or(a, b)),
            ]
        })
    }

    fn admits(&self, tags: &BTreeSet<String>) -> bool {
        match self {
            Self::All => true,
            Self::Tag(i) => tags.contains(TAGS[*i]),
            Self::Not(it) => !it.admits(tags),
            Self::And(a, b) => a.admits(tags) && b.admits(tags),
            Self::Or(a, b) => a.admits(tags) || b.admits(tags),
        }
    }
}

/// Writes every parenthesis, needed or not.
impl fmt::Display for RandomExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Tag(i) => f.write_str(TAGS[*i]),
            Self::Not(it) => write!(f, "!{it}"),
            Self::And(a, b) => write!(f, "({a}&& {b})"),
            Self::Or(a, b) => write!(f, "({a} ||{b})"),
        }
    }
}

#[test]
fn the_database_finds_the_subscribers_that_the_expression_selects() {
    let runtime = Runtime::new().unwrap();
    let everyone = runtime.block_on(Everyone::subscribed());
    let config = ProptestConfig {
        cases: 512,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(expression in RandomExpression::any())| {
        let text = expression.to_string();
        let meant: BTreeSet<String> = everyone
            .tags
            .iter()
            .filter(|(_, tags)| expression.admits(tags))
            .map(|(endpoint, _)| endpoint.clone())
            .collect();
        let audience: Audience = match text.parse() {
            Err(AudienceError::Nobody) => {
                prop_assert!(meant.is_empty(), "{} is somebody", text);
                return Ok(());
            }
            parsed => parsed.map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?,
        };
        let admitted: BTreeSet<String> = everyone
            .tags
            .iter()
            .filter(|(_, tags)| audience.admits(tags))
            .map(|(endpoint, _)| endpoint.clone())
            .collect();
        prop_assert_eq!(&admitted, &meant, "{} is {}", text, audience);
        let found = runtime.block_on(everyone.found(&audience));
        prop_assert_eq!(&found, &meant, "{} as {:?}", text, audience.filter());

        let written = audience.to_string();
        prop_assert_eq!(written.parse::<Audience>(), Ok(audience), "{}", written);
    });
}

#[tokio::test]
async fn the_largest_audience_is_within_dynamodbs_limits() {
    // Every tag denied, in pairs. Each denial could cost one more operator, and each pair has its parentheses.
    let pairs: Vec<String> = (0..50)
        .map(|n| format!("!(tag-{n} && !(other-{n}))"))
        .collect();
    for operator in [" && ", " || "] {
        let pairs = pairs.join(operator);
        for text in [pairs.clone(), format!("!({pairs})")] {
            let Some(filter) = audience(&text).filter() else {
                panic!("it has tags");
            };
            let expression = &filter.expression;
            assert!(expression.len() <= 4096, "{} bytes", expression.len());
            let operators = ["AND", "OR", "NOT", "contains"];
            let operators: usize = operators
                .map(|it| expression.matches(it).count())
                .iter()
                .sum();
            assert!(operators <= 300, "{operators} operators");
            assert!(!expression.contains("(("), "{expression}");
        }
    }
    let everyone = Everyone::subscribed().await;
    assert_eq!(
        everyone.found(&audience(&pairs.join(" && "))).await.len(),
        everyone.tags.len()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_parses_to_an_audience_or_an_error(
        text in prop_oneof![any::<String>(), "[ab!&|() ]{0,40}", "(all|a|!|&&|\\|\\||\\(|\\)| ){0,60}"]
    ) {
        let parsed: Result<Audience, _> = text.parse();
        match parsed {
            Ok(audience) => {
                prop_assert_eq!(audience.to_string().parse(), Ok(audience));
            }
            Err(AudienceError::Syntax { position, .. }) => {
                prop_assert!((1..=text.chars().count() + 1).contains(&position));
            }
            Err(_) => {}
        }
    }
}
