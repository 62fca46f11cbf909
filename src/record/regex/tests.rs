//! Compared with `java.util.regex` itself: `testdata/Record.java` writes `expect.txt`.

use super::*;

const TEXTS: &str = include_str!("testdata/texts.txt");
const EXPECT: &str = include_str!("testdata/expect.txt");

/// Patterns that Java accepts and we refuse, by what they use.
const REFUSED: &[&str] = &["\\G", "\\X", "\\N{", "(?m)", "(?x)", "(?u)", "\\2\\1", "(a)\\1", "\\k<n>"];

#[test]
fn patterns_match_what_they_match_in_java() {
    let unescape =
        |text: &str| text.replace("\\n", "\n").replace("\\r", "\r").replace("\\u2028", "\u{2028}").replace("\\t", "\t");
    let texts: Vec<String> = TEXTS.lines().map(unescape).collect();
    let mut wrong = Vec::new();
    let mut compared = 0;
    for line in EXPECT.lines() {
        let mut parts = line.rsplitn(3, '\t');
        let (expected, case, pattern) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let ours = match JavaRegex::new(pattern, case == "nocase") {
            Ok(regex) => texts.iter().map(|t| if regex.matches(t).unwrap() { '1' } else { '0' }).collect(),
            Err(error) => format!("error {}", error.replace('\n', "\\n")),
        };
        let refused = ours.contains("not supported") && REFUSED.iter().any(|text| pattern.contains(text));
        compared += usize::from(!refused);
        if ours != expected && !refused {
            let differing: Vec<&String> = texts
                .iter()
                .zip(ours.chars().zip(expected.chars()))
                .filter(|(_, (a, b))| !ours.starts_with('e') && !expected.starts_with('e') && a != b)
                .map(|(text, _)| text)
                .collect();
            wrong.push(format!("{pattern} {case}: {differing:?}\n  java {expected}\n  ours {ours}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 300);
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("(", ")"), ("[", "]")] {
        let pattern = format!("{}a{}", open.repeat(100_000), close.repeat(100_000));
        assert!(JavaRegex::new(&pattern, true).unwrap_err().contains("nested"));
    }
}
