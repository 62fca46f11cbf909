use super::*;

#[test]
fn simple() {
    assert_eq!(JavaRegex::new("(", true).unwrap_err(), "Unclosed group near index 1\n(");
}
