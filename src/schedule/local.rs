//! Schedules of the local server: the ledger stores them, and the server fires them.
//!
//! The server records a firing after its campaign has started: a crash may repeat a firing, but loses none. A repeated
//! firing leads to the same campaign, because the campaign's id is made of the schedule and the scheduled time. If
//! firings were missed while no server ran, the server fires once, for the latest of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Notify;

use super::{Listed, Schedule, Schedules, SchedulesError, Stored, zone};
use crate::clock::Clock;
use crate::dynamo::StoreError;
use crate::ledger::StoredSchedule;
use crate::store::Store;

/// Delay before a failed firing is tried again. It doubles with each failure.
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(5 * 60);
/// Maximum time between two looks at the clock. After the machine was suspended or its clock was set, a firing is late
/// by no more than this.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// Schedules in the ledger. A clone shares them.
#[derive(Debug, Clone)]
pub struct LocalSchedules {
    store: Store,
    changed: Arc<Notify>,
}

/// A firing of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// Name of the schedule.
    pub schedule: String,
    /// When it was to fire, in whole seconds. Name and time identify the firing.
    pub scheduled_time: Timestamp,
    /// The message to send.
    pub message: Value,
}

impl LocalSchedules {
    /// The schedules in the ledger of `store`.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            changed: Arc::default(),
        }
    }

    /// The task that fires the schedules. Run one per ledger: two would each fire every schedule.
    pub fn firing(&self) -> Firing {
        Firing {
            schedules: self.clone(),
            failed: HashMap::new(),
        }
    }
}

impl Schedules for LocalSchedules {
    async fn list(&self, _now: Timestamp) -> Result<Vec<Listed>, SchedulesError> {
        let stored = self.store.ledger.schedules().await?;
        let listed = stored.into_iter().map(|schedule| Listed {
            message: serde_json::from_str(&schedule.message).unwrap_or_default(),
            name: schedule.name,
            expression: schedule.expression,
            timezone: schedule.timezone,
            next: schedule.next,
        });
        Ok(listed.collect())
    }

    async fn create(&self, schedule: &Schedule, now: Timestamp) -> Result<Stored, SchedulesError> {
        let replaced = self
            .store
            .ledger
            .put_schedule(&StoredSchedule {
                name: schedule.name.clone(),
                expression: schedule.expression.to_string(),
                timezone: schedule.zone_name().to_owned(),
                message: schedule.message.to_string(),
                created_at: now,
                next: schedule.next_after(now, now),
            })
            .await?;
        self.changed.notify_one();
        Ok(if replaced {
            Stored::Replaced
        } else {
            Stored::New
        })
    }

    async fn delete(&self, name: &str) -> Result<bool, SchedulesError> {
        let deleted = self.store.ledger.delete_schedule(name).await?;
        self.changed.notify_one();
        Ok(deleted)
    }
}

/// Fires schedules when they are due.
#[derive(Debug)]
pub struct Firing {
    schedules: LocalSchedules,
    /// By name of the schedule.
    failed: HashMap<String, Failed>,
}

/// A schedule whose firing failed.
#[derive(Debug, Clone, Copy)]
struct Failed {
    /// When the schedule was created. A newer schedule of the same name has not failed.
    created_at: Timestamp,
    failures: u32,
    not_before: Timestamp,
}

impl Firing {
    /// Fires schedules as they come due, for ever.
    pub async fn run<F, E>(mut self, clock: Clock, fire: impl Fn(Fired) -> F + Send + Sync)
    where
        F: Future<Output = Result<(), E>> + Send,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let changed = Arc::clone(&self.schedules.changed);
        loop {
            let now = clock.now();
            let next = self.fire_due(now, &fire).await.unwrap_or_else(|error| {
                let error = &error as &dyn std::error::Error;
                tracing::error!(
                    error,
                    "the schedules could not be read, this will be tried again"
                );
                None
            });
            let until = next.map(|next| next.duration_since(clock.now()));
            let until = until.map_or(MAX_SLEEP, |until| until.try_into().unwrap_or_default());
            tokio::select! {
                () = tokio::time::sleep(until.min(MAX_SLEEP)) => {}
                () = changed.notified() => {}
            }
        }
    }

    /// Fires the schedules that are due at `now`. Returns when the next one is due.
    ///
    /// # Errors
    /// When the schedules cannot be read. If one cannot be fired or recorded, that is logged and tried again later.
    pub async fn fire_due<F, E>(
        &mut self,
        now: Timestamp,
        fire: &(impl Fn(Fired) -> F + Sync),
    ) -> Result<Option<Timestamp>, StoreError>
    where
        F: Future<Output = Result<(), E>> + Send,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stored = self.schedules.store.ledger.schedules().await?;
        self.failed.retain(|name, failed| {
            let same = |it: &StoredSchedule| it.name == *name && it.created_at == failed.created_at;
            stored.iter().any(same)
        });
        let (mut due, mut next) = (Vec::new(), None);
        for schedule in stored {
            let Some(at) = schedule.next else { continue };
            let held = self.failed.get(&schedule.name);
            let at = held.map_or(at, |failed| failed.not_before.max(at));
            if at <= now {
                due.push(schedule);
            } else {
                next = earlier(next, Some(at));
            }
        }
        let store = &self.schedules.store;
        let firing = due.into_iter().map(async |schedule| {
            let done = fire_one(store, &schedule, now, fire).await;
            (schedule, done)
        });
        let mut firing: FuturesUnordered<_> = firing.collect();
        while let Some((schedule, done)) = firing.next().await {
            let at = match done {
                Ok(next) => {
                    self.failed.remove(&schedule.name);
                    next
                }
                Err(error) => Some(note_failure(&mut self.failed, schedule, now, &*error)),
            };
            next = earlier(next, at);
        }
        Ok(next)
    }
}

/// Remembers that a schedule could not be fired. Returns when it is tried again.
fn note_failure(
    failed: &mut HashMap<String, Failed>,
    schedule: StoredSchedule,
    now: Timestamp,
    error: &(dyn std::error::Error + 'static),
) -> Timestamp {
    let StoredSchedule {
        name, created_at, ..
    } = schedule;
    let failures = failed.get(&name).map_or(1, |known| known.failures + 1);
    let wait = MIN_BACKOFF.saturating_mul(1 << (failures - 1).min(16));
    let wait = wait.min(MAX_BACKOFF);
    tracing::error!(
        schedule = name,
        error,
        ?wait,
        "schedule could not be fired, it will be tried again"
    );
    let not_before = now.saturating_add(wait).unwrap_or(now);
    let failure = Failed {
        created_at,
        failures,
        not_before,
    };
    failed.insert(name, failure);
    not_before
}

/// Fires one schedule for the latest of its times up to `now`, and records that. Returns when it fires next.
async fn fire_one<F, E>(
    store: &Store,
    stored: &StoredSchedule,
    now: Timestamp,
    fire: &(impl Fn(Fired) -> F + Sync),
) -> Result<Option<Timestamp>, Box<dyn std::error::Error + Send + Sync>>
where
    F: Future<Output = Result<(), E>> + Send,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Some(missed) = stored.next else {
        return Ok(None);
    };
    let zone = zone(&stored.timezone).ok_or("its time zone is unknown")?;
    let expression: super::Expression = stored.expression.parse()?;
    let scheduled_time = expression.last_until(now, missed, &zone, stored.created_at);
    let fired = Fired {
        schedule: stored.name.clone(),
        scheduled_time,
        message: serde_json::from_str(&stored.message)?,
    };
    fire(fired).await.map_err(Into::into)?;
    if expression.is_once() {
        store.ledger.schedule_finished(stored).await?;
        return Ok(None);
    }
    let next = expression.next_after(scheduled_time, &zone, stored.created_at);
    store.ledger.schedule_fired(stored, next).await?;
    Ok(next)
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
