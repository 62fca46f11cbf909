//! Regular expressions of configurations: `java.util.regex` patterns that have to match a whole name.
//!
//! A pattern is parsed here by Java's grammar and written anew for our engine, so that it matches what it
//! matches in Java (`.`, `\d`, `\w`, `\s` and letter case are ASCII-minded there) or is refused with the reason.
//! Never matches a part of a name, never treats a pattern it does not understand as text.

mod rewrite;
mod translate;

pub use rewrite::Rewrite;

/// A pattern that matches whole texts.
#[derive(Debug, Clone)]
pub struct JavaRegex {
    pattern: String,
    regex: fancy_regex::Regex,
}

impl JavaRegex {
    /// Compiles a pattern; `ignore_case` is Java's `CASE_INSENSITIVE`: ASCII letters only.
    ///
    /// # Errors
    /// The pattern is malformed (Java's words), or means something that cannot be expressed.
    pub fn new(pattern: &str, ignore_case: bool) -> Result<Self, String> {
        let translated = translate::translate(pattern, ignore_case)?;
        let regex = fancy_regex::Regex::new(&format!("\\A(?:{translated})\\z"))
            .map_err(|error| format!("the expression '{pattern}' is not supported: {error}"))?;
        Ok(Self { pattern: pattern.to_owned(), regex })
    }

    /// The pattern as it was written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether the whole of `text` matches; `None` when the engine gave up (patterns that backtrack without end).
    pub fn matches(&self, text: &str) -> Option<bool> {
        self.regex.is_match(text).ok()
    }
}

#[cfg(test)]
mod tests;
