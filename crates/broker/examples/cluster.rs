//! Runs a cluster of three nodes until standard input ends, and prints where it listens.
//!
//! `cargo run -p milena-broker --example cluster [LISTEN] [RELEASE] [DATA_DIR]`

use std::io::{self, Read};

use milena_broker::EmbeddedCluster;

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut builder = EmbeddedCluster::builder().nodes(3).partitions(3);
    if let Some(listen) = args.next() {
        builder = builder.listen(&listen);
    }
    if let Some(release) = args.next() {
        builder = builder.profile(release.parse().map_err(io::Error::other)?);
    }
    if let Some(dir) = args.next() {
        builder = builder.data_dir(dir);
    }
    let cluster = builder.start_blocking()?;
    println!("{}", cluster.bootstrap());
    io::stdin().read_to_end(&mut Vec::new())?;
    for (api, count) in cluster.requests() {
        println!("api {api}: {count} requests");
    }
    Ok(())
}
