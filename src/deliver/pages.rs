//! Reading a segment: the next page is on its way while this one is pushed.

use std::collections::VecDeque;

use tokio::task::JoinHandle;
use tracing::Instrument as _;

use super::DeliverError;
use crate::audience::Audience;
use crate::dynamo::StoreError;
use crate::store::Store;
use crate::subscribers::Row;
use crate::subscribers::SegmentPage;

/// Rows that one request looks at when all of them are wanted.
const READ: i32 = 500;
/// And when few of them may be: DynamoDB reads 1 MB at a time, some 2 500 rows.
const READ_FILTERED: i32 = 2_500;
/// Rows that are looked at before a page is given out though it is not full: its reader must renew its lease.
const MOST_SCANNED: u64 = 25_000;

/// A segment that is being read.
pub(super) struct Pages {
    source: Source,
    buffer: VecDeque<Row>,
    /// Looked at, and not given out.
    scanned: u64,
    /// After this one the segment has not been read; nothing at its beginning.
    read_to: Option<String>,
    ahead: Option<JoinHandle<Result<SegmentPage, StoreError>>>,
}

#[derive(Clone)]
struct Source {
    store: Store,
    audience: Audience,
    segment: u32,
    of: u32,
}

/// Rows to be pushed to.
pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    /// Where reading goes on after them.
    pub(super) cursor: Option<String>,
    /// Nothing comes after them.
    pub(super) last: bool,
    /// Rows that were looked at for them.
    pub(super) scanned: u64,
}

impl Pages {
    /// Segment `segment` of `of`, after the endpoint `after`.
    pub(super) fn new(
        store: &Store,
        audience: &Audience,
        (segment, of): (u32, u32),
        after: Option<String>,
    ) -> Self {
        let source = Source {
            store: store.clone(),
            audience: audience.clone(),
            segment,
            of,
        };
        let ahead = Some(source.read(after.clone()));
        Self {
            source,
            buffer: VecDeque::new(),
            scanned: 0,
            read_to: after,
            ahead,
        }
    }

    /// The next page, of `most` rows at most.
    pub(super) async fn next(&mut self, most: usize) -> Result<Page, DeliverError> {
        while self.buffer.len() < most && self.scanned < MOST_SCANNED {
            let Some(reading) = self.ahead.take() else {
                break;
            };
            let page = reading.await.map_err(DeliverError::Panicked)??;
            self.buffer.extend(page.rows);
            self.scanned += page.scanned;
            if let Some(next) = page.next {
                self.ahead = Some(self.source.read(Some(next.clone())));
                self.read_to = Some(next);
            }
        }
        let taken = self.buffer.len().min(most);
        let rows: Vec<Row> = self.buffer.drain(..taken).collect();
        let (cursor, scanned) = if self.buffer.is_empty() {
            (self.read_to.clone(), self.scanned)
        } else {
            let last = rows.last().map(|row| row.endpoint.clone());
            (last, self.scanned.min(taken as u64))
        };
        self.scanned -= scanned;
        Ok(Page {
            rows,
            cursor,
            last: self.buffer.is_empty() && self.ahead.is_none(),
            scanned,
        })
    }
}

impl Source {
    fn read(&self, after: Option<String>) -> JoinHandle<Result<SegmentPage, StoreError>> {
        let source = self.clone();
        let read = async move {
            let limit = if source.audience.filter().is_some() {
                READ_FILTERED
            } else {
                READ
            };
            let (segment, of) = (source.segment, source.of);
            source
                .store
                .subscribers
                .scan_segment(segment, of, &source.audience, after.as_deref(), limit)
                .await
        };
        tokio::spawn(read.in_current_span())
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if let Some(ahead) = &self.ahead {
            ahead.abort();
        }
    }
}
