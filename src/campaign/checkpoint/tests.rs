use jiff::Timestamp;

use super::*;
use crate::campaign::PartKey;
use crate::campaign::part::Retry;
use crate::campaign::retry_state::RetryState;

fn endpoint(n: usize) -> String {
    format!("https://fcm.googleapis.com/fcm/send/{n:04}")
}

fn endpoints(n: usize) -> BTreeSet<String> {
    (0..n).map(endpoint).collect()
}

fn gone(n: usize) -> BTreeMap<String, ()> {
    endpoints(n).into_iter().map(|it| (it, ())).collect()
}

/// Counts `n` rows as `tally`. If they were in a retry part, they are no longer counted as `retrying`.
fn counted(n: i64, tally: Tally, were_retrying: bool) -> Figures {
    let mut figures = Figures::default();
    figures.add(PushService::Fcm, tally, n);
    if were_retrying {
        figures.add(PushService::Fcm, Tally::Retrying, -n);
    }
    figures
}

fn delta(step: Step, figures: Figures, gone: BTreeMap<String, ()>) -> Delta<()> {
    Delta {
        step,
        figures,
        faults: Faults::default(),
        opened: Vec::new(),
        held: Vec::new(),
        gone,
    }
}

fn advance(cursor: Option<&str>, is_last: bool, rows: usize) -> Step {
    Step::Advance {
        cursor: cursor.map(str::to_owned),
        is_last,
        rows,
        scanned: rows as u64,
    }
}

fn reading(after: Option<&str>) -> Checkpoint {
    let after = after.map(str::to_owned);
    Checkpoint::Reading { after }
}

fn retrying(n: usize) -> Checkpoint {
    let endpoints = endpoints(n);
    Checkpoint::Retrying { endpoints }
}

type Case = (
    Checkpoint,
    Step,
    Figures,
    usize,
    Result<Checkpoint, IncompatibleDelta>,
);

/// Deltas that apply: the checkpoint before, the step, the figures, the number of rows that are gone, the checkpoint after.
fn compatible() -> Vec<Case> {
    let none = Figures::default;
    let read_two = || counted(2, Tally::Accepted, false);
    let retried_two = || counted(2, Tally::Accepted, true);
    let removed = |is_retry| counted(1, Tally::Gone, is_retry);
    let (a, b) = (|| reading(Some("a")), || reading(Some("b")));
    let next = || advance(Some("b"), false, 2);
    let last_of_two = Checkpoint::Retrying {
        endpoints: [endpoint(1)].into(),
    };
    vec![
        (reading(None), next(), read_two(), 0, Ok(b())),
        (a(), next(), read_two(), 0, Ok(b())),
        // The batch held nobody of the audience: reading goes on where it was.
        (a(), advance(None, false, 0), none(), 0, Ok(a())),
        (
            a(),
            advance(Some("b"), true, 2),
            read_two(),
            0,
            Ok(Checkpoint::Read),
        ),
        (
            reading(None),
            advance(None, true, 0),
            none(),
            0,
            Ok(Checkpoint::Read),
        ),
        (a(), Step::Remove, removed(false), 1, Ok(a())),
        (retrying(2), Step::Remove, removed(true), 1, Ok(last_of_two)),
        (
            retrying(2),
            Step::Finish,
            retried_two(),
            0,
            Ok(Checkpoint::Done),
        ),
    ]
}

/// Deltas of a step that the checkpoint does not take.
fn incompatible() -> Vec<Case> {
    let none = Figures::default;
    let read_two = || counted(2, Tally::Accepted, false);
    let retried_two = || counted(2, Tally::Accepted, true);
    let removed = |is_retry| counted(1, Tally::Gone, is_retry);
    let end = || advance(Some("b"), true, 2);
    let wrong = || Err(IncompatibleDelta::WrongStep);
    vec![
        (reading(None), Step::Finish, retried_two(), 0, wrong()),
        (Checkpoint::Read, end(), read_two(), 0, wrong()),
        (Checkpoint::Read, Step::Remove, removed(false), 1, wrong()),
        (Checkpoint::Read, Step::Finish, retried_two(), 0, wrong()),
        (retrying(2), end(), read_two(), 0, wrong()),
        (Checkpoint::Done, Step::Finish, retried_two(), 0, wrong()),
        (Checkpoint::Done, Step::Remove, removed(true), 1, wrong()),
        (Checkpoint::Done, advance(None, true, 0), none(), 0, wrong()),
    ]
}

#[test]
fn the_truth_table() {
    for (before, step, figures, rows_gone, after) in compatible().into_iter().chain(incompatible())
    {
        let context = format!("{before:?} and {step:?}");
        let delta = delta(step, figures, gone(rows_gone));
        assert_eq!(before.try_apply(&delta), after, "{context}");
    }
}

#[test]
fn each_row_is_counted_exactly_once() {
    let unbalanced = |rows, counted| Err(IncompatibleDelta::Unbalanced { rows, counted });
    let two = counted(2, Tally::Accepted, false);
    let three = delta(advance(Some("b"), false, 3), two.clone(), gone(0));
    assert_eq!(reading(None).try_apply(&three), unbalanced(3, 2));
    // A retry part's rows were counted when they were read.
    let twice = delta(Step::Finish, two, gone(0));
    assert_eq!(retrying(2).try_apply(&twice), unbalanced(0, 2));
    let uncounted = delta(Step::Remove, Figures::default(), gone(1));
    assert_eq!(reading(None).try_apply(&uncounted), unbalanced(1, 0));
}

#[test]
fn a_retry_part_removes_only_rows_of_its_own() {
    let foreign = delta(Step::Finish, counted(3, Tally::Gone, true), gone(3));
    assert_eq!(
        retrying(2).try_apply(&foreign),
        Err(IncompatibleDelta::ForeignRow)
    );
}

#[test]
fn a_delta_opens_no_more_parts_than_one_transaction_takes() {
    let part = |serial| NewPart {
        key: PartKey::Retry { segment: 0, serial },
        retry: Retry {
            endpoints: endpoints(1),
            state: RetryState::new(Timestamp::UNIX_EPOCH),
        },
    };
    let mut many = delta(advance(None, true, 0), Figures::default(), gone(0));
    many.opened = (0..=MAX_OPENED as u64).map(part).collect();
    let refused = Err(IncompatibleDelta::TooManyParts(MAX_OPENED + 1));
    assert_eq!(reading(None).try_apply(&many), refused);
    many.opened.pop();
    assert_eq!(reading(None).try_apply(&many), Ok(Checkpoint::Read));
}

/// Applies all of `pieces`. Returns the last checkpoint and the sum of the figures.
fn applied(mut checkpoint: Checkpoint, pieces: &[Delta<()>]) -> (Checkpoint, Figures) {
    let mut figures = Figures::default();
    for piece in pieces {
        checkpoint = checkpoint.try_apply(piece).expect("it leads on");
        for (name, n) in piece.figures.entries() {
            figures.read(&name, n);
        }
    }
    (checkpoint, figures)
}

#[test]
fn a_delta_in_pieces_is_the_same_change() {
    let read = delta(
        advance(Some("b"), false, 150),
        counted(150, Tally::Gone, false),
        gone(150),
    );
    let retried = delta(Step::Finish, counted(150, Tally::Gone, true), gone(150));
    for (before, whole) in [(reading(Some("a")), read), (retrying(150), retried)] {
        let pieces = whole.clone().split(MAX_REMOVED);
        let sizes: Vec<usize> = pieces.iter().map(|piece| piece.gone.len()).collect();
        assert_eq!(sizes, [60, 60, 30]);
        let removed: BTreeSet<&String> = pieces.iter().flat_map(|it| it.gone.keys()).collect();
        assert!(removed.into_iter().eq(whole.gone.keys()), "all of them");
        let whole = [whole];
        assert_eq!(applied(before.clone(), &pieces), applied(before, &whole));
    }
}

#[test]
fn a_small_delta_is_one_piece() {
    let whole = delta(
        advance(None, true, 60),
        counted(60, Tally::Gone, false),
        gone(60),
    );
    assert_eq!(whole.split(MAX_REMOVED).len(), 1);
}
