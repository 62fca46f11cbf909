//! The pipeline under test: `afterimage pipeline orders` with a configuration of its own, looked at over HTTP.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    daemon::{free_port, request},
    servers::{Servers, afterimage},
};

/// A running pipeline; killed when dropped.
pub struct Pipeline {
    child: Child,
    http: u16,
    dir: PathBuf,
}

impl Pipeline {
    /// Starts it with its files in `dir`; waits for nothing. `rest` is the daemon's port.
    pub fn start(dir: &Path, servers: &Servers, rest: u16) -> Pipeline {
        let http = free_port();
        std::fs::create_dir_all(dir).expect("the pipeline's folder");
        let config = format!(
            "state_dir = '{0}/state'\n[http]\nlisten = '127.0.0.1:{http}'\n[log]\nfile = '{0}/logs/real-time.log'\n\
             [kafka]\nbootstrap_servers = '{1}'\n[redis]\nurl = 'redis://127.0.0.1:{2}/0'\n\
             [mysql]\nurl = 'mysql://admin:admin@127.0.0.1:{3}/project_db'\n\
             [connect]\nurl = 'http://127.0.0.1:{rest}'\n",
            dir.display(),
            servers.bootstrap(),
            servers.port("redis"),
            servers.port("mysql8"),
        );
        std::fs::write(dir.join("orders.toml"), config).expect("the configuration");
        Pipeline { child: spawn(dir), http, dir: dir.to_owned() }
    }

    /// Starts it again with the same files, after a kill or stop.
    pub fn restart(&mut self) {
        self.child = spawn(&self.dir);
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        assert!(self.child.try_wait().expect("its state").is_none(), "it ended by itself:\n{}", self.log());
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// SIGTERM; gives the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        Command::new("kill").arg(self.child.id().to_string()).status().expect("kill");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the pipeline does not stop:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it says about itself; `None` while it does not answer.
    pub fn status(&self) -> Option<Value> {
        request(self.http, "GET", "/api/status", None).map(|(_, body)| body)
    }

    /// Whether all its workers are past waiting for servers.
    pub fn works(&self) -> bool {
        let status = self.status().unwrap_or_default();
        let workers = status["workers"].as_object();
        workers.is_some_and(|workers| workers.len() == 6 && workers.values().all(|w| w["doing"] == "running"))
    }

    /// Whether it calls itself caught up.
    pub fn ready(&self) -> bool {
        request(self.http, "GET", "/ready", None).is_some_and(|(code, _)| code == 200)
    }

    /// The end of what it logged.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.dir.join("pipeline.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().filter(|line| !line.contains("afterimage::story")).collect();
        lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n")
    }

    /// Runs one of its commands to the end.
    pub fn command(&self, words: &[&str]) -> Output {
        let mut command = Command::new(afterimage());
        command.args(["pipeline", "orders"]).args(words).arg("--config").arg(self.dir.join("orders.toml"));
        command.stdin(Stdio::null()).output().expect("the binary runs")
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &Path) -> Child {
    let log = File::options().create(true).append(true).open(dir.join("pipeline.log")).expect("its log");
    Command::new(afterimage())
        .args(["pipeline", "orders", "--config"])
        .arg(dir.join("orders.toml"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("its log"))
        .stderr(log)
        .spawn()
        .expect("the pipeline starts")
}
