//! Many subscribers at once, and what a campaign is to have done for them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::browser::Browser;
use super::program::Server;
use super::push_service::{Delivery, PushService};

/// Subscribers of one push service.
pub(crate) struct Crowd {
    pub(crate) browsers: Vec<Browser>,
}

impl Crowd {
    /// `n` of them, stored by the program's own import, each with the tags that `tags` gives it.
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
        let file = server.data().join("crowd.jsonl");
        std::fs::write(&file, lines).expect("room on the disk");
        let file = file.display().to_string();
        let output = server.command(&["subscriptions", "import", &file]).output();
        let output = output.await.expect("it runs");
        assert!(output.status.success(), "{output:?}");
        Self { browsers }
    }
}

/// Number in the id that the push service has given to a subscription.
pub(crate) fn number(id: &str) -> usize {
    let digits = id.rsplit('-').next().expect("a number at the end");
    digits.parse().expect("a number")
}

/// How often each subscription was delivered to.
pub(crate) fn by_subscription(deliveries: &[Delivery]) -> HashMap<&str, Vec<&Delivery>> {
    let mut all: HashMap<&str, Vec<&Delivery>> = HashMap::new();
    for delivery in deliveries {
        all.entry(&delivery.id).or_default().push(delivery);
    }
    all
}

impl Server {
    /// Starts a campaign, and gives its id.
    pub(crate) async fn broadcast(&self, message: &Value) -> String {
        let answer = self.post_with_token("/push/send", message).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let id = answer.json["campaign"].as_str().expect("an id").to_owned();
        assert_eq!(answer.headers["location"], format!("/push/campaigns/{id}"));
        id
    }

    /// A campaign, as the API shows it.
    pub(crate) async fn campaign(&self, id: &str) -> Value {
        let answer = self.get_with_token(&format!("/push/campaigns/{id}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json
    }

    /// Waits until `ready` of a campaign.
    pub(crate) async fn campaign_until(
        &self,
        id: &str,
        limit: Duration,
        ready: impl Fn(&Value) -> bool,
    ) -> Value {
        let end = Instant::now() + limit;
        loop {
            let campaign = self.campaign(id).await;
            if ready(&campaign) {
                return campaign;
            }
            assert!(Instant::now() < end, "waited {limit:?}: {campaign}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until a campaign is done.
    pub(crate) async fn done(&self, id: &str, limit: Duration) -> Value {
        self.campaign_until(id, limit, |campaign| campaign["status"] == "done")
            .await
    }
}

/// The counts of a campaign that are not 0.
pub(crate) fn counts(campaign: &Value) -> BTreeMap<String, u64> {
    let counts = campaign["counts"].as_object().expect("counts");
    let counts = counts.iter().map(|(name, n)| {
        let n = n.as_u64().expect("a count is not negative");
        (name.clone(), n)
    });
    counts.filter(|(_, n)| *n > 0).collect()
}
