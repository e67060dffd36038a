//! Who is measured, and where their programs are.

use std::path::PathBuf;
use std::process::Command;

/// One client's program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Rust,
    Go,
    Java,
}

/// In the order of the tables; the floor is no client.
pub(crate) const CLIENTS: &[Client] = &[
    Client { name: "milena", kind: Kind::Rust },
    Client { name: "franz-go", kind: Kind::Go },
    Client { name: "librdkafka", kind: Kind::Rust },
    Client { name: "confluent-kafka", kind: Kind::Rust },
    Client { name: "krafka", kind: Kind::Rust },
    Client { name: "rskafka", kind: Kind::Rust },
    Client { name: "Java", kind: Kind::Java },
    Client { name: "sarama", kind: Kind::Go },
    Client { name: FLOOR, kind: Kind::Rust },
];

pub(crate) const MILENA: &str = "milena";
pub(crate) const FLOOR: &str = "floor";

impl Client {
    /// The command that runs it, or why there is none.
    pub(crate) fn command(self) -> Result<Command, String> {
        let built = PathBuf::from(std::env::var_os("PEERS_DIR").unwrap_or_else(|| "benches/peers/target".into()));
        let program = match self.kind {
            Kind::Rust => built.join("release").join(format!("peer-{}", self.name.replace("librdkafka", "rdkafka"))),
            Kind::Go => built.join("go").join(self.name),
            Kind::Java => built.join("java").join("Peer.class"),
        };
        if !program.exists() {
            return Err(format!("{} was not built", program.display()));
        }
        let Kind::Java = self.kind else { return Ok(Command::new(program)) };
        let folder = built.join("java");
        let mut command = Command::new("java");
        // Kafka's own scripts give a producer 256 to 512 MiB.
        command.arg("-Xmx512m").arg("-cp").arg(format!("{0}:{0}/lib/*", folder.display())).arg("Peer");
        Ok(command)
    }
}
