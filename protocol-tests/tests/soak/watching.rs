//! A run without progress ends, and says where it was.

use protocol_tests::soak::{Case, Planted, Telling, Trouble};

fn trouble(seed: u64, planted: Planted) -> Trouble {
    Case { planted, ..Case::of(seed) }.play(Telling::Silent).result.expect_err("something is planted")
}

#[test]
fn a_loop_in_one_instant_is_ended() {
    let trouble = trouble(3, Planted::Spin);
    assert_eq!(trouble.kind(), "SPIN", "{trouble}");
    assert!(trouble.to_string().contains("just replay 3"), "{trouble}");
}

#[test]
fn a_run_that_goes_on_for_ever_is_ended() {
    let trouble = trouble(3, Planted::Impatience);
    assert_eq!(trouble.kind(), "SLOW", "{trouble}");
}
