use std::collections::HashSet;
use std::time::Duration;

use pushcast::campaign::MAX_UNRECORDED_PUSHES;
use serde_json::{Value, json};

use crate::support::program::Server;
use crate::support::program::campaigns::counts;
use crate::support::push_service::PushService;
use crate::support::push_service::behaviour::{Behaviour, Canned};
use crate::support::random::Random;
use crate::support::subscribers::{Subscribers, by_subscription, number};

const ALL: usize = 20_000;
/// Number of kills while the worker reads subscribers, while it retries pushes, and after every subscriber was reached.
/// After that the worker still has to write the checkpoint, close the segment and end the campaign.
const KILLS: [usize; 3] = [17, 4, 3];
const PATIENCE: Duration = Duration::from_secs(60);
const SEED: u64 = 20_270_115;

/// One subscriber in 50 is gone.
const ALIVE: usize = ALL - ALL / 50;

fn is_gone(i: usize) -> bool {
    i.is_multiple_of(50)
}

/// Some subscribers are gone, and some pushes must be retried.
fn answer(i: usize, visit: usize) -> Option<Behaviour> {
    let status = match (i % 50, visit) {
        (0, _) => 410,
        (1, 0) => 429,
        (2, 0) => 500,
        _ => return None,
    };
    Some(Behaviour::Answer(
        Canned::status(status).header("retry-after", "1"),
    ))
}

#[expect(clippy::print_stdout, reason = "how few is worth knowing")]
#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_misses_no_subscriber_however_often_the_program_is_killed() {
    let service = PushService::start().await;
    let mut server = Server::start(&service).await;
    Subscribers::import(&server, &service, ALL, |_| vec![]).await;
    service.plan(|id, visit| answer(number(id), visit));
    let id = server
        .broadcast(&json!({"to": {"audience": "all"}, "data": "to all"}))
        .await;

    let random = Random::new(SEED);
    let mut repeated = RepeatedDeliveries::default();
    repeated
        .kill_while_reading(&mut server, &service, &random)
        .await;
    let read = |campaign: &Value| campaign["scanned"] == ALL;
    server.campaign_until(&id, PATIENCE * 5, read).await;
    let again = repeated
        .kill_while_retrying(&mut server, &service, &random)
        .await;
    repeated
        .kill_when_all_are_reached(&mut server, &service, &random)
        .await;
    let campaign = server.done(&id, PATIENCE * 5).await;
    service.wait_until_idle(PATIENCE).await;

    let deliveries = service.deliveries();
    let all = by_subscription(&deliveries);
    let reached: HashSet<usize> = all.keys().map(|id| number(id)).collect();
    let alive: HashSet<usize> = (0..ALL).filter(|i| !is_gone(*i)).collect();
    let missed: Vec<_> = alive.difference(&reached).collect();
    assert!(missed.is_empty(), "missed: {missed:?}");
    assert!(reached == alive, "only the living are delivered to");

    let [reading, _, ending] = KILLS;
    let kills = reading + again + ending;
    repeated.count(&service);
    let RepeatedDeliveries { twice, most } = repeated;
    println!(
        "{ALL} subscribers, {kills} kills ({again} while some were pushed to again, {ending} when all had been reached): \
         {twice} duplicates, {most} at most after one kill, of {MAX_UNRECORDED_PUSHES} allowed"
    );
    assert!(
        most <= MAX_UNRECORDED_PUSHES,
        "{most} duplicates after one kill"
    );

    let gone = (ALL - alive.len()) as u64;
    let counted = counts(&campaign);
    let expected = [("accepted", ALL as u64 - gone), ("gone", gone)];
    let expected = expected.map(|(name, n)| (name.to_owned(), n));
    assert_eq!(counted, expected.into(), "{campaign}");
    assert_eq!(campaign["scanned"], ALL, "{campaign}");
    assert_eq!(campaign["subscribers"], ALL, "{campaign}");
    assert_eq!(server.exported().await.len(), alive.len());
}

/// Repeated deliveries: in total, and the most after one kill.
#[derive(Default)]
struct RepeatedDeliveries {
    twice: usize,
    most: usize,
}

impl RepeatedDeliveries {
    /// Kills the program while it reads subscribers.
    async fn kill_while_reading(
        &mut self,
        server: &mut Server,
        service: &PushService,
        random: &Random,
    ) {
        let mut moments: Vec<_> = (0..KILLS[0]).map(|_| random.below(ALL * 9 / 10)).collect();
        moments.sort_unstable();
        for moment in moments {
            // The restarted program must push before it is killed again.
            let next = moment.max(service.deliveries().len() + 1);
            service.wait_for(next, PATIENCE).await;
            self.kill(server, service).await;
        }
    }

    /// Kills the program while it retries pushes. Returns the number of kills.
    async fn kill_while_retrying(
        &mut self,
        server: &mut Server,
        service: &PushService,
        random: &Random,
    ) -> usize {
        let mut again = 0;
        for left in (1..=KILLS[1]).rev() {
            let (sent, waiting) = progress(service);
            // On a slow machine every retry may be done by now. The kills before and after add up to twenty without
            // these.
            if waiting == 0 {
                break;
            }
            again += 1;
            let more = 1 + random.below(waiting.div_ceil(left));
            service.wait_for(sent + more, PATIENCE).await;
            self.kill(server, service).await;
        }
        again
    }

    /// Kills the program after every subscriber was reached and before it has recorded that.
    async fn kill_when_all_are_reached(
        &mut self,
        server: &mut Server,
        service: &PushService,
        random: &Random,
    ) {
        loop {
            let (sent, waiting) = progress(service);
            if waiting == 0 {
                break;
            }
            service.wait_for(sent + waiting, PATIENCE).await;
        }
        for _ in 0..KILLS[2] {
            self.kill(server, service).await;
            let moment = Duration::from_millis(random.pick(&[0, 5, 10, 20, 50]));
            tokio::time::sleep(moment).await;
        }
    }

    async fn kill(&mut self, server: &mut Server, service: &PushService) {
        server.kill().await;
        service.wait_until_idle(PATIENCE).await;
        self.count(service);
        server.restart().await;
    }

    /// Counts the cost of the previous kill, once the restarted program has continued.
    fn count(&mut self, service: &PushService) {
        let (sent, waiting) = progress(service);
        let twice = sent - (ALIVE - waiting);
        self.most = self.most.max(twice - self.twice);
        self.twice = twice;
    }
}

/// Number of deliveries, and of subscribers without one.
fn progress(service: &PushService) -> (usize, usize) {
    let deliveries = service.deliveries();
    let reached = by_subscription(&deliveries).len();
    (deliveries.len(), ALIVE - reached)
}
