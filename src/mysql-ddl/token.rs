//! The tokenizer: cuts statement text into tokens that keep their byte range, so that the original text can be
//! sliced out again.
//!
//! Comments vanish here. The body of `/*! ... */`, `/*!NNNNN ... */` and `/*M! ... */` is tokenized as if the comment
//! marks were not there: the server turns version comments it did not execute into plain comments before it writes a
//! statement to the binlog, so every such comment that reaches us was executed. Its end may be missing: Debezium's
//! history holds statements cut behind their last word.

/// The `sql_mode` flags that change where tokens begin and end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lexing {
    /// `ANSI_QUOTES`: `"x"` is an identifier, not a string.
    pub ansi_quotes: bool,
    /// `NO_BACKSLASH_ESCAPES`: `\` inside a string is an ordinary character.
    pub no_backslash_escapes: bool,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An unquoted word: keyword or identifier. May start with a digit (`1abc`) and hold `$` and any non-ASCII letter.
    Word,
    /// A quoted identifier, quotes included in the range.
    Quoted,
    /// A string literal, quotes included in the range.
    Str,
    /// A decimal integer, fixed point or floating point literal.
    Number,
    /// `0x1F`, `x'1F'`: a hexadecimal literal.
    Hex,
    /// `0b11`, `b'11'`: a bit literal.
    Bit,
    /// Any other single character.
    Symbol(char),
}

/// A piece of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Offset of its first byte.
    pub start: usize,
    /// Offset behind its last byte.
    pub end: usize,
}

impl Token {
    /// The token's own characters.
    pub fn text<'a>(&self, source: &'a str) -> &'a str {
        source.get(self.start..self.end).unwrap_or("")
    }
}

/// Text that is not a sequence of tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} that begins at byte {offset} does not end")]
pub struct LexError {
    /// Offset of the opening quote or comment mark.
    pub offset: usize,
    /// What is open: a string, a quoted identifier, a comment.
    pub what: &'static str,
    /// The tokens in front of it.
    pub before: Vec<Token>,
}

fn is_word_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'$' || b >= 0x80
}

struct Lexer<'a> {
    bytes: &'a [u8],
    source: &'a str,
    at: usize,
    mode: Lexing,
    executed_comments: usize,
    tokens: Vec<Token>,
}

/// Cuts a text into tokens.
///
/// # Errors
/// A string, quoted identifier or comment that never ends.
pub fn tokenize(source: &str, mode: Lexing) -> Result<Vec<Token>, LexError> {
    let mut lexer = Lexer { bytes: source.as_bytes(), source, at: 0, mode, executed_comments: 0, tokens: Vec::new() };
    match lexer.run() {
        Ok(()) => Ok(lexer.tokens),
        Err((offset, what)) => Err(LexError { offset, what, before: lexer.tokens }),
    }
}

type Open = (usize, &'static str);

impl Lexer<'_> {
    fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at.saturating_add(ahead)).copied().unwrap_or(0)
    }

    fn starts_with(&self, mark: &str) -> bool {
        self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(mark.as_bytes()))
    }

    fn find(&self, mark: &str, from: usize) -> Option<usize> {
        self.source.get(from..).and_then(|rest| rest.find(mark)).map(|found| from.saturating_add(found))
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) {
        self.tokens.push(Token { kind, start, end });
        self.at = end;
    }

    fn run(&mut self) -> Result<(), Open> {
        while self.at < self.bytes.len() {
            let start = self.at;
            match self.byte(0) {
                b if b.is_ascii_whitespace() || b < 0x20 => self.at += 1,
                b'#' => self.skip_line(),
                b'-' if self.byte(1) == b'-' && (self.at + 2 >= self.bytes.len() || self.byte(2) <= b' ') => {
                    self.skip_line();
                }
                b'/' if self.byte(1) == b'*' => self.comment()?,
                b'*' if self.byte(1) == b'/' && self.executed_comments > 0 => {
                    self.executed_comments -= 1;
                    self.at += 2;
                }
                b'\'' => self.quoted(b'\'', Kind::Str, "a string")?,
                b'"' if self.mode.ansi_quotes => self.quoted(b'"', Kind::Quoted, "a quoted identifier")?,
                b'"' => self.quoted(b'"', Kind::Str, "a string")?,
                b'`' => self.quoted(b'`', Kind::Quoted, "a quoted identifier")?,
                b'x' | b'X' if self.byte(1) == b'\'' => self.radix_string(Kind::Hex)?,
                b'b' | b'B' if self.byte(1) == b'\'' => self.radix_string(Kind::Bit)?,
                b if b.is_ascii_digit() || (b == b'.' && self.byte(1).is_ascii_digit() && !self.after_name()) => {
                    self.number_or_word();
                }
                b if is_word_byte(b) => {
                    let end = self.word_end(start);
                    self.push(Kind::Word, start, end);
                }
                _ => {
                    let symbol = self.source.get(start..).and_then(|rest| rest.chars().next()).unwrap_or('\0');
                    self.push(Kind::Symbol(symbol), start, start + symbol.len_utf8());
                }
            }
        }
        Ok(())
    }

    /// Whether a `.` here continues a name (`db.1st`), where a digit does not start a number.
    fn after_name(&self) -> bool {
        self.tokens.last().is_some_and(|t| t.end == self.at && matches!(t.kind, Kind::Word | Kind::Quoted))
    }

    fn after_name_dot(&self) -> bool {
        let mut last = self.tokens.iter().rev();
        last.next().is_some_and(|t| t.kind == Kind::Symbol('.') && t.end == self.at)
            && last.next().is_some_and(|t| matches!(t.kind, Kind::Word | Kind::Quoted))
    }

    fn skip_line(&mut self) {
        self.at = self.find("\n", self.at).map_or(self.bytes.len(), |end| end + 1);
    }

    fn comment(&mut self) -> Result<(), Open> {
        let start = self.at;
        let mark = if self.starts_with("/*!") {
            3
        } else if self.starts_with("/*M!") {
            4
        } else {
            let end = self.find("*/", start + 2).ok_or((start, "a comment"))?;
            self.at = end + 2;
            return Ok(());
        };
        self.at += mark;
        // Five or six digits are a version: 80023, 101002.
        let digits = (0..6).take_while(|i| self.byte(*i).is_ascii_digit()).count();
        if digits >= 5 {
            self.at += digits;
        }
        self.executed_comments += 1;
        Ok(())
    }

    fn quoted(&mut self, quote: u8, kind: Kind, what: &'static str) -> Result<(), Open> {
        let start = self.at;
        let escapes = kind == Kind::Str && !self.mode.no_backslash_escapes;
        let mut at = start + 1;
        while let Some(&b) = self.bytes.get(at) {
            if b == b'\\' && escapes {
                at += 2;
            } else if b == quote {
                if self.bytes.get(at + 1) == Some(&quote) {
                    at += 2;
                } else {
                    self.push(kind, start, at + 1);
                    return Ok(());
                }
            } else {
                at += 1;
            }
        }
        Err((start, what))
    }

    fn radix_string(&mut self, kind: Kind) -> Result<(), Open> {
        let start = self.at;
        let end = self.find("'", start + 2).ok_or((start, "a string"))?;
        self.push(kind, start, end + 1);
        Ok(())
    }

    fn word_end(&self, from: usize) -> usize {
        self.bytes.iter().skip(from).position(|b| !is_word_byte(*b)).map_or(self.bytes.len(), |n| from + n)
    }

    /// Something that starts with a digit or `.5`. A run of word characters that is no number is an identifier.
    fn number_or_word(&mut self) {
        let start = self.at;
        let word_end = self.word_end(start);
        let word = self.source.get(start..word_end).unwrap_or("");
        if self.after_name_dot() {
            return self.push(Kind::Word, start, word_end);
        }
        let all = |digits: &str, test: fn(&u8) -> bool| !digits.is_empty() && digits.as_bytes().iter().all(test);
        if word.strip_prefix("0x").is_some_and(|d| all(d, u8::is_ascii_hexdigit)) {
            return self.push(Kind::Hex, start, word_end);
        }
        if word.strip_prefix("0b").is_some_and(|d| all(d, |b| matches!(b, b'0' | b'1'))) {
            return self.push(Kind::Bit, start, word_end);
        }
        let digits = |from: usize| self.bytes.iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
        let mut end = start + digits(start);
        if self.bytes.get(end) == Some(&b'.') {
            end += 1;
            end += digits(end);
        }
        if matches!(self.bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent > 0 {
                end += 1 + sign + exponent;
            }
        }
        let number_is_all = end >= word_end && !self.bytes.get(end).is_some_and(|b| is_word_byte(*b));
        if number_is_all {
            self.push(Kind::Number, start, end)
        } else {
            self.push(Kind::Word, start, word_end.max(start + 1))
        }
    }
}

/// The name an identifier token stands for: quotes removed, doubled quotes single.
pub fn identifier(text: &str) -> String {
    for quote in ['`', '"'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote)) {
            let doubled: String = [quote, quote].iter().collect();
            return inner.replace(&doubled, quote.encode_utf8(&mut [0; 4]));
        }
    }
    text.to_owned()
}

/// The text between the quotes of a string literal, escapes left as written.
///
/// Debezium keeps defaults, comments and options this way: `'it''s'` is `it''s`.
pub fn unquoted(text: &str) -> &str {
    for quote in ['\'', '"', '`'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote)) {
            return inner;
        }
    }
    text
}
