//! Shares of the classes.

use std::time::Duration;

use super::{JobClass, Turns};

const TURN: Duration = Duration::from_millis(6);

/// Turns of each class when all of `wanting` always want one.
fn serve(turns: &mut Turns, wanting: &[JobClass], count: usize) -> [usize; JobClass::COUNT] {
    let mut served = [0; JobClass::COUNT];
    for _ in 0..count {
        let Some(class) = turns.order().into_iter().find(|class| wanting.contains(class)) else { break };
        turns.charge(class, TURN);
        served[class.index()] += 1;
    }
    served
}

#[test]
fn classes_that_all_want_time_get_their_shares() {
    let served = serve(&mut Turns::default(), &JobClass::ALL, 1_000);
    assert_eq!(served, [600, 300, 100]);
}

#[test]
fn class_alone_gets_all() {
    assert_eq!(serve(&mut Turns::default(), &[JobClass::Background], 10), [0, 0, 10]);
}

#[test]
fn class_that_was_idle_is_served_at_once_and_does_not_catch_up() {
    let mut turns = Turns::default();
    serve(&mut turns, &[JobClass::Background], 1_000);
    let both = [JobClass::Flush, JobClass::Background];
    assert_eq!(serve(&mut turns, &both, 1), [1, 0, 0]);
    let served = serve(&mut turns, &both, 700);
    assert!((99..=101).contains(&served[JobClass::Background.index()]), "{served:?}");
}
