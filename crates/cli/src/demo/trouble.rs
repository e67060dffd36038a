//! What the demo's cluster suffers while records come in.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use milena::PartitionId;
use milena_broker::EmbeddedCluster;

/// Time between two blows.
const PAUSE: Duration = Duration::from_millis(40);

/// What was done to the cluster.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Suffered {
    pub(super) leaders_moved: u64,
    pub(super) connections_cut: u64,
}

/// A thread that moves leaders and cuts connections until it is stopped.
pub(super) struct Trouble {
    stop: Sender<()>,
    thread: JoinHandle<Suffered>,
}

impl Trouble {
    pub(super) fn start(cluster: Arc<EmbeddedCluster>, topic: &'static str, partitions: i32) -> Self {
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            let mut suffered = Suffered::default();
            let nodes = cluster.nodes();
            let mut blow = 0;
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                // Three leaders move for one node whose connections are cut.
                if blow % 4 == 3 {
                    let node = nodes[blow / 4 % nodes.len()];
                    suffered.connections_cut += cluster.cut_connections(Some(node)) as u64;
                } else {
                    let partition = PartitionId(i32::try_from(blow).unwrap_or(0) % partitions);
                    suffered.leaders_moved += u64::from(cluster.move_leader(topic, partition, None).is_ok());
                }
                blow += 1;
            }
            suffered
        });
        Self { stop, thread }
    }

    pub(super) fn stop(self) -> Suffered {
        drop(self.stop);
        self.thread.join().unwrap_or_default()
    }
}
