//! Kafka log segments: the format, and files that are appended, recovered and read.
