//! Names of options that older versions had: Debezium ignores them silently, which captures too much or fails later.
//! Here each one is an error that says what to write now.

/// Old names with their successors.
const RENAMED: &[(&str, &str)] = &[
    ("database.server.name", "topic.prefix"),
    ("database.whitelist", "database.include.list"),
    ("database.blacklist", "database.exclude.list"),
    ("schema.whitelist", "schema.include.list"),
    ("schema.blacklist", "schema.exclude.list"),
    ("table.whitelist", "table.include.list"),
    ("table.blacklist", "table.exclude.list"),
    ("column.whitelist", "column.include.list"),
    ("column.blacklist", "column.exclude.list"),
];

/// The error for a key, if it is an old name.
pub(super) fn error(key: &str) -> Option<String> {
    let now = match RENAMED.iter().find(|(old, _)| *old == key) {
        Some((_, now)) => (*now).to_owned(),
        None => {
            let rest = key.strip_prefix("database.history.")?;
            format!("schema.history.internal.{rest}")
        }
    };
    Some(format!("The '{key}' value is invalid: this option is called '{now}' now, and the old name has no effect"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_successor() {
        assert!(error("database.server.name").unwrap().contains("'topic.prefix'"));
        let history = error("database.history.kafka.topic").unwrap();
        assert!(history.contains("'schema.history.internal.kafka.topic'"), "{history}");
        assert_eq!(error("database.hostname"), None);
    }
}
