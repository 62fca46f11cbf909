//! A place in the tokens of one statement.

use super::{TableName, Unexpected};
use crate::token::{Kind, Token, identifier, unquoted};
use std::borrow::Cow;

/// A place in the tokens of one statement, and the first doubt met on the way.
pub(crate) struct Cursor<'a> {
    source: &'a str,
    tokens: &'a [Token],
    at: usize,
    doubt: Option<String>,
}

pub(crate) fn is_symbol(token: &Token, symbol: char) -> bool {
    token.kind == Kind::Symbol(symbol)
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(source: &'a str, tokens: &'a [Token]) -> Self {
        Self { source, tokens, at: 0, doubt: None }
    }

    pub(crate) fn peek(&self) -> Option<&'a Token> {
        self.ahead(0)
    }

    pub(crate) fn ahead(&self, n: usize) -> Option<&'a Token> {
        self.tokens.get(self.at.saturating_add(n))
    }

    /// A cursor over the same statement, `n` tokens ahead.
    pub(crate) fn from(&self, n: usize) -> Self {
        Self { source: self.source, tokens: self.tokens, at: self.at.saturating_add(n), doubt: None }
    }

    pub(crate) fn at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn rewind(&mut self, position: usize) {
        self.at = position;
    }

    pub(crate) fn next(&mut self) -> Option<&'a Token> {
        let token = self.peek()?;
        self.at += 1;
        Some(token)
    }

    pub(crate) fn text(&self, token: &Token) -> &'a str {
        token.text(self.source)
    }

    /// The bytes between two offsets of the source.
    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a str {
        self.source.get(start..end).unwrap_or("")
    }

    /// Offset of the token under the cursor; of the end behind the last one.
    pub(crate) fn offset(&self) -> usize {
        self.peek().map_or_else(|| self.last_end(), |token| token.start)
    }

    /// Offset behind the token in front of the cursor.
    pub(crate) fn previous_end(&self) -> usize {
        self.at.checked_sub(1).and_then(|i| self.tokens.get(i)).map_or(0, |token| token.end)
    }

    pub(crate) fn start(&self) -> usize {
        self.tokens.first().map_or(0, |token| token.start)
    }

    fn last_end(&self) -> usize {
        self.tokens.last().map_or(0, |token| token.end)
    }

    /// A token in messages. Literals are not quoted there: they may be data.
    fn shown(&self, token: &Token) -> String {
        match token.kind {
            Kind::Str => "a string".to_owned(),
            Kind::Number | Kind::Hex | Kind::Bit => "a number".to_owned(),
            Kind::Word | Kind::Quoted | Kind::Symbol(_) => format!("'{}'", shortened(self.text(token))),
        }
    }

    pub(crate) fn unexpected(&self) -> String {
        match self.peek() {
            Some(token) => format!("unexpected {}", self.shown(token)),
            None => "the statement ends too early".to_owned(),
        }
    }

    pub(crate) fn doubt(&self) -> Option<String> {
        self.doubt.clone()
    }

    /// Notes that what is under the cursor may touch columns and is not understood. The first doubt stays.
    pub(crate) fn doubt_here(&mut self, what: &str) {
        if self.doubt.is_none() {
            let found = self.peek().map_or_else(|| "the end".to_owned(), |token| self.shown(token));
            self.doubt = Some(format!("{what} {found} at byte {}", self.offset()));
        }
    }

    /// The unquoted word `n` tokens ahead.
    pub(crate) fn word(&self, n: usize) -> Option<&'a str> {
        self.ahead(n).filter(|token| token.kind == Kind::Word).map(|token| self.text(token))
    }

    pub(crate) fn is_at(&self, n: usize, word: &str) -> bool {
        self.word(n).is_some_and(|found| found.eq_ignore_ascii_case(word))
    }

    pub(crate) fn is(&self, word: &str) -> bool {
        self.is_at(0, word)
    }

    pub(crate) fn is_any(&self, words: &[&str]) -> bool {
        self.word(0).is_some_and(|found| words.iter().any(|word| found.eq_ignore_ascii_case(word)))
    }

    /// Whether these words follow in this order.
    pub(crate) fn are(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, word)| self.is_at(n, word))
    }

    pub(crate) fn accept(&mut self, word: &str) -> bool {
        self.accept_all(&[word])
    }

    /// Passes these words if all of them follow in this order.
    pub(crate) fn accept_all(&mut self, words: &[&str]) -> bool {
        let all = self.are(words);
        if all {
            self.at += words.len();
        }
        all
    }

    /// Passes any one of these words.
    pub(crate) fn accept_any(&mut self, words: &[&str]) -> bool {
        let any = self.is_any(words);
        if any {
            self.at += 1;
        }
        any
    }

    pub(crate) fn expect(&mut self, word: &str) -> Result<(), Unexpected> {
        if self.accept(word) { Ok(()) } else { Err(Unexpected) }
    }

    pub(crate) fn is_sym(&self, symbol: char) -> bool {
        self.sym_at(0, symbol)
    }

    pub(crate) fn sym_at(&self, n: usize, symbol: char) -> bool {
        self.ahead(n).is_some_and(|token| is_symbol(token, symbol))
    }

    pub(crate) fn accept_sym(&mut self, symbol: char) -> bool {
        let found = self.is_sym(symbol);
        if found {
            self.at += 1;
        }
        found
    }

    pub(crate) fn expect_sym(&mut self, symbol: char) -> Result<(), Unexpected> {
        if self.accept_sym(symbol) { Ok(()) } else { Err(Unexpected) }
    }

    /// An identifier, quoted or not.
    pub(crate) fn name(&mut self) -> Result<String, Unexpected> {
        let token = self.peek().filter(|t| matches!(t.kind, Kind::Word | Kind::Quoted)).ok_or(Unexpected)?;
        self.at += 1;
        Ok(identifier(self.text(token)))
    }

    /// `table`, `db.table` or `.table`.
    pub(crate) fn table_name(&mut self) -> Result<TableName, Unexpected> {
        if self.accept_sym('.') {
            return Ok(TableName { database: None, table: self.name()? });
        }
        let first = self.name()?;
        if self.accept_sym('.') {
            return Ok(TableName { database: Some(first), table: self.name()? });
        }
        Ok(TableName { database: None, table: first })
    }

    /// A column name, which may be qualified by table and database; only its last part counts.
    pub(crate) fn column_name(&mut self) -> Result<String, Unexpected> {
        let mut name = self.name()?;
        while self.accept_sym('.') {
            name = self.name()?;
        }
        Ok(name)
    }

    /// A string literal: the text between the quotes as it would be written between single ones, so `"it's"` is
    /// `it''s`. Adjacent literals are joined.
    pub(crate) fn string(&mut self) -> Result<String, Unexpected> {
        let mut text = String::new();
        let mut any = false;
        while let Some(token) = self.peek().filter(|t| t.kind == Kind::Str) {
            text.push_str(unquoted(&single_quoted(self.text(token))));
            self.at += 1;
            any = true;
        }
        if any { Ok(text) } else { Err(Unexpected) }
    }

    /// Passes a balanced `( ... )`.
    pub(crate) fn skip_parens(&mut self) -> Result<(), Unexpected> {
        if !self.is_sym('(') {
            return Err(Unexpected);
        }
        let mut depth = 0usize;
        while let Some(token) = self.next() {
            if is_symbol(token, '(') {
                depth += 1;
            } else if is_symbol(token, ')') {
                depth -= 1;
                if depth == 0 {
                    return Ok(());
                }
            }
        }
        Err(Unexpected)
    }

    /// Passes tokens up to a `,` or a `)` that belongs to what is around, or the end.
    pub(crate) fn skip_element(&mut self) -> Result<(), Unexpected> {
        while let Some(token) = self.peek() {
            if is_symbol(token, ',') || is_symbol(token, ')') {
                return Ok(());
            }
            if is_symbol(token, '(') { self.skip_parens()? } else { self.at += 1 }
        }
        Ok(())
    }

    pub(crate) fn skip_rest(&mut self) {
        self.at = self.tokens.len();
    }

    /// `IF NOT EXISTS`.
    pub(crate) fn if_not_exists(&mut self) -> bool {
        self.accept_all(&["IF", "NOT", "EXISTS"])
    }

    /// `IF EXISTS`.
    pub(crate) fn if_exists(&mut self) -> bool {
        self.accept_all(&["IF", "EXISTS"])
    }
}

/// A string literal in single quotes.
pub(crate) fn single_quoted(literal: &str) -> Cow<'_, str> {
    match literal.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(inner) => Cow::Owned(format!("'{}'", inner.replace("\"\"", "\"").replace('\'', "''"))),
        None => Cow::Borrowed(literal),
    }
}

/// At most 40 characters of a text, for messages.
fn shortened(text: &str) -> &str {
    text.char_indices().nth(40).map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}
