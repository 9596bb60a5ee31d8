//! Many subscribers at once, and their deliveries.

/// One subscriber: the keys that a browser makes when a page subscribes.
pub(crate) mod browser;

use std::collections::HashMap;

use serde_json::json;

use super::program::Server;
use super::push_service::{Delivery, PushService};
use crate::support::subscribers::browser::Browser;

/// Subscribers of one push service.
pub(crate) struct Subscribers {
    pub(crate) browsers: Vec<Browser>,
}

impl Subscribers {
    /// Imports `n` subscribers with the program's own command. `tags` gives the tags of each.
    pub(crate) async fn import(
        server: &Server,
        service: &PushService,
        n: usize,
        tags: impl Fn(usize) -> Vec<&'static str>,
    ) -> Self {
        let browsers: Vec<Browser> = (0..n).map(|_| service.subscribe(None)).collect();
        let mut lines = String::new();
        for (i, browser) in browsers.iter().enumerate() {
            lines += &browser.to_json_with(json!({"tags": tags(i)})).to_string();
            lines.push('\n');
        }
        let file = server.data().join("subscribers.jsonl");
        std::fs::write(&file, lines).expect("room on the disk");
        let file = file.display().to_string();
        let output = server.command(&["subscriptions", "import", &file]).output();
        let output = output.await.expect("it runs");
        assert!(output.status.success(), "{output:?}");
        Self { browsers }
    }
}

/// The number in the id that the push service gave to a subscription.
pub(crate) fn number(id: &str) -> usize {
    let digits = id.rsplit('-').next().expect("a number at the end");
    digits.parse().expect("a number")
}

/// The deliveries to each subscription.
pub(crate) fn by_subscription(deliveries: &[Delivery]) -> HashMap<&str, Vec<&Delivery>> {
    let mut all: HashMap<&str, Vec<&Delivery>> = HashMap::new();
    for delivery in deliveries {
        all.entry(&delivery.id).or_default().push(delivery);
    }
    all
}
