//! Starts, watches and counts a server's campaigns.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::Server;

impl Server {
    /// Starts a campaign and returns its id.
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

    /// Waits until a campaign is `ready`.
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
