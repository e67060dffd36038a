//! A failing run is made smaller, to the faults that matter.

use milena_sender::Guarantee;
use protocol_tests::soak::fault::Fault;
use protocol_tests::soak::{Case, Extra, Planted, Telling, shrink};

/// A case that loses a record after these faults, in a seed that has them both, and many others.
fn planted(order: [Fault; 2]) -> Case {
    let has_both = |seed: &u64| {
        let plan = Case::of(*seed).plan();
        if plan.sender.guarantee != Guarantee::ExactlyOnce {
            return false;
        }
        let strikes = plan.strikes;
        let first = strikes.iter().position(|strike| strike.fault == order[0]);
        let both = first.is_some_and(|at| strikes[at..].iter().any(|strike| strike.fault == order[1]));
        both && strikes.len() > 12
    };
    let seed = (0..).find(has_both).expect("some seed has them");
    Case { planted: Planted::LossAfter(order.to_vec()), ..Case::of(seed) }
}

#[test]
fn of_all_faults_the_two_that_matter_are_left() {
    for order in [[Fault::Stop, Fault::Cut], [Fault::Move, Fault::Refuse], [Fault::Stall, Fault::Throttle]] {
        let case = planted(order);
        let trouble = case.play(Telling::Silent).result.unwrap_err();
        let shrunk = shrink(&case, &trouble);
        let left: Vec<_> = shrunk.strikes.iter().map(|strike| strike.fault).collect();
        assert_eq!(left, order, "{shrunk}");
        assert_eq!(shrunk.trouble.kind(), trouble.kind());
        assert_eq!(shrunk.case.without.len(), Extra::ALL.len(), "nothing else matters: {shrunk}");
    }
}

#[test]
fn the_shrunk_run_can_be_played_again_from_what_is_printed() {
    let case = planted([Fault::Stop, Fault::Cut]);
    let shrunk = shrink(&case, &case.play(Telling::Silent).result.unwrap_err());
    let text = shrunk.to_string();
    let command = text.lines().next().unwrap().rsplit_once(": ").unwrap().1;
    let mut again = Case { planted: case.planted.clone(), ..Case::default() };
    for word in command.split(' ') {
        match word.split_once('=') {
            Some(("SIM_KEEP", list)) => {
                again.keep = Some(list.split(',').map(|number| number.parse().unwrap()).collect());
            }
            Some(("SIM_WITHOUT", list)) => {
                again.without = list.split(',').map(|extra| extra.parse().unwrap()).collect();
            }
            _ => again.seed = word.parse().unwrap_or(again.seed),
        }
    }
    assert_eq!(again, shrunk.case, "{command}");
    assert_eq!(again.play(Telling::Silent).result.unwrap_err().wrong, shrunk.trouble.wrong);
    assert!(text.contains("FAULT") && text.lines().count() < 400, "what happens is shown, within bounds: {text}");
}

#[test]
fn what_is_left_out_is_not_in_the_run() {
    let is_complicated = |seed: &u64| {
        let plan = Case::of(*seed).plan();
        plan.zombie_ms > 0 && !plan.replication_lag.is_zero() && plan.topics.len() > 1 && plan.drop_percent > 0
    };
    let seed = (0..).find(is_complicated).expect("some seed is");
    let plan = Case { without: Extra::ALL.into(), ..Case::of(seed) }.plan();
    assert!(plan.zombie_ms == 0 && plan.replication_lag.is_zero() && plan.topics.len() == 1 && plan.drop_percent == 0);
    assert!(plan.burst_max == 1 && plan.value_max <= 20 && plan.latency_us.0 == plan.latency_us.1 && plan.seal_ms == 0);
    assert_eq!(plan.sender.first_sequence.get() + i32::from(plan.first_epoch.0), 0);
}

#[test]
fn a_fault_is_the_same_whatever_others_are_left_out() {
    let whole = planted([Fault::Stop, Fault::Cut]);
    let strikes = whole.plan().strikes;
    let keep = [strikes[1].number, strikes[4].number];
    let part = Case { keep: Some(keep.into()), ..whole }.plan().strikes;
    assert_eq!(part, [strikes[1], strikes[4]]);
}
