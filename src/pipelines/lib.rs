//! The bundled stream applications: each reads topics of change events and builds something people use.
//!
//! Owns the pipelines, their generators and the runtime they share (settings, clients, envelope reading, dead letters,
//! HTTP). What goes in are records of Kafka topics; what comes out are keys in Redis, rows in databases and records in
//! other topics.
//!
//! Never reads a database's log and never imports a source connector: a pipeline sees only what any consumer of the
//! topics sees.

pub mod generate;
pub mod orders;
pub mod runtime;

/// What a user finds under one pipeline's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pipeline {
    /// The name on the command line.
    pub name: &'static str,
    /// One sentence for listings.
    pub about: &'static str,
    /// Its configuration with every default written and explained.
    pub example_config: &'static str,
    /// Where its HTTP endpoints listen unless told otherwise.
    pub default_listen: &'static str,
}

/// The pipelines of this build, in the order of listings.
pub const PIPELINES: &[Pipeline] = &[Pipeline {
    name: "orders",
    about: "assembles orders and their lines in Redis and announces each complete order once",
    example_config: orders::EXAMPLE_CONFIG,
    default_listen: orders::DEFAULT_LISTEN,
}];

/// The pipeline of that name.
pub fn find(name: &str) -> Option<&'static Pipeline> {
    PIPELINES.iter().find(|pipeline| pipeline.name == name)
}
