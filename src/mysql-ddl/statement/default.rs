//! The value of a DEFAULT clause.

use super::Unexpected;
use super::cursor::Cursor;
use crate::model::DefaultText;
use crate::token::Kind;

/// What Debezium puts in place of the functions of the current time.
const CURRENT_TIME: &str = "1970-01-01 00:00:00";

/// Parses what follows the word DEFAULT.
pub(super) fn default_value(cursor: &mut Cursor<'_>) -> Result<DefaultText, Unexpected> {
    if cursor.is_sym('(') {
        cursor.skip_parens()?;
        return Ok(DefaultText::Null);
    }
    if cursor.is_sym('-') || cursor.is_sym('+') {
        let sign = cursor.next().map_or("", |token| cursor.text(token));
        let number = cursor.next().filter(|token| token.kind == Kind::Number).ok_or(Unexpected)?;
        return Ok(DefaultText::Text(format!("{sign}{}", cursor.text(number))));
    }
    let token = *cursor.peek().ok_or(Unexpected)?;
    let text = cursor.text(&token);
    match token.kind {
        Kind::Number => {
            cursor.next();
            Ok(DefaultText::Text(text.to_owned()))
        }
        Kind::Hex | Kind::Bit => {
            cursor.next();
            Ok(DefaultText::Text(between_marks(text)))
        }
        Kind::Str => literal(cursor),
        Kind::Word if is_introducer(text) && cursor.ahead(1).is_some_and(|t| t.kind != Kind::Word) => {
            cursor.next();
            match cursor.peek().map(|token| token.kind) {
                Some(Kind::Str) => literal(cursor),
                Some(Kind::Hex | Kind::Bit) => {
                    let marked = cursor.next().map_or("", |token| cursor.text(token));
                    Ok(DefaultText::Text(between_marks(marked)))
                }
                _ => Err(Unexpected),
            }
        }
        Kind::Word => word(cursor),
        Kind::Quoted | Kind::Symbol(_) => Err(Unexpected),
    }
}

/// `_utf8` in front of a literal, and the `N` of `N'x'`.
fn is_introducer(word: &str) -> bool {
    word.starts_with('_') || word.eq_ignore_ascii_case("N")
}

/// `b'101'` is `101`. Debezium cuts two characters in front and one behind, whichever way the literal is written, so
/// that `0x10` is `1`; the history topic holds that text.
fn between_marks(text: &str) -> String {
    text.get(2..text.len().saturating_sub(1)).unwrap_or("").to_owned()
}

/// String literals with an optional COLLATE.
fn literal(cursor: &mut Cursor<'_>) -> Result<DefaultText, Unexpected> {
    let text = cursor.string()?;
    if cursor.is("COLLATE") && cursor.ahead(1).is_some() {
        cursor.next();
        cursor.next();
    }
    Ok(DefaultText::Text(text))
}

/// A word: a constant, or a function with or without arguments.
fn word(cursor: &mut Cursor<'_>) -> Result<DefaultText, Unexpected> {
    let text = cursor.next().map_or("", |token| cursor.text(token));
    let is = |names: &[&str]| names.iter().any(|name| text.eq_ignore_ascii_case(name));
    if is(&["NULL"]) {
        return Ok(DefaultText::Null);
    }
    if is(&["TRUE", "FALSE"]) {
        return Ok(DefaultText::Text(text.to_owned()));
    }
    // DATE '2020-01-01' and the like.
    if is(&["DATE", "TIME", "TIMESTAMP"]) && cursor.peek().is_some_and(|token| token.kind == Kind::Str) {
        return literal(cursor);
    }
    if is(&["NEXT"]) && cursor.accept_all(&["VALUE", "FOR"]) {
        cursor.table_name()?;
        return Ok(DefaultText::Null);
    }
    let arguments = cursor.is_sym('(');
    if arguments {
        cursor.skip_parens()?;
    }
    if is(&["CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP"]) {
        return Ok(DefaultText::Text(CURRENT_TIME.to_owned()));
    }
    if arguments || is(&["CURRENT_DATE", "CURRENT_TIME", "CURRENT_USER", "CURRENT_ROLE", "UTC_TIMESTAMP"]) {
        return Ok(DefaultText::Null);
    }
    Err(Unexpected)
}
