//! What takes more than one campaign, more than one worker, or time after the end.

use std::time::Duration;

use super::super::{Answer, Day, next_probe};
use super::simulator::{Campaign, Site, always, between, from, ok};
use super::{never, reached};

#[test]
fn a_wrong_key_costs_few_posts() {
    for (history, answer, most) in [
        (reached(), Answer::Auth, 50 + 200),
        (never(), Answer::Mismatch, 1000),
    ] {
        for workers in [1, 3] {
            let mut site = Site::new(&[(history, always(answer), 30_000)]);
            let mut campaign = Campaign::new(&mut site.0, Day(0), workers, false);
            campaign.run();
            let most = if history.reached {
                most * workers
            } else {
                most
            };
            assert!(
                campaign.posts <= most,
                "{} posts of {workers} workers",
                campaign.posts
            );
            assert_eq!(campaign.told(), "halted: 30000 skipped");
        }
    }
}

#[test]
fn one_worker_of_three_with_a_wrong_clock_ends_and_stops_nobody() {
    let mut site = Site::new(&[(reached(), ok(), 90_000)]);
    let mut campaign = Campaign::new(&mut site.0, Day(0), 3, true);
    campaign.run();
    assert_eq!(
        (campaign.failed_jobs, &campaign.told()[..]),
        (1, "done: 90000 accepted")
    );
}

#[test]
fn a_halted_campaign_goes_on_by_itself_when_the_key_is_repaired() {
    for (subscribers, workers) in [(10, 1), (10, 3), (30_000, 1), (30_000, 3)] {
        let mut site = Site::new(&[(
            reached(),
            between(-1.0, 3600.0, Answer::Mismatch),
            subscribers,
        )]);
        let mut campaign = Campaign::new(&mut site.0, Day(0), workers, false);
        campaign.run();
        assert_eq!(campaign.told(), format!("halted: {subscribers} skipped"));
        let (halted_at, mut last, mut probes) = (campaign.time, None, 0);
        while let Some(at) = next_probe(halted_at, last, halted_at + Duration::from_secs(24 * 3600))
        {
            (campaign.time, last, probes) = (at, Some(at), probes + 1);
            campaign.probe();
            if campaign.told().starts_with("done") {
                break;
            }
        }
        assert_eq!(
            (campaign.told(), probes),
            (format!("done: {subscribers} accepted"), 2)
        );
    }
}

#[test]
fn a_person_resumes_a_campaign_of_ten_that_all_waited_for_each_other() {
    let mut site = Site::new(&[(reached(), between(-1.0, 100.0, Answer::Mismatch), 10)]);
    let mut campaign = Campaign::new(&mut site.0, Day(0), 1, false);
    campaign.run();
    assert_eq!(campaign.told(), "halted: 10 skipped");
    // Too early: the key is still wrong.
    campaign.item.resume(false);
    campaign.run();
    assert_eq!(campaign.told(), "halted: 10 skipped");
    campaign.time += Duration::from_secs(100);
    campaign.item.resume(false);
    campaign.run();
    assert_eq!(campaign.told(), "done: 10 accepted");
}

#[test]
fn a_person_believes_mismatches() {
    let mut site = Site::new(&[(reached(), always(Answer::Mismatch), 30_000)]);
    let mut campaign = Campaign::new(&mut site.0, Day(0), 3, false);
    campaign.run();
    assert_eq!(campaign.told(), "halted: 30000 skipped");
    campaign.item.resume(true);
    campaign.run();
    assert_eq!(campaign.told(), "done: 30000 mismatched");
    assert_eq!(site.removed(), 0);
}

#[test]
fn strangers_go_after_three_campaigns_on_three_days_and_those_who_were_reached_stay() {
    for answer in [
        Answer::NotFound,
        Answer::Mismatch,
        Answer::Auth,
        Answer::Refused,
        Answer::Unconnected,
    ] {
        let mut site = Site::new(&[
            (reached(), ok(), 3000),
            (reached(), always(answer), 30),
            (never(), ok(), 300),
            (never(), always(answer), 3000),
        ]);
        let removed: Vec<usize> = [0, 0, 1, 2]
            .map(|day| (site.campaign(day, 3), site.removed()).1)
            .into();
        assert_eq!(removed, [0, 0, 0, 3000], "{answer:?}");
        assert!(site.0.iter().all(|it| !it.removed || !it.history.reached));
    }
}

#[test]
fn a_week_of_404_under_other_keys_removes_nobody() {
    let mut site = Site::new(&[
        (reached(), always(Answer::NotFound), 200),
        (never(), always(Answer::NotFound), 50),
    ]);
    for day in 0..20 {
        assert_eq!(
            (&site.campaign(day, 3)[..], site.removed()),
            ("done with a warning: 250 gone", 0)
        );
    }
    // Marks are old. The service is repaired in the middle of a campaign, and everybody is reached.
    for subscriber in &mut site.0 {
        subscriber.fate = between(-1.0, 20.0, Answer::NotFound);
    }
    assert_eq!(
        (&site.campaign(21, 3)[..], site.removed()),
        ("done: 250 accepted", 0)
    );
}

#[test]
fn a_key_swapped_in_the_middle_removes_nobody_of_three_workers_and_halts() {
    let mut site = Site::new(&[
        (reached(), from(2.0, Answer::Mismatch), 60_000),
        (never(), ok(), 100),
    ]);
    let mut campaign = Campaign::new(&mut site.0, Day(0), 3, false);
    campaign.run();
    let told = campaign.told();
    assert!(
        told.starts_with("halted: ") && told.contains("skipped") && !told.contains("mismatched"),
        "{told}"
    );
    assert_eq!(site.removed(), 0);
}
