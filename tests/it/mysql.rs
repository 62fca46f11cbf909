//! SQL on the test's MySQL server, through the command-line client like a person would.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::Value;

/// Runs statements as root; gives what they print, tab-separated.
pub fn sql(server: &Value, text: &str) -> String {
    let mut child = Command::new("mariadb")
        .args(["--no-defaults", "--skip-ssl", "-uroot", "-N", "-r", "--default-character-set=utf8mb4", "-S"])
        .arg(server["socket"].as_str().expect("a socket"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the mariadb client runs: is `make deps` done?");
    child.stdin.take().expect("stdin").write_all(text.as_bytes()).expect("statements");
    let output = child.wait_with_output().expect("the client ends");
    assert!(output.status.success(), "SQL failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
