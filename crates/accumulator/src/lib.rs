//! Partition queues, open batches, the memory budget, partitioners and delivery handles of the milena producer.
