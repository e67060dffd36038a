use milena_wire::Compression;

use crate::PartitionerKind;

/// Limits and habits of an [`Accumulator`](crate::Accumulator).
///
/// The values are taken as they are: whoever builds the configuration checks them against each other.
#[derive(Clone, Debug)]
pub struct AccumulatorConfig {
    /// Bytes that buffered records may hold, from reservation until their outcome is delivered. Default: 32 MiB.
    pub buffer_memory: usize,
    /// Most bytes of one batch, its 61-byte header included and before compression. Default: 256 KiB.
    ///
    /// A record that is larger gets a batch of its own.
    pub batch_size: usize,
    /// Most bytes that a record may take in a batch of its own, before compression. Default: 1 MiB.
    pub max_record_size: usize,
    /// How batches are compressed when they are sealed. Default: not at all.
    pub compression: Compression,
    /// Who chooses a record's partition. Default: [`PartitionerKind::Java`].
    pub partitioner: PartitionerKind,
    /// After how many bytes keyless records move on to another partition. Default: 16 KiB.
    pub sticky_bytes: usize,
    /// Whether keyless records prefer partitions with short queues (KIP-794). Default: yes.
    pub adaptive: bool,
    /// Whether every batch is urgent: the sender waits for no further records. Default: no.
    pub linger_zero: bool,
    /// Whether failed batches are handed out with their records ([`Hooks::divert`](crate::Hooks::divert)). Default: no.
    pub divert: bool,
}

impl Default for AccumulatorConfig {
    fn default() -> Self {
        Self {
            buffer_memory: 32 << 20,
            batch_size: 256 << 10,
            max_record_size: 1 << 20,
            compression: Compression::NONE,
            partitioner: PartitionerKind::Java,
            sticky_bytes: 16 << 10,
            adaptive: true,
            linger_zero: false,
            divert: false,
        }
    }
}
