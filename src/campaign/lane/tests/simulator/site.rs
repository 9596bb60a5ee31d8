//! Who is subscribed to a site, and what the push service answers to them.

use std::rc::Rc;

use super::super::super::{Answer, Day, History};
use super::Campaign;

/// What the push service answers to a subscriber at a second of the campaign.
pub(in super::super) type Fate = Rc<dyn Fn(f64, &mut Chance) -> Answer>;

/// A generator of chance with a seed (SplitMix64).
pub(in super::super) struct Chance(u64);

impl Chance {
    pub(in super::super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(in super::super) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

pub(in super::super) struct Subscriber {
    pub(in super::super) history: History,
    pub(in super::super) fate: Fate,
    pub(in super::super) removed: bool,
}

pub(in super::super) fn always(answer: Answer) -> Fate {
    Rc::new(move |_, _| answer)
}

pub(in super::super) fn ok() -> Fate {
    always(Answer::Accepted)
}

/// The answer between these seconds of a campaign; accepted otherwise.
pub(in super::super) fn between(from: f64, to: f64, answer: Answer) -> Fate {
    Rc::new(move |t, _| {
        if from < t && t < to {
            answer
        } else {
            Answer::Accepted
        }
    })
}

/// Accepted until this second, the answer from then on.
pub(in super::super) fn from(second: f64, answer: Answer) -> Fate {
    between(second, f64::INFINITY, answer)
}

/// Half of the service's nodes give this answer until this second.
pub(in super::super) fn half(until: f64, answer: Answer) -> Fate {
    Rc::new(move |t, chance| {
        if t < until && chance.below(2) == 0 {
            answer
        } else {
            Answer::Accepted
        }
    })
}

/// A site's subscribers.
pub(in super::super) struct Site(pub(in super::super) Vec<Subscriber>);

impl Site {
    pub(in super::super) fn new(groups: &[(History, Fate, usize)]) -> Self {
        let of = |(history, fate, n): &(History, Fate, usize)| {
            (0..*n)
                .map(|_| Subscriber {
                    history: *history,
                    fate: Rc::clone(fate),
                    removed: false,
                })
                .collect::<Vec<_>>()
        };
        Self(groups.iter().flat_map(of).collect())
    }

    /// A campaign on that day; how it ended.
    pub(in super::super) fn campaign(&mut self, day: i32, workers: usize) -> String {
        let mut campaign = Campaign::new(&mut self.0, Day(day), workers, false);
        campaign.run();
        campaign.told()
    }

    pub(in super::super) fn removed(&self) -> usize {
        self.0.iter().filter(|it| it.removed).count()
    }
}
