//! Connections to databases: TLS in each mode, client certificates, and the ways to log in. A connector logs in with
//! two clients, one for questions and one for rows and the log; its rows in a topic show that both could.

use super::*;

const PASSWORD: &str = "Planted-Db-Pass-31";

/// A user of a server with all rights, and what follows its name in CREATE USER.
fn user(server: &str, name: &str, account: &str) {
    sql(
        servers().info(server),
        &format!("CREATE USER {name}@'%' {account}; GRANT ALL ON *.* TO {name}@'%'; FLUSH PRIVILEGES;"),
    );
}

fn identified(method: &str) -> String {
    format!("IDENTIFIED WITH {method} BY '{PASSWORD}'")
}

/// Flushes what a server remembers of passwords, again and again, so that every login is a first one.
struct Forgetful {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Forgetful {
    fn start(server: &'static str) -> Self {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                sql(servers().info(server), "FLUSH PRIVILEGES;");
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Forgetful {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// Java's stores of the servers' authority and the client certificate.
fn stores(folder: &std::path::Path) -> (String, String) {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (trust, key) = (path("trust.jks"), path("key.p12"));
    let output = Command::new("keytool")
        .args(["-importcert", "-noprompt", "-alias", "ca", "-storetype", "JKS", "-storepass", "trust-secret"])
        .args(["-file", &certificate("ca.pem"), "-keystore", &trust])
        .output();
    assert!(output.expect("keytool runs").status.success());
    let output = Command::new("openssl")
        .args(["pkcs12", "-export", "-in", &certificate("worker-all.pem"), "-out", &key, "-passout", "pass:key-secret"])
        .output();
    assert!(output.expect("openssl runs").status.success());
    (trust, key)
}

#[test]
fn every_way_to_log_in_and_every_tls_mode_reads_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let (trust, key) = stores(folder.path());
    let worker = format!("{WORKER}afterimage.memory.limit=536870912\n");
    let mut daemon = Daemon::start(&folder.path().join("d"), servers().bootstrap(), "sec-logins", &worker);
    let pem = certificate("ca.pem");
    let sha2 = identified("caching_sha2_password");
    let native = identified("mysql_native_password");
    let cases = [
        ("mysql8", "sha2_plain", sha2.clone(), json!({ "database.ssl.mode": "disabled" })),
        ("mysql8", "sha2_tls", sha2.clone(), json!({ "database.ssl.mode": "required" })),
        ("mysql8", "native_plain", native.clone(), json!({ "database.ssl.mode": "disabled" })),
        ("mysql8", "by_default", format!("{sha2} REQUIRE SSL"), json!({})),
        (
            "mysql8",
            "x509",
            format!("{sha2} REQUIRE X509"),
            json!({ "database.ssl.mode": "verify_ca", "database.ssl.truststore": trust,
                    "database.ssl.truststore.password": "trust-secret", "database.ssl.keystore": key,
                    "database.ssl.keystore.password": "key-secret" }),
        ),
        (
            "mysql8",
            "identity",
            format!("{sha2} REQUIRE SSL"),
            json!({ "database.ssl.mode": "verify_identity", "database.ssl.truststore": pem }),
        ),
        // Whose name does not fit the certificate, which this mode does not look at.
        (
            "mysql8",
            "named",
            sha2.clone(),
            json!({ "database.ssl.mode": "verify_ca", "database.ssl.truststore": pem, "database.hostname": "localhost" }),
        ),
        ("mysql57", "native57", native.clone(), json!({ "database.ssl.mode": "disabled" })),
        // Its TLS is too old to be spoken, and need not be.
        ("mysql57", "preferred57", native.clone(), json!({})),
    ];
    for (server, name, account, _) in &cases {
        table(server, name);
        user(server, name, account);
    }
    let forgetful = Forgetful::start("mysql8");
    for (server, name, _, more) in &cases {
        let mut more = more.clone();
        more["database.user"] = Value::from(*name);
        more["database.password"] = Value::from(PASSWORD);
        let (code, answer) = daemon.send("POST", "/connectors", Some(&connector(name, server, &more)));
        assert_eq!(code, 201, "{name}: {answer}");
    }
    for (server, name, _, _) in &cases {
        daemon.wait_running(name);
        insert(servers().info(server), name, 2);
        wait_keys(&daemon, &format!("sec-{name}.{name}.t"), &[1, 2]);
    }
    drop(forgetful);
    // Which of them are encrypted, as the server sees it: all connections of a user, or none.
    let encrypted = |name: &str| {
        let text = format!(
            "SELECT IFNULL(SUM(t.CONNECTION_TYPE='SSL/TLS'), 0), COUNT(*) FROM performance_schema.threads t \
             WHERE t.PROCESSLIST_USER='{name}'"
        );
        sql(servers().info("mysql8"), &text).trim().to_owned()
    };
    for (name, tls) in [("sha2_plain", false), ("sha2_tls", true), ("by_default", true), ("identity", true)] {
        let seen = encrypted(name);
        let (with, all) = seen.split_once('\t').expect("two numbers");
        assert_ne!(all, "0", "{name} is not connected");
        assert_eq!(with, if tls { all } else { "0" }, "{name}: {seen}");
    }
    assert_eq!(daemon.stop(), Some(0));
    let log = daemon.log();
    says(&log, &["are not encrypted", "database.ssl.mode=preferred"]);
    for secret in [PASSWORD, "key-secret", "trust-secret"] {
        assert!(!log.contains(secret), "the log shows {secret}");
    }
}

#[test]
fn a_database_that_cannot_be_trusted_or_does_not_let_us_in_is_refused_at_validation() {
    let folder = tempfile::tempdir().expect("a folder");
    let (trust, _) = stores(folder.path());
    let mut daemon = Daemon::start(&folder.path().join("d"), servers().bootstrap(), "sec-refused", WORKER);
    let pem = certificate("ca.pem");
    let sha2 = identified("caching_sha2_password");
    user("mysql8", "needs_tls", &format!("{sha2} REQUIRE SSL"));
    user("mysql8", "needs_x509", &format!("{sha2} REQUIRE X509"));
    user("mysql8", "old_method", &identified("sha256_password"));
    let other = certificate("other-ca.pem");
    let stranger = certificate("stranger-all.pem");
    let checked = "database.ssl.truststore";
    for (server, user, more, parts) in [
        ("mysql8", "cdc", json!({ "database.ssl.mode": "verify_ca", checked: other }), &[checked, "not trusted"][..]),
        ("mysql8", "cdc", json!({ "database.ssl.mode": "verify_ca" }), &[checked, "not trusted"]),
        (
            "mysql8",
            "cdc",
            json!({ "database.ssl.mode": "verify_identity", checked: pem, "database.hostname": "localhost" }),
            &["database.hostname", "verify_ca"],
        ),
        (
            "mysql8",
            "cdc",
            json!({ "database.ssl.mode": "verify_ca", checked: trust, "database.ssl.truststore.password": "wrong-one" }),
            &[checked, "trust.jks", "does not open with the password given"],
        ),
        ("mysql8", "cdc", json!({ "database.ssl.mode": "verify_ca", checked: "/no/such.pem" }), &["/no/such.pem"]),
        (
            "mysql8",
            "cdc",
            json!({ "database.ssl.mode": "required", "database.ssl.keystore": stranger }),
            &["database.ssl.keystore"],
        ),
        ("mysql8", "needs_tls", json!({ "database.ssl.mode": "disabled" }), &["database.ssl.mode", "needs_tls"]),
        ("mysql8", "needs_x509", json!({ "database.ssl.mode": "required" }), &["database.ssl.keystore", "needs_x509"]),
        ("mysql8", "old_method", json!({}), &["sha256_password", "caching_sha2_password"]),
        ("mysql57", "cdc", json!({ "database.ssl.mode": "required" }), &["no TLS that is still considered safe"]),
    ] {
        let mut more = more.clone();
        if user != "cdc" {
            more["database.user"] = Value::from(user);
            more["database.password"] = Value::from(PASSWORD);
        }
        let (code, answer) = daemon.send("POST", "/connectors", Some(&connector("refused", server, &more)));
        assert_eq!(code, 400, "{user} {more}: {answer}");
        let message = answer["message"].as_str().expect("a message");
        says(message, parts);
        for secret in [PASSWORD, "wrong-one"] {
            assert!(!message.contains(secret), "{message}");
        }
    }
    assert_eq!(daemon.get("/connectors"), Some((200, json!([]))));
    assert_eq!(daemon.stop(), Some(0));
    assert!(!daemon.log().contains(PASSWORD) && !daemon.log().contains("wrong-one"));
}
