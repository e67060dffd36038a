//! Decides what the milena producer does next: batches stamped, sent, retried, expired and settled; no I/O and no clock.
