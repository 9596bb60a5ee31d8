//! Campaigns in the ledger. One item holds the campaign, one each of its segments, one each list of endpoints to be
//! pushed to again ([`super::parts`]); two more make it found: among all campaigns, newest first, and among those
//! of which something is left to be done.

use std::collections::HashMap;
use std::str::FromStr;

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use jiff::Timestamp;

use super::Ledger;
use crate::campaign::{Campaign, CampaignId, Faults, Figures, PartKey, Status};
use crate::dynamo::StoreError;
use crate::dynamo::item::{Item, count, number, string};
use crate::dynamo::transaction::Transacted;

/// Sort key of the campaign's own item.
const CAMPAIGN: &str = "campaign";
/// Partition of the list of all campaigns: the sort key begins with when they were planned.
const ALL: &str = "campaigns";
/// Partition of the list of campaigns under way, until their end has been told.
const UNDER_WAY: &str = "campaigns-under-way";
/// Items of a transaction, at most.
const ITEMS: usize = 100;

/// Campaigns, and where to go on reading.
#[derive(Debug, Clone, Default)]
pub struct CampaignPage {
    /// Newest first.
    pub campaigns: Vec<Campaign>,
    /// Where the next page begins; nothing after the last.
    pub next: Option<String>,
}

impl Ledger {
    /// Writes a campaign down, unless there is one with its id. Its segments come with
    /// [`plan_segments`](Store::plan_segments).
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn plan(&self, campaign: &Campaign) -> Result<Planned, StoreError> {
        let created_at = campaign.created_at.as_microsecond();
        let mut item = Item::from([
            ("id".to_owned(), key(&campaign.id)),
            ("part".to_owned(), string(CAMPAIGN)),
            ("status".to_owned(), string(campaign.status.label())),
            (
                "audience".to_owned(),
                string(&campaign.audience.to_string()),
            ),
            (
                "message".to_owned(),
                string(&serde_json::Value::Object(campaign.message.clone()).to_string()),
            ),
            ("created_at".to_owned(), number(created_at)),
            ("subscribers".to_owned(), number(campaign.subscribers)),
            ("segments".to_owned(), number(campaign.segments)),
            ("segments_done".to_owned(), number(campaign.segments_done)),
            ("resumed".to_owned(), number(campaign.resumed)),
        ]);
        if let Some(rate) = campaign.rate {
            item.insert("rate".to_owned(), number(rate));
        }
        let put = Put::builder()
            .table_name(&self.db.tables.ledger)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(id)")
            .build()
            .expect("table and item are given");
        let items = vec![
            TransactWriteItem::builder().put(put).build(),
            self.put_link(ALL, listed(campaign), &campaign.id),
            self.put_link(UNDER_WAY, campaign.id.to_string(), &campaign.id),
        ];
        Ok(match self.db.transact("plan", items).await? {
            Transacted::Done => Planned::New,
            Transacted::Unmet(_) => Planned::Known,
        })
    }

    /// Writes down the segments of a campaign that are not there yet.
    ///
    /// # Errors
    /// When DynamoDB fails; to do it again goes on.
    pub async fn plan_segments(&self, id: &CampaignId, segments: u32) -> Result<(), StoreError> {
        let put = |segment: &u32| {
            let put = Put::builder()
                .table_name(&self.db.tables.ledger)
                .item("id", key(id))
                .item("part", string(&PartKey::Segment(*segment).to_string()))
                .item("open", number(0))
                .condition_expression("attribute_not_exists(id)")
                .build()
                .expect("table and item are given");
            TransactWriteItem::builder().put(put).build()
        };
        let all: Vec<u32> = (0..segments).collect();
        for chunk in all.chunks(ITEMS) {
            let mut missing = chunk.to_vec();
            while !missing.is_empty() {
                let items = missing.iter().map(put).collect();
                let Transacted::Unmet(there) = self.db.transact("plan segments", items).await?
                else {
                    break;
                };
                let mut i = 0..;
                missing.retain(|_| i.next().is_some_and(|i| !there.contains(&i)));
            }
        }
        Ok(())
    }

    /// The campaign with this id.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn campaign(&self, id: &CampaignId) -> Result<Option<Campaign>, StoreError> {
        let found = self
            .db
            .client
            .get_item()
            .table_name(&self.db.tables.ledger)
            .key("id", key(id))
            .key("part", string(CAMPAIGN))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::sdk("GetItem", error))?;
        Ok(found.item().and_then(read))
    }

    /// All campaigns, newest first, `limit` at a time, from where a page has ended.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn campaigns(
        &self,
        from: Option<&str>,
        limit: i32,
    ) -> Result<CampaignPage, StoreError> {
        let start = from.map(|part| {
            HashMap::from([
                ("id".to_owned(), string(ALL)),
                ("part".to_owned(), string(part)),
            ])
        });
        let found = self
            .db
            .client
            .query()
            .table_name(&self.db.tables.ledger)
            .key_condition_expression("id = :all")
            .expression_attribute_values(":all", string(ALL))
            .scan_index_forward(false)
            .set_exclusive_start_key(start)
            .limit(limit)
            .send()
            .await
            .map_err(|error| StoreError::sdk("Query", error))?;
        let mut campaigns = Vec::new();
        for link in found.items() {
            if let Some(id) = linked(link)
                && let Some(campaign) = self.campaign(&id).await?
            {
                campaigns.push(campaign);
            }
        }
        let next = found.last_evaluated_key();
        let next = next.and_then(|key| key.get("part")?.as_s().ok()).cloned();
        Ok(CampaignPage { campaigns, next })
    }

    /// The ids of those that are planned or running, or whose end nobody has been told of yet.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn unfinished_campaigns(&self) -> Result<Vec<CampaignId>, StoreError> {
        let mut ids = Vec::new();
        let mut from = None;
        loop {
            let found = self
                .db
                .client
                .query()
                .table_name(&self.db.tables.ledger)
                .key_condition_expression("id = :under_way")
                .expression_attribute_values(":under_way", string(UNDER_WAY))
                .consistent_read(true)
                .set_exclusive_start_key(from)
                .limit(1000)
                .send()
                .await
                .map_err(|error| StoreError::sdk("Query", error))?;
            ids.extend(found.items().iter().filter_map(linked));
            from = found.last_evaluated_key;
            if from.is_none() {
                return Ok(ids);
            }
        }
    }

    /// Moves a campaign from one of the states in `from` to `to`. Nothing when it was in none of them.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn move_campaign(
        &self,
        id: &CampaignId,
        from: &[Status],
        to: Status,
        change: Change<'_>,
    ) -> Result<Option<Campaign>, StoreError> {
        let names: Vec<String> = (0..from.len()).map(|i| format!(":from{i}")).collect();
        let mut set = vec!["#status = :to".to_owned()];
        let mut remove = Vec::new();
        let mut condition = format!("#status IN ({})", names.join(", "));
        let mut update = Update::builder()
            .table_name(&self.db.tables.ledger)
            .key("id", key(id))
            .key("part", string(CAMPAIGN))
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":to", string(to.label()));
        for (name, status) in names.iter().zip(from) {
            update = update.expression_attribute_values(name, string(status.label()));
        }
        match change {
            Change::Started => {}
            Change::Ended { at } => {
                set.push("finished_at = :at".to_owned());
                update = update.expression_attribute_values(":at", number(at.as_microsecond()));
                remove.push("announced");
            }
            Change::Halted {
                at,
                reason,
                resumed,
            } => {
                set.extend(["finished_at = :at", "reason = :reason"].map(str::to_owned));
                condition += " AND resumed = :resumed";
                update = update
                    .expression_attribute_values(":at", number(at.as_microsecond()))
                    .expression_attribute_values(":reason", string(reason))
                    .expression_attribute_values(":resumed", number(resumed));
                remove.push("announced");
            }
            Change::Resumed => {
                set.push("resumed = resumed + :one".to_owned());
                update = update.expression_attribute_values(":one", number(1));
                remove.extend(["reason", "finished_at", "announced"]);
            }
        }
        let mut expression = format!("SET {}", set.join(", "));
        if !remove.is_empty() {
            expression += &format!(" REMOVE {}", remove.join(", "));
        }
        let update = update
            .update_expression(expression)
            .condition_expression(condition)
            .build();
        let update = update.expect("table, key and expression are given");
        let mut items = vec![TransactWriteItem::builder().update(update).build()];
        if to.is_under_way() {
            items.push(self.put_link(UNDER_WAY, id.to_string(), id));
        }
        match self.db.transact("move campaign", items).await? {
            Transacted::Done => self.campaign(id).await,
            Transacted::Unmet(_) => Ok(None),
        }
    }

    /// Remembers that the end of a campaign has been told: nothing of it is left to be done.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn mark_announced(&self, campaign: &Campaign) -> Result<(), StoreError> {
        let update = Update::builder()
            .table_name(&self.db.tables.ledger)
            .key("id", key(&campaign.id))
            .key("part", string(CAMPAIGN))
            .update_expression("SET announced = :true")
            .condition_expression("#status = :status")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":status", string(campaign.status.label()))
            .build()
            .expect("table, key and expression are given");
        let items = vec![
            TransactWriteItem::builder().update(update).build(),
            self.delete_link(UNDER_WAY, campaign.id.as_str()),
        ];
        // Unmet: it was resumed meanwhile, and another end is to be told some day.
        self.db.transact("mark as announced", items).await?;
        Ok(())
    }

    /// What became of everyone so far.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn progress(&self, id: &CampaignId) -> Result<Progress, StoreError> {
        let mut progress = Progress::default();
        self.read_segments(id, |item| {
            for (name, n) in numbers(item) {
                progress.figures.read(name, n);
            }
            progress.scanned += count(item, "scanned").unwrap_or_default();
        })
        .await?;
        Ok(progress)
    }

    /// What origins have answered since the campaign was resumed for the `resumed`th time.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn faults(&self, id: &CampaignId, resumed: u32) -> Result<Faults, StoreError> {
        let mut faults = Faults::default();
        self.read_segments(id, |item| {
            for (name, n) in numbers(item) {
                faults.read(name, n, resumed);
            }
        })
        .await?;
        Ok(faults)
    }

    /// Every segment's item, as it is at this moment: the last one to be written may end the campaign.
    async fn read_segments(
        &self,
        id: &CampaignId,
        mut read: impl FnMut(&Item),
    ) -> Result<(), StoreError> {
        let mut from = None;
        loop {
            let found = self
                .db
                .client
                .query()
                .table_name(&self.db.tables.ledger)
                .key_condition_expression("id = :id AND begins_with(part, :segment)")
                .expression_attribute_values(":id", key(id))
                .expression_attribute_values(":segment", string("segment#"))
                .consistent_read(true)
                .set_exclusive_start_key(from)
                .limit(1000)
                .send()
                .await
                .map_err(|error| StoreError::sdk("Query", error))?;
            for item in found.items() {
                read(item);
            }
            from = found.last_evaluated_key;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    fn put_link(&self, list: &str, part: String, to: &CampaignId) -> TransactWriteItem {
        let put = Put::builder()
            .table_name(&self.db.tables.ledger)
            .item("id", string(list))
            .item("part", AttributeValue::S(part))
            .item("campaign", string(to.as_str()))
            .build()
            .expect("table and item are given");
        TransactWriteItem::builder().put(put).build()
    }

    fn delete_link(&self, list: &str, part: &str) -> TransactWriteItem {
        let delete = Delete::builder()
            .table_name(&self.db.tables.ledger)
            .key("id", string(list))
            .key("part", string(part))
            .build()
            .expect("table and key are given");
        TransactWriteItem::builder().delete(delete).build()
    }

    /// The part of a transaction that counts one more segment as done.
    pub(crate) fn count_segment_done(&self, id: &CampaignId) -> TransactWriteItem {
        let update = Update::builder()
            .table_name(&self.db.tables.ledger)
            .key("id", key(id))
            .key("part", string(CAMPAIGN))
            .update_expression("ADD segments_done :one")
            .expression_attribute_values(":one", number(1))
            .build()
            .expect("table, key and expression are given");
        TransactWriteItem::builder().update(update).build()
    }
}

/// Whether a plan was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planned {
    /// It is written down now.
    New,
    /// There is a campaign with this id.
    Known,
}

/// What else changes when a campaign moves on.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// Its jobs are in the queue.
    Started,
    /// It is over, for now or for good.
    Ended {
        /// When.
        at: Timestamp,
    },
    /// It is stopped for a fault of ours.
    Halted {
        /// When.
        at: Timestamp,
        /// Why.
        reason: &'a str,
        /// How often it had been resumed when the fault was met: one that was resumed since stays under way.
        resumed: u32,
    },
    /// It goes on from where it was stopped.
    Resumed,
}

/// What became of everyone who was read so far.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// By push service.
    pub figures: Figures,
    /// Rows that were looked at, the audience's and others'.
    pub scanned: u64,
}

/// The attributes that are numbers.
fn numbers<T: FromStr>(item: &Item) -> impl Iterator<Item = (&str, T)> {
    item.iter().filter_map(|(name, value)| {
        let n = value.as_n().ok()?.parse().ok()?;
        Some((&name[..], n))
    })
}

pub(crate) fn key(id: &CampaignId) -> AttributeValue {
    AttributeValue::S(format!("campaign#{id}"))
}

/// Where a campaign stands among all: microseconds since 1970 in 16 digits sort as they count.
fn listed(campaign: &Campaign) -> String {
    let at = campaign.created_at.as_microsecond();
    format!("{at:016}#{}", campaign.id)
}

/// Whether this may be what [`CampaignPage::next`] has said.
pub fn is_listed(part: &str) -> bool {
    let Some((at, id)) = part.split_once('#') else {
        return false;
    };
    let digits = at.bytes().all(|b| b.is_ascii_digit());
    at.len() == 16 && digits && id.parse::<CampaignId>().is_ok()
}

fn linked(item: &Item) -> Option<CampaignId> {
    item.get("campaign")?.as_s().ok()?.parse().ok()
}

fn read(item: &Item) -> Option<Campaign> {
    let text = |name: &str| item.get(name)?.as_s().ok();
    let at = |name: &str| {
        let micros = item.get(name)?.as_n().ok()?.parse().ok()?;
        Timestamp::from_microsecond(micros).ok()
    };
    let small = |name: &str| count(item, name).and_then(|n| u32::try_from(n).ok());
    let id = item.get("id")?.as_s().ok()?.strip_prefix("campaign#")?;
    Some(Campaign {
        id: id.parse().ok()?,
        status: Status::of(text("status")?)?,
        reason: text("reason").cloned(),
        audience: text("audience")?.parse().ok()?,
        message: serde_json::from_str(text("message")?).ok()?,
        rate: small("rate"),
        created_at: at("created_at")?,
        finished_at: at("finished_at"),
        subscribers: count(item, "subscribers").unwrap_or_default(),
        segments: small("segments")?,
        segments_done: small("segments_done").unwrap_or_default(),
        resumed: small("resumed").unwrap_or_default(),
        announced: item
            .get("announced")
            .and_then(|it| it.as_bool().ok())
            .is_some_and(|it| *it),
    })
}
