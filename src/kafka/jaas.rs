//! Reads `sasl.jaas.config` as Java's clients take it: one login module with its options; and entries of JAAS files.
//!
//! Never shows a value: errors name the module or the option only.

use std::collections::BTreeMap;

/// A login module line: `org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="p";`.
#[derive(PartialEq, Eq)]
pub struct LoginModule {
    /// The module's class name.
    pub class: String,
    /// Its options, quotes removed.
    pub options: BTreeMap<String, String>,
}

impl LoginModule {
    /// Parses one entry.
    ///
    /// # Errors
    /// What is wrong with its form, without any value.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = tokens(text)?.into_iter();
        let class = match tokens.next() {
            Some(Token::Word(class)) => class,
            _ => return Err("the login module's class name is missing".into()),
        };
        match tokens.next() {
            Some(Token::Word(flag))
                if ["required", "requisite", "sufficient", "optional"]
                    .contains(&flag.to_ascii_lowercase().as_str()) => {}
            _ => return Err("after the login module's class name the word 'required' is expected".into()),
        }
        let mut options = BTreeMap::new();
        loop {
            let name = match tokens.next() {
                Some(Token::Word(name)) => name,
                Some(Token::End) => break,
                None => return Err("it must end with a semicolon".into()),
                Some(Token::Equals) => return Err("an option's name is missing before '='".into()),
            };
            match (tokens.next(), tokens.next()) {
                (Some(Token::Equals), Some(Token::Word(value))) => options.insert(name, value),
                _ => return Err(format!("option '{name}' has no value")),
            };
        }
        if tokens.next().is_some() {
            return Err("only one login module is possible".into());
        }
        Ok(Self { class, options })
    }

    /// The class name without its package.
    pub fn short_class(&self) -> &str {
        self.class.rsplit('.').next().unwrap_or(&self.class)
    }
}

/// The login module of an entry of a JAAS file: `NAME { MODULE required option="value"; };`. Comments as Java's.
///
/// # Errors
/// There is no such entry, or what is wrong with its form, without any value.
pub fn entry(text: &str, name: &str) -> Result<LoginModule, String> {
    let text = without_comments(text);
    let mut rest = text.as_str();
    let mut names = Vec::new();
    while let Some((found, after)) = split_unquoted(rest, '{') {
        let (body, after) = split_unquoted(after, '}').ok_or("an entry is not closed by }")?;
        let found = found.trim_start_matches(|c: char| c == ';' || c.is_whitespace()).trim().trim_matches('"');
        if found == name {
            return LoginModule::parse(body);
        }
        names.push(found.to_owned());
        rest = after;
    }
    let others = if names.is_empty() { String::new() } else { format!("; there is {}", names.join(", ")) };
    Err(format!("there is no entry {name}{others}"))
}

/// Splits at the first `at` that stands outside of quotes.
fn split_unquoted(text: &str, at: char) -> Option<(&str, &str)> {
    let mut quote = None;
    for (index, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == at => return Some((text.get(..index)?, text.get(index + at.len_utf8()..)?)),
            None => {}
        }
    }
    None
}

/// Blanks for `// ...`, `# ...` and `/* ... */` outside of quotes.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut quote = None;
    while let Some(c) = chars.next() {
        match (quote, c, chars.peek()) {
            (Some(open), c, _) => {
                if c == open {
                    quote = None;
                }
                out.push(c);
            }
            (None, '"' | '\'', _) => {
                quote = Some(c);
                out.push(c);
            }
            (None, '/', Some('/')) | (None, '#', _) => while chars.next_if(|c| *c != '\n').is_some() {},
            (None, '/', Some('*')) => {
                let mut last = ' ';
                chars.next();
                for c in chars.by_ref() {
                    if last == '*' && c == '/' {
                        break;
                    }
                    last = c;
                }
                out.push(' ');
            }
            (None, c, _) => out.push(c),
        }
    }
    out
}

enum Token {
    Word(String),
    Equals,
    End,
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&c) = chars.peek() {
        match c {
            c if c.is_whitespace() => {
                chars.next();
            }
            '=' => {
                chars.next();
                out.push(Token::Equals);
            }
            ';' => {
                chars.next();
                out.push(Token::End);
            }
            '"' | '\'' => {
                chars.next();
                out.push(Token::Word(quoted(&mut chars, c)?));
            }
            _ => {
                let mut word = String::new();
                while let Some(&c) = chars.peek() {
                    if c.is_whitespace() || c == '=' || c == ';' {
                        break;
                    }
                    word.push(c);
                    chars.next();
                }
                out.push(Token::Word(word));
            }
        }
    }
    Ok(out)
}

/// The rest of a quoted word. Java's StreamTokenizer takes a backslash as an escape.
fn quoted(chars: &mut impl Iterator<Item = char>, quote: char) -> Result<String, String> {
    let mut word = String::new();
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => return Ok(word),
            '\\' => match chars.next() {
                Some('n') => word.push('\n'),
                Some('t') => word.push('\t'),
                Some('r') => word.push('\r'),
                Some(c) => word.push(c),
                None => break,
            },
            c => word.push(c),
        }
    }
    Err("a quoted value is not closed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_plain_and_scram_modules() {
        let plain = LoginModule::parse(
            "org.apache.kafka.common.security.plain.PlainLoginModule required\n  username=\"alice\" password=\"a;\\\"b = c\";",
        )
        .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(plain.short_class(), "PlainLoginModule");
        assert_eq!(plain.options.get("username").map(String::as_str), Some("alice"));
        assert_eq!(plain.options.get("password").map(String::as_str), Some("a;\"b = c"));
        let scram = LoginModule::parse("a.b.ScramLoginModule REQUIRED username=u password='p' tokenauth=true ;");
        assert_eq!(scram.map(|m| m.options.len()).ok(), Some(3));
    }

    #[test]
    fn finds_an_entry_of_a_file() {
        let text = "/* { */ Other { a.B required x=\"}\"; }; // KafkaConnect { no }\n KafkaConnect\n{\n# none\n  c.D required \
                    file=\"/a//b#c\";\n};";
        let module = entry(text, "KafkaConnect").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((module.class.as_str(), module.options.get("file").map(String::as_str)), ("c.D", Some("/a//b#c")));
        assert!(entry(text, "Client").is_err_and(|e| e.contains("no entry Client; there is Other, KafkaConnect")));
        assert!(entry("KafkaConnect { a.B required;", "KafkaConnect").is_err_and(|e| e.contains("not closed")));
        assert!(entry("", "KafkaConnect").is_err());
    }

    #[test]
    fn names_what_is_missing_and_no_value() {
        for (text, part) in [
            ("", "class name"),
            ("x.Y username=\"topsecret\";", "'required'"),
            ("x.Y required username=\"topsecret\"", "semicolon"),
            ("x.Y required username=\"topsecret;", "not closed"),
            ("x.Y required password;", "'password' has no value"),
            ("x.Y required; x.Z required;", "only one"),
        ] {
            let error = LoginModule::parse(text).err().unwrap_or_default();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains("topsecret"));
        }
    }
}
