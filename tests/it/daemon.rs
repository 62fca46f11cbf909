//! The daemon under test: the real binary with a worker file of its own, spoken to over its REST API.

use std::{
    fs::File,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    secrets::{self, May},
    servers::afterimage,
};

/// A running daemon; killed when dropped. Everything it says is looked through for what is planted: each answer of its
/// ports when it comes, its log and its state folder at the end.
pub struct Daemon {
    child: Child,
    rest: u16,
    admin: u16,
    dir: PathBuf,
}

/// A port that is free at the moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

impl Daemon {
    /// Starts a daemon with its files in `dir` and waits until it is ready. `extra` are more lines of the worker file.
    pub fn start(dir: &Path, bootstrap: &str, group: &str, extra: &str) -> Daemon {
        let mut daemon = Daemon::spawn(dir, bootstrap, group, extra);
        daemon.wait_until_ready();
        daemon
    }

    /// The same without waiting.
    pub fn spawn(dir: &Path, bootstrap: &str, group: &str, extra: &str) -> Daemon {
        let (rest, admin) = (free_port(), free_port());
        std::fs::create_dir_all(dir).expect("the daemon's folder");
        let state = dir.join("state");
        let worker = format!(
            "bootstrap.servers={bootstrap}\ngroup.id={group}\n\
             key.converter=org.apache.kafka.connect.json.JsonConverter\n\
             value.converter=org.apache.kafka.connect.json.JsonConverter\n\
             config.storage.topic={group}-configs\noffset.storage.topic={group}-offsets\nstatus.storage.topic={group}-status\n\
             config.storage.replication.factor=1\noffset.storage.replication.factor=1\nstatus.storage.replication.factor=1\n\
             offset.storage.partitions=3\nstatus.storage.partitions=1\noffset.flush.interval.ms=1000\n\
             listeners=http://127.0.0.1:{rest}\nafterimage.admin.listeners=http://127.0.0.1:{admin}\n\
             afterimage.state.dir={}\n{extra}\n",
            state.display()
        );
        std::fs::write(dir.join("worker.properties"), worker).expect("the worker file");
        let child = spawn(dir);
        Daemon { child, rest, admin, dir: dir.to_owned() }
    }

    /// Starts a standalone worker, whose offsets are in `dir/offsets`, with these connectors on its command line.
    pub fn start_standalone(dir: &Path, bootstrap: &str, connectors: &[Value]) -> Daemon {
        let (rest, admin) = (free_port(), free_port());
        let files = dir.join("connectors");
        std::fs::create_dir_all(&files).expect("the daemon's folder");
        for (number, connector) in connectors.iter().enumerate() {
            std::fs::write(files.join(format!("{number}.json")), connector.to_string()).expect("a connector file");
        }
        let worker = format!(
            "bootstrap.servers={bootstrap}\noffset.storage.file.filename={}\noffset.flush.interval.ms=500\n\
             key.converter=org.apache.kafka.connect.json.JsonConverter\nkey.converter.schemas.enable=false\n\
             value.converter=org.apache.kafka.connect.json.JsonConverter\nvalue.converter.schemas.enable=false\n\
             listeners=http://127.0.0.1:{rest}\nafterimage.admin.listeners=http://127.0.0.1:{admin}\n\
             afterimage.state.dir={}\n",
            dir.join("offsets").display(),
            dir.join("state").display()
        );
        std::fs::write(dir.join("worker.properties"), worker).expect("the worker file");
        let mut daemon = Daemon { child: spawn(dir), rest, admin, dir: dir.to_owned() };
        daemon.wait_until_ready();
        daemon
    }

    /// Waits until it has ended by itself; gives its exit code and what it has logged.
    pub fn ended(&mut self, within: Duration) -> (Option<i32>, String) {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().expect("the daemon's state") {
                return (status.code(), self.log());
            }
            assert!(Instant::now() < deadline, "the daemon does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the daemon's state").is_none()
    }

    /// Starts it again with the same files, after a kill or stop.
    pub fn restart(&mut self) {
        self.child = spawn(&self.dir);
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !matches!(self.get("/connectors"), Some((200, _))) {
            if let Some(status) = self.child.try_wait().expect("the daemon's state") {
                panic!("the daemon ended with {status}:\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "the daemon is not ready after 60 s:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("daemon.log")).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The port of its REST API.
    pub fn rest_port(&self) -> u16 {
        self.rest
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// Sends a request that nobody waits for an answer of: the daemon may be gone before.
    pub fn ask(&self, method: &str, path: &str) {
        self.exchange(method, path, None);
    }

    /// `kill -9` from beside other uses of the daemon; [`Self::reap`] comes after it.
    pub fn kill_now(&self) {
        Command::new("kill").args(["-9", &self.child.id().to_string()]).status().expect("kill");
    }

    /// Takes the exit of a killed daemon.
    pub fn reap(&mut self) {
        self.child.wait().expect("wait");
    }

    /// SIGTERM; gives the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        Command::new("kill").arg(self.child.id().to_string()).status().expect("kill");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait().expect("the daemon's state") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the daemon does not stop:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A GET of the REST API; `None` when nobody answers.
    pub fn get(&self, path: &str) -> Option<(u16, Value)> {
        let (code, text) = self.exchange("GET", path, None)?;
        Some((code, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// An exchange with the REST API whose answer shows nothing but what its path is there for.
    fn exchange(&self, method: &str, path: &str, body: Option<String>) -> Option<(u16, String)> {
        let (code, text) = exchange(self.rest, method, path, body)?;
        let may = if code < 300 && shows_configurations(path) { May::Password } else { May::Nothing };
        secrets::check(&format!("the answer {code} to {method} {path}"), may, text.as_bytes());
        Some((code, text))
    }

    /// A GET of the admin port, as text.
    pub fn admin(&self, path: &str) -> Option<(u16, String)> {
        let (code, text) = exchange(self.admin, "GET", path, None)?;
        secrets::check(&format!("the answer {code} to {path} of the admin port"), May::Nothing, text.as_bytes());
        Some((code, text))
    }

    /// A metric of the admin port: the sum over its series.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.admin("/metrics")?;
        let values = text.lines().filter(|line| line.starts_with(name) && line[name.len()..].starts_with(['{', ' ']));
        values.map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok())).sum()
    }

    /// A metric's series that has `label` among its labels' values.
    pub fn metric_of(&self, name: &str, label: &str) -> Option<f64> {
        let (_, text) = self.admin("/metrics")?;
        let label = format!("=\"{label}\"");
        let line = text.lines().find(|line| line.starts_with(name) && line.contains(&label))?;
        line.rsplit(' ').next().and_then(|value| value.parse().ok())
    }

    /// Another request of the REST API.
    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let (code, text) = self.send_text(method, path, body.map(Value::to_string));
        (code, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// The same with a body that need not be JSON; gives the answer's text.
    pub fn send_text(&self, method: &str, path: &str, body: Option<String>) -> (u16, String) {
        let answer = self.exchange(method, path, body);
        answer.unwrap_or_else(|| panic!("{method} {path}: no answer\n{}", self.log()))
    }

    /// Creates a connector and waits until its task runs.
    pub fn create(&self, body: &Value) {
        let (code, answer) = self.send("POST", "/connectors", Some(body));
        assert_eq!(code, 201, "{answer}");
        self.wait_running(body["name"].as_str().expect("name"));
    }

    /// Waits until a connector's task runs.
    pub fn wait_running(&self, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let (_, status) = self.get(&format!("/connectors/{name}/status")).unwrap_or((0, Value::Null));
            match status["tasks"][0]["state"].as_str() {
                Some("RUNNING") => return,
                Some("FAILED") => panic!("{name} failed: {}", status["tasks"][0]["trace"]),
                _ => {}
            }
            assert!(Instant::now() < deadline, "{name} does not run: {status}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// A connector's trace, once its task has failed.
    pub fn wait_failed(&self, name: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let (_, status) = self.get(&format!("/connectors/{name}/status")).unwrap_or((0, Value::Null));
            if status["tasks"][0]["state"] == "FAILED" {
                return status["tasks"][0]["trace"].as_str().unwrap_or_default().to_owned();
            }
            assert!(Instant::now() < deadline, "{name} does not fail: {status}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            secrets::check("the daemon's log", May::Nothing, self.log().as_bytes());
            secrets::check_files("the state folder", May::Schemas, &self.dir.join("state"));
        }
    }
}

/// Whether the path is one of those that show a connector's configuration.
fn shows_configurations(path: &str) -> bool {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts[..] {
        ["connectors"] => query.is_empty() || query.contains("expand=info"),
        ["connectors", _] => true,
        ["connectors", _, last] => matches!(last, "config" | "tasks" | "tasks-config"),
        _ => false,
    }
}

/// The files in `dir/connectors`, for the command line.
fn connector_files(dir: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(dir.join("connectors")).into_iter().flatten();
    let mut files: Vec<PathBuf> = found.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files
}

fn spawn(dir: &Path) -> Child {
    let log = File::options().create(true).append(true).open(dir.join("daemon.log")).expect("the daemon's log");
    Command::new(afterimage())
        .args(["connect", "--log-level", "trace"])
        .arg(dir.join("worker.properties"))
        .args(connector_files(dir))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the log"))
        .stderr(log)
        .spawn()
        .expect("the daemon starts")
}

/// A request to any REST port of this machine; `None` when nobody answers.
pub fn request(port: u16, method: &str, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
    let (code, text) = exchange(port, method, path, body.map(Value::to_string))?;
    Some((code, serde_json::from_str(&text).unwrap_or(Value::Null)))
}

/// One HTTP exchange, kept plain so that what is tested is what a person's curl would see.
fn exchange(port: u16, method: &str, path: &str, body: Option<String>) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(95))).ok()?;
    let head = match &body {
        Some(body) => format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()),
        None => String::new(),
    };
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nConnection: close\r\n{head}\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    stream.write_all(body.unwrap_or_default().as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Some((code, if chunked { unchunk(body) } else { body.to_owned() }))
}

fn unchunk(body: &str) -> String {
    let (mut out, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || after.len() < size {
            break;
        }
        out.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
    }
    out
}
