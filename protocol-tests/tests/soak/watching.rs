//! A run without progress ends, and says where it was.

use protocol_tests::soak::{Case, Planted, Telling, Trouble};

fn trouble(seed: u64, planted: Planted) -> Trouble {
    Case { planted, ..Case::of(seed) }.play(Telling::Silent).result.expect_err("something is planted")
}

#[test]
fn a_panic_is_trouble_and_what_led_to_it_is_told() {
    let played = Case { planted: Planted::Panic, ..Case::of(3) }.play(Telling::Ending(3));
    let trouble = played.result.unwrap_err();
    assert_eq!(trouble.kind(), "PANIC", "{trouble}");
    assert!(trouble.wrong[0].ends_with("planted by a test"), "{trouble}");
    let last = played.story.lines().last().expect("there is a story");
    assert!(last.contains("FAULT 1:"), "{last}");
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
