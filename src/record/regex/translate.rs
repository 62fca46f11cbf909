//! Java's regular expression grammar, written anew in the grammar of `fancy_regex`.

use std::fmt::Write as _;

/// Java's line terminators, which `.` does not match.
const NO_LINE_END: &str = r"[^\n\r\x{85}\x{2028}\x{2029}]";
/// Java's `$`: the end, or before a line terminator at the end.
const END: &str = r"(?=(?:\r\n|[\n\r\x{85}\x{2028}\x{2029}])?\z)";
/// Deepest nesting of groups and classes; names of tables need none of it.
const DEPTH: usize = 100;

/// Translates a pattern.
pub(super) fn translate(pattern: &str, ignore_case: bool) -> Result<String, String> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut parser = Parser { text: pattern, chars, at: 0, out: String::new(), groups: Vec::new(), captures: 0 };
    let mut flags = Flags { ignore_case, dot_all: false };
    parser.alternatives(&mut flags, 0)?;
    match parser.peek() {
        None => Ok(parser.out),
        Some(_) => Err(parser.malformed("Unmatched closing ')'", parser.at.checked_sub(1))),
    }
}

#[derive(Clone, Copy)]
struct Flags {
    ignore_case: bool,
    dot_all: bool,
}

struct Parser<'a> {
    text: &'a str,
    chars: Vec<char>,
    at: usize,
    out: String,
    groups: Vec<String>,
    captures: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.ahead(0)
    }

    fn ahead(&self, n: usize) -> Option<char> {
        self.chars.get(self.at + n).copied()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    /// Java's message: what, where, the pattern, and a caret when the place is inside it.
    fn malformed(&self, what: &str, index: Option<usize>) -> String {
        let mut text = what.to_owned();
        if let Some(index) = index {
            let _ = write!(text, " near index {index}");
        }
        let _ = write!(text, "\n{}", self.text);
        if let Some(index) = index.filter(|index| *index < self.chars.len()) {
            let _ = write!(text, "\n{}^", " ".repeat(index));
        }
        text
    }

    fn unsupported(&self, what: &str) -> String {
        format!("the expression '{}' uses {what}, which is not supported", self.text)
    }

    /// `a|b|c`, up to a closing parenthesis or the end. Inline flags hold to the end of the group.
    fn alternatives(&mut self, flags: &mut Flags, depth: usize) -> Result<(), String> {
        if depth > DEPTH {
            return Err(self.unsupported("too many nested groups"));
        }
        loop {
            match self.peek() {
                None | Some(')') => return Ok(()),
                Some('|') => {
                    self.at += 1;
                    self.out.push('|');
                }
                Some(_) => self.term(flags, depth)?,
            }
        }
    }

    /// One atom with its quantifier.
    fn term(&mut self, flags: &mut Flags, depth: usize) -> Result<(), String> {
        let start = self.at;
        let Some(c) = self.take() else { return Ok(()) };
        match c {
            '(' => {
                if !self.group(flags, depth)? {
                    return Ok(());
                }
            }
            '[' => {
                let class = self.class(*flags, depth)?;
                self.out.push_str(&class);
            }
            '.' => self.out.push_str(if flags.dot_all { "(?s:.)" } else { NO_LINE_END }),
            '^' => self.out.push_str(r"\A"),
            '$' => self.out.push_str(END),
            '*' | '+' | '?' => return Err(self.malformed(&format!("Dangling meta character '{c}'"), Some(start))),
            '{' => return Err(self.malformed("Illegal repetition", Some(start + 1))),
            '\\' => self.escape(*flags)?,
            literal => self.literal(literal, *flags),
        }
        self.quantifier()
    }

    fn quantifier(&mut self) -> Result<(), String> {
        match self.peek() {
            Some(c @ ('*' | '+' | '?')) => {
                self.at += 1;
                self.out.push(c);
            }
            Some('{') => {
                let open = self.at;
                self.at += 1;
                if !self.peek().is_some_and(|c| c.is_ascii_digit()) {
                    return Err(self.malformed("Illegal repetition", Some(open + 1)));
                }
                let low = self.number()?;
                let mut high = Some(low);
                if self.eat(',') {
                    high = if self.peek().is_some_and(|c| c.is_ascii_digit()) { Some(self.number()?) } else { None };
                }
                if !self.eat('}') {
                    return Err(self.malformed("Unclosed counted closure", Some(self.at)));
                }
                if high.is_some_and(|high| high < low) {
                    return Err(self.malformed("Illegal repetition range", Some(self.at - 1)));
                }
                let _ = match high {
                    Some(high) if high == low => write!(self.out, "{{{low}}}"),
                    Some(high) => write!(self.out, "{{{low},{high}}}"),
                    None => write!(self.out, "{{{low},}}"),
                };
            }
            _ => return Ok(()),
        }
        // Lazy and possessive forms mean the same in both grammars.
        if let Some(c @ ('?' | '+')) = self.peek() {
            self.at += 1;
            self.out.push(c);
        }
        match self.peek() {
            Some(c @ ('*' | '+' | '?')) => {
                Err(self.malformed(&format!("Dangling meta character '{c}'"), Some(self.at)))
            }
            _ => Ok(()),
        }
    }

    fn number(&mut self) -> Result<u32, String> {
        let mut n: u32 = 0;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            n = n
                .checked_mul(10)
                .and_then(|n| n.checked_add(digit))
                .ok_or_else(|| self.malformed("Illegal repetition range", Some(self.at)))?;
            self.at += 1;
        }
        Ok(n)
    }

    /// What follows `(`. False when it was only a switch of flags, which takes no quantifier.
    fn group(&mut self, flags: &mut Flags, depth: usize) -> Result<bool, String> {
        let mut inner = *flags;
        if self.eat('?') {
            match (self.peek(), self.ahead(1)) {
                (Some(c @ (':' | '=' | '!' | '>')), _) => {
                    self.at += 1;
                    let _ = write!(self.out, "(?{c}");
                }
                (Some('<'), Some(c @ ('=' | '!'))) => {
                    self.at += 2;
                    let _ = write!(self.out, "(?<{c}");
                }
                (Some('<'), _) => {
                    self.at += 1;
                    self.group_name()?;
                }
                _ => {
                    let end = self.flags(&mut inner)?;
                    if end == ')' {
                        *flags = inner;
                        return Ok(false);
                    }
                    self.out.push_str("(?:");
                }
            }
        } else {
            self.captures += 1;
            self.out.push('(');
        }
        self.alternatives(&mut inner, depth + 1)?;
        if !self.eat(')') {
            return Err(self.malformed("Unclosed group", Some(self.at)));
        }
        self.out.push(')');
        Ok(true)
    }

    fn group_name(&mut self) -> Result<(), String> {
        let name = self.name("named capturing group is missing trailing '>'")?;
        if self.groups.contains(&name) {
            let text = format!("Named capturing group <{name}> is already defined");
            return Err(self.malformed(&text, Some(self.at - 1)));
        }
        let _ = write!(self.out, "(?<{name}>");
        self.groups.push(name);
        self.captures += 1;
        Ok(())
    }

    fn name(&mut self, unclosed: &str) -> Result<String, String> {
        let mut name = String::new();
        if !self.peek().is_some_and(|c| c.is_ascii_alphabetic()) {
            let text = "capturing group name does not start with a Latin letter";
            return Err(self.malformed(text, Some(self.at)));
        }
        while let Some(c) = self.peek().filter(char::is_ascii_alphanumeric) {
            self.at += 1;
            name.push(c);
        }
        if self.eat('>') { Ok(name) } else { Err(self.malformed(unclosed, Some(self.at))) }
    }

    /// `i`, `s`, `-i`, .. up to `)` or `:`, which is returned.
    fn flags(&mut self, flags: &mut Flags) -> Result<char, String> {
        let mut on = true;
        loop {
            match self.take() {
                Some('-') if on => on = false,
                Some('i') => flags.ignore_case = on,
                Some('s') => flags.dot_all = on,
                Some(end @ (')' | ':')) => return Ok(end),
                Some(c @ ('m' | 'x' | 'd' | 'u' | 'U')) => return Err(self.unsupported(&format!("the flag '{c}'"))),
                Some(_) => return Err(self.malformed("Unknown inline modifier", Some(self.at - 1))),
                None => return Err(self.malformed("Unknown inline modifier", Some(self.at))),
            }
        }
    }

    fn literal(&mut self, c: char, flags: Flags) {
        if flags.ignore_case && c.is_ascii_alphabetic() {
            let _ = write!(self.out, "[{}{}]", c.to_ascii_lowercase(), c.to_ascii_uppercase());
        } else {
            push_char(&mut self.out, c);
        }
    }

    /// What follows `\` outside a class.
    fn escape(&mut self, flags: Flags) -> Result<(), String> {
        let Some(c) = self.peek() else {
            return Err(self.malformed("Unescaped trailing backslash", Some(self.at)));
        };
        match c {
            'A' | 'z' | 'B' | 'b' => {
                self.at += 1;
                // Java's word characters are ASCII; look-around says so.
                const WORD: &str = "[a-zA-Z0-9_]";
                let text = match c {
                    'A' => r"\A".to_owned(),
                    'z' => r"\z".to_owned(),
                    'b' => format!("(?:(?<={WORD})(?!{WORD})|(?<!{WORD})(?={WORD}))"),
                    _ => format!("(?:(?<={WORD})(?={WORD})|(?<!{WORD})(?!{WORD}))"),
                };
                self.out.push_str(&text);
            }
            'Z' => {
                self.at += 1;
                self.out.push_str(END);
            }
            'R' => {
                self.at += 1;
                self.out.push_str(r"(?>\r\n|[\n\x0B\f\r\x{85}\x{2028}\x{2029}])");
            }
            'Q' => {
                self.at += 1;
                while let Some(c) = self.peek() {
                    if c == '\\' && self.ahead(1) == Some('E') {
                        self.at += 2;
                        break;
                    }
                    self.at += 1;
                    self.literal(c, flags);
                }
            }
            'k' => {
                self.at += 1;
                if !self.eat('<') {
                    return Err(self.malformed("\\k is not followed by '<' for named capturing group", Some(self.at)));
                }
                let name = self.name("named capturing group is missing trailing '>'")?;
                if !self.groups.contains(&name) {
                    let text = format!("named capturing group <{name}> does not exist");
                    return Err(self.malformed(&text, Some(self.at - 1)));
                }
                self.back_reference(&format!("\\k<{name}>"), flags)?;
            }
            '1'..='9' => {
                self.at += 1;
                let mut n = c.to_digit(10).unwrap_or(0) as usize;
                // Java takes another digit only while there are that many groups.
                while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
                    let more = n * 10 + digit as usize;
                    if more > self.captures {
                        break;
                    }
                    self.at += 1;
                    n = more;
                }
                if n > self.captures {
                    // A group that is not there never matches.
                    self.out.push_str(r"[a&&b]");
                } else {
                    self.back_reference(&format!("(?:\\{n})"), flags)?;
                }
            }
            _ => {
                let class = self.escaped_class(flags)?;
                self.out.push_str(&class);
            }
        }
        Ok(())
    }

    fn back_reference(&mut self, text: &str, flags: Flags) -> Result<(), String> {
        if flags.ignore_case {
            return Err(self.unsupported("a back-reference where letter case is ignored"));
        }
        self.out.push_str(text);
        Ok(())
    }

    /// An escape that stands for one character or a set of them, as a class in brackets.
    fn escaped_class(&mut self, flags: Flags) -> Result<String, String> {
        let at = self.at;
        if let Some(c) = self.escaped_char()? {
            let mut class = String::from("[");
            push_range(&mut class, c, c, flags);
            class.push(']');
            return Ok(class);
        }
        let Some(c) = self.take() else { return Err(self.malformed("Unexpected internal error", Some(at))) };
        let class = match c {
            'd' => "[0-9]",
            'D' => "[^0-9]",
            'w' => "[a-zA-Z0-9_]",
            'W' => "[^a-zA-Z0-9_]",
            's' => r"[ \t\n\x0B\f\r]",
            'S' => r"[^ \t\n\x0B\f\r]",
            'h' => r"[ \t\xA0\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]",
            'H' => r"[^ \t\xA0\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]",
            'v' => r"[\n\x0B\f\r\x{85}\x{2028}\x{2029}]",
            'V' => r"[^\n\x0B\f\r\x{85}\x{2028}\x{2029}]",
            'p' | 'P' => return self.property(c == 'P', flags),
            'X' | 'N' | 'G' => return Err(self.unsupported(&format!("\\{c}"))),
            _ => return Err(self.malformed("Illegal/unsupported escape sequence", Some(at))),
        };
        Ok(class.to_owned())
    }

    /// An escape of a single character; `None`, and nothing taken, when the escape is something else.
    fn escaped_char(&mut self) -> Result<Option<char>, String> {
        let Some(c) = self.peek() else { return Ok(None) };
        let simple = match c {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'f' => '\u{c}',
            'a' => '\u{7}',
            'e' => '\u{1b}',
            'x' | 'u' | '0' | 'c' => return self.coded_char(c).map(Some),
            c if !c.is_ascii_alphanumeric() => c,
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(simple))
    }

    fn coded_char(&mut self, kind: char) -> Result<char, String> {
        self.at += 1;
        let (what, value) = match kind {
            'x' if self.eat('{') => {
                let digits = self.digits(16, 6);
                let closed = self.eat('}');
                ("Unclosed hexadecimal escape sequence", digits.filter(|_| closed))
            }
            'x' => ("Illegal hexadecimal escape sequence", self.fixed_digits(2)),
            'u' => ("Illegal Unicode escape sequence", self.fixed_digits(4)),
            '0' => ("Illegal octal escape sequence", self.digits(8, 3)),
            _ => ("Illegal control escape sequence", self.take().map(|c| (c as u32) ^ 64)),
        };
        value.and_then(char::from_u32).ok_or_else(|| self.malformed(what, Some(self.at)))
    }

    fn fixed_digits(&mut self, count: usize) -> Option<u32> {
        let start = self.at;
        self.digits(16, count).filter(|_| self.at - start == count)
    }

    fn digits(&mut self, radix: u32, most: usize) -> Option<u32> {
        let mut value = None;
        for _ in 0..most {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(radix)) else { break };
            self.at += 1;
            value = Some(value.unwrap_or(0) * radix + digit);
        }
        value
    }

    /// `\p{..}`: the ASCII classes of POSIX, `java.lang.Character` methods, Unicode categories and scripts.
    fn property(&mut self, negated: bool, flags: Flags) -> Result<String, String> {
        let mut name = String::new();
        if self.eat('{') {
            while let Some(c) = self.take().filter(|c| *c != '}') {
                name.push(c);
            }
            if self.chars.get(self.at.wrapping_sub(1)) != Some(&'}') {
                return Err(self.malformed("Unclosed character family", Some(self.at)));
            }
        } else {
            name.push(self.peek().unwrap_or('\0'));
            self.at += 1;
        }
        // Letter case ignored makes the two cases one, as Java does for these.
        let name = match name.as_str() {
            "Lower" | "Upper" if flags.ignore_case => "Alpha",
            "javaLowerCase" | "javaUpperCase" | "IsLowercase" | "IsUppercase" | "Lu" | "Ll" | "Lt"
                if flags.ignore_case =>
            {
                return Ok(if negated { r"[^\p{Lu}\p{Ll}\p{Lt}]" } else { r"[\p{Lu}\p{Ll}\p{Lt}]" }.to_owned());
            }
            name => name,
        };
        let ascii = match name {
            "Lower" => "a-z",
            "Upper" => "A-Z",
            "ASCII" => r"\x00-\x7f",
            "Alpha" => "a-zA-Z",
            "Digit" => "0-9",
            "Alnum" => "a-zA-Z0-9",
            "Punct" => r"!-/:-@\[-`{-~",
            "Graph" => "!-~",
            "Print" => " -~",
            "Blank" => r" \t",
            "Cntrl" => r"\x00-\x1f\x7f",
            "XDigit" => "0-9a-fA-F",
            "Space" => r" \t\n\x0B\f\r",
            "javaLowerCase" | "IsLowercase" => r"\p{Lowercase}",
            "javaUpperCase" | "IsUppercase" => r"\p{Uppercase}",
            "javaAlphabetic" | "IsAlphabetic" => r"\p{Alphabetic}",
            "javaLetter" => r"\p{L}",
            "javaDigit" => r"\p{Nd}",
            "javaLetterOrDigit" => r"\p{L}\p{Nd}",
            "L" | "M" | "N" | "P" | "S" | "Z" | "C" | "Lu" | "Ll" | "Lt" | "Lm" | "Lo" | "Mn" | "Mc" | "Me" | "Nd"
            | "Nl" | "No" | "Pc" | "Pd" | "Ps" | "Pe" | "Pi" | "Pf" | "Po" | "Sm" | "Sc" | "Sk" | "So" | "Zs"
            | "Zl" | "Zp" | "Cc" | "Cf" | "Co" => &format!(r"\p{{{name}}}"),
            _ => match name.strip_prefix("Is") {
                Some(short) if short.len() <= 2 && short.starts_with(['L', 'M', 'N', 'P', 'S', 'Z', 'C']) => {
                    &format!(r"\p{{{short}}}")
                }
                Some(
                    "Latin" | "Greek" | "Cyrillic" | "Han" | "Hebrew" | "Arabic" | "Hiragana" | "Katakana" | "Thai",
                ) => &format!(r"\p{{{}}}", name.trim_start_matches("Is")),
                _ if name.starts_with("In")
                    || name.starts_with("java")
                    || name.contains('=')
                    || name.starts_with("Is") =>
                {
                    return Err(self.unsupported(&format!("the property '{name}'")));
                }
                _ => {
                    let text = format!("Unknown character property name {{{name}}}");
                    return Err(self.malformed(&text, Some(self.at.saturating_sub(1))));
                }
            },
        };
        Ok(format!("[{}{ascii}]", if negated { "^" } else { "" }))
    }

    /// What follows `[`, up to its `]`: ranges, escapes, nested classes, intersections.
    fn class(&mut self, flags: Flags, depth: usize) -> Result<String, String> {
        if depth > DEPTH {
            return Err(self.unsupported("too many nested classes"));
        }
        let unclosed = |parser: &Self| parser.malformed("Unclosed character class", parser.chars.len().checked_sub(1));
        let negated = self.eat('^');
        let mut parts = vec![String::new()];
        let mut first = true;
        loop {
            let Some(c) = self.take() else { return Err(unclosed(self)) };
            let Some(part) = parts.last_mut() else { return Err(unclosed(self)) };
            match c {
                ']' if !first => break,
                '[' => {
                    let nested = self.class(flags, depth + 1)?;
                    if let Some(part) = parts.last_mut() {
                        part.push_str(&nested);
                    }
                }
                '&' if self.peek() == Some('&') => {
                    while self.eat('&') {}
                    if !part.is_empty() {
                        parts.push(String::new());
                    }
                }
                '\\' => match self.peek() {
                    Some('Q') => return Err(self.unsupported("\\Q inside a character class")),
                    _ => match self.escaped_char()? {
                        Some(low) => self.range(low, flags, &mut parts)?,
                        None => {
                            let class = self.escaped_class(flags)?;
                            if let Some(part) = parts.last_mut() {
                                part.push_str(&class);
                            }
                        }
                    },
                },
                low => self.range(low, flags, &mut parts)?,
            }
            first = false;
        }
        parts.retain(|part| !part.is_empty());
        let parts: Vec<String> = match parts.len() {
            0 => return Err(unclosed(self)),
            1 => parts,
            _ => parts.into_iter().map(|part| format!("[{part}]")).collect(),
        };
        Ok(format!("[{}{}]", if negated { "^" } else { "" }, parts.join("&&")))
    }

    /// A character of a class, or the range it begins.
    fn range(&mut self, low: char, flags: Flags, parts: &mut [String]) -> Result<(), String> {
        let mut high = low;
        if self.peek() == Some('-') && !matches!(self.ahead(1), None | Some(']' | '[')) {
            self.at += 1;
            high = match self.take() {
                Some('\\') => {
                    self.escaped_char()?.ok_or_else(|| self.malformed("Illegal character range", Some(self.at)))?
                }
                Some(c) => c,
                None => low,
            };
            if high < low {
                return Err(self.malformed("Illegal character range", Some(self.at - 1)));
            }
        }
        if let Some(part) = parts.last_mut() {
            push_range(part, low, high, flags);
        }
        Ok(())
    }
}

/// A range of a class, with the other case of its ASCII letters when case is ignored.
fn push_range(class: &mut String, low: char, high: char, flags: Flags) {
    let mut push = |low: char, high: char| {
        push_char(class, low);
        if low != high {
            class.push('-');
            push_char(class, high);
        }
    };
    push(low, high);
    if flags.ignore_case {
        for (from, to, shift) in [('a', 'z', 'A'), ('A', 'Z', 'a')] {
            let (start, end) = (low.max(from), high.min(to));
            if start <= end {
                let other = |c: char| char::from_u32(c as u32 - from as u32 + shift as u32).unwrap_or(c);
                push(other(start), other(end));
            }
        }
    }
}

/// A character that stands for itself, in a class or outside.
fn push_char(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || c == '_' {
        out.push(c);
    } else {
        let _ = write!(out, "\\x{{{:x}}}", c as u32);
    }
}
