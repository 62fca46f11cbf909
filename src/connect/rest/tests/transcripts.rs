//! Transcripts of a real Kafka Connect 4.3.0 with Debezium 3.6.1, answered again by ours.
