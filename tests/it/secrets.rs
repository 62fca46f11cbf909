//! What nobody may see: a password, which only a connector's own configuration shows, and row values, which only data
//! topics hold. Every fixture plants them, and the daemon's harness looks for them in everything that a daemon of this
//! test binary says or keeps.

use std::path::Path;

/// A user with all privileges on each MySQL server of the tests, and its password.
pub const USER: &str = "planted";
/// Its password, the value of every other secret option too.
pub const PASSWORD: &str = "Planted-Passw0rd-5150";
/// A secret that connectors take from a file by a configuration provider: not even configurations show it.
pub const PROVIDED: &str = "Planted-from-a-file-6031";
/// Part of row values.
pub const ROW: &str = "planted row value 8472";
/// Part of statements that define tables: it may be in schemas, their topics and the cache of them, nowhere else.
pub const DDL: &str = "planted default value 7316";

/// Bytes that would show a planted text which was printed as numbers or digits (`Planted` and `planted`, in a list of
/// bytes and in hexadecimal).
const PRINTED: [&str; 4] =
    ["80, 108, 97, 110, 116, 101, 100", "112, 108, 97, 110, 116, 101, 100", "506c616e746564", "706c616e746564"];

/// What the place looked at may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum May {
    /// Nothing planted.
    Nothing,
    /// The password: a connector's configuration.
    Password,
    /// What definitions of tables hold.
    Schemas,
}

/// The first planted text among `bytes` that may not be there, with what is around it.
pub fn find(may: May, bytes: &[u8]) -> Option<String> {
    let mut planted = vec![PROVIDED, ROW];
    planted.extend((may != May::Password).then_some(PASSWORD));
    planted.extend((may != May::Schemas).then_some(DDL));
    planted.extend(PRINTED);
    let shown = String::from_utf8_lossy(bytes);
    let (text, at) = planted.into_iter().find_map(|text| Some((text, shown.find(text)?)))?;
    let around = shown.as_bytes().get(at.saturating_sub(200)..shown.len().min(at + 200)).unwrap_or_default();
    Some(format!("{text:?} in: ..{}..", String::from_utf8_lossy(around)))
}

/// Fails when something planted is seen.
pub fn check(what: &str, may: May, bytes: &[u8]) {
    if let Some(seen) = find(may, bytes) {
        panic!("{what} shows {seen}");
    }
}

/// The same for every file below a folder.
pub fn check_files(what: &str, may: May, folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            check_files(what, may, &path);
        } else if let Ok(bytes) = std::fs::read(&path) {
            check(&format!("{what}, {}", path.display()), may, &bytes);
        }
    }
}

#[test]
fn planted_texts_are_found_in_every_form() {
    let seen = |may, text: &str| find(may, text.as_bytes()).is_some();
    assert!(seen(May::Nothing, &format!("refused: '{PASSWORD}'")) && !seen(May::Password, PASSWORD));
    assert!(seen(May::Password, ROW) && seen(May::Schemas, ROW) && seen(May::Password, PROVIDED));
    assert!(seen(May::Nothing, DDL) && !seen(May::Schemas, DDL));
    assert!(seen(May::Nothing, &format!("{:?}", PASSWORD.as_bytes())));
    assert!(seen(May::Nothing, &format!("{:?}", ROW.as_bytes())));
    let hexadecimal: String = ROW.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(seen(May::Nothing, &hexadecimal));
    assert!(!seen(May::Nothing, "the user planted at 127.0.0.1"));
}
