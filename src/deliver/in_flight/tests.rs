use super::*;

const BOUNDS: Bounds = Bounds {
    stragglers: 2,
    max_stragglers: 4,
    spread: Duration::ZERO,
};
/// A batch that may leave no push in flight.
const NONE: Bounds = Bounds {
    stragglers: 0,
    max_stragglers: 0,
    spread: Duration::ZERO,
};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A batch with `counts` pushes to each service.
fn batch(bounds: Bounds, counts: &[usize]) -> InFlight {
    let services = counts.iter().enumerate();
    let services = services.flat_map(|(service, n)| std::iter::repeat_n(service, *n));
    InFlight::new(bounds, services)
}

/// A service answers `n` pushes at `now`. Returns the worker's last action.
fn answer(state: &mut InFlight, service: usize, n: usize, now: Duration) -> Action {
    let is_answer = true;
    let event = Event::Ended { service, is_answer };
    let actions = (0..n).map(|_| state.step(event, now));
    actions.last().expect("at least one answer")
}

#[test]
fn a_batch_is_over_when_all_pushes_are_answered() {
    assert_eq!(batch(BOUNDS, &[]).begin(), Action::Leave);
    let mut state = batch(BOUNDS, &[3]);
    assert_eq!(state.begin(), Action::WaitUntil(FIRST_CHECK));
    assert!(matches!(
        answer(&mut state, 0, 2, ms(50)),
        Action::WaitUntil(_)
    ));
    assert_eq!(answer(&mut state, 0, 1, ms(60)), Action::Leave);
}

#[test]
fn the_slower_half_has_twice_as_long_as_the_faster_one_and_at_least_300_ms() {
    for (taken, check) in [
        (ms(10), ms(310)),
        (ms(400), ms(1_200)),
        (ms(1_500), FIRST_CHECK),
    ] {
        let mut state = batch(BOUNDS, &[10]);
        assert_eq!(answer(&mut state, 0, 5, taken), Action::WaitUntil(check));
    }
}

#[test]
fn a_few_stragglers_are_left_and_more_are_waited_for() {
    let mut state = batch(BOUNDS, &[10]);
    answer(&mut state, 0, 7, ms(10));
    let next = ms(310) + CHECK_INTERVAL;
    assert_eq!(state.step(Event::Timer, ms(310)), Action::WaitUntil(next));
    answer(&mut state, 0, 1, ms(350));
    assert_eq!(state.step(Event::Timer, next), Action::Leave);
}

#[test]
fn where_other_services_would_wait_more_stragglers_are_left_and_the_rest_is_deferred() {
    let mut state = batch(BOUNDS, &[6, 6]);
    answer(&mut state, 0, 6, ms(10));
    assert_eq!(state.step(Event::Timer, ms(310)), Action::Defer);
    // One of the six pushes was not dispatched. The other five are more than may stay in flight.
    let next = ms(310) + CHECK_INTERVAL;
    assert_eq!(
        state.step(Event::Deferred(&[1]), ms(310)),
        Action::WaitUntil(next)
    );
    answer(&mut state, 1, 1, ms(350));
    assert_eq!(state.step(Event::Timer, next), Action::Defer);
    assert_eq!(state.step(Event::Deferred(&[]), next), Action::Leave);
}

#[test]
fn less_than_a_tenth_of_a_batch_is_no_reason_to_leave_more() {
    for (fast, action) in [
        (1, Action::WaitUntil(FIRST_CHECK + CHECK_INTERVAL)),
        (2, Action::Defer),
    ] {
        let mut state = batch(BOUNDS, &[fast, 20 - fast]);
        answer(&mut state, 0, fast, ms(10));
        assert_eq!(
            state.step(Event::Timer, FIRST_CHECK),
            action,
            "{fast} of 20"
        );
    }
}

#[test]
fn when_no_service_has_answered_for_5_s_what_was_not_dispatched_is_deferred() {
    let mut state = batch(BOUNDS, &[10]);
    state.step(Event::Timer, FIRST_CHECK);
    assert_eq!(state.step(Event::Timer, MAX_SILENCE), Action::Defer);
    assert_eq!(
        state.step(Event::Deferred(&[0; 6]), MAX_SILENCE),
        Action::Leave
    );
    // A failure is no answer, and an answer ends the silence.
    let mut state = batch(NONE, &[10]);
    let failed = Event::Ended {
        service: 0,
        is_answer: false,
    };
    state.step(failed, ms(10));
    assert_eq!(state.step(Event::Timer, MAX_SILENCE), Action::Defer);
    let mut state = batch(NONE, &[10]);
    answer(&mut state, 0, 1, ms(10));
    assert!(matches!(
        state.step(Event::Timer, MAX_SILENCE),
        Action::WaitUntil(_)
    ));
}

#[test]
fn nothing_waits_longer_than_20_s_to_be_dispatched() {
    let mut state = batch(NONE, &[10]);
    answer(&mut state, 0, 1, ms(10));
    assert_eq!(state.step(Event::Timer, MAX_DISPATCH), Action::Defer);
    let after = state.step(Event::Deferred(&[0; 8]), MAX_DISPATCH);
    assert!(
        matches!(after, Action::WaitUntil(_)),
        "one was dispatched: {after:?}"
    );
    assert_eq!(answer(&mut state, 0, 1, ms(25_000)), Action::Leave);
}

#[test]
fn a_worker_that_must_stop_defers_and_waits_for_the_last_answer_only() {
    let mut state = batch(BOUNDS, &[10]);
    let last_answer = ms(9_000);
    let stop = Event::StopRequested { last_answer };
    assert_eq!(state.step(stop, ms(100)), Action::Defer);
    assert!(state.is_stopping());
    let waits = Action::WaitUntil(last_answer);
    assert_eq!(state.step(Event::Deferred(&[0; 7]), ms(100)), waits);
    // Neither a check nor silence ends the wait.
    assert_eq!(state.step(Event::Timer, MAX_SILENCE), waits);
    assert_eq!(answer(&mut state, 0, 2, ms(6_000)), waits);
    assert_eq!(state.step(Event::Timer, last_answer), Action::Leave);
}

#[test]
fn a_batch_that_is_spread_out_is_given_the_time_that_this_takes() {
    let spread = ms(5_000);
    let mut state = batch(Bounds { spread, ..BOUNDS }, &[10]);
    assert_eq!(state.begin(), Action::WaitUntil(spread + FIRST_CHECK));
    let check = Action::WaitUntil(spread + MIN_PATIENCE);
    assert_eq!(answer(&mut state, 0, 5, ms(2_500)), check);
}
