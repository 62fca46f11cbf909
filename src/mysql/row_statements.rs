//! Which tables an INSERT, UPDATE, DELETE, REPLACE or LOAD statement changes.
//!
//! Only as much of the grammar as names the targets: a statement that does not begin in a known way has none, and
//! whoever asks must then assume the worst.

use mysql_ddl::{
    Lexing, TableId,
    token::{self, Kind, Token},
};

/// Words between the verb and its target.
const SKIPPED: &[&str] =
    &["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "QUICK", "IGNORE", "INTO", "FROM", "CONCURRENT", "LOCAL"];

/// The tables changed, as far as the statement names them plainly; empty when it cannot be told.
pub(crate) fn changed_tables(sql: &str, database: &str, lexing: Lexing) -> Vec<TableId> {
    let Ok(tokens) = token::tokenize(sql, lexing) else { return Vec::new() };
    let text = |token: &Token| token.text(sql);
    let mut words = tokens.iter().peekable();
    let Some(verb) = words.next().map(|token| text(token).to_ascii_uppercase()) else { return Vec::new() };
    if verb == "LOAD" {
        // LOAD DATA ... INTO TABLE t
        let mut rest = words.skip_while(|token| !text(token).eq_ignore_ascii_case("TABLE"));
        rest.next();
        return name(rest.cloned(), sql, database).into_iter().map(|(id, _)| id).collect();
    }
    let mut rest: Vec<Token> = words.cloned().collect();
    rest.reverse();
    while rest.last().is_some_and(|token| {
        token.kind == Kind::Word && SKIPPED.iter().any(|word| token.text(sql).eq_ignore_ascii_case(word))
    }) {
        rest.pop();
    }
    rest.reverse();
    let Some((id, after)) = name(rest.iter().cloned(), sql, database) else { return Vec::new() };
    // Several tables, joins and aliases: the target is one of them, but which one is not told here.
    let next = after.map(|token| token.text(sql).to_ascii_uppercase());
    let plain = matches!(
        (verb.as_str(), next.as_deref()),
        ("INSERT" | "REPLACE", _) | ("UPDATE", Some("SET")) | ("DELETE", None | Some("WHERE" | "LIMIT" | "ORDER"))
    );
    if plain { vec![id] } else { Vec::new() }
}

/// A table name at the start of the tokens, and the token after it.
fn name(mut tokens: impl Iterator<Item = Token>, sql: &str, database: &str) -> Option<(TableId, Option<Token>)> {
    let first = tokens.next().filter(|token| matches!(token.kind, Kind::Word | Kind::Quoted))?;
    let first = token::identifier(first.text(sql));
    let after = tokens.next();
    if after.as_ref().is_some_and(|token| token.text(sql) == ".") {
        let second = tokens.next().filter(|token| matches!(token.kind, Kind::Word | Kind::Quoted))?;
        return Some((TableId::new(first, token::identifier(second.text(sql))), tokens.next()));
    }
    Some((TableId::new(database, first), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(sql: &str) -> Vec<String> {
        changed_tables(sql, "d", Lexing::default()).iter().map(TableId::to_string).collect()
    }

    #[test]
    fn plain_statements_name_their_table() {
        assert_eq!(targets("INSERT IGNORE INTO `a`.`b` VALUES (1)"), ["a.b"]);
        assert_eq!(targets("insert t set x = 1"), ["d.t"]);
        assert_eq!(targets("UPDATE LOW_PRIORITY t SET a = 1"), ["d.t"]);
        assert_eq!(targets("DELETE FROM x.y WHERE a = 1"), ["x.y"]);
        assert_eq!(targets("LOAD DATA INFILE 'f' INTO TABLE t"), ["d.t"]);
    }

    #[test]
    fn what_cannot_be_told_is_nothing() {
        assert!(targets("UPDATE a JOIN b ON a.x = b.x SET a.y = 1").is_empty());
        assert!(targets("DELETE a FROM a, b WHERE 1").is_empty());
        assert!(targets("UPDATE a, b SET a.x = 1").is_empty());
        assert!(targets("").is_empty());
    }
}
