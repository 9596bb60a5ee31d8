//! Plans campaigns, reads them, and changes their state.

use aws_sdk_dynamodb::types::AttributeValue;

use super::Ledger;
use super::campaign_item::{self, attributes, label};
use crate::campaign::{Campaign, CampaignId, Transition};
use crate::dynamo::StoreError;
use crate::dynamo::key::LedgerKey;
use crate::dynamo::transaction::Transacted;
use crate::dynamo::write::{IS_NEW, Location};

/// Whether [`Ledger::plan`] wrote a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planned {
    /// The campaign is new, and now in the ledger.
    New,
    /// The id is taken. Nothing was written.
    Known,
}

impl Ledger {
    /// Writes a campaign unless its id is taken. [`plan_segments`](Self::plan_segments) writes its segments.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn plan(&self, campaign: &Campaign) -> Result<Planned, StoreError> {
        let put = self.campaign_item(&campaign.id).put(attributes(campaign));
        let items = vec![
            put.when(IS_NEW).transact(),
            self.list(campaign).transact(),
            self.list_unfinished(&campaign.id).transact(),
        ];
        Ok(match self.db.transact("plan", items).await? {
            Transacted::Done => Planned::New,
            Transacted::Unmet(_) => Planned::Known,
        })
    }

    /// The campaign with this id.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn campaign(&self, id: &CampaignId) -> Result<Option<Campaign>, StoreError> {
        let item = self.db.get(self.campaign_item(id)).await?;
        Ok(item.and_then(|item| campaign_item::read(id, item)))
    }

    /// Moves a campaign to another state. `None` if its current state does not allow the transition.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn move_campaign(
        &self,
        id: &CampaignId,
        transition: Transition<'_>,
    ) -> Result<Option<Campaign>, StoreError> {
        let update = campaign_item::transition(self.campaign_item(id), transition);
        let mut items = vec![update.transact()];
        if transition.to().is_under_way() {
            items.push(self.list_unfinished(id).transact());
        }
        match self.db.transact("move campaign", items).await? {
            Transacted::Done => self.campaign(id).await,
            Transacted::Unmet(_) => Ok(None),
        }
    }

    /// Records that the service has announced the end of a campaign. Removes it from the list of unfinished campaigns.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn mark_announced(&self, campaign: &Campaign) -> Result<(), StoreError> {
        let update = self
            .campaign_item(&campaign.id)
            .update("SET announced = :true")
            .when("#status = :status")
            .name("#status", "status")
            .value(":true", AttributeValue::Bool(true))
            .value(":status", label(campaign.status()));
        let items = vec![
            update.transact(),
            self.unlist_unfinished(&campaign.id).transact(),
        ];
        // If the condition does not hold, the operator has resumed the campaign, and its next end will be announced.
        self.db.transact("mark as announced", items).await?;
        Ok(())
    }

    /// The location of the campaign's own item.
    pub(super) fn campaign_item(&self, id: &CampaignId) -> Location {
        self.db.ledger(&LedgerKey::Campaign(id.clone()))
    }
}
