//! Every key of the table `Ledger`: how it is written, and the order of the items in a partition.
//!
//! The table's partition key is `id`, its sort key `part`. Only the text of a part's sort key comes from
//! elsewhere: [`PartKey`].

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;

use super::item::{Item, string};
use crate::campaign::{CampaignId, PartKey};

/// Attribute of the partition key.
pub(super) const ID: &str = "id";
/// Attribute of the sort key.
pub(super) const PART: &str = "part";

const CAMPAIGN: &str = "campaign";
const SAMPLE: &str = "sample";

/// A partition. One query reads its items in the order of their sort keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Partition {
    /// The number of subscriptions, spread over several items.
    Counts,
    /// The opening balance of each day, oldest first: the number of subscriptions before its first change.
    Days,
    /// The sample of tags.
    Tags,
    /// The local server's schedules, by name.
    Schedules,
    /// All campaigns, oldest first.
    Campaigns,
    /// Unfinished campaigns: under way, or ended but not yet announced.
    Unfinished,
    /// One campaign: first its own item, then its retry parts, then its segments.
    Campaign(CampaignId),
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counts => f.write_str("count"),
            Self::Days => f.write_str("days"),
            Self::Tags => f.write_str("tags"),
            Self::Schedules => f.write_str("schedules"),
            Self::Campaigns => f.write_str("campaigns"),
            Self::Unfinished => f.write_str("campaigns-under-way"),
            Self::Campaign(id) => write!(f, "{CAMPAIGN}#{id}"),
        }
    }
}

impl Partition {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "count" => Self::Counts,
            "days" => Self::Days,
            "tags" => Self::Tags,
            "schedules" => Self::Schedules,
            "campaigns" => Self::Campaigns,
            "campaigns-under-way" => Self::Unfinished,
            other => {
                let id = other.strip_prefix(CAMPAIGN)?.strip_prefix('#')?;
                Self::Campaign(id.parse().ok()?)
            }
        })
    }
}

/// The key of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LedgerKey {
    /// One shard of the number of subscriptions.
    Count {
        /// The shard's number, below 100.
        shard: u8,
    },
    /// The opening balance of a day.
    Day(Date),
    /// The sample of tags.
    TagSample,
    /// A schedule of the local server, by name.
    Schedule(String),
    /// A campaign's entry in the list of all campaigns.
    Listed {
        /// When the campaign was planned.
        planned: Timestamp,
        /// The campaign's id.
        id: CampaignId,
    },
    /// A campaign's entry in the list of unfinished campaigns.
    Unfinished(CampaignId),
    /// A campaign's own item.
    Campaign(CampaignId),
    /// A part of a campaign.
    Part(CampaignId, PartKey),
}

impl LedgerKey {
    /// The partition that holds the item.
    pub(crate) fn partition(&self) -> Partition {
        match self {
            Self::Count { .. } => Partition::Counts,
            Self::Day(_) => Partition::Days,
            Self::TagSample => Partition::Tags,
            Self::Schedule(_) => Partition::Schedules,
            Self::Listed { .. } => Partition::Campaigns,
            Self::Unfinished(_) => Partition::Unfinished,
            Self::Campaign(id) | Self::Part(id, _) => Partition::Campaign(id.clone()),
        }
    }

    /// The sort key.
    pub(crate) fn sort_key(&self) -> String {
        match self {
            Self::Count { shard } => format!("{shard:02}"),
            Self::Day(date) => date.to_string(),
            Self::TagSample => SAMPLE.to_owned(),
            Self::Schedule(name) => name.clone(),
            // As text, 16 digits of microseconds sort in the order of time until the year 2286.
            Self::Listed { planned, id } => format!("{:016}#{id}", planned.as_microsecond()),
            Self::Unfinished(id) => id.to_string(),
            Self::Campaign(_) => CAMPAIGN.to_owned(),
            Self::Part(_, part) => part.to_string(),
        }
    }

    /// Parses a sort key of `partition`. `None` if the text is not a key.
    pub(crate) fn parse(partition: &Partition, sort_key: &str) -> Option<Self> {
        let key = match partition {
            Partition::Counts => Self::Count {
                shard: sort_key.parse().ok()?,
            },
            Partition::Days => Self::Day(sort_key.parse().ok()?),
            Partition::Tags => Self::TagSample,
            Partition::Schedules => Self::Schedule(sort_key.to_owned()),
            Partition::Campaigns => {
                let (planned, id) = sort_key.split_once('#')?;
                Self::Listed {
                    planned: Timestamp::from_microsecond(planned.parse().ok()?).ok()?,
                    id: id.parse().ok()?,
                }
            }
            Partition::Unfinished => Self::Unfinished(sort_key.parse().ok()?),
            Partition::Campaign(id) if sort_key == CAMPAIGN => Self::Campaign(id.clone()),
            Partition::Campaign(id) => Self::Part(id.clone(), sort_key.parse().ok()?),
        };
        // Refuses other spellings, such as missing leading zeros: an item has exactly one key.
        (key.sort_key() == sort_key).then_some(key)
    }

    /// Parses the key of an item that was read.
    pub(crate) fn of(item: &Item) -> Option<Self> {
        let text = |name| item.get(name)?.as_s().ok();
        Self::parse(&Partition::parse(text(ID)?)?, text(PART)?)
    }

    /// The key as an item's attributes.
    pub(crate) fn item(&self) -> Item {
        Item::from([
            (ID.to_owned(), string(&self.partition().to_string())),
            (PART.to_owned(), string(&self.sort_key())),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> CampaignId {
        text.parse().expect("an id")
    }

    /// Every kind of key, with its partition and sort key as text.
    fn keys() -> Vec<(LedgerKey, &'static str, &'static str)> {
        let planned = Timestamp::from_microsecond(1_795_694_400_000_001).expect("a time");
        let part = |part| LedgerKey::Part(id("c:1"), part);
        let retry = |segment, serial| part(PartKey::Retry { segment, serial });
        let listed = LedgerKey::Listed {
            planned,
            id: id("c:1"),
        };
        let day = LedgerKey::Day("2026-11-26".parse().expect("a date"));
        let campaign = LedgerKey::Campaign(id("c:1"));
        let schedule = LedgerKey::Schedule("daily".to_owned());
        vec![
            (LedgerKey::Count { shard: 0 }, "count", "00"),
            (LedgerKey::Count { shard: 15 }, "count", "15"),
            (day, "days", "2026-11-26"),
            (LedgerKey::TagSample, "tags", "sample"),
            (schedule, "schedules", "daily"),
            (listed, "campaigns", "1795694400000001#c:1"),
            (
                LedgerKey::Unfinished(id("c:1")),
                "campaigns-under-way",
                "c:1",
            ),
            (campaign, "campaign#c:1", "campaign"),
            (
                retry(7, 0x00ab),
                "campaign#c:1",
                "retry#00007#00000000000000ab",
            ),
            (part(PartKey::Segment(7)), "campaign#c:1", "segment#00007"),
            (part(PartKey::Segment(999)), "campaign#c:1", "segment#00999"),
        ]
    }

    #[test]
    fn every_key_has_one_spelling_and_is_read_back() {
        for (key, partition, sort_key) in keys() {
            assert_eq!(key.partition().to_string(), partition);
            assert_eq!(key.sort_key(), sort_key);
            let item = key.item();
            assert_eq!(
                (&item["id"], &item["part"]),
                (&string(partition), &string(sort_key))
            );
            assert_eq!(item.len(), 2);
            assert_eq!(LedgerKey::of(&item), Some(key));
        }
    }

    #[test]
    fn the_items_of_a_partition_stand_in_the_order_of_the_table_above() {
        let spelled: Vec<_> = keys().into_iter().map(|(_, id, part)| (id, part)).collect();
        for pair in spelled.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            assert!(pair[0].1 < pair[1].1, "{pair:?}");
        }
    }

    #[test]
    fn the_keys_of_parts_begin_with_their_prefix_and_others_do_not() {
        for (key, _, sort_key) in keys() {
            let LedgerKey::Part(_, part) = &key else {
                assert!(!sort_key.starts_with(PartKey::SEGMENTS), "{sort_key}");
                assert!(!sort_key.starts_with(PartKey::RETRIES), "{sort_key}");
                continue;
            };
            let is_retry = matches!(part, PartKey::Retry { .. });
            assert_eq!(sort_key.starts_with(PartKey::RETRIES), is_retry);
            assert_eq!(sort_key.starts_with(PartKey::SEGMENTS), !is_retry);
            assert_eq!(sort_key.starts_with(&PartKey::retries_of(7)), is_retry);
        }
    }

    #[test]
    fn what_is_spelled_otherwise_is_no_key() {
        for (partition, sort_key) in [
            ("count", "0"),
            ("count", "+1"),
            ("days", "2026-11-26T00"),
            ("tags", "samples"),
            ("campaigns", "1795694400000001#"),
            ("campaigns", "795694400000001#c:1"),
            ("campaigns", "+795694400000001#c:1"),
            ("campaigns", "1795694400000001#a b"),
            ("campaign#c:1", "segment#7"),
            ("campaign#c:1", "retry#00007"),
            ("campaign#a b", "campaign"),
            ("campaign", "campaign"),
            ("other", "campaign"),
        ] {
            let item = Item::from([
                (ID.to_owned(), string(partition)),
                (PART.to_owned(), string(sort_key)),
            ]);
            assert_eq!(LedgerKey::of(&item), None, "{partition} {sort_key}");
        }
    }
}
