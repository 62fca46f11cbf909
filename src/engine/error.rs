//! Failures by what is to be done about them.

use std::fmt;

/// A failure as a person meets it: a class name that scripts grep for, a message that says what to do,
/// and the chain of causes. Holds no secret and no row value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Java class name that stands first in a connector's trace.
    pub class: &'static str,
    /// What is wrong and what to do.
    pub message: String,
    /// Causes, outermost first.
    pub causes: Vec<String>,
}

/// Connect's general exception, the first line of most traces.
pub const CONNECT_EXCEPTION: &str = "org.apache.kafka.connect.errors.ConnectException";

impl Failure {
    /// A failure of Connect's general class.
    pub fn new(message: impl Into<String>) -> Self {
        Self { class: CONNECT_EXCEPTION, message: message.into(), causes: Vec::new() }
    }

    /// Sets the class.
    pub fn class(mut self, class: &'static str) -> Self {
        self.class = class;
        self
    }

    /// Adds a cause.
    pub fn caused_by(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Adds an error and its sources as causes.
    pub fn from_error(message: impl Into<String>, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut failure = Self::new(message);
        let mut next = Some(error);
        while let Some(error) = next {
            failure.causes.push(error.to_string());
            next = error.source();
        }
        failure
    }

    /// The `trace` of a status: one line per cause, ending in a line feed, no invented frames.
    pub fn trace(&self) -> String {
        let mut text = format!("{}: {}\n", self.class, self.message);
        for cause in &self.causes {
            text.push_str("Caused by: ");
            text.push_str(cause);
            text.push('\n');
        }
        text
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl std::error::Error for Failure {}

/// Why a task ended, by what is done about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// The same input gives the same failure: FAILED until a person acts.
    #[error("{0}")]
    Definite(Failure),
    /// The world was in the way: restarted from the stored offset after a pause.
    #[error("{0}")]
    Transient(Failure),
}

impl TaskError {
    /// A definite failure.
    pub fn definite(message: impl Into<String>) -> Self {
        Self::Definite(Failure::new(message))
    }

    /// A transient failure.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::Transient(Failure::new(message))
    }

    /// The failure itself.
    pub fn failure(&self) -> &Failure {
        match self {
            Self::Definite(failure) | Self::Transient(failure) => failure,
        }
    }

    /// Whether a restart may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient(_))
    }
}
