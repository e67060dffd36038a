//! Rows 1 to 25: the way to a broker.

use milena_broker::{Reaction, Rule};
use milena_wire::ApiKey;
use protocol_tests::rig::{Act, Rig, Story, Way, run};

const TOPIC: &str = "t";

/// One node, one partition, ten records, and all is well.
async fn under_way(rig: &Rig) -> Story<'_> {
    rig.topic(TOPIC, 1);
    let mut story = Story::new(rig);
    story.deliver(TOPIC, 10).await;
    story
}

#[test]
fn row_009_close_right_after_the_request_was_sent() {
    run(async {
        let rig = Rig::nodes(1).await;
        let mut story = under_way(&rig).await;
        rig.cluster().script(Rule::on(ApiKey::PRODUCE, Reaction::CloseAfter).times(2));
        story.enqueue(TOPIC, 10).await;
        story.end(60).await.all_delivered();
        assert_eq!(rig.cluster().script_pending(), 0);
    });
}

#[test]
fn row_010_the_connection_ends_within_an_answer() {
    run(async {
        let rig = Rig::nodes(1).await;
        let mut story = under_way(&rig).await;
        for bytes in [0, 1, 4, 5, 12, 30] {
            rig.proxy(1).strike(Way::ToClient, ApiKey::PRODUCE, Act::CutAfter(bytes));
            story.deliver(TOPIC, 5).await;
        }
        story.end(100).await.all_delivered();
    });
}
