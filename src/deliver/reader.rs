//! Reads the rows of a segment. While the worker pushes a batch, the reader requests the next rows.

use std::collections::VecDeque;

use tokio::task::JoinHandle;
use tracing::Instrument as _;

use super::recipient::Recipient;
use super::work::DeliverError;
use crate::audience::Audience;
use crate::dynamo::StoreError;
use crate::store::Store;
use webpush::AllowList;

/// Rows that one request scans when the audience is all subscribers.
const ROWS_PER_READ: i32 = 500;
/// Rows that one request scans when the audience has a filter. DynamoDB reads at most 1 MB at a time, about 2 500 rows.
const ROWS_PER_FILTERED_READ: i32 = 2_500;
/// After this many scanned rows, a page is returned even if it is not full: the worker must renew its lease.
const MAX_SCANNED: u64 = 25_000;

/// Reads one segment, one request ahead.
pub(super) struct Reader {
    source: Source,
    buffer: VecDeque<Recipient>,
    /// Rows that were scanned and are not counted in a page yet.
    scanned: u64,
    /// The last endpoint that was scanned. None at the beginning of the segment.
    scanned_to: Option<String>,
    ahead: Option<JoinHandle<Result<Rows, StoreError>>>,
}

#[derive(Clone)]
struct Source {
    store: Store,
    audience: Audience,
    allowed: AllowList,
    segment: u32,
    segments: u32,
}

/// Result of one request.
struct Rows {
    recipients: Vec<Recipient>,
    scanned: u64,
    next: Option<String>,
}

/// Recipients of one batch.
pub(super) struct Page {
    pub(super) recipients: Vec<Recipient>,
    /// The next page begins after this endpoint.
    pub(super) cursor: Option<String>,
    /// Whether this is the segment's last page.
    pub(super) is_last: bool,
    /// Rows that were scanned for this page.
    pub(super) scanned: u64,
}

impl Reader {
    /// Reads the segment `segment` of `segments`, after the endpoint `after`.
    pub(super) fn new(
        store: &Store,
        audience: &Audience,
        allowed: &AllowList,
        (segment, segments): (u32, u32),
        after: Option<String>,
    ) -> Self {
        let source = Source {
            store: store.clone(),
            audience: audience.clone(),
            allowed: allowed.clone(),
            segment,
            segments,
        };
        let ahead = Some(source.read(after.clone()));
        Self {
            source,
            buffer: VecDeque::new(),
            scanned: 0,
            scanned_to: after,
            ahead,
        }
    }

    /// The next page, of at most `max` recipients.
    pub(super) async fn next(&mut self, max: usize) -> Result<Page, DeliverError> {
        while self.buffer.len() < max && self.scanned < MAX_SCANNED {
            let Some(reading) = self.ahead.take() else {
                break;
            };
            let rows = reading.await.map_err(DeliverError::Panicked)??;
            self.buffer.extend(rows.recipients);
            self.scanned += rows.scanned;
            if let Some(next) = rows.next {
                self.ahead = Some(self.source.read(Some(next.clone())));
                self.scanned_to = Some(next);
            }
        }
        let taken = self.buffer.len().min(max);
        let recipients: Vec<Recipient> = self.buffer.drain(..taken).collect();
        let (cursor, scanned) = if self.buffer.is_empty() {
            (self.scanned_to.clone(), self.scanned)
        } else {
            let last = recipients.last().map(|last| last.endpoint().to_owned());
            (last, self.scanned.min(taken as u64))
        };
        self.scanned -= scanned;
        Ok(Page {
            recipients,
            cursor,
            is_last: self.buffer.is_empty() && self.ahead.is_none(),
            scanned,
        })
    }
}

impl Source {
    fn read(&self, after: Option<String>) -> JoinHandle<Result<Rows, StoreError>> {
        let source = self.clone();
        let read = async move {
            let limit = if source.audience.filter().is_some() {
                ROWS_PER_FILTERED_READ
            } else {
                ROWS_PER_READ
            };
            let (segment, segments) = (source.segment, source.segments);
            let page = source
                .store
                .subscribers
                .scan_segment(segment, segments, &source.audience, after.as_deref(), limit)
                .await?;
            let rows = page.rows.into_iter();
            Ok(Rows {
                recipients: rows
                    .map(|row| Recipient::new(row, &source.allowed))
                    .collect(),
                scanned: page.scanned,
                next: page.next,
            })
        };
        tokio::spawn(read.in_current_span())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(ahead) = &self.ahead {
            ahead.abort();
        }
    }
}
