//! `internal.schema.history.internal.ddl.filter`: statements of the log that are not looked at.

use engine::{filter::RegexList, regex::JavaRegex};
use mysql_ddl::ignore;

/// Which statements leave no trace.
#[derive(Debug, Clone, Default)]
pub(crate) enum DdlFilter {
    /// Those of Debezium's default.
    #[default]
    Usual,
    /// Those that an expression matches as a whole, in place of the default.
    Given(Vec<JavaRegex>),
}

impl DdlFilter {
    /// Reads a list of expressions.
    ///
    /// # Errors
    /// What is wrong with the first bad expression.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let list = RegexList::parse(text)?;
        // Case does not matter, and a dot matches a line end too.
        let patterns = list.patterns().map(|pattern| JavaRegex::new(&format!("(?s){pattern}"), true));
        patterns.collect::<Result<_, _>>().map(Self::Given)
    }

    /// Whether a statement is dropped. An expression that gives up drops nothing.
    pub(crate) fn drops(&self, ddl: &str) -> bool {
        match self {
            Self::Usual => ignore::is_ignored(ddl),
            Self::Given(patterns) => {
                ignore::is_verbatim(ddl) || patterns.iter().any(|pattern| pattern.matches(ddl).unwrap_or(false))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_replace_the_usual_ones() {
        let filter = DdlFilter::parse(r"CREATE\s+VIEW.*, flush .*").unwrap();
        assert!(filter.drops("create view v as\nselect 1") && filter.drops("FLUSH LOGS") && filter.drops("BEGIN"));
        assert!(!filter.drops("GRANT ALL ON a.* TO b") && !filter.drops("x FLUSH LOGS"));
        assert!(DdlFilter::default().drops("GRANT ALL ON a.* TO b"));
        assert!(DdlFilter::parse("(").is_err());
    }
}
