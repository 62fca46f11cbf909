//! Checks before anything is read: what the server must be set to, and whether a stored position is still there.

use engine::error::TaskError;
use mysql_protocol::gtid::GtidSet;

use crate::{
    catalog::{self, Facts},
    client::Client,
    config::{GtidSources, StreamingConfig},
    position::MySqlPosition,
};

/// The variables that streaming needs.
///
/// # Errors
/// One of them is set otherwise; the text says which and how to set it.
pub(crate) fn check_variables(facts: &Facts) -> Result<(), TaskError> {
    let is = |name: &str, wanted: &str| {
        facts.variables.get(name).is_none_or(|value| value.is_empty() || value.eq_ignore_ascii_case(wanted))
    };
    if !is("log_bin", "ON") && !is("log_bin", "1") {
        return Err(TaskError::definite(
            "The database server keeps no binary log, which is required for this connector to work properly. Start it with \
             log_bin and a server_id.",
        ));
    }
    if !is("binlog_format", "ROW") {
        return Err(TaskError::definite(
            "The database server is not configured to use a ROW binlog_format, which is required for this connector to work \
             properly. Change the database configuration to use a binlog_format=ROW and restart the connector.",
        ));
    }
    if !is("binlog_row_image", "FULL") {
        return Err(TaskError::definite(
            "The database server is not configured to use a FULL binlog_row_image, which is required for this connector to \
             work properly. Change the database configuration to use a binlog_row_image=FULL and restart the connector.",
        ));
    }
    let partial = facts.variables.get("binlog_row_value_options").is_some_and(|value| value.contains("PARTIAL_JSON"));
    if partial {
        return Err(TaskError::definite(
            "The database server logs partial JSON updates, which this version does not read. Run SET PERSIST \
             binlog_row_value_options='' and reconnect the writers.",
        ));
    }
    Ok(())
}

/// Whether the server still has the log after a stored position.
///
/// # Errors
/// It has not: a new snapshot is needed.
pub(crate) async fn check_position(
    client: &mut Client,
    facts: &Facts,
    stored: &MySqlPosition,
    config: &StreamingConfig,
) -> Result<(), TaskError> {
    let gone = |why: String| {
        TaskError::definite(format!(
            "The connector is trying to read change stream starting at {stored}, but this is no longer available on the \
             server. Reconfigure the connector to use a snapshot mode when needed. ({why}) To take a new snapshot: stop the \
             connector, DELETE its offsets, resume."
        ))
    };
    if let Some(gtids) = stored.gtids.as_deref().filter(|_| facts.gtid_mode && !config.gtid_ignored) {
        let (executed, purged) = catalog::gtid_sets(client).await?;
        let parse = |text: &str| -> Result<GtidSet, TaskError> {
            text.parse().map_err(|_| TaskError::definite("the server reports a GTID set that is not readable"))
        };
        let (executed, purged) = (parse(&executed)?, parse(&purged)?);
        let mut known = gtids.clone();
        known.retain_sources(|source| config.gtid_sources.accepts(&source.uuid_text().to_string()));
        if !known.is_subset(&executed) {
            return Err(gone(
                "the position has GTIDs that this server has not executed: another server, or one reset".into(),
            ));
        }
        let mut missing = start_set(&known, &purged, &config.gtid_sources);
        let mut needed = purged.clone();
        needed.subtract(&missing);
        if !needed.is_empty() {
            missing = needed;
            return Err(gone(format!("the server has purged {missing}")));
        }
        return Ok(());
    }
    let files = catalog::log_files(client).await?;
    match files.iter().find(|(name, _)| name == stored.file.as_str()) {
        None => Err(gone(format!("{} is not among its log files", stored.file))),
        Some((_, size)) if stored.pos > *size => {
            Err(gone(format!("{} has only {size} bytes: it is not the file the position was in", stored.file)))
        }
        Some(_) => Ok(()),
    }
}

/// The set a dump starts after: what is done, and of sources that the position does not know what the server has
/// purged, so that a new source is read from its first transaction that is left.
pub(crate) fn start_set(stored: &GtidSet, purged: &GtidSet, sources: &GtidSources) -> GtidSet {
    let mut set = stored.clone();
    set.retain_sources(|source| sources.accepts(&source.uuid_text().to_string()));
    let mut unknown = purged.clone();
    unknown.retain_sources(|source| !set.sources().any(|(known, _)| known == source));
    set.union(&unknown);
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "11111111-1111-1111-1111-111111111111";
    const B: &str = "22222222-2222-2222-2222-222222222222";

    fn set(text: &str) -> GtidSet {
        text.parse().expect("a GTID set")
    }

    #[test]
    fn unknown_sources_start_after_what_was_purged() {
        let stored = set(&format!("{A}:1-10"));
        let purged = set(&format!("{A}:1-3,{B}:1-7"));
        assert_eq!(start_set(&stored, &purged, &GtidSources::All), set(&format!("{A}:1-10,{B}:1-7")));
    }

    #[test]
    fn wrong_variables_are_named() {
        let facts = |name: &str, value: &str| Facts {
            variables: [(name.to_owned(), value.to_owned())].into(),
            ..Facts::default()
        };
        for (name, value) in [
            ("binlog_format", "STATEMENT"),
            ("binlog_row_image", "MINIMAL"),
            ("log_bin", "OFF"),
            ("binlog_row_value_options", "PARTIAL_JSON"),
        ] {
            assert!(check_variables(&facts(name, value)).is_err(), "{name}={value}");
        }
        assert_eq!(check_variables(&facts("binlog_format", "ROW")), Ok(()));
    }
}
