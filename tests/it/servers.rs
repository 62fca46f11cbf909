//! Real servers for tests, from the project's launcher. A server that does not start fails the test.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use serde_json::Value;

use crate::{
    mysql::sql,
    secrets::{PASSWORD, USER},
};

/// Running servers; they stop when this is dropped, and when the test process ends in any way.
pub struct Servers {
    info: Value,
    dir: tempfile::TempDir,
    child: Child,
    pipe: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Servers {
    /// Starts servers by the launcher's names, with options `NAME.KEY=VALUE`.
    pub fn start(names: &[&str], options: &[&str]) -> Servers {
        let dir = tempfile::tempdir().expect("a folder for server data");
        let mut command = Command::new(root().join("tests/servers/servers"));
        command.arg("run").arg("--dir").arg(dir.path());
        for option in options {
            command.args(["--opt", option]);
        }
        let mut child = command
            .args(names)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server launcher runs: is `make deps` done?");
        let stdin = child.stdin.take().expect("stdin");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the launcher's answer");
        assert!(!line.is_empty(), "the servers {names:?} did not start; the launcher's messages are above");
        let info = serde_json::from_str(&line).expect("the launcher prints JSON");
        let servers = Servers { info, dir, child, pipe: Mutex::new((stdin, stdout)) };
        let kinds = servers.info.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with("mysql"));
        for (_, mysql) in kinds {
            sql(
                mysql,
                &format!(
                    "SET sql_log_bin=0; CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO {USER}@'%'"
                ),
            );
        }
        servers
    }

    /// MySQL 8 and Kafka, shared by the tests of this process; each uses databases and topics of its own.
    pub fn shared() -> &'static Servers {
        static SHARED: OnceLock<Servers> = OnceLock::new();
        SHARED.get_or_init(|| Servers::start(&["mysql8", "kafka"], &[]))
    }

    /// Servers that are paused, stopped and killed: a test has them for itself and leaves them running.
    pub fn disturbed() -> MutexGuard<'static, Servers> {
        static DISTURBED: OnceLock<Mutex<Servers>> = OnceLock::new();
        let servers = DISTURBED.get_or_init(|| Mutex::new(Servers::start(&["mysql8", "kafka"], &[])));
        // A test that failed may have left one of them down; the next one shows it.
        servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the launcher says about a server.
    pub fn info(&self, name: &str) -> &Value {
        &self.info[name]
    }

    /// A server's port.
    pub fn port(&self, name: &str) -> u16 {
        self.info[name]["port"].as_u64().and_then(|port| port.try_into().ok()).expect("a port")
    }

    /// Kafka's bootstrap address.
    pub fn bootstrap(&self) -> &str {
        self.info["kafka"]["bootstrap"].as_str().expect("a bootstrap address")
    }

    /// A folder that lives as long as the servers.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `stop`, `kill`, `start`, `restart`, `pause` or `resume` a server.
    pub fn tell(&self, what: &str, name: &str) -> Value {
        let mut pipe = self.pipe.lock().expect("the launcher's pipe");
        writeln!(pipe.0, "{what} {name}").expect("the launcher listens");
        let mut line = String::new();
        pipe.1.read_line(&mut line).expect("the launcher answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("`{what} {name}` was answered by {line:?}: {error}"))
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if let Ok(mut pipe) = self.pipe.lock() {
            // `SIGTERM` is the launcher's word for "stop all"; its own children are its business.
            let _ = pipe.0.flush();
        }
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// The checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The binary under test.
pub fn afterimage() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_afterimage"))
}
