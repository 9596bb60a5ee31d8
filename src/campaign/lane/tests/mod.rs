//! The tables, the states, the ends, and the cases played through.

mod cases;
mod ends;
mod goes_on;
mod player;
mod silence;
mod simulator;
mod states;
mod table;

use std::sync::Arc;
use std::time::Duration;

use super::{Day, History, Now, Row};

/// The day of every test that does not say otherwise.
const TODAY: Day = Day(20_000);

/// So many seconds after a test begins. Its worker started before that.
fn seconds(s: f64) -> Now {
    Now {
        at: Duration::from_secs_f64(1000.0 + s),
        today: TODAY,
    }
}

fn row(key: usize, history: History) -> Row<usize> {
    Row {
        key,
        origin: Arc::from("https://fcm.googleapis.com"),
        history,
    }
}

fn reached() -> History {
    History {
        reached: true,
        ..History::default()
    }
}

fn marked(days_ago: i32) -> History {
    History {
        gone_on: Some(Day(TODAY.0 - days_ago)),
        ..reached()
    }
}

fn never() -> History {
    History::default()
}
