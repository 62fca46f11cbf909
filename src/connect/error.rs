//! Failures of the daemon's start, with the exit code each one means.

use std::fmt;

/// Why the daemon could not start, or had to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartError {
    /// The worker file, or something it names, is refused. All problems at once.
    Refused(Vec<String>),
    /// Something that only one process may have is taken: the state folder, the group, a port.
    InUse(String),
    /// The Kafka cluster did not answer within the time allowed.
    Unreachable(String),
    /// Anything else that makes a start impossible: state folder not writable, topics not usable.
    Failed(String),
}

impl StartError {
    /// One refused setting.
    pub fn refused(text: impl Into<String>) -> Self {
        Self::Refused(vec![text.into()])
    }

    /// The process's exit code: 3 for a refused configuration and for what is in use, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::InUse(_) => 3,
            Self::Unreachable(_) | Self::Failed(_) => 1,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(problems) => f.write_str(&problems.join("\n")),
            Self::InUse(text) | Self::Unreachable(text) | Self::Failed(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for StartError {}
