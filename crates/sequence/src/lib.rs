//! Idempotent-producer sequences as a value: one stream per partition, no I/O and no clock (KIP-98, KIP-360).
