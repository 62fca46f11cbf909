//! Options of ENUM and SET: as values, and as the schema parameter `allowed`.

use mysql_ddl::Column;

/// The text of an option between its quotes as Debezium keeps it: `''` and `\'` are a quote, other escapes stay.
fn kept(literal: &str) -> String {
    let inner = literal.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    inner.unwrap_or(literal).replace("''", "'").replace("\\'", "'")
}

/// The parameter `allowed`: options joined by commas, a comma inside an option escaped.
pub(super) fn allowed(column: &Column) -> String {
    let options: Vec<String> = column.enum_options.iter().map(|option| escaped(option)).collect();
    options.join(",")
}

/// An option as it stands in `allowed`.
fn escaped(literal: &str) -> String {
    kept(literal).replace(',', "\\,")
}

/// The options as values. The server drops trailing spaces of options; `debezium` gives the text Debezium streams,
/// with its escapes.
pub(super) fn values(column: &Column, debezium: bool) -> Vec<Box<str>> {
    if debezium {
        return column.enum_options.iter().map(|option| escaped(option).into()).collect();
    }
    let values = column.option_values(false);
    values.iter().map(|value| value.trim_end_matches(' ').into()).collect()
}
