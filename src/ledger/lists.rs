//! Two lists of campaigns: all campaigns, newest first; and unfinished ones, which are under way or whose end is not
//! yet announced.

use super::Ledger;
use crate::campaign::{Campaign, CampaignId};
use crate::dynamo::StoreError;
use crate::dynamo::item::{Item, string};
use crate::dynamo::key::{LedgerKey, Partition};
use crate::dynamo::read::Range;
use crate::dynamo::write::{Location, Write};

/// Maximum number of unfinished campaigns that one request reads.
const UNFINISHED_PAGE: i32 = 1_000;

/// Some campaigns, and where the next ones begin.
#[derive(Debug, Clone, Default)]
pub struct CampaignPage {
    /// Newest first.
    pub campaigns: Vec<Campaign>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<String>,
}

impl Ledger {
    /// Up to `limit` campaigns, newest first. `from` is the [`CampaignPage::next`] of the page before.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn campaigns(
        &self,
        from: Option<&str>,
        limit: i32,
    ) -> Result<CampaignPage, StoreError> {
        let start = from.and_then(|from| LedgerKey::parse(&Partition::Campaigns, from));
        let found = self
            .db
            .query(&Partition::Campaigns, Range::All, limit)
            // Half the price of a consistent read. The page may miss a campaign that was just planned.
            .consistent_read(false)
            .scan_index_forward(false)
            .set_exclusive_start_key(start.map(|key| key.item()))
            .send()
            .await
            .map_err(|error| StoreError::sdk("Query", error))?;
        let mut campaigns = Vec::new();
        for item in found.items() {
            if let Some(LedgerKey::Listed { id, .. }) = LedgerKey::of(item)
                && let Some(campaign) = self.campaign(&id).await?
            {
                campaigns.push(campaign);
            }
        }
        let next = found.last_evaluated_key().and_then(LedgerKey::of);
        let next = next.map(|key| key.sort_key());
        Ok(CampaignPage { campaigns, next })
    }

    /// The ids of the campaigns that are planned or running, or whose end is not announced yet.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn unfinished_campaigns(&self) -> Result<Vec<CampaignId>, StoreError> {
        let query = self
            .db
            .query(&Partition::Unfinished, Range::All, UNFINISHED_PAGE);
        let items = self.db.read_all(query).await?;
        let id = |item: &Item| {
            let Some(LedgerKey::Unfinished(id)) = LedgerKey::of(item) else {
                return None;
            };
            Some(id)
        };
        Ok(items.iter().filter_map(id).collect())
    }

    /// Adds a campaign to the list of all.
    pub(super) fn list(&self, campaign: &Campaign) -> Write {
        let id = &campaign.id;
        let listed = LedgerKey::Listed {
            planned: campaign.created_at,
            id: id.clone(),
        };
        link(self.db.ledger(&listed), id)
    }

    /// Adds a campaign to the list of unfinished ones.
    pub(super) fn list_unfinished(&self, id: &CampaignId) -> Write {
        link(self.unfinished_item(id), id)
    }

    /// Removes a campaign from the list of unfinished ones.
    pub(super) fn unlist_unfinished(&self, id: &CampaignId) -> Write {
        self.unfinished_item(id).delete()
    }

    fn unfinished_item(&self, id: &CampaignId) -> Location {
        self.db.ledger(&LedgerKey::Unfinished(id.clone()))
    }
}

fn link(from: Location, to: &CampaignId) -> Write {
    from.put(Item::from([("campaign".to_owned(), string(to.as_str()))]))
}

/// Whether `next` is a valid [`CampaignPage::next`].
pub fn is_listed(next: &str) -> bool {
    LedgerKey::parse(&Partition::Campaigns, next).is_some()
}
