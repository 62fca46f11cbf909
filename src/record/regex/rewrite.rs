//! `Matcher.replaceFirst`: a pattern with its replacement.

use super::{JavaRegex, translate};

/// A pattern with a Java replacement (`$1`, `${name}`, `\$`): texts that match as a whole are rewritten.
#[derive(Debug, Clone)]
pub struct Rewrite {
    whole: JavaRegex,
    /// The same pattern, free to match a part: what `replaceFirst` looks for.
    part: fancy_regex::Regex,
    replacement: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(usize),
}

impl Rewrite {
    /// Compiles pattern and replacement.
    ///
    /// # Errors
    /// The pattern is malformed or not supported, or the replacement names a group that it does not have.
    pub fn new(pattern: &str, replacement: &str) -> Result<Self, String> {
        let whole = JavaRegex::new(pattern, false)?;
        let part = fancy_regex::Regex::new(&translate::translate(pattern, false)?)
            .map_err(|error| format!("the expression '{pattern}' is not supported: {error}"))?;
        let names: Vec<Option<String>> = part.capture_names().map(|name| name.map(str::to_owned)).collect();
        let replacement = pieces(replacement, &names)?;
        Ok(Self { whole, part, replacement })
    }

    /// The rewritten text; `None` when the pattern does not match all of it, or the engine gave up.
    pub fn apply(&self, text: &str) -> Option<String> {
        if self.whole.matches(text) != Some(true) {
            return None;
        }
        let captures = self.part.captures(text).ok()??;
        let found = captures.get(0)?;
        let mut out = text.get(..found.start())?.to_owned();
        for piece in &self.replacement {
            match piece {
                Piece::Text(text) => out.push_str(text),
                // A group that took no part in the match adds nothing.
                Piece::Group(group) => out.push_str(captures.get(*group).map_or("", |group| group.as_str())),
            }
        }
        out.push_str(text.get(found.end()..)?);
        Some(out)
    }
}

/// Reads a replacement; `names` has one entry per group, the whole match first.
fn pieces(replacement: &str, names: &[Option<String>]) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next().ok_or("the replacement ends with a backslash")?),
            '$' => {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                let group = match chars.peek().copied() {
                    Some('{') => {
                        chars.next();
                        let name: String = chars.by_ref().take_while(|c| *c != '}').collect();
                        let found = names.iter().position(|known| known.as_deref() == Some(name.as_str()));
                        found.ok_or_else(|| {
                            format!("the replacement names the group {{{name}}}, which does not exist")
                        })?
                    }
                    Some(digit) if digit.is_ascii_digit() => {
                        let mut group = 0;
                        // Digits belong to the number as long as there is such a group; the first always does.
                        while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                            let longer = group * 10 + digit as usize;
                            if group != 0 && longer >= names.len() {
                                break;
                            }
                            chars.next();
                            group = longer;
                            if group == 0 {
                                break;
                            }
                        }
                        if group >= names.len() {
                            return Err(format!("the replacement names the group {group}, which does not exist"));
                        }
                        group
                    }
                    _ => return Err("a $ of the replacement is not followed by a group; write \\$ for the sign".into()),
                };
                pieces.push(Piece::Group(group));
            }
            c => text.push(c),
        }
    }
    pieces.push(Piece::Text(text));
    pieces.retain(|piece| *piece != Piece::Text(String::new()));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(pattern: &str, replacement: &str, text: &str) -> Option<String> {
        Rewrite::new(pattern, replacement).expect("valid").apply(text)
    }

    #[test]
    fn replacements_are_javas() {
        assert_eq!(apply("(.*)shard_\\d+(.*)", "$1all$2", "p.shard_12.t").as_deref(), Some("p.all.t"));
        assert_eq!(apply("(?<db>[^.]+)\\.(.*)", "${db}-$2", "a.b.c").as_deref(), Some("a-b.c"));
        assert_eq!(apply("(a)(b)?c", "$1[$2]\\$", "ac").as_deref(), Some("a[]$"));
        assert_eq!(apply("(a).*", "$12", "abc").as_deref(), Some("a2"));
        assert_eq!(apply("b", "x", "abc"), None, "only whole texts");
        // The whole text has to match, yet the first match alone is replaced.
        assert_eq!(apply("a+?", "x", "aaa").as_deref(), Some("xaa"));
        assert_eq!(apply(".*", "$0$0", "ab").as_deref(), Some("abab"));
    }

    #[test]
    fn replacements_that_mean_nothing_are_refused() {
        for replacement in ["$2", "${x}", "$", "$x", "a\\"] {
            assert!(Rewrite::new("(a)", replacement).is_err(), "{replacement}");
        }
        assert!(Rewrite::new("(a", "x").is_err());
    }
}
